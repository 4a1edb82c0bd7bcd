//! One lane of a worker process: its relay, its feeder and its apalis worker.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{
            AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use apalis::prelude::*;
use futures::{StreamExt, stream};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinHandle,
};

use super::Shared;
use crate::{
    Claimed, Lane, Transport,
    claim::Held,
    relay::Relay,
    transport::{Pull, Source, Stream, Tick},
};

/// The tasks of one lane. Its handlers end with it, and with nothing else.
pub(super) struct Serving {
    pub(super) stop: watch::Sender<bool>,
    pub(super) feeder: Option<JoinHandle<()>>,
    relay: JoinHandle<()>,
    worker: JoinHandle<()>,
}

/// A claimed job on its way to its handler.
struct Item {
    job: Claimed,
    held: Held,
}

impl Serving {
    pub(super) fn end(self) {
        self.relay.abort();
        self.worker.abort();
        self.feeder.inspect(JoinHandle::abort);
    }
}

/// Starts a lane's tasks.
pub(super) fn serve(shared: &Arc<Shared>, lanes: &Mutex<BTreeMap<Lane, Serving>>, lane: Lane) {
    let (stop, stopping) = watch::channel(false);
    let relay = Relay::new(shared.ledger.clone(), lane.clone(), shared.transport.clone(), shared.options.pace);
    let relay = tokio::spawn(relay.run());
    let restarts = AtomicUsize::new(0);
    // apalis-redis refuses a name twice, so each start has its own.
    let name = {
        let (worker, lane) = (shared.name.clone(), lane.clone());
        move || format!("{worker}.{lane}.{}", restarts.fetch_add(1, Relaxed))
    };
    let concurrency = shared.options.concurrency;
    let slots = Arc::new(Semaphore::new(concurrency));
    let runner = Runner { shared: shared.clone(), lane: lane.clone(), slots, stopping: stopping.clone() };
    let (feeder, monitor) = match shared.transport.source(&lane) {
        Source::Pull(pull) => {
            let (items, receiver) = mpsc::unbounded_channel(); // bounded by the feeder's slots
            let feeder = tokio::spawn(feed(runner.clone(), pull, items));
            let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
            let monitor = Monitor::new().register(move |_| {
                WorkerBuilder::new(name().as_str())
                    .backend(received(receiver.clone()))
                    .concurrency(concurrency)
                    .data(runner.clone())
                    .build(on_item)
            });
            (Some(feeder), monitor)
        }
        Source::Apalis(storage) => {
            let tick = Tick::new(shared.options.tick);
            let monitor = Monitor::new().register(move |_| {
                WorkerBuilder::new(name().as_str())
                    .backend(storage.clone().poll_with_strategy(tick.clone()))
                    .concurrency(concurrency)
                    .data(runner.clone())
                    .build(on_seq)
            });
            (None, monitor)
        }
    };
    let worker = tokio::spawn(watch_over(monitor, stopping));
    let serving = Serving { stop, feeder, relay, worker };
    lanes.lock().expect("nothing panics while holding it").insert(lane, serving);
}

/// Any Redis error ends an apalis-redis worker, so it is started again until it is told to stop.
async fn watch_over(monitor: Monitor, mut stopping: watch::Receiver<bool>) {
    let told = stopping.clone();
    let monitor = monitor.should_restart(move |_, error| {
        tracing::warn!(%error, "a worker ended and is started again");
        !*told.borrow()
    });
    let signal = async move {
        stopped(&mut stopping).await;
        Ok(())
    };
    if let Err(error) = monitor.run_with_signal(signal).await {
        tracing::warn!(%error, "a worker ended");
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    _ = stopping.wait_for(|stop| *stop).await; // an error: whoever could tell is gone
}

fn received(receiver: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Item>>>) -> Stream<Item> {
    stream::unfold(receiver, |receiver| async move {
        let item = receiver.lock().await.recv().await?;
        Some((Ok(item), receiver))
    })
    .boxed()
}

/// Transport → claim → apalis, as long as there are free slots.
async fn feed(runner: Runner, mut pull: Box<dyn Pull>, items: mpsc::UnboundedSender<Item>) {
    let Runner { shared, lane, slots, mut stopping } = runner;
    let local = matches!(shared.transport, Transport::Local(_));
    let patience = Duration::from_millis(if local { 20 } else { 3000 });
    loop {
        let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
        let free = (slots.available_permits() + 1).min(512);
        let pulled = {
            let pulled = pull.pull(free);
            tokio::pin!(pulled);
            tokio::select! {
                seqs = &mut pulled => Ok(seqs),
                // A pull of Redis may have numbers on their way to this process.
                () = stopped(&mut stopping) => Err(tokio::time::timeout(patience, pulled).await.unwrap_or_default()),
            }
        };
        let seqs = match pulled {
            Ok(seqs) => seqs,
            Err(mut rest) => {
                while !rest.is_empty() {
                    _ = shared.ledger.take_back(&lane, &rest).await; // the reaper does it otherwise
                    rest = match local {
                        true => tokio::time::timeout(patience, pull.pull(512)).await.unwrap_or_default(),
                        false => Vec::new(), // the others are for whoever pulls next
                    };
                }
                return;
            }
        };
        drop(slot);
        let jobs = loop {
            match shared.ledger.claim(&shared.name, shared.options.lease, &seqs).await {
                Ok(jobs) => break jobs,
                Err(error) => tracing::warn!(%error, "claims wait for the database"),
            }
            if *stopping.borrow() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        // Held before anything is awaited: if the worker is gone, all of them are given back.
        let claimed: Vec<Item> = jobs.into_iter().map(|job| Item { held: shared.holdings.hold(&job), job }).collect();
        for mut item in claimed {
            item.held.occupy(slots.clone().acquire_owned().await.expect("the semaphore is never closed"));
            if items.send(item).is_err() {
                return;
            }
        }
    }
}

async fn on_item(item: Item, runner: Data<Runner>) -> Result<(), BoxDynError> {
    runner.0.apart(|shared| async move { shared.run(item).await }).await;
    Ok(())
}

/// apalis-redis hands over one number at a time, so the claims are gathered here.
async fn on_seq(seq: i64, runner: Data<Runner>) -> Result<(), BoxDynError> {
    let Runner { lane, slots, stopping, .. } = (*runner).clone();
    runner
        .0
        .apart(|shared| async move {
            let slot = slots.acquire_owned().await.expect("the semaphore is never closed");
            let claiming = Claiming::begin(&shared.claiming);
            // In this order: a process that stops says so, then looks for claims. It waits for this one, or this one is not made.
            if *stopping.borrow() {
                _ = shared.ledger.take_back(&lane, &[seq]).await; // the reaper does it otherwise
                return;
            }
            if let Some(Some(job)) = shared.claims.ask(seq).await {
                let mut held = shared.holdings.hold(&job);
                held.occupy(slot);
                drop(claiming);
                shared.run(Item { job, held }).await;
            }
        })
        .await;
    Ok(())
}

/// What the handlers of a lane share.
#[derive(Clone)]
struct Runner {
    shared: Arc<Shared>,
    lane: Lane,
    /// Places to run: also for handlers whose apalis worker is gone.
    slots: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

impl Runner {
    /// Runs in a task of its own that ends early only with its lane: apalis drops its handlers half-way whenever its worker
    /// starts again, and a message on its way would be left without an answer.
    async fn apart<F: Future<Output = ()> + Send + 'static>(&self, run: impl FnOnce(Arc<Shared>) -> F) {
        let run = run(self.shared.clone());
        let mut lane = self.stopping.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                () = run => {}
                _ = lane.wait_for(|_| false) => {} // never true: an error, when the lane has ended
            }
        });
        _ = task.await; // an error: it panicked, and the job is lost to its lease
    }
}

/// A claim under way: a process that stops waits for it, as for a job.
struct Claiming<'a>(&'a AtomicUsize);

impl<'a> Claiming<'a> {
    fn begin(under_way: &'a AtomicUsize) -> Self {
        under_way.fetch_add(1, SeqCst);
        Self(under_way)
    }
}

impl Drop for Claiming<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Shared {
    async fn run(&self, Item { job, mut held }: Item) {
        held.started();
        let outcome = self.handlers.run(self.ledger.clone(), job.clone()).await;
        // The database may be away: the outcome is kept until it is written. If the lease ends meanwhile, the job is run
        // again elsewhere and this changes nothing.
        while self.finishes.ask((job.clone(), outcome.clone())).await.is_none() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}
