//! The event stream: everything that happened, in an order that never changes once it was read.
//!
//! A writer takes its `seq` before it commits, so a reader that goes by `seq` would miss what commits late, and one that
//! waits for the oldest open transaction stands still behind any long one. So an event gets its `position` after its
//! commit: [`place`] numbers what has become visible, in the order of `seq`, one placer at a time. A write that saw another
//! write's effect has a higher `seq` than it, and is never placed before it. Readers resume by `position`.

use chrono::{DateTime, Utc};
use db::{Db, DbErr};
use entities::{TenantId, event};
use jobs::{Lane, Ledger};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Statement};
use serde_json::Value;
use uuid::Uuid;

use crate::{Error, Result};

/// An event as readers get it.
#[derive(Clone, Debug, PartialEq)]
pub struct EventView {
    /// Its id; readers resume after it.
    pub id: Uuid,
    /// The resource.
    pub topic: String,
    /// The record.
    pub subject_id: Uuid,
    /// What happened.
    pub action: String,
    /// The diff.
    pub data: Value,
    /// When.
    pub at: DateTime<Utc>,
}

/// At most so many at once, so that nobody waits long for the placer's rows.
const BATCH: i64 = 1000;

/// Gives committed events their position; how many it placed. Any process may call it; one at a time does it.
///
/// # Errors
/// The database's.
pub async fn place(db: &Db) -> std::result::Result<u64, DbErr> {
    let tx = db.begin().await?;
    let sqlite = db.is_sqlite();
    if !sqlite {
        // A statement of its own: the next one then sees everything that the placer before it did.
        let lock = Statement::from_string(db.backend(), "select pg_try_advisory_xact_lock(7203, 2) as mine");
        let mine = tx.query_one_raw(lock).await?.is_some_and(|row| row.try_get("", "mine").unwrap_or(false));
        if !mine {
            tx.rollback().await?;
            return Ok(0);
        }
    }
    let place = "
with last as (select coalesce(max(position), 0) as position from events),
     next as (select seq, row_number() over (order by seq) as n from (select seq from events where position is null order by seq limit $1) unplaced)
update events set position = (select position from last) + next.n from next where events.seq = next.seq";
    let placed = tx.execute_raw(Statement::from_sql_and_values(db.backend(), place, [BATCH.into()])).await?.rows_affected();
    tx.commit().await?;
    Ok(placed)
}

/// The bell that is rung in every process when events have got their place.
#[must_use]
pub fn bell() -> Lane {
    Lane::queue("events")
}

/// Places events for ever, soon after they are written, and tells those who read them.
pub async fn run(ledger: Ledger) {
    let db = ledger.db();
    loop {
        let pause = match unplaced(db).await {
            Ok(false) => 50,
            Ok(true) => match place(db).await {
                Ok(placed) => {
                    if placed > 0 {
                        ledger.wake().everywhere(bell());
                    }
                    5
                }
                Err(error) => {
                    tracing::warn!(%error, "events could not be placed");
                    500
                }
            },
            Err(error) => {
                tracing::warn!(%error, "events could not be read");
                500
            }
        };
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
    }
}

async fn unplaced(db: &Db) -> std::result::Result<bool, DbErr> {
    let any = Statement::from_string(db.backend(), "select 1 as one from events where position is null limit 1");
    Ok(db.read.query_one_raw(any).await?.is_some())
}

/// The place of the last event.
///
/// # Errors
/// The database's.
pub async fn last(db: &Db) -> Result<i64> {
    let find = Statement::from_string(db.backend(), "select coalesce(max(position), 0) as last from events");
    let row = db.read.query_one_raw(find).await?;
    Ok(row.map(|row| row.try_get("", "last")).transpose()?.unwrap_or(0))
}

/// The tenant's last event up to a place.
///
/// # Errors
/// The database's.
pub async fn last_of(db: &Db, tenant: TenantId, upto: i64) -> Result<Option<Uuid>> {
    let own = event::Column::TenantId.eq(tenant).and(event::Column::Position.lte(upto));
    let find = event::Entity::find().filter(own).order_by_desc(event::Column::Position).select_only().column(event::Column::Id);
    Ok(find.limit(1).into_tuple().one(&db.read).await?)
}

/// The place of one of the tenant's events, which gets one if it has none yet; `None` when there is no such event.
///
/// # Errors
/// The database's.
pub async fn position_of(db: &Db, tenant: TenantId, id: Uuid) -> Result<Option<i64>> {
    let own = || event::Entity::find().filter(event::Column::TenantId.eq(tenant).and(event::Column::Id.eq(id)));
    loop {
        match own().one(&db.read).await?.map(|event| event.position) {
            None => return Ok(None),
            Some(Some(position)) => return Ok(Some(position)),
            // Who knows of it can only have seen it in a list; a moment later it has its place.
            Some(None) if place(db).await? > 0 => {}
            Some(None) => tokio::time::sleep(std::time::Duration::from_millis(5)).await, // another one places
        }
    }
}

/// The events after a place, of all tenants, in their order: what a process reads once for everybody who listens to it.
///
/// # Errors
/// The database's.
pub async fn tail(db: &Db, after: i64, limit: u64) -> Result<Vec<event::Model>> {
    let find = event::Entity::find().filter(event::Column::Position.gt(after)).order_by_asc(event::Column::Position);
    Ok(find.limit(limit).all(&db.read).await?)
}

/// The tenant's events under these topics after a place, up to another one if there is one, in their order.
///
/// # Errors
/// The database's.
pub async fn past(db: &Db, tenant: TenantId, topics: &[&str], after: i64, upto: Option<i64>, limit: u64) -> Result<Vec<event::Model>> {
    let own = event::Column::TenantId.eq(tenant).and(event::Column::Position.gt(after));
    let own = own.and(event::Column::Topic.is_in(topics.iter().copied()));
    let own = upto.into_iter().fold(own, |own, upto| own.and(event::Column::Position.lte(upto)));
    Ok(event::Entity::find().filter(own).order_by_asc(event::Column::Position).limit(limit).all(&db.read).await?)
}

/// The tenant's events after the one with this id, oldest first.
///
/// # Errors
/// [`Error::NotFound`] when there is no such event, or it has not been placed; the database's.
pub async fn read_after(db: &Db, tenant: TenantId, after: Option<Uuid>, limit: u64) -> Result<Vec<EventView>> {
    let position = match after {
        None => 0,
        Some(id) => {
            let own = event::Column::TenantId.eq(tenant).and(event::Column::Id.eq(id));
            let event = event::Entity::find().filter(own).one(&db.read).await?;
            event.and_then(|event| event.position).ok_or(Error::NotFound("event"))?
        }
    };
    let rows = event::Entity::find()
        .filter(event::Column::TenantId.eq(tenant))
        .filter(event::Column::Position.gt(position))
        .order_by_asc(event::Column::Position)
        .limit(limit)
        .all(&db.read)
        .await?;
    let view = |row: event::Model| EventView {
        id: row.id,
        topic: row.topic,
        subject_id: row.subject_id,
        action: row.action,
        data: row.data,
        at: row.created_at,
    };
    Ok(rows.into_iter().map(view).collect())
}
