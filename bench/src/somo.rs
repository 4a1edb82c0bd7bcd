//! SOMO's measured process: a worker, a producer, or both in one.

use std::{
    io::{BufRead, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Context;
use db::{Db, PoolSizes};
use jobs::{
    Handlers, Job, Lane, Ledger, NewJob, Outcome, Transport, Wake,
    runtime::{Options, Runtime},
};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde::{Deserialize, Serialize};
use tokio::{sync::mpsc, task::JoinSet};
use uuid::Uuid;

use crate::{
    clock::now,
    task::{Pace, Produce, Produced, Task, Via, Work, Worked},
};

/// The queue of the bench.
pub(crate) const QUEUE: &str = "bench";
/// The kind of its jobs.
pub(crate) const KIND: &str = "bench.noop";

/// Does nothing; it has a number.
#[derive(Debug, Serialize, Deserialize)]
struct Noop {
    n: u64,
}

impl Job for Noop {
    const KIND: &'static str = KIND;
    const QUEUE: &'static str = QUEUE;
}

/// Runs `task`, given as JSON, until the input ends.
pub(crate) async fn run(task: &str) -> anyhow::Result<()> {
    let task: Task = serde_json::from_str(task).context("the task is not one")?;
    let via = task.transport.context("the task names no transport")?;
    let write = task.produce.map_or(PoolSizes::default().write, |produce| produce.connections);
    let write = if task.work.is_some() { write.max(PoolSizes::default().write) } else { write };
    let db = Db::open_with(&task.postgres, PoolSizes { write, ..PoolSizes::default() }).await?;
    let (wake, transport) = match via {
        Via::Local => (Wake::local(), Transport::local()),
        Via::Redis => (Wake::redis(&task.redis, "bench")?, Transport::redis(&task.redis, "bench")?),
        Via::ApalisRedis => (Wake::redis(&task.redis, "bench")?, Transport::apalis_redis(&task.redis, "bench")?),
    };
    let ledger = Ledger::new(db, wake);
    let mut orders = orders();
    tell("ready", &())?;
    if orders.recv().await.is_none() {
        return Ok(());
    }
    let runtime = task.work.map(|work| start(&ledger, transport, work));
    if runtime.is_some() {
        tell("working", &())?;
    }
    if let Some(produce) = task.produce {
        if runtime.is_some() {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        tell("produced", &self::produce(&ledger, produce).await?)?;
    }
    while orders.recv().await.is_some() {}
    Ok(())
}

/// The lines of the input; closed when it ends.
fn orders() -> mpsc::UnboundedReceiver<String> {
    let (orders, ordered) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            _ = orders.send(line); // nobody listens: the process is ending
        }
    });
    ordered
}

/// Counts jobs as they start.
struct Tally {
    work: Work,
    count: AtomicU64,
    first: AtomicU64,
    starts: Vec<AtomicU64>,
    full: mpsc::UnboundedSender<(f64, f64)>,
}

impl Tally {
    fn started(&self, n: u64) {
        let at = now();
        if self.work.trace
            && let Some(start) = usize::try_from(n).ok().and_then(|n| self.starts.get(n))
        {
            start.store(at.to_bits(), Relaxed);
        }
        let count = self.count.fetch_add(1, Relaxed) + 1;
        if count % self.work.expect == 1 % self.work.expect {
            self.first.store(at.to_bits(), Relaxed);
        }
        if count.is_multiple_of(self.work.expect) {
            let first = f64::from_bits(self.first.load(Relaxed));
            _ = self.full.send((first, at)); // a receiver is there as long as the process
        }
    }
}

fn start(ledger: &Ledger, transport: Transport, work: Work) -> Runtime {
    let (full, mut filled) = mpsc::unbounded_channel();
    let starts = if work.trace { (0..work.expect).map(|_| AtomicU64::new(0)).collect() } else { Vec::new() };
    let tally = Arc::new(Tally { work, count: AtomicU64::new(0), first: AtomicU64::new(0), starts, full });
    let handlers = Handlers::new(tally.clone()).on(|tally: Arc<Tally>, _, job: Noop| async move {
        tally.started(job.n);
        Ok(Outcome::Done)
    });
    let options = Options { queues: vec![QUEUE.to_owned()], concurrency: work.concurrency, ..Options::default() };
    let runtime = Runtime::start(ledger.clone(), handlers, transport, options);
    let ledger = ledger.clone();
    tokio::spawn(async move {
        while let Some((first, last)) = filled.recv().await {
            let empty = if work.until_empty { emptied(&ledger).await? } else { last };
            let starts = tally.starts.iter().map(|start| f64::from_bits(start.load(Relaxed))).collect();
            tell("worked", &Worked { first, last, empty, starts })?;
        }
        anyhow::Ok(())
    });
    runtime
}

/// Waits until the queue has no unfinished job; since when.
async fn emptied(ledger: &Ledger) -> anyhow::Result<f64> {
    let left = "select 1 as one where exists (select from jobs where queue = $1 and route = '' and state in ('dispatched', 'running'))
                or exists (select from jobs where queue = $1 and route = '' and state = 'pending')";
    loop {
        let left = Statement::from_sql_and_values(DbBackend::Postgres, left, [QUEUE.into()]);
        if ledger.db().read.query_one_raw(left).await?.is_none() {
            return Ok(now());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn produce(ledger: &Ledger, produce: Produce) -> anyhow::Result<Produced> {
    let tenant = Uuid::now_v7();
    // Every connection is open before the clock starts.
    let open = (0..produce.connections).map(|_| async { ledger.begin().await?.commit().await });
    futures::future::try_join_all(open).await?;
    let started = now();
    let mut commits = vec![(0.0, 0.0); usize::try_from(produce.jobs)?];
    match produce.pace {
        Pace::Flat => {
            let next = Arc::new(AtomicU64::new(0));
            let mut producers = JoinSet::new();
            for _ in 0..produce.connections {
                let (ledger, next) = (ledger.clone(), next.clone());
                producers.spawn(async move {
                    loop {
                        let n = next.fetch_add(1, Relaxed);
                        if n >= produce.jobs {
                            return anyhow::Ok(());
                        }
                        iteration(&ledger, tenant, n).await?;
                    }
                });
            }
            while let Some(done) = producers.join_next().await {
                done??;
            }
            commits.clear();
        }
        Pace::Alone => {
            for (n, commit) in (0..).zip(&mut commits) {
                *commit = iteration(ledger, tenant, n).await?;
                tokio::time::sleep(Duration::from_secs_f64(gap(n) / 1e3)).await;
            }
        }
        Pace::Rate(rate) => {
            let start = tokio::time::Instant::now();
            let mut iterations = JoinSet::new();
            for n in 0..produce.jobs {
                let at = n as f64 / rate;
                tokio::time::sleep_until(start + Duration::from_secs_f64(at)).await;
                let ledger = ledger.clone();
                iterations.spawn(async move { Ok::<_, anyhow::Error>((n, iteration(&ledger, tenant, n).await?)) });
            }
            while let Some(done) = iterations.join_next().await {
                let (n, commit) = done??;
                commits[usize::try_from(n)?] = commit;
            }
        }
    }
    Ok(Produced { started, ended: now(), commits })
}

/// 10 to 20 ms, spread evenly, so that no timer of a worker falls into step with it.
fn gap(n: u64) -> f64 {
    10.0 + 10.0 * (n as f64 * 0.618_034).fract()
}

/// A record and its job in one transaction. When the commit was sent, and when it was answered.
async fn iteration(ledger: &Ledger, tenant: Uuid, n: u64) -> anyhow::Result<(f64, f64)> {
    let tx = ledger.begin().await?;
    let insert = "insert into bench_records (id, n, body) values ($1, $2, $3)";
    let values = [Uuid::new_v4().into(), i64::try_from(n)?.into(), "a record that a job is about".into()];
    tx.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, insert, values)).await?;
    tx.enqueue(NewJob::new(tenant, &Noop { n })).await?;
    let sent = now();
    tx.commit().await?;
    Ok((sent, now()))
}

/// The lane of the bench, for those who wake its relay.
pub(crate) fn lane() -> Lane {
    Lane::queue(QUEUE)
}

/// One line of JSON to whoever started this process.
pub(crate) fn tell(event: &str, answer: &impl Serialize) -> anyhow::Result<()> {
    let mut line = serde_json::to_value(answer)?;
    if line.is_null() {
        line = serde_json::json!({});
    }
    line.as_object_mut().context("an answer is an object")?.insert("event".into(), event.into());
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
