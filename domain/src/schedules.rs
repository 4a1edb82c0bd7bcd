//! Calendars that become jobs: what a cron expression means, which schedules every installation has, and what its operators
//! may do to them.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use db::Db;
use entities::{CatchUp, ScheduleId, schedule};
use jobs::{Job, Ledger, NewJob};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder,
    sea_query::{Expr, OnConflict},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Error, Result, Scope,
    board::operator,
    engine::{Event, Write, again},
    payloads::{CheckDevices, Purge, RollUpStatistics, queue_of},
};

/// The next occurrence of `cron` after `after`, in `time_zone`'s wall-clock time. An hour that a clock change leaves out has
/// no occurrence; one that it repeats has its first.
///
/// # Errors
/// In words: the expression or the zone can't be read, or there is no further occurrence.
pub fn next(cron: &str, time_zone: &str, after: DateTime<Utc>) -> std::result::Result<DateTime<Utc>, String> {
    let zone = Tz::from_str(time_zone).map_err(|_| format!("{time_zone} is not a time zone such as America/Sao_Paulo"))?;
    // Five fields, as everywhere; the crate wants the seconds too.
    let fields = cron.split_whitespace().count();
    let full = if fields == 5 { format!("0 {cron}") } else { cron.to_owned() };
    let calendar = cron::Schedule::from_str(&full).map_err(|_| format!("{cron} is not a cron expression of five or six fields"))?;
    let next = calendar.after(&after.with_timezone(&zone)).next().ok_or_else(|| format!("{cron} never comes again"))?;
    Ok(next.with_timezone(&Utc))
}

/// The installation's schedules, by name.
///
/// # Errors
/// [`Error::Forbidden`]: they are for admins of its first team; the database's.
pub async fn list(db: &Db, scope: &Scope) -> Result<Vec<schedule::Model>> {
    operator(db, scope).await?;
    Ok(schedule::Entity::find().filter(schedule::Column::TenantId.is_null()).order_by_asc(schedule::Column::Name).all(&db.read).await?)
}

/// Stops a schedule, or starts it again with its next occurrence: what it missed meanwhile is not caught up.
///
/// # Errors
/// As [`list`]; [`Error::NotFound`]; [`Error::Conflict`] when its calendar has no next occurrence.
pub async fn set_paused(ledger: &Ledger, scope: &Scope, id: ScheduleId, paused: bool) -> Result<schedule::Model> {
    operator(ledger.db(), scope).await?;
    again(|| async {
        let write = Write::begin(ledger, scope).await?;
        let found = one(&write, id).await?;
        if found.enabled != paused {
            return write.commit(()).await.map(|()| found);
        }
        let next_at = match paused {
            true => found.next_at,
            false => next(&found.cron, &found.time_zone, Utc::now()).map_err(|why| Error::conflict("schedule_over", why))?,
        };
        schedule::Entity::update_many()
            .col_expr(schedule::Column::Enabled, Expr::value(!paused))
            .col_expr(schedule::Column::NextAt, Expr::value(next_at))
            .filter(schedule::Column::Id.eq(id))
            .exec(&**write)
            .await?;
        note(&write, id, if paused { "paused" } else { "resumed" }).await?;
        write.commit(()).await?;
        Ok(schedule::Model { enabled: !paused, next_at, ..found })
    })
    .await
}

/// Runs what a schedule runs now, besides its occurrences; the job's id.
///
/// # Errors
/// As [`list`]; [`Error::NotFound`]; [`Error::Conflict`] when no job of this version is of its kind.
pub async fn run(ledger: &Ledger, scope: &Scope, id: ScheduleId) -> Result<Uuid> {
    operator(ledger.db(), scope).await?;
    let write = Write::begin(ledger, scope).await?;
    let schedule::Model { kind, payload, .. } = one(&write, id).await?;
    let queue = queue_of(&kind).ok_or_else(|| Error::conflict("unknown_kind", format!("this version of SOMO has no job {kind}")))?;
    let job = NewJob::raw(Uuid::nil(), queue, &kind, payload).cause(id.0, 0);
    let job_id = job.id();
    write.enqueue(job).await?;
    note(&write, id, "run").await?;
    write.commit(job_id).await
}

/// One of the installation's.
async fn one(write: &Write<'_>, id: ScheduleId) -> Result<schedule::Model> {
    let found = schedule::Entity::find_by_id(id).filter(schedule::Column::TenantId.is_null()).one(&***write).await?;
    found.ok_or(Error::NotFound("schedule"))
}

async fn note(write: &Write<'_>, id: ScheduleId, action: &'static str) -> Result<()> {
    write.record(Event { topic: "schedules", subject_id: id.0, action, data: json!({}) }).await
}

/// Writes the standing schedules that are not there yet.
///
/// # Errors
/// The database's.
pub async fn seed(ledger: &Ledger) -> Result<()> {
    let standing: [(&str, &str, Value, &str); 4] = [
        ("statistics, hourly", RollUpStatistics::KIND, json!(RollUpStatistics { hours: 2 }), "5 * * * *"),
        ("statistics, daily", RollUpStatistics::KIND, json!(RollUpStatistics { hours: 49 }), "20 3 * * *"),
        ("purge", Purge::KIND, json!(Purge {}), "*/10 * * * *"),
        ("device health", CheckDevices::KIND, json!(CheckDevices {}), "*/5 * * * *"),
    ];
    let tx = ledger.begin().await?;
    for (name, kind, payload, cron) in standing {
        let row = schedule::ActiveModel {
            id: Set(ScheduleId::new()),
            tenant_id: Set(None),
            name: Set(name.to_owned()),
            kind: Set(kind.to_owned()),
            payload: Set(payload),
            cron: Set(cron.to_owned()),
            time_zone: Set("UTC".into()),
            catch_up: Set(CatchUp::Latest),
            next_at: Set(next(cron, "UTC", Utc::now()).map_err(|error| Error::Internal(anyhow::anyhow!(error)))?),
            last_at: Set(None),
            enabled: Set(true),
            created_at: Set(Utc::now()),
        };
        let once = OnConflict::column(schedule::Column::Name).do_nothing().to_owned();
        schedule::Entity::insert(row).on_conflict(once).exec_without_returning(&*tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn an_occurrence_follows_the_wall_clock() {
        for (cron, zone, after, expected) in [
            ("0 9 * * *", "America/Sao_Paulo", "2026-11-24T11:59:00Z", "2026-11-24T12:00:00Z"),
            ("0 9 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T07:00:00Z"), // the clocks went forward that night
            ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z"), // 02:30 did not exist
            ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"), // 02:30 came twice
            ("*/10 * * * * *", "UTC", "2026-01-01T00:00:01Z", "2026-01-01T00:00:10Z"),
        ] {
            let found = next(cron, zone, after.parse().expect("a time")).expect("an occurrence");
            assert_eq!(found.to_rfc3339(), expected.replace('Z', "+00:00"), "{cron} in {zone}");
        }
        assert!(next("nonsense", "UTC", chrono::Utc::now()).is_err());
        assert!(next("0 9 * * *", "Mars/Olympus", chrono::Utc::now()).is_err());
    }
}
