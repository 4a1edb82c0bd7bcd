//! A worker's side of the ledger: claim, keep, finish. Concurrent claims and finishes travel as one statement.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use db::DbErr;
use futures::future::BoxFuture;
use sea_orm::{ConnectionTrait, FromQueryResult, QueryResult};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use uuid::Uuid;

use crate::{Lane, Ledger, Outcome};

/// A job that this process may run now.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct Claimed {
    /// Its row number, which is what transports carry.
    pub seq: i64,
    /// Its id.
    pub id: Uuid,
    /// Whose it is; the nil id for the installation's own.
    pub tenant_id: Uuid,
    /// The queue.
    pub queue: String,
    /// The route, or empty.
    pub route: String,
    /// What kind of job.
    pub kind: String,
    /// Its payload.
    pub payload: Value,
    /// Its line.
    pub order_key: Option<String>,
    /// This attempt's number, from 1.
    pub attempts: i16,
    /// The last one allowed.
    pub max_attempts: i16,
    /// Proves that this attempt is the current one.
    pub token: i64,
    /// What led to it.
    pub cause_id: Option<Uuid>,
    /// How many causes stand before it.
    pub depth: i16,
    /// For how long it was claimed, and is renewed.
    #[sea_orm(skip)]
    pub lease: Duration,
}

impl Ledger {
    /// Claims those of `seqs` that are dispatched, for `worker`, for `lease`, in the order given. Whoever is missing from the
    /// answer is somebody else's or stale: its message is dropped.
    ///
    /// # Errors
    /// The database's.
    pub async fn claim(&self, worker: &str, lease: Duration, seqs: &[i64]) -> Result<Vec<Claimed>, DbErr> {
        let sql = self.sql();
        let values = [sql.list(seqs), worker.into(), lease.as_secs_f64().into(), rand::random::<i64>().into()];
        let rows = self.db().quick.query_all_raw(sql.statement(sql.claim, values)).await?;
        let mut jobs = rows.iter().map(|row| Claimed::from_query_result(row, "")).collect::<Result<Vec<_>, _>>()?;
        // RETURNING has no order, but the order of the release has a meaning.
        let place: HashMap<i64, usize> = seqs.iter().enumerate().map(|(at, seq)| (*seq, at)).collect();
        jobs.sort_by_key(|job| place.get(&job.seq).copied());
        jobs.iter_mut().for_each(|job| job.lease = lease);
        Ok(jobs)
    }

    /// Ends attempts, durably; a token that is no longer current changes nothing. Wakes the lines of what is over.
    ///
    /// # Errors
    /// The database's; nothing was finished then.
    pub async fn finish(&self, batch: &[(Claimed, Outcome)]) -> Result<(), DbErr> {
        let mut rows = Vec::with_capacity(batch.len());
        let mut lines: HashMap<&str, BTreeSet<String>> = HashMap::new();
        for (job, outcome) in batch {
            let (outcome, wait, error) = match outcome {
                Outcome::Settled => {
                    if let Some(key) = &job.order_key {
                        lines.entry(&job.queue).or_default().insert(key.clone());
                    }
                    continue;
                }
                Outcome::Done => ("done", Duration::ZERO, None),
                Outcome::Retry { after, error } => ("retry", after.unwrap_or_else(|| crate::backoff(job.attempts)), Some(error)),
                Outcome::Snooze(wait) => ("snooze", *wait, None),
                Outcome::Dead(error) => ("dead", Duration::ZERO, Some(error)),
            };
            rows.push(json!({ "seq": job.seq, "token": job.token, "outcome": outcome, "wait": wait.as_secs_f64(), "error": error }));
        }
        let mut again = BTreeSet::new();
        let finished = match rows.is_empty() {
            true => Vec::new(),
            false => {
                let sql = self.sql();
                self.db().write.query_all_raw(sql.statement(sql.finish, [Value::Array(rows).into()])).await?
            }
        };
        let finished = finished
            .iter()
            .map(|row| Ok((row.try_get::<String>("", "queue")?, row.try_get::<Option<String>>("", "order_key")?, row)))
            .collect::<Result<Vec<_>, DbErr>>()?;
        for (queue, key, row) in &finished {
            match (row.try_get::<String>("", "state")?.as_str(), key) {
                ("pending", _) => _ = again.insert(Lane::route(queue, row.try_get::<String>("", "route")?)),
                (_, Some(key)) => _ = lines.entry(queue).or_default().insert(key.clone()),
                _ => {}
            }
        }
        for (queue, keys) in lines {
            self.wake_lines(queue, &keys.into_iter().collect::<Vec<_>>()).await?; // rule 5: after the commit
        }
        self.wake().lanes(again);
        Ok(())
    }

    pub(crate) async fn renew(&self, held: &[(i64, i64)], lease: Duration) -> Result<(), DbErr> {
        let sql = self.sql();
        let values = [tokens(held).into(), lease.as_secs_f64().into()];
        self.db().quick.execute_raw(sql.statement(sql.renew, values)).await.map(|_| ())
    }

    /// Released to this process, but never claimed: pending again.
    pub(crate) async fn take_back(&self, lane: &Lane, seqs: &[i64]) -> Result<(), DbErr> {
        let sql = self.sql();
        self.db().quick.execute_raw(sql.statement(sql.take_back, [sql.list(seqs)])).await?;
        self.wake().lanes([lane.clone()]);
        Ok(())
    }

    /// Claimed, but never started: pending again, and the attempt doesn't count.
    pub(crate) async fn give_back(&self, held: &[(i64, i64)]) -> Result<(), DbErr> {
        let sql = self.sql();
        let rows = self.db().quick.query_all_raw(sql.statement(sql.give_back, [tokens(held).into()])).await?;
        self.wake().lanes(lanes(&rows)?);
        Ok(())
    }

    /// A worker that runs nothing any more lets go of what the ledger still counts as its: a claim whose answer never came,
    /// or that could not be given back. Otherwise such a job would wait for its lease.
    pub(crate) async fn let_go(&self, worker: &str) -> Result<(), DbErr> {
        let sql = self.sql();
        let rows = self.db().quick.query_all_raw(sql.statement(sql.let_go, [worker.into()])).await?;
        for row in &rows {
            let (job, kind) = (row.try_get::<Uuid>("", "id")?, row.try_get::<String>("", "kind")?);
            tracing::warn!(%job, kind, "counted as running though nobody ran it; given back");
        }
        self.wake().lanes(lanes(&rows)?);
        Ok(())
    }
}

fn lanes(rows: &[QueryResult]) -> Result<BTreeSet<Lane>, DbErr> {
    rows.iter().map(|row| Ok(Lane::route(row.try_get::<String>("", "queue")?, row.try_get::<String>("", "route")?))).collect()
}

fn tokens(held: &[(i64, i64)]) -> Value {
    held.iter().map(|(seq, token)| json!({ "seq": seq, "token": token })).collect()
}

/// The jobs that this process holds: renewed until they are finished, given back if they were never started.
#[derive(Clone, Debug)]
pub(crate) struct Holdings {
    held: Arc<Mutex<BTreeSet<(i64, i64)>>>,
    unstarted: mpsc::UnboundedSender<Unstarted>,
}

/// What the task of the holdings is told.
#[derive(Debug)]
enum Unstarted {
    /// This job was claimed and never started.
    Job((i64, i64)),
    /// Somebody waits until all of those before are given back.
    Written(oneshot::Sender<()>),
}

/// A guard, not an insert and a remove: apalis drops handlers half-way when its worker restarts, and an entry left behind
/// would be renewed for ever.
#[derive(Debug)]
pub(crate) struct Held {
    holdings: Holdings,
    job: (i64, i64),
    started: bool,
    slot: Option<OwnedSemaphorePermit>,
}

impl Holdings {
    /// Holdings that renew themselves at a third of `lease`. The task ends with the last clone of the holdings.
    pub(crate) fn new(ledger: Ledger, lease: Duration) -> Self {
        let (unstarted, mut returned) = mpsc::unbounded_channel();
        let held = Arc::new(Mutex::new(BTreeSet::new()));
        let weak = Arc::downgrade(&held);
        tokio::spawn(async move {
            let mut batch = Vec::new();
            let mut renewal = tokio::time::interval(lease / 3);
            renewal.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                let done = tokio::select! {
                    count = returned.recv_many(&mut batch, 1024) => {
                        if count == 0 { return }
                        let (mut jobs, mut waiting) = (Vec::new(), Vec::new());
                        for told in batch.drain(..) {
                            match told {
                                Unstarted::Job(job) => jobs.push(job),
                                Unstarted::Written(waits) => waiting.push(waits),
                            }
                        }
                        let done = if jobs.is_empty() { Ok(()) } else { ledger.give_back(&jobs).await };
                        waiting.into_iter().for_each(|waits| _ = waits.send(()));
                        done
                    }
                    _ = renewal.tick() => {
                        let Some(held) = weak.upgrade() else { return };
                        let held: Vec<_> = held.lock().expect("nothing panics while holding it").iter().copied().collect();
                        if held.is_empty() { Ok(()) } else { ledger.renew(&held, lease).await }
                    }
                };
                if let Err(error) = done {
                    tracing::warn!(%error, "leases could not be renewed; the reaper returns what expires");
                }
            }
        });
        Self { held, unstarted }
    }

    pub(crate) fn hold(&self, job: &Claimed) -> Held {
        let job = (job.seq, job.token);
        self.held.lock().expect("nothing panics while holding it").insert(job);
        Held { holdings: self.clone(), job, started: false, slot: None }
    }

    /// Waits until every job that was claimed and never started is given back: before the process ends, or they would wait
    /// for their leases.
    pub(crate) async fn given_back(&self) {
        let (written, waits) = oneshot::channel();
        if self.unstarted.send(Unstarted::Written(written)).is_ok() {
            _ = waits.await; // an error: the task has ended, and the reaper does it
        }
    }

    /// How many jobs are held.
    pub(crate) fn count(&self) -> usize {
        self.held.lock().expect("nothing panics while holding it").len()
    }
}

impl Held {
    /// The place it runs in, free again when it is over.
    pub(crate) fn occupy(&mut self, slot: OwnedSemaphorePermit) {
        self.slot = Some(slot);
    }

    pub(crate) fn started(&mut self) {
        self.started = true;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // First, so that whoever sees that nothing is held can wait for it.
        if !self.started {
            // Without a receiver the process is ending, and the reaper does it.
            _ = self.holdings.unstarted.send(Unstarted::Job(self.job));
        }
        self.holdings.held.lock().expect("nothing panics while holding it").remove(&self.job);
    }
}

/// Turns many concurrent `ask`s into few statements. No timer: while one batch is in the database, the next one gathers.
/// Its tasks end with its last clone.
pub struct Coalescer<I, O>(mpsc::Sender<(I, oneshot::Sender<O>)>);

impl<I, O> Clone for Coalescer<I, O> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<I: Send + 'static, O: Send + 'static> Coalescer<I, O> {
    /// At most `max` in a batch, `lanes` batches at once. `run` answers in the order of what it was asked.
    #[must_use]
    pub fn new(
        max: usize,
        lanes: usize,
        run: impl Fn(Vec<I>) -> BoxFuture<'static, anyhow::Result<Vec<O>>> + Clone + Send + 'static,
    ) -> Self {
        let (tx, rx) = mpsc::channel::<(I, oneshot::Sender<O>)>(4 * max);
        let rx = Arc::new(tokio::sync::Mutex::new(rx));
        for _ in 0..lanes {
            let (rx, run) = (rx.clone(), run.clone());
            tokio::spawn(async move {
                loop {
                    let mut batch = Vec::new();
                    if rx.lock().await.recv_many(&mut batch, max).await == 0 {
                        return;
                    }
                    let (items, replies): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
                    match run(items).await {
                        Ok(answers) => replies.into_iter().zip(answers).for_each(|(reply, answer)| _ = reply.send(answer)),
                        // The askers see a closed channel.
                        Err(error) => tracing::warn!(count = replies.len(), error = format!("{error:#}"), "a batch failed"),
                    }
                }
            });
        }
        Self(tx)
    }

    /// `None`: the batch failed, or the process is ending.
    pub async fn ask(&self, item: I) -> Option<O> {
        let (tx, rx) = oneshot::channel();
        self.0.send((item, tx)).await.ok()?;
        rx.await.ok()
    }
}
