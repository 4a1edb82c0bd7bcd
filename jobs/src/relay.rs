//! Releases what is due from SQL into a transport, a bounded window at a time.
//!
//! The backlog stays in SQL: a million waiting jobs cost Redis nothing, and priority, fairness between tenants and the
//! order of lines are decided at the release. Relays stand by for each other: any number of them may run.

use std::{sync::Arc, time::Duration};

use db::DbErr;
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    Lane, Ledger, Transport,
    sql::{self, steps},
};

/// How long a relay leaves a database or a transport alone that failed.
const TROUBLE: Duration = Duration::from_millis(250);

/// How a relay paces itself.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// At most this many released and not yet claimed jobs of a lane.
    pub window: i64,
    /// Every tenant gets at least so many of them in a pass.
    pub per_tenant: i64,
    /// How long a released job may take to be claimed before it is released again.
    pub deliver_within: Duration,
    /// How often it looks without being woken: for delayed jobs and lost wake-ups.
    pub poll: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { window: 1000, per_tenant: 10, deliver_within: Duration::from_secs(30), poll: Duration::from_millis(100) }
    }
}

/// The relay of one lane.
#[derive(Debug)]
pub struct Relay {
    ledger: Ledger,
    lane: Lane,
    transport: Transport,
    pace: Pace,
    woken: Arc<Notify>,
}

/// What a pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Released into the transport.
    pub released: usize,
    /// Parked behind an earlier job of their line.
    pub parked: usize,
    /// Another relay was at it.
    pub busy: bool,
}

impl Relay {
    /// A relay for `lane`, not yet running.
    #[must_use]
    pub fn new(ledger: Ledger, lane: Lane, transport: Transport, pace: Pace) -> Self {
        let woken = ledger.wake().relay(&lane);
        Self { ledger, lane, transport, pace, woken }
    }

    /// One pass. The rows are marked before the push: a crash between leaves an undelivered number, and the reaper returns
    /// it. The other way round, a worker could see a number that isn't dispatched yet and drop it.
    ///
    /// # Errors
    /// The database's or the transport's; what was marked and not pushed is pending again, if need be by the reaper.
    pub async fn pass(&self) -> anyhow::Result<Pass> {
        let tx = self.ledger.db().begin_quick().await?;
        let Some((ready, parked)) = (match self.ledger.db().is_sqlite() {
            true => self.release_in_steps(&tx).await?,
            false => self.release_at_once(&tx).await?,
        }) else {
            tx.rollback().await?;
            return Ok(Pass { busy: true, ..Pass::default() });
        };
        tx.commit().await?;
        if !parked.is_empty() {
            self.ledger.wake_lines(&self.lane.queue, &parked).await?; // rule 5: look again, after the commit
        }
        if !ready.is_empty()
            && let Err(error) = self.transport.push(&self.lane, &ready).await
        {
            // Otherwise they would wait for the reaper. A number that did arrive is stale by then, and dropped.
            let sql = self.ledger.sql();
            self.ledger.db().quick.execute_raw(sql.statement(sql.take_back, [sql.list(&ready)])).await?;
            return Err(error);
        }
        Ok(Pass { released: ready.len(), parked: parked.len(), busy: false })
    }

    async fn release_at_once(&self, tx: &DatabaseTransaction) -> Result<Option<(Vec<i64>, Vec<String>)>, DbErr> {
        let sql = self.ledger.sql();
        let lock = sql.statement(sql::LOCK_RELAY, [self.lane.to_string().into()]);
        let locked = tx.query_one_raw(lock).await?.is_some_and(|row| row.try_get("", "locked").unwrap_or(false));
        if !locked {
            return Ok(None);
        }
        let release = sql.statement(
            sql::RELEASE,
            [
                self.lane.queue.clone().into(),
                self.lane.route.clone().into(),
                self.pace.window.into(),
                self.pace.per_tenant.into(),
                self.pace.deliver_within.as_secs_f64().into(),
            ],
        );
        let (mut ready, mut parked) = (Vec::new(), Vec::new());
        for row in tx.query_all_raw(release).await? {
            match row.try_get::<Option<i64>>("", "seq")? {
                Some(seq) => ready.push(seq),
                None => parked.push(row.try_get("", "parked")?),
            }
        }
        Ok(Some((ready, parked)))
    }

    async fn release_in_steps(&self, tx: &DatabaseTransaction) -> Result<Option<(Vec<i64>, Vec<String>)>, DbErr> {
        let sql = self.ledger.sql();
        let (queue, route) = (self.lane.queue.as_str(), self.lane.route.as_str());
        let room = sql.statement(steps::ROOM, [queue.into(), route.into(), self.pace.window.into()]);
        let mut room = match tx.query_one_raw(room).await? {
            Some(row) => row.try_get::<i64>("", "n")?,
            None => 0, // paused
        };
        let (mut ready, mut parked, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        for level in 0..4i16 {
            if room == 0 {
                break;
            }
            let mut tenants: Vec<Uuid> = Vec::new();
            loop {
                let before = tenants.last().copied();
                let next = sql.statement(steps::NEXT_TENANT, [queue.into(), route.into(), level.into(), before.into()]);
                let Some(row) = tx.query_one_raw(next).await? else { break };
                tenants.push(row.try_get("", "tenant_id")?);
            }
            let share = (room / i64::try_from(tenants.len().max(1)).unwrap_or(i64::MAX)).max(self.pace.per_tenant);
            let mut turns: Vec<std::vec::IntoIter<QueryResult>> = Vec::with_capacity(tenants.len());
            for tenant in tenants {
                let due = sql.statement(steps::CANDIDATES, [queue.into(), route.into(), level.into(), tenant.into(), share.into()]);
                turns.push(tx.query_all_raw(due).await?.into_iter());
            }
            // One of each tenant in turn, until the window is full or nobody has any left.
            while !turns.is_empty() && room > 0 {
                let mut still = Vec::with_capacity(turns.len());
                for mut rows in turns {
                    let Some(row) = rows.next() else { continue };
                    let seq = row.try_get::<i64>("", "seq")?;
                    match row.try_get::<bool>("", "first")? {
                        false => {
                            parked.push(seq);
                            keys.extend(row.try_get::<Option<String>>("", "order_key")?);
                        }
                        true if room > 0 => {
                            ready.push(seq);
                            room -= 1;
                        }
                        true => {}
                    }
                    still.push(rows);
                }
                turns = still;
            }
        }
        if !parked.is_empty() {
            tx.execute_raw(sql.statement(steps::PARK, [sql.list(&parked)])).await?;
        }
        if !ready.is_empty() {
            let seconds = self.pace.deliver_within.as_secs_f64();
            tx.execute_raw(sql.statement(steps::RELEASE, [sql.list(&ready), seconds.into()])).await?;
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(Some((ready, keys)))
    }

    /// Whether a pass would find anything. A read, so that idle polling takes no lock and writes nothing.
    async fn due(&self) -> Result<bool, DbErr> {
        let sql = self.ledger.sql();
        let due = sql.statement(sql.due, [self.lane.queue.clone().into(), self.lane.route.clone().into()]);
        Ok(self.ledger.db().read.query_one_raw(due).await?.is_some())
    }

    /// Passes for ever: at once when woken, soon again while there is work (a full window tells nobody when it empties),
    /// and every `poll` when there is none.
    pub async fn run(self) {
        let mut pause = Duration::ZERO;
        loop {
            let woken = tokio::time::timeout(pause, self.woken.notified()).await.is_ok();
            let pass = async {
                match woken || pause < self.pace.poll || self.due().await? {
                    true => self.pass().await,
                    false => Ok(Pass::default()),
                }
            };
            pause = match pass.await {
                Ok(Pass { released: 0, parked: 0, busy: false }) => (pause * 2).clamp(Duration::from_millis(2), self.pace.poll),
                Ok(_) => Duration::from_millis(2),
                Err(error) => {
                    tracing::warn!(lane = %self.lane, error = format!("{error:#}"), "the relay could not pass");
                    tokio::time::sleep(TROUBLE).await; // whoever wakes it meanwhile, wakes it then
                    self.pace.poll
                }
            };
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.ledger.wake().forget(&self.lane, &self.woken);
    }
}

impl Ledger {
    /// The head of each of these lines, if it is parked, becomes pending; its relay is told.
    pub(crate) async fn wake_lines(&self, queue: &str, keys: &[String]) -> Result<(), DbErr> {
        if keys.is_empty() {
            return Ok(());
        }
        let sql = self.sql();
        let wake = sql.statement(sql.wake_lines, [queue.into(), serde_json::json!(keys).into()]);
        let mut lanes = std::collections::BTreeSet::new();
        for row in self.db().quick.query_all_raw(wake).await? {
            lanes.insert(Lane::route(queue, row.try_get::<String>("", "route")?));
        }
        self.wake().lanes(lanes);
        Ok(())
    }
}
