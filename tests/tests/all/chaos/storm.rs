//! The storm: 20 kills and what goes with them; with `SOMO_TEST_CHAOS=long` 200.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use tests::processes::Service;
use tokio::task::block_in_place;

use super::{
    check::{calm, check},
    load::Load,
    town::{Desk, Plan, Role, Town},
};

/// How much of what.
#[derive(Clone, Copy, Debug)]
struct Storm {
    kills: usize,
    flushes: usize,
    /// Redis stands still for so long: connections stay open.
    frozen: &'static [u64],
    /// Redis is killed and started again after so long.
    away: &'static [u64],
    postgres: usize,
    pause: Duration,
}

const SHORT: Storm = Storm { kills: 20, flushes: 2, frozen: &[5], away: &[2], postgres: 1, pause: Duration::from_millis(400) };
const LONG: Storm = Storm { kills: 200, flushes: 10, frozen: &[30, 5], away: &[30, 5], postgres: 5, pause: Duration::from_millis(1000) };

pub(crate) fn long() -> bool {
    std::env::var("SOMO_TEST_CHAOS").is_ok_and(|form| form == "long")
}

#[derive(Clone, Copy, Debug)]
enum Blow {
    Kill(usize),
    Flush,
    Freeze(u64),
    Away(u64),
    Postgres,
}

impl Storm {
    /// Each process is killed in its turn; the rest comes in between, where the dice say.
    fn blows(self, town: &Town, seed: u64) -> Vec<Blow> {
        let mut dice = StdRng::seed_from_u64(seed);
        let mut targets: Vec<usize> = (0..town.houses.len()).collect();
        // Workers hold the most, so they die the most.
        targets.extend(town.places(Role::Worker));
        let mut kills = Vec::new();
        while kills.len() < self.kills {
            targets.shuffle(&mut dice);
            kills.extend(targets.iter().map(|at| Blow::Kill(*at)));
        }
        kills.truncate(self.kills);
        let mut others = Vec::new();
        if town.services.is_some() {
            others.extend(std::iter::repeat_n(Blow::Flush, self.flushes));
            others.extend(std::iter::repeat_n(Blow::Postgres, self.postgres));
            others.extend(self.frozen.iter().map(|seconds| Blow::Freeze(*seconds)));
            others.extend(self.away.iter().map(|seconds| Blow::Away(*seconds)));
        }
        others.shuffle(&mut dice);
        let every = kills.len() / (others.len() + 1);
        for (n, other) in others.into_iter().enumerate() {
            kills.insert((n + 1) * every + n, other);
        }
        kills
    }
}

async fn strike(town: &mut Town, load: &Load, blow: Blow) {
    let services = town.services.as_ref();
    let before = load.accepted();
    match blow {
        Blow::Kill(at) => block_in_place(|| town.kill(at)),
        Blow::Flush => {
            let client = redis::Client::open(services.unwrap().redis_url()).unwrap();
            let mut redis = client.get_multiplexed_async_connection().await.unwrap();
            redis::cmd("FLUSHALL").query_async::<()>(&mut redis).await.unwrap();
        }
        Blow::Postgres => {
            block_in_place(|| {
                services.unwrap().crash(Service::Postgres);
                services.unwrap().restart(Service::Postgres);
            });
        }
        Blow::Freeze(seconds) => {
            services.unwrap().freeze_redis();
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            accepts_anyway(load, before).await;
            services.unwrap().thaw_redis();
        }
        Blow::Away(seconds) => {
            block_in_place(|| services.unwrap().crash(Service::Redis));
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            accepts_anyway(load, before).await;
            block_in_place(|| services.unwrap().restart(Service::Redis));
        }
    }
}

/// The API accepts while Redis is away. The blow before may have hit the API itself or its database; they come back without Redis.
async fn accepts_anyway(load: &Load, before: usize) {
    let waited = Instant::now();
    while load.accepted() == before {
        assert!(waited.elapsed() < Duration::from_secs(60), "the API accepts nothing while Redis is away");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn weather(name: &str, plan: Plan, storm: Storm) {
    let seed: u64 = std::env::var("SOMO_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    let (mut town, desk) = Town::build(plan).await;
    let desk: Arc<Desk> = Arc::new(desk);
    let load = Load::start(&desk, 16, Duration::from_millis(if long() { 1000 } else { 150 }));
    load.is_in_full_swing().await;
    let blows = storm.blows(&town, seed);
    eprintln!("the storm over {name}, seed {seed}: {storm:?}");
    let began = Instant::now();
    for blow in blows {
        tokio::time::sleep(storm.pause).await;
        town.tend();
        strike(&mut town, &load, blow).await;
    }
    let struck = began.elapsed();
    tokio::time::sleep(storm.pause).await;
    town.tend();
    let said = load.stop().await;
    calm(&mut town, &desk, Duration::from_secs(if long() { 900 } else { 150 })).await;
    let outcome = check(&town, &desk, &said).await;
    assert!(outcome.sent > storm.kills && outcome.received > storm.kills, "too little went on: {outcome:?}");
    let Storm { kills, flushes, frozen, away, postgres, .. } = storm;
    eprintln!(
        "chaos: {name}: {kills} kills, {flushes} flushes, Redis frozen {frozen:?} s and away {away:?} s, {postgres} crashes of PostgreSQL in {} s; calm after {} s.
  {} messages accepted, {} taken by WhatsApp, {} received; {} jobs took more than one attempt.
  0 lost, 0 written twice, 0 sent twice, all in order. {} were unknown for a time, {} of them settled. {} processes ended by themselves.",
        struck.as_secs(),
        began.elapsed().as_secs(),
        said.by_team.len(),
        outcome.sent,
        outcome.received,
        outcome.again,
        outcome.unknown,
        outcome.settled,
        town.fallen,
    );
}

fn storm() -> Storm {
    if long() { LONG } else { SHORT }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn chaos_with_redis_lists() {
    weather("redis", Plan { transport: Some("redis"), apis: 2, workers: 3, schedulers: 2 }, storm()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn chaos_with_apalis_redis() {
    weather("apalis-redis", Plan { transport: Some("apalis-redis"), apis: 2, workers: 2, schedulers: 2 }, storm()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn chaos_on_sqlite() {
    let storm =
        Storm { kills: if long() { 60 } else { 10 }, flushes: 0, frozen: &[], away: &[], postgres: 0, pause: Duration::from_millis(2000) };
    weather("SQLite", Plan { transport: None, apis: 0, workers: 0, schedulers: 0 }, storm).await;
}
