use chrono::{DateTime, Utc};
use domain::{
    entities::{CatchUp, ScheduleId, schedule},
    schedules,
};
use jobs::Ledger;
use poem_openapi::{ApiResponse, Object, OpenApi, param::Path, payload::Json};
use serde_json::Value;
use uuid::Uuid;

use crate::{Tag, guard::Caller, problem::Answer};

pub(crate) struct Schedules {
    pub(crate) ledger: Ledger,
}

/// A calendar that becomes jobs.
#[derive(Object)]
#[oai(rename = "Schedule", skip_serializing_if_is_none)]
struct ScheduleOut {
    /// Its id.
    id: ScheduleId,
    /// What it is called.
    name: String,
    /// The kind of its jobs.
    kind: String,
    /// With what.
    payload: Value,
    /// When, as a cron expression.
    cron: String,
    /// In whose days and hours.
    time_zone: String,
    /// What becomes of occurrences that nobody took in time: `all`, `latest` or `skip`.
    catch_up: CatchUp,
    /// Whether it is paused.
    paused: bool,
    /// When it is due next; while it is paused, when it would have been.
    next_at: DateTime<Utc>,
    /// Its last occurrence that became a job.
    last_at: Option<DateTime<Utc>>,
}

impl From<schedule::Model> for ScheduleOut {
    fn from(schedule: schedule::Model) -> Self {
        let schedule::Model { id, tenant_id: _, name, kind, payload, cron, time_zone, catch_up, next_at, last_at, enabled, created_at: _ } =
            schedule;
        Self { id, name, kind, payload, cron, time_zone, catch_up, paused: !enabled, next_at, last_at }
    }
}

/// The installation's schedules.
#[derive(Object)]
struct ScheduleList {
    /// By name.
    data: Vec<ScheduleOut>,
}

/// What was asked for.
#[derive(Object)]
struct ScheduleRun {
    /// The job, as `GET /api/jobs/{id}` has it.
    job_id: Uuid,
}

#[derive(ApiResponse)]
enum Begun {
    /// The job waits for its turn.
    #[oai(status = 202)]
    Begun(Json<ScheduleRun>),
}

#[OpenApi(prefix_path = "/schedules", tag = "Tag::Jobs")]
impl Schedules {
    /// What the installation does again and again. For admins of its first team.
    #[oai(path = "/", method = "get", operation_id = "schedules_list")]
    async fn list(&self, caller: Caller) -> Answer<Json<ScheduleList>> {
        let all = schedules::list(self.ledger.db(), &caller.scope()).await?;
        Ok(Json(ScheduleList { data: all.into_iter().map(ScheduleOut::from).collect() }))
    }

    /// Make no more jobs of a schedule. For admins of the installation's first team.
    #[oai(path = "/:id/pause", method = "post", operation_id = "schedules_pause")]
    async fn pause(
        &self,
        caller: Caller,
        /// Which schedule.
        id: Path<ScheduleId>,
    ) -> Answer<Json<ScheduleOut>> {
        Ok(Json(schedules::set_paused(&self.ledger, &caller.scope(), id.0, true).await?.into()))
    }

    /// Make jobs of it again, from its next occurrence on: what it missed is not caught up.
    #[oai(path = "/:id/resume", method = "post", operation_id = "schedules_resume")]
    async fn resume(
        &self,
        caller: Caller,
        /// Which schedule.
        id: Path<ScheduleId>,
    ) -> Answer<Json<ScheduleOut>> {
        Ok(Json(schedules::set_paused(&self.ledger, &caller.scope(), id.0, false).await?.into()))
    }

    /// Run now what it runs, besides its occurrences, paused or not.
    #[oai(path = "/:id/run", method = "post", operation_id = "schedules_run")]
    async fn run(
        &self,
        caller: Caller,
        /// Which schedule.
        id: Path<ScheduleId>,
    ) -> Answer<Begun> {
        let job_id = schedules::run(&self.ledger, &caller.scope(), id.0).await?;
        Ok(Begun::Begun(Json(ScheduleRun { job_id })))
    }
}
