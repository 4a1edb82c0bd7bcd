//! Cron occurrences become jobs, each exactly once.
//!
//! A schedule's row says when it is next due. Who moves that time on, from the value it has read, has taken the occurrence; the
//! occurrence's job is written in the same transaction. So any number of schedulers may run, none waits for another, and
//! one that dies has either done both or neither. What a schedule runs is in `domain::payloads`; what its calendar
//! means is in `domain::schedules`. This crate only decides which occurrences are due.

mod occurrence;

use std::{collections::HashSet, time::Duration};

use anyhow::Context;
use chrono::{DateTime, Utc};
use domain::payloads::queue_of;
use entities::{ScheduleId, schedule};
use jobs::{Ledger, NewJob, Tx};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};
use uuid::Uuid;

/// Schedules looked at in one pass. Those longest due go first, so with more, none waits for ever.
const PASS: u64 = 200;

/// Passes in one tick, before what has become due meanwhile gets its turn.
const PASSES: usize = 500;

/// Ticks every `every` until it is dropped, which it may be at any time. A database that is away is asked again.
pub async fn run(ledger: Ledger, every: Duration) {
    loop {
        match tick(&ledger, Utc::now()).await {
            Ok(0) => {}
            Ok(jobs) => tracing::debug!(jobs, "schedules were due"),
            Err(error) => tracing::warn!("schedules can't be read, trying again: {error:#}"),
        }
        tokio::time::sleep(every).await;
    }
}

/// Takes what is due at `now`; how many jobs were written. A schedule that fails doesn't stop the others: it is logged, and
/// stays due unless its calendar or its kind can never work, which disables it.
///
/// # Errors
/// The due schedules can't be read.
pub async fn tick(ledger: &Ledger, now: DateTime<Utc>) -> anyhow::Result<usize> {
    let (mut written, mut failed) = (0, HashSet::new());
    // Each schedule moves on by one occurrence a pass, so one that missed thousands doesn't hold up the others.
    for _ in 0..PASSES {
        let mut moved = false;
        for schedule in due(ledger, now).await.context("reading the due schedules")? {
            let (id, name) = (schedule.id, schedule.name.clone());
            if failed.contains(&id) {
                continue;
            }
            match take(ledger, schedule, now).await {
                Ok(taken) => {
                    moved |= taken != Taken::ByAnother;
                    written += usize::from(taken == Taken::WithJob);
                }
                Err(error) => {
                    tracing::error!(schedule = %id, name, "a schedule failed and is tried again: {error:#}");
                    failed.insert(id);
                }
            }
        }
        if !moved {
            break;
        }
    }
    Ok(written)
}

async fn due(ledger: &Ledger, now: DateTime<Utc>) -> Result<Vec<schedule::Model>, sea_orm::DbErr> {
    schedule::Entity::find()
        .filter(schedule::Column::Enabled.eq(true))
        .filter(schedule::Column::NextAt.lte(now))
        .order_by_asc(schedule::Column::NextAt)
        .limit(PASS)
        // Not on a replica or an older snapshot: what was just moved on must not be seen again.
        .all(&ledger.db().write)
        .await
}

/// What became of a due schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// Its occurrence has become a job.
    WithJob,
    /// It has moved on without one: what it missed is not caught up, or it is disabled.
    WithoutJob,
    /// Another scheduler was faster, or somebody changed it.
    ByAnother,
}

async fn take(ledger: &Ledger, schedule: schedule::Model, now: DateTime<Utc>) -> anyhow::Result<Taken> {
    let id = schedule.id;
    let Some(queue) = queue_of(&schedule.kind) else {
        tracing::error!(schedule = %id, name = schedule.name, kind = schedule.kind, "a schedule of an unknown kind is disabled");
        return disable(ledger, &schedule).await;
    };
    let step = match occurrence::step(schedule.catch_up, &schedule.cron, &schedule.time_zone, schedule.next_at, now) {
        Ok(step) => step,
        Err(error) => {
            tracing::error!(schedule = %id, name = schedule.name, "a schedule whose calendar can't be read is disabled: {error}");
            return disable(ledger, &schedule).await;
        }
    };

    let tx = ledger.begin().await?;
    if !move_on(&tx, &schedule, step.next_at).await? {
        return Ok(Taken::ByAnother);
    }
    if let Some(at) = step.run {
        let tenant = schedule.tenant_id.map_or(Uuid::nil(), |tenant| tenant.0);
        tx.enqueue(NewJob::raw(tenant, queue, &schedule.kind, schedule.payload).run_at(at).cause(id.0, 0)).await?;
    }
    tx.commit().await?;
    Ok(if step.run.is_some() { Taken::WithJob } else { Taken::WithoutJob })
}

/// From the time it was read with, which is what makes an occurrence one scheduler's. A schedule without a next time is over.
async fn move_on(tx: &Tx, schedule: &schedule::Model, next_at: Option<DateTime<Utc>>) -> Result<bool, sea_orm::DbErr> {
    let update = unchanged(schedule.id, schedule.next_at).col_expr(schedule::Column::LastAt, Expr::value(schedule.next_at));
    let update = match next_at {
        Some(next_at) => update.col_expr(schedule::Column::NextAt, Expr::value(next_at)),
        None => update.col_expr(schedule::Column::Enabled, Expr::value(false)),
    };
    Ok(update.exec(&**tx).await?.rows_affected == 1)
}

async fn disable(ledger: &Ledger, schedule: &schedule::Model) -> anyhow::Result<Taken> {
    let update = unchanged(schedule.id, schedule.next_at).col_expr(schedule::Column::Enabled, Expr::value(false));
    let disabled = update.exec(&ledger.db().write).await.context("disabling it")?.rows_affected == 1;
    Ok(if disabled { Taken::WithoutJob } else { Taken::ByAnother })
}

fn unchanged(id: ScheduleId, next_at: DateTime<Utc>) -> sea_orm::UpdateMany<schedule::Entity> {
    schedule::Entity::update_many()
        .filter(schedule::Column::Id.eq(id))
        .filter(schedule::Column::NextAt.eq(next_at))
        .filter(schedule::Column::Enabled.eq(true))
}
