//! A job that does what its payload says, and a record of what was done.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use jobs::{Handlers, Job, NewJob, Outcome, Run};
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The queue of [`Act`].
pub const QUEUE: &str = "acts";

/// What an [`Act`] does when it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Nothing but being noted.
    Note,
    /// Writes an effect in the transaction that finishes it.
    Effect,
    /// Writes an effect after waiting so many milliseconds.
    SlowEffect(u64),
    /// Waits so many milliseconds.
    Sleep(u64),
    /// Holds itself in so many transactions, one after the other, and then has its effect.
    Parts(u64),
    /// Fails, to be tried again after so many milliseconds.
    Fail(u64),
    /// Panics.
    Panic,
    /// Snoozes for so many milliseconds the first times, then is done.
    SnoozeOnce(u64),
    /// Can't succeed.
    Dead,
    /// Kills its process.
    Abort,
}

/// A job of the tests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// Which one.
    pub n: i64,
    /// What it does.
    pub deed: Deed,
}

impl Job for Act {
    const KIND: &'static str = "tests.act";
    const QUEUE: &'static str = QUEUE;
    const MAX_ATTEMPTS: i16 = 3;
}

impl Act {
    /// Ready to be enqueued for `tenant`.
    #[must_use]
    pub fn job(n: i64, deed: Deed, tenant: Uuid) -> NewJob {
        NewJob::new(tenant, &Self { n, deed })
    }
}

/// What was done, in order.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<(i64, i16)>>>);

impl Log {
    /// The acts that started, each with its attempt.
    ///
    /// # Panics
    /// When a handler panicked while noting.
    #[must_use]
    pub fn starts(&self) -> Vec<(i64, i16)> {
        self.0.lock().expect("noting doesn't panic").clone()
    }

    /// The acts that started.
    #[must_use]
    pub fn numbers(&self) -> Vec<i64> {
        self.starts().into_iter().map(|(n, _)| n).collect()
    }
}

/// The handler of [`Act`], noting into `log`.
#[must_use]
pub fn handlers(log: Log) -> Handlers<Log> {
    Handlers::new(log).on(act)
}

async fn act(log: Log, run: Run, Act { n, deed }: Act) -> anyhow::Result<Outcome> {
    log.0.lock().expect("noting doesn't panic").push((n, run.attempt));
    match deed {
        Deed::Note => Ok(Outcome::Done),
        Deed::Effect => effect(&run, n).await,
        Deed::SlowEffect(ms) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            effect(&run, n).await
        }
        Deed::Parts(parts) => {
            for part in 0..parts {
                let tx = run.begin().await?;
                run.hold(&tx).await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
                tx.commit().await?;
                run.progress(&serde_json::json!({ "done": part })).await?;
            }
            effect(&run, n).await
        }
        Deed::Sleep(ms) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok(Outcome::Done)
        }
        Deed::Fail(ms) => Ok(Outcome::Retry { after: Some(Duration::from_millis(ms)), error: "told to fail".into() }),
        Deed::Panic => panic!("told to panic"),
        Deed::SnoozeOnce(ms) => {
            let first = log.numbers().iter().filter(|seen| **seen == n).count() == 1;
            Ok(if first { Outcome::Snooze(Duration::from_millis(ms)) } else { Outcome::Done })
        }
        Deed::Dead => Ok(Outcome::Dead("told to die".into())),
        Deed::Abort => std::process::abort(),
    }
}

async fn effect(run: &Run, n: i64) -> anyhow::Result<Outcome> {
    let tx = run.begin().await?;
    let sql = "insert into effects (job, n) values ($1, $2)";
    let values: [Value; 2] = [run.id.into(), n.into()];
    tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values)).await?;
    run.settle(tx).await
}

/// The table of effects. It has no unique key, so that one written twice shows.
///
/// # Panics
/// When the database doesn't answer.
pub async fn make_effects(db: &db::Db) {
    let at = match db.backend() {
        DbBackend::Sqlite => "at integer primary key autoincrement, job blob",
        _ => "at bigserial primary key, job uuid",
    };
    db.write.execute_unprepared(&format!("create table effects ({at} not null, n bigint not null)")).await.expect("a table");
}

/// The effects, in the order in which they were written.
///
/// # Panics
/// When the database doesn't answer.
pub async fn effects(db: &db::Db) -> Vec<i64> {
    let rows = db.write.query_all_raw(Statement::from_string(db.backend(), "select n from effects order by at")).await.expect("rows");
    rows.iter().map(|row| row.try_get("", "n").expect("a number")).collect()
}
