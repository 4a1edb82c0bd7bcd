use chrono::{DateTime, Utc};
use domain::{
    Error,
    board::{self, Owner, Wanted},
    page::Page,
};
use jobs::{JobView, Ledger, QueueView};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::Value;
use uuid::Uuid;

use super::conversations::PageInfo;
use crate::{Tag, guard::Caller, paging, problem::Answer};

pub(crate) struct Jobs {
    pub(crate) ledger: Ledger,
}

/// Something that is done in the background.
#[derive(Object)]
#[oai(rename = "Job", skip_serializing_if_is_none)]
struct JobOut {
    /// Its id.
    id: Uuid,
    /// Its queue.
    queue: String,
    /// For which one process of the queue, if not for any.
    route: Option<String>,
    /// What it does.
    kind: String,
    /// With what. Ids only.
    payload: Value,
    /// `pending`, `held` (behind an earlier one of its line), `dispatched`, `running`, `done`, `dead` or `cancelled`.
    state: String,
    /// 0 (urgent) to 3 (bulk).
    priority: i16,
    /// Its line: one at a time, in order.
    order_key: Option<String>,
    /// How often it was tried.
    attempts: i16,
    /// How often it may be.
    max_attempts: i16,
    /// Not before then.
    run_at: DateTime<Utc>,
    /// Which process has it.
    worker: Option<String>,
    /// How far it is.
    progress: Option<Value>,
    /// Why the last attempt failed.
    last_error: Option<String>,
    /// When it was asked for.
    created_at: DateTime<Utc>,
    /// When the last attempt began.
    started_at: Option<DateTime<Utc>>,
    /// When it was over.
    finished_at: Option<DateTime<Utc>>,
}

impl From<JobView> for JobOut {
    fn from(job: JobView) -> Self {
        let JobView {
            seq: _,
            id,
            tenant_id: _,
            queue,
            route,
            kind,
            payload,
            priority,
            order_key,
            unique_key: _,
            run_at,
            state,
            attempts,
            max_attempts,
            worker,
            progress,
            last_error,
            created_at,
            started_at,
            finished_at,
        } = job;
        let route = Some(route).filter(|route| !route.is_empty());
        Self {
            id,
            queue,
            route,
            kind,
            payload,
            state,
            priority,
            order_key,
            attempts,
            max_attempts,
            run_at,
            worker,
            progress,
            last_error,
            created_at,
            started_at,
            finished_at,
        }
    }
}

/// Part of the jobs.
#[derive(Object)]
struct JobPage {
    /// In the order that was asked for.
    data: Vec<JobOut>,
    /// Where the next page begins.
    page: PageInfo,
}

/// A queue and its figures.
#[derive(Object)]
#[oai(rename = "Queue", skip_serializing_if_is_none)]
struct QueueOut {
    /// Its name.
    name: String,
    /// Since when it is paused.
    paused_at: Option<DateTime<Utc>>,
    /// Waiting, delayed ones included.
    pending: i64,
    /// Behind an earlier job of their line.
    held: i64,
    /// Released, not yet started.
    dispatched: i64,
    /// Running.
    running: i64,
    /// Given up.
    dead: i64,
    /// How long the longest-waiting due job has waited, in seconds.
    oldest_pending_seconds: Option<f64>,
}

impl From<QueueView> for QueueOut {
    fn from(queue: QueueView) -> Self {
        let QueueView { name, paused_at, pending, held, dispatched, running, dead, oldest_pending_seconds } = queue;
        Self {
            name,
            paused_at,
            pending,
            held,
            dispatched,
            running,
            dead,
            oldest_pending_seconds: oldest_pending_seconds.map(|age| age.max(0.0)),
        }
    }
}

/// Every queue.
#[derive(Object)]
struct QueueList {
    /// With the figures of the team's own jobs.
    data: Vec<QueueOut>,
}

/// Whose jobs.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
enum JobOwner {
    /// The team's.
    Team,
    /// The installation's own; for admins of its first team.
    Installation,
}

#[OpenApi(tag = "Tag::Jobs")]
impl Jobs {
    /// Jobs.
    #[oai(path = "/jobs", method = "get", operation_id = "jobs_list")]
    async fn list(
        &self,
        caller: Caller,
        /// A filter as JSON: a comparison `{"field","op","value"}`, or several under `and` or `or`. It knows `id`, `queue`, `kind`,
        /// `state`, `priority`, `order_key`, `attempts`, `max_attempts`, `worker`, `last_error`, `run_at`, `created_at`,
        /// `started_at` and `finished_at`.
        #[oai(validator(max_length = 2500))]
        filter: Query<Option<String>>,
        /// The order: fields with commas between them, a minus for the other way; newest first when it is left out.
        #[oai(validator(max_length = 200))]
        sort: Query<Option<String>>,
        /// Whose; the team's by default.
        owner: Query<Option<JobOwner>>,
        /// How many, 1 to 200.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u64>>,
        /// Where the page before ended.
        #[oai(validator(max_length = 1500))]
        cursor: Query<Option<String>>,
    ) -> Answer<Json<JobPage>> {
        let filter = filter.0.map(|text| serde_json::from_str(&text)).transpose();
        let filter = filter.map_err(|_| Error::field("/filter", "invalid", "is not JSON"))?;
        let owner = match owner.0 {
            Some(JobOwner::Installation) => Owner::Installation,
            Some(JobOwner::Team) | None => Owner::Team,
        };
        let wanted = Wanted { owner, filter, sort: sort.0 };
        let page = board::list(&self.ledger, &caller.scope(), wanted, paging(limit.0, cursor.0)).await?;
        let Page { data, next_cursor } = page.map(JobOut::from);
        Ok(Json(JobPage { data, page: PageInfo { next_cursor, total: None } }))
    }

    /// One job.
    #[oai(path = "/jobs/:id", method = "get", operation_id = "jobs_get")]
    async fn get(
        &self,
        caller: Caller,
        /// Which job.
        id: Path<Uuid>,
    ) -> Answer<Json<JobOut>> {
        Ok(Json(board::get(&self.ledger, &caller.scope(), id.0).await?.into()))
    }

    /// Run a dead or cancelled job again.
    #[oai(path = "/jobs/:id/retry", method = "post", operation_id = "jobs_retry")]
    async fn retry(
        &self,
        caller: Caller,
        /// Which job.
        id: Path<Uuid>,
    ) -> Answer<Json<JobOut>> {
        Ok(Json(board::retry(&self.ledger, &caller.scope(), id.0).await?.into()))
    }

    /// End an unfinished job. One that runs can't write its effects any more.
    #[oai(path = "/jobs/:id/cancel", method = "post", operation_id = "jobs_cancel")]
    async fn cancel(
        &self,
        caller: Caller,
        /// Which job.
        id: Path<Uuid>,
    ) -> Answer<Json<JobOut>> {
        Ok(Json(board::cancel(&self.ledger, &caller.scope(), id.0).await?.into()))
    }

    /// Every queue with the figures of the team's jobs.
    #[oai(path = "/queues", method = "get", operation_id = "queues_list")]
    async fn queues(&self, caller: Caller) -> Answer<Json<QueueList>> {
        let queues = board::queues(&self.ledger, &caller.scope()).await?;
        Ok(Json(QueueList { data: queues.into_iter().map(QueueOut::from).collect() }))
    }

    /// Start no more jobs of a queue; those that run finish. For admins of the installation's first team.
    #[oai(path = "/queues/:name/pause", method = "post", operation_id = "queues_pause")]
    async fn pause(
        &self,
        caller: Caller,
        /// Which queue, e.g. `whatsapp-send`.
        name: Path<String>,
    ) -> Answer<Json<QueueOut>> {
        Ok(Json(board::set_paused(&self.ledger, &caller.scope(), &name.0, true).await?.into()))
    }

    /// Start its jobs again.
    #[oai(path = "/queues/:name/resume", method = "post", operation_id = "queues_resume")]
    async fn resume(
        &self,
        caller: Caller,
        /// Which queue.
        name: Path<String>,
    ) -> Answer<Json<QueueOut>> {
        Ok(Json(board::set_paused(&self.ledger, &caller.scope(), &name.0, false).await?.into()))
    }
}
