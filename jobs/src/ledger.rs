//! The ledger's handle and its transaction: the only way in.

use std::{collections::BTreeSet, ops::Deref, sync::Mutex};

use db::{Db, DbErr};
use sea_orm::{ConnectionTrait, DatabaseTransaction};
use uuid::Uuid;

use crate::{
    Lane, NewJob, Wake,
    sql::{Dialect, dialect},
};

/// A database with jobs in it, and the way to wake who releases them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    db: Db,
    wake: Wake,
}

impl Ledger {
    /// A ledger over `db`, which must be migrated.
    #[must_use]
    pub fn new(db: Db, wake: Wake) -> Self {
        Self { db, wake }
    }

    /// The database.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Who is told of new jobs.
    #[must_use]
    pub fn wake(&self) -> &Wake {
        &self.wake
    }

    pub(crate) fn sql(&self) -> &'static Dialect {
        dialect(self.db.backend())
    }

    /// A durable transaction in which jobs can be enqueued.
    ///
    /// # Errors
    /// The database doesn't answer.
    pub async fn begin(&self) -> Result<Tx, DbErr> {
        Ok(Tx { inner: self.db.begin().await?, sql: self.sql(), wake: self.wake.clone(), lanes: Mutex::default() })
    }
}

/// A database transaction that remembers which lanes got jobs and wakes their relays once it is committed.
/// Dropped, it rolls back.
#[derive(Debug)]
pub struct Tx {
    inner: DatabaseTransaction,
    sql: &'static Dialect,
    wake: Wake,
    lanes: Mutex<BTreeSet<Lane>>,
}

impl Tx {
    /// Writes `job`. `None`: the tenant has an unfinished job with its unique key in that queue.
    ///
    /// # Errors
    /// The database's.
    pub async fn enqueue(&self, job: NewJob) -> Result<Option<Uuid>, DbErr> {
        let lane = Lane { queue: job.queue, route: job.route };
        let statement = self.sql.statement(
            self.sql.enqueue,
            [
                job.id.into(),
                job.tenant.into(),
                lane.queue.clone().into(),
                lane.route.clone().into(),
                job.kind.into(),
                job.payload.into(),
                (job.priority as i16).into(),
                job.max_attempts.into(),
                job.order_key.into(),
                job.unique_key.into(),
                job.delay.as_secs_f64().into(),
                job.run_at.into(),
                job.cause_id.into(),
                job.depth.into(),
            ],
        );
        let new = self.inner.execute_raw(statement).await?.rows_affected() == 1;
        if new {
            self.lanes.lock().expect("nothing panics while holding it").insert(lane);
        }
        Ok(new.then_some(job.id))
    }

    /// Commits, then wakes the relays. If the process dies in between, their poll finds the rows.
    ///
    /// # Errors
    /// The database's; nothing was written then.
    pub async fn commit(self) -> Result<(), DbErr> {
        let Self { inner, wake, lanes, .. } = self;
        inner.commit().await?;
        wake.lanes(lanes.into_inner().expect("nothing panics while holding it"));
        Ok(())
    }

    pub(crate) fn dialect(&self) -> &'static Dialect {
        self.sql
    }
}

impl Deref for Tx {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.inner
    }
}
