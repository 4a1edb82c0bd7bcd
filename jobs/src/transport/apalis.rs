//! The queue of the apalis-redis crate, with what it needs to be safe under the ledger.
//!
//! What bites in 1.0.0, and the guard against it (each has a test in the conformance suite):
//! - every push lands in the scheduled set, and a fetch unpacks all that is due: the relay's window stays ≤ 1,000;
//! - an idle worker looks only at its heartbeat: [`Tick`];
//! - any Redis error ends the worker, and its name can't come back soon: restarts under a fresh name (in `runtime`);
//! - `lock_tasks` costs O(backlog) for each job: off; attempts and retry-after are ignored: the ledger retries;
//! - an undecodable payload kills the worker: a message is a number, written only here;
//! - a task id equal to the job's would drop a second delivery: fresh ids;
//! - finished tasks stay for ever: [`Storages::trim`].

use std::{
    task::{Context, Poll},
    time::Duration,
};

use apalis::prelude::{PollSnapshot, PollStrategy};
use apalis_core::task::builder::TaskBuilder;
use apalis_redis::{Config, ConnectionManager, RedisStorage};
use redis::aio::ConnectionManagerConfig;

use crate::Lane;

/// One lane's queue, as apalis knows it.
pub(crate) type Storage = RedisStorage<i64>;

/// The queues under one prefix of one Redis.
#[derive(Clone)]
pub struct Storages {
    connection: ConnectionManager,
    prefix: String,
}

impl std::fmt::Debug for Storages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storages").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// How many numbers a worker fetches at once.
const BATCH: usize = 100;

impl Storages {
    pub(super) fn new(url: &str, prefix: &str) -> anyhow::Result<Self> {
        let patience = Some(Duration::from_secs(2));
        let config =
            ConnectionManagerConfig::new().set_number_of_retries(1).set_connection_timeout(patience).set_response_timeout(patience);
        let connection = ConnectionManager::new_lazy_with_config(redis::Client::open(url)?, config)?;
        Ok(Self { connection, prefix: prefix.to_owned() })
    }

    /// Hash-tagged, so that all the keys of a lane live on one node of a Redis Cluster.
    pub(super) fn storage(&self, lane: &Lane) -> Storage {
        let config = Config::default()
            .queue(format!("{{{}:apalis:{lane}}}", self.prefix))
            .batch_size(BATCH)
            .heartbeat_interval(Duration::from_secs(5))
            .missed_heartbeats(12)
            .lock_tasks(false)
            .emit_events(false);
        RedisStorage::new(self.connection.clone()).with_config(config)
    }

    pub(super) async fn push(&self, lane: &Lane, seqs: &[i64]) -> anyhow::Result<()> {
        let storage = self.storage(lane);
        let task = |seq: &i64| TaskBuilder::new(seq.to_string().into_bytes()).build();
        let tasks: Vec<_> = seqs.iter().map(task).collect();
        apalis_redis::queries::push_tasks(&mut self.connection.clone(), storage.get_config(), &tasks).await?;
        Ok(())
    }

    pub(super) async fn ping(&self) -> anyhow::Result<()> {
        Ok(redis::cmd("PING").query_async::<()>(&mut self.connection.clone()).await?)
    }

    /// Forgets finished tasks, at most `most` of them: apalis-redis keeps about 400 bytes of each for ever.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn trim(&self, lane: &Lane, most: usize) -> anyhow::Result<usize> {
        let storage = self.storage(lane);
        let config = storage.get_config();
        let mut redis = self.connection.clone();
        let mut trimmed = 0;
        for set in [config.done_jobs_set(), config.dead_jobs_set()] {
            let ids: Vec<String> = redis::cmd("SPOP").arg(&set).arg(most).query_async(&mut redis).await?;
            if ids.is_empty() {
                continue;
            }
            let metas: Vec<String> = ids.iter().map(|id| format!("{}:{id}", config.job_meta_hash())).collect();
            let mut forget = redis::pipe();
            forget.cmd("HDEL").arg(config.job_data_hash()).arg(&ids).ignore().cmd("UNLINK").arg(&metas).ignore();
            forget.query_async::<()>(&mut redis).await?;
            trimmed += ids.len();
        }
        Ok(trimmed)
    }
}

/// Wakes the worker every tick, and always signs on with the waker again: apalis-core's own interval strategy re-arms
/// its timer without polling it, so that a fetch which resolves at once loses the wake-up.
#[derive(Debug)]
pub(crate) struct Tick {
    every: Duration,
    timer: Option<tokio::time::Interval>,
}

impl Tick {
    pub(crate) fn new(every: Duration) -> Self {
        Self { every, timer: None }
    }
}

impl Clone for Tick {
    fn clone(&self) -> Self {
        Self::new(self.every)
    }
}

impl PollStrategy for Tick {
    fn poll_drive(&mut self, cx: &mut Context<'_>, _: &PollSnapshot) -> Poll<Option<()>> {
        let timer = self.timer.get_or_insert_with(|| {
            let mut timer = tokio::time::interval(self.every);
            timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            timer
        });
        let mut fired = false;
        while timer.poll_tick(cx).is_ready() {
            fired = true;
        }
        if fired { Poll::Ready(Some(())) } else { Poll::Pending }
    }
}
