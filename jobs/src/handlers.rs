//! Which code runs which kind of job, and what it is given.

use std::{collections::HashMap, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use anyhow::anyhow;
use futures::{FutureExt, future::BoxFuture};
use sea_orm::ConnectionTrait;
use serde_json::Value;
use uuid::Uuid;

use crate::{Claimed, Job, Ledger, Outcome, Tx};

/// What a handler gets besides its payload.
#[derive(Clone, Debug)]
pub struct Run {
    /// The job's id.
    pub id: Uuid,
    /// Whose it is; the nil id for the installation's own.
    pub tenant: Uuid,
    /// This attempt's number, from 1.
    pub attempt: i16,
    /// Whether a failure of this attempt ends the job.
    pub last_attempt: bool,
    /// What led to it.
    pub cause_id: Option<Uuid>,
    /// How many causes stand before it.
    pub depth: i16,
    /// The ledger it came from.
    pub ledger: Ledger,
    seq: i64,
    token: i64,
    lease: Duration,
}

/// The job isn't this attempt's any more: its lease expired, or it was cancelled. Whatever the attempt did in its
/// transaction is rolled back.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the job was taken away from this attempt")]
pub struct Taken;

impl Run {
    pub(crate) fn new(ledger: Ledger, job: &Claimed) -> Self {
        Self {
            id: job.id,
            tenant: job.tenant_id,
            attempt: job.attempts,
            last_attempt: job.attempts >= job.max_attempts,
            cause_id: job.cause_id,
            depth: job.depth,
            ledger,
            seq: job.seq,
            token: job.token,
            lease: job.lease,
        }
    }

    /// A durable transaction for the job's effects.
    ///
    /// # Errors
    /// The database doesn't answer.
    pub async fn begin(&self) -> anyhow::Result<Tx> {
        Ok(self.ledger.begin().await?)
    }

    /// Holds the job until `tx` ends: it is still this attempt's, and nobody cancels it meanwhile. For a handler that does
    /// something outside that can't be undone: it commits this with the note that it is about to.
    ///
    /// # Errors
    /// [`Taken`], or the database's.
    pub async fn hold(&self, tx: &Tx) -> anyhow::Result<()> {
        let sql = tx.dialect();
        let ours = tx.query_one_raw(sql.statement(sql.hold, [self.seq.into(), self.token.into()])).await?;
        ours.map(|_| ()).ok_or_else(|| Taken.into())
    }

    /// Finishes the job in the transaction of its effects and commits both or neither. Return what it returns.
    ///
    /// # Errors
    /// [`Taken`] (nothing was written), or the database's.
    pub async fn settle(&self, tx: Tx) -> anyhow::Result<Outcome> {
        let sql = tx.dialect();
        let ours = tx.query_one_raw(sql.statement(sql.finish_one, [self.seq.into(), self.token.into()])).await?;
        if ours.is_none() {
            return Err(Taken.into());
        }
        tx.commit().await?;
        Ok(Outcome::Settled)
    }

    /// Shows how far the job is, and keeps it for another lease: a job that holds itself part after part is passed over by whoever
    /// renews leases, who waits for no row. A long job calls this now and then, and stops when it fails: it was cancelled.
    ///
    /// # Errors
    /// [`Taken`], or the database's.
    pub async fn progress(&self, progress: &Value) -> anyhow::Result<()> {
        let db = self.ledger.db();
        let sql = self.ledger.sql();
        let statement =
            sql.statement(sql.progress, [self.seq.into(), self.token.into(), progress.clone().into(), self.lease.as_secs_f64().into()]);
        db.quick.query_one_raw(statement).await?.map(|_| ()).ok_or_else(|| Taken.into())
    }
}

type Handler<C> = Arc<dyn Fn(C, Run, Value) -> BoxFuture<'static, anyhow::Result<Outcome>> + Send + Sync>;

struct Entry<C> {
    handler: Handler<C>,
    timeout: Duration,
    backoff: fn(i16) -> Duration,
}

/// The handlers of a worker process and the context they share.
pub struct Handlers<C> {
    context: C,
    entries: HashMap<&'static str, Entry<C>>,
}

impl<C: Clone + Send + Sync + 'static> Handlers<C> {
    /// No handlers yet.
    #[must_use]
    pub fn new(context: C) -> Self {
        Self { context, entries: HashMap::new() }
    }

    /// `run` handles jobs of kind `J`. An `Err` is a failed attempt, repeated after the kind's backoff.
    ///
    /// # Panics
    /// When the kind has a handler already.
    #[must_use]
    pub fn on<J, F, Fut>(mut self, run: F) -> Self
    where
        J: Job,
        F: Fn(C, Run, J) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<Outcome>> + Send + 'static,
    {
        let run = Arc::new(run);
        let handler: Handler<C> = Arc::new(move |context, job, payload| {
            let run = run.clone();
            async move {
                match serde_json::from_value::<J>(payload) {
                    Ok(payload) => run(context, job, payload).await,
                    // Waiting doesn't mend it. The text names fields and types, never values.
                    Err(error) => Ok(Outcome::Dead(format!("the payload is not one of {}: {}", J::KIND, classified(&error)))),
                }
            }
            .boxed()
        });
        let entry = Entry { handler, timeout: J::TIMEOUT, backoff: J::backoff };
        assert!(self.entries.insert(J::KIND, entry).is_none(), "two handlers for {}", J::KIND);
        self
    }

    /// The kinds handled.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.entries.keys().copied()
    }
}

fn classified(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // serde quotes wrong values between `invalid type:` and `, expected`; what was expected is enough.
    match text.split_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => text,
    }
}

/// Runs one claimed job to its outcome: panics, time-outs and unknown kinds included.
pub(crate) trait RunJob: Send + Sync + 'static {
    fn run(&self, ledger: Ledger, job: Claimed) -> BoxFuture<'_, Outcome>;
}

impl<C: Clone + Send + Sync + 'static> RunJob for Handlers<C> {
    fn run(&self, ledger: Ledger, job: Claimed) -> BoxFuture<'_, Outcome> {
        async move {
            let Some(entry) = self.entries.get(job.kind.as_str()) else {
                return Outcome::Retry { after: None, error: format!("this version of SOMO has no handler for {}", job.kind) };
            };
            let run = Run::new(ledger, &job);
            let attempt = AssertUnwindSafe((entry.handler)(self.context.clone(), run, job.payload)).catch_unwind();
            let result = match tokio::time::timeout(entry.timeout, attempt).await {
                Ok(Ok(result)) => result,
                Ok(Err(_panic)) => Err(anyhow!("the handler panicked; see the log")),
                Err(_elapsed) => Err(anyhow!("not done within {} s", entry.timeout.as_secs())),
            };
            match result {
                Ok(Outcome::Retry { after: None, error }) => Outcome::Retry { after: Some((entry.backoff)(job.attempts)), error },
                Ok(outcome) => outcome,
                Err(error) => {
                    tracing::warn!(job = %job.id, kind = job.kind, attempt = job.attempts, error = format!("{error:#}"), "attempt failed");
                    Outcome::Retry { after: Some((entry.backoff)(job.attempts)), error: format!("{error:#}") }
                }
            }
        }
        .boxed()
    }
}
