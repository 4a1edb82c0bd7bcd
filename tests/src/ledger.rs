//! A ledger over each database with each transport.

use std::time::Duration;

use jobs::{
    Job, Ledger, NewJob, Transport, Wake,
    relay::Pace,
    runtime::{Options, Runtime},
    testing,
};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::{
    act::{self, Act, Deed, Log},
    database::{Database, Kind, fresh},
};

/// Which transport a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// In process.
    Local,
    /// Redis lists.
    Redis,
    /// apalis-redis.
    Apalis,
}

/// A ledger of its own, nobody serving it yet.
pub struct Setup {
    /// The ledger.
    pub ledger: Ledger,
    /// How numbers travel.
    pub transport: Transport,
    /// What the acts did.
    pub log: Log,
    /// A tenant.
    pub tenant: Uuid,
    /// The prefix of its keys in Redis.
    pub prefix: String,
    /// Where it lives.
    pub database: Database,
}

/// The Redis that `script/test` started.
///
/// # Panics
/// When it didn't.
#[must_use]
pub fn redis_url() -> String {
    std::env::var("SOMO_TEST_REDIS_URL").expect("run the tests with script/test: SOMO_TEST_REDIS_URL is not set")
}

/// A fresh ledger.
///
/// # Panics
/// When it can't be made.
pub async fn setup(kind: Kind, via: Via) -> Setup {
    let database = fresh(kind).await;
    act::make_effects(&database.db).await;
    let prefix = format!("t{}", Uuid::now_v7().simple());
    let transport = transport(via, &prefix);
    let ledger = Ledger::new(database.db.clone(), Wake::local());
    Setup { ledger, transport, log: Log::default(), tenant: Uuid::now_v7(), prefix, database }
}

/// A transport with a prefix of its own.
///
/// # Panics
/// When Redis isn't named.
#[must_use]
pub fn transport(via: Via, prefix: &str) -> Transport {
    match via {
        Via::Local => Transport::local(),
        Via::Redis => Transport::redis(&redis_url(), prefix).expect("an address"),
        Via::Apalis => Transport::apalis_redis(&redis_url(), prefix).expect("an address"),
    }
}

/// Options with which tests needn't wait.
#[must_use]
pub fn brisk() -> Options {
    Options {
        queues: vec![act::QUEUE.into()],
        lease: Duration::from_secs(2),
        route_lease: Duration::from_secs(2),
        reap_every: Duration::from_millis(100),
        pace: Pace { deliver_within: Duration::from_secs(1), poll: Duration::from_millis(50), ..Pace::default() },
        ..Options::default()
    }
}

impl Setup {
    /// Enqueues and commits each in a transaction of its own.
    ///
    /// # Panics
    /// When the database doesn't answer.
    pub async fn enqueue(&self, jobs: impl IntoIterator<Item = NewJob>) {
        for job in jobs {
            let tx = self.ledger.begin().await.expect("begins");
            tx.enqueue(job).await.expect("enqueues");
            tx.commit().await.expect("commits");
        }
    }

    /// Enqueues all in one transaction.
    ///
    /// # Panics
    /// When the database doesn't answer.
    pub async fn enqueue_together(&self, jobs: impl IntoIterator<Item = NewJob>) {
        let tx = self.ledger.begin().await.expect("begins");
        for job in jobs {
            tx.enqueue(job).await.expect("enqueues");
        }
        tx.commit().await.expect("commits");
    }

    /// An act for the setup's tenant.
    #[must_use]
    pub fn act(&self, n: i64, deed: Deed) -> NewJob {
        Act::job(n, deed, self.tenant)
    }

    /// A worker process with these options.
    #[must_use]
    pub fn work(&self, options: Options) -> Runtime {
        Runtime::start(self.ledger.clone(), act::handlers(self.log.clone()), self.transport.clone(), options)
    }

    /// Waits until nothing is unfinished.
    ///
    /// # Panics
    /// When that takes a minute; it says what is left.
    pub async fn finished(&self) {
        let left = || async { testing::leftovers(&self.ledger).await.expect("the database answers") };
        for _ in 0..1200 {
            if left().await.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let left = left().await;
        panic!("{} jobs are left, among them {:#?}", left.len(), left.first());
    }

    /// The state and attempts of every act, by number.
    ///
    /// # Panics
    /// When the database doesn't answer.
    pub async fn states(&self) -> Vec<(i64, String, i16)> {
        let mut jobs = jobs::testing::newest(&self.ledger, self.tenant, 100_000).await.expect("lists");
        jobs.retain(|job| job.kind == Act::KIND);
        let number = |job: &jobs::JobView| job.payload["n"].as_i64().unwrap_or(-1);
        let mut states: Vec<_> = jobs.iter().map(|job| (number(job), job.state.clone(), job.attempts)).collect();
        states.sort_unstable();
        states
    }

    /// Moves every waiting job's time into the past: nobody waits for a backoff.
    ///
    /// # Panics
    /// When the database doesn't answer.
    pub async fn hurry(&self) {
        let past = "update jobs set run_at = '2001-01-01T00:00:00+00:00' where state = 'pending'";
        self.ledger.db().write.execute_unprepared(past).await.expect("hurries");
    }
}

/// Makes each `async fn name(setup: Setup)` a test on both databases with all three transports.
#[macro_export]
macro_rules! on_every_ledger {
    ($($(#[$meta:meta])* async fn $name:ident($setup:ident: Setup) $body:block)+) => { $(
        $(#[$meta])*
        mod $name {
            use super::*;
            async fn story($setup: $crate::ledger::Setup) $body
            $crate::on_every_ledger!(@case sqlite_local, Sqlite, Local);
            $crate::on_every_ledger!(@case sqlite_redis, Sqlite, Redis);
            $crate::on_every_ledger!(@case postgres_local, Postgres, Local);
            $crate::on_every_ledger!(@case postgres_redis, Postgres, Redis);
            $crate::on_every_ledger!(@case postgres_apalis, Postgres, Apalis);
        }
    )+ };
    (@case $case:ident, $kind:ident, $via:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            story($crate::ledger::setup($crate::database::Kind::$kind, $crate::ledger::Via::$via).await).await;
        }
    };
}
