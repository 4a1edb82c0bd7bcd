//! A worker process: for each queue a relay, a feeder and an apalis worker; one reaper, one heartbeat for all.
//!
//! The feeder takes numbers from the transport only when there is a free place to run them, claims them and hands them to
//! apalis, so that a process never sits on work that another could do. [`Runtime::stop`] lets what runs finish.

mod lane;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures::FutureExt;
use sea_orm::ConnectionTrait;
use serde_json::json;
use tokio::task::JoinHandle;
use uuid::Uuid;

use self::lane::{Serving, serve};
use crate::{
    Claimed, Handlers, Lane, Ledger, Outcome, Transport,
    claim::{Coalescer, Holdings},
    handlers::RunJob,
    reaper,
    relay::Pace,
};

/// What a worker process does.
#[derive(Clone, Debug)]
pub struct Options {
    /// The queues it serves.
    pub queues: Vec<String>,
    /// Routes it would own, when nobody else does.
    pub routes: Vec<Lane>,
    /// At most so many jobs of a queue at once.
    pub concurrency: usize,
    /// How long a claim holds without being renewed. It is renewed at a third of this.
    pub lease: Duration,
    /// How long a route is owned without being renewed.
    pub route_lease: Duration,
    /// How the relays pace themselves.
    pub pace: Pace,
    /// How often lost jobs are looked for.
    pub reap_every: Duration,
    /// How often apalis-redis is asked for messages.
    pub tick: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queues: crate::queue::ALL.map(str::to_owned).to_vec(),
            routes: Vec::new(),
            concurrency: 16,
            lease: Duration::from_secs(30),
            route_lease: Duration::from_secs(20),
            pace: Pace::default(),
            reap_every: Duration::from_secs(1),
            tick: Duration::from_millis(5),
        }
    }
}

/// What the lanes of a process share.
struct Shared {
    ledger: Ledger,
    transport: Transport,
    options: Options,
    name: String,
    handlers: Box<dyn RunJob>,
    holdings: Holdings,
    claims: Coalescer<i64, Option<Claimed>>,
    claiming: AtomicUsize,
    finishes: Coalescer<(Claimed, Outcome), ()>,
}

/// A running worker process. Dropped, it stops at once and loses nothing: leases expire.
pub struct Runtime {
    shared: Arc<Shared>,
    lanes: Arc<Mutex<BTreeMap<Lane, Serving>>>,
    loops: Vec<JoinHandle<()>>,
}

impl Runtime {
    /// Starts serving.
    #[must_use]
    pub fn start<C: Clone + Send + Sync + 'static>(ledger: Ledger, handlers: Handlers<C>, transport: Transport, options: Options) -> Self {
        let name = format!("{}-{}", std::process::id(), Uuid::now_v7().simple());
        let claims = {
            let (ledger, name, lease) = (ledger.clone(), name.clone(), options.lease);
            Coalescer::new(512, 1, move |seqs: Vec<i64>| {
                let (ledger, name) = (ledger.clone(), name.clone());
                async move {
                    let mut won: BTreeMap<i64, Claimed> =
                        ledger.claim(&name, lease, &seqs).await?.into_iter().map(|job| (job.seq, job)).collect();
                    Ok(seqs.iter().map(|seq| won.remove(seq)).collect())
                }
                .boxed()
            })
        };
        let finishes = {
            let ledger = ledger.clone();
            Coalescer::new(512, 2, move |batch: Vec<(Claimed, Outcome)>| {
                let ledger = ledger.clone();
                async move {
                    ledger.finish(&batch).await?;
                    Ok(vec![(); batch.len()])
                }
                .boxed()
            })
        };
        let holdings = Holdings::new(ledger.clone(), options.lease);
        let shared = Arc::new(Shared {
            ledger,
            transport,
            options,
            name,
            handlers: Box::new(handlers),
            holdings,
            claims,
            claiming: AtomicUsize::new(0),
            finishes,
        });
        let lanes = Arc::new(Mutex::new(BTreeMap::new()));
        for queue in &shared.options.queues {
            serve(&shared, &lanes, Lane::queue(queue));
        }
        let loops = vec![
            tokio::spawn(reaper::run(shared.ledger.clone(), shared.options.reap_every)),
            tokio::spawn(beat(shared.clone())),
            tokio::spawn(keep_routes(shared.clone(), lanes.clone())),
        ];
        Self { shared, lanes, loops }
    }

    /// Its name in the ledger.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Takes no more jobs, lets those that run finish for up to `drain`, lets go of its routes. What isn't done by then is
    /// returned to the ledger by the reaper when its lease ends.
    pub async fn stop(self, drain: Duration) {
        let lanes = std::mem::take(&mut *self.lanes.lock().expect("nothing panics while holding it"));
        let mut feeders = Vec::new();
        let mut rest = Vec::new();
        for (lane, mut serving) in lanes {
            _ = serving.stop.send(true);
            feeders.extend(serving.feeder.take());
            rest.push((lane, serving));
        }
        let drained = async {
            futures::future::join_all(feeders).await;
            while self.shared.claiming.load(SeqCst) + self.shared.holdings.count() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            self.shared.holdings.given_back().await;
            while let Err(error) = self.shared.ledger.let_go(&self.shared.name).await {
                tracing::warn!(%error, "what is left waits for the database");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        if tokio::time::timeout(drain, drained).await.is_err() {
            tracing::warn!(running = self.shared.holdings.count(), "stopped before every job was done; their leases will end");
        }
        for (lane, serving) in rest {
            serving.end();
            if !lane.route.is_empty() {
                _ = self.shared.ledger.release_route(&lane, &self.shared.name).await;
            }
        }
        let leave = "delete from job_workers where name = $1";
        let leave = self.shared.ledger.sql().statement(leave, [self.shared.name.clone().into()]);
        _ = self.shared.ledger.db().quick.execute_raw(leave).await; // a name that stays behind ages out
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.loops.drain(..).for_each(|task| task.abort());
        std::mem::take(&mut *self.lanes.lock().expect("nothing panics while holding it")).into_values().for_each(Serving::end);
    }
}

/// Tells the job board that this process lives.
async fn beat(shared: Arc<Shared>) {
    let now = if shared.ledger.db().is_sqlite() { "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')" } else { "now()" };
    let beat = format!(
        "insert into job_workers (name, host, pid, version, queues, running) values ($1, $2, $3, $4, $5, $6)
         on conflict (name) do update set running = $6, seen_at = {now}"
    );
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").map_or_else(|_| "?".into(), |name| name.trim().to_owned());
    loop {
        let sql = shared.ledger.sql();
        let values = [
            shared.name.clone().into(),
            host.clone().into(),
            i32::try_from(std::process::id()).unwrap_or(0).into(),
            env!("CARGO_PKG_VERSION").into(),
            json!(shared.options.queues).into(),
            i32::try_from(shared.holdings.count()).unwrap_or(i32::MAX).into(),
        ];
        if let Err(error) = shared.ledger.db().quick.execute_raw(sql.statement(&beat, values)).await {
            tracing::warn!(%error, "the heartbeat was not written");
        }
        if let Transport::Apalis(storages) = &shared.transport {
            for queue in &shared.options.queues {
                // Away: trimmed at the next beat.
                _ = storages.trim(&Lane::queue(queue), 50_000).await;
            }
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

/// Owns the wanted routes that nobody else owns, and serves those it owns.
async fn keep_routes(shared: Arc<Shared>, lanes: Arc<Mutex<BTreeMap<Lane, Serving>>>) {
    let wanted: BTreeSet<Lane> = shared.options.routes.iter().cloned().collect();
    if wanted.is_empty() {
        return;
    }
    let mut confirmed = BTreeMap::new();
    loop {
        for lane in &wanted {
            let asked = tokio::time::Instant::now();
            let owned = shared.ledger.own_route(lane, &shared.name, shared.options.route_lease).await;
            let served = lanes.lock().expect("nothing panics while holding it").contains_key(lane);
            match owned {
                Ok(Some(_)) => {
                    confirmed.insert(lane.clone(), asked);
                    if !served {
                        tracing::info!(%lane, "owns a route");
                        serve(&shared, &lanes, lane.clone());
                    }
                }
                // Unsure is not owning: stop before the lease can have ended.
                Err(_) if confirmed.get(lane).is_some_and(|at| at.elapsed() < shared.options.route_lease / 2) => {}
                Ok(None) | Err(_) if served => {
                    tracing::warn!(%lane, "lost a route");
                    let serving = lanes.lock().expect("nothing panics while holding it").remove(lane);
                    serving.into_iter().for_each(Serving::end);
                }
                Ok(None) | Err(_) => {}
            }
        }
        tokio::time::sleep(shared.options.route_lease / 4).await;
    }
}
