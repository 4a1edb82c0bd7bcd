//! What bites in apalis-redis 1.0.0, each with the guard in place. Take the guard away and the test fails or never ends.

use std::time::Duration;

use redis::AsyncCommands;
use tests::{
    act::{self, Deed, effects},
    database::Kind,
    ledger::{Setup, Via, brisk, redis_url, setup},
    processes::Program,
};

async fn redis() -> redis::aio::MultiplexedConnection {
    redis::Client::open(redis_url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

fn key(setup: &Setup, part: &str) -> String {
    format!("{{{}:apalis:{}}}:{part}", setup.prefix, act::QUEUE)
}

/// A fetch unpacks everything that is due; at 8,000 Lua's stack ends and the queue is dead. The relay's window is the guard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_of_twenty_thousand_drains() {
    let setup = setup(Kind::Postgres, Via::Apalis).await;
    for chunk in 0..20 {
        setup.enqueue_together((0..1000).map(|n| setup.act(chunk * 1000 + n, Deed::Note))).await;
    }
    // A busy machine may leave a short lease unrenewed, and the job would rightly run again.
    let lease = Duration::from_secs(60);
    let runtime = setup.work(jobs::runtime::Options { concurrency: 100, tick: Duration::from_millis(1), lease, ..brisk() });
    setup.finished().await;
    drop(runtime);
    assert_eq!(setup.log.numbers().len(), 20_000);
}

/// An idle worker wakes only at its heartbeat, five seconds here: these would take minutes.
#[tokio::test]
async fn an_idle_worker_hears_of_each_new_job() {
    let setup = setup(Kind::Postgres, Via::Apalis).await;
    let runtime = setup.work(brisk());
    for n in 0..30 {
        setup.enqueue([setup.act(n, Deed::Note)]).await;
        setup.finished().await;
    }
    drop(runtime);
}

/// Any Redis error ends the worker, and its name can't be used again for a minute.
#[tokio::test]
async fn a_worker_whose_connection_is_cut_comes_back() {
    let setup = setup(Kind::Postgres, Via::Apalis).await;
    let runtime = setup.work(brisk());
    for round in 0..3 {
        let cut: i64 = redis::cmd("CLIENT")
            .arg("KILL")
            .arg("TYPE")
            .arg("normal")
            .arg("SKIPME")
            .arg("yes")
            .query_async(&mut redis().await)
            .await
            .unwrap();
        assert!(cut > 0);
        setup.enqueue((0..20).map(|n| setup.act(round * 20 + n, Deed::Effect))).await;
        setup.finished().await;
    }
    drop(runtime);
    assert_eq!(effects(setup.ledger.db()).await.len(), 60);
}

/// A payload that doesn't decode kills the worker that fetches it.
#[tokio::test]
async fn rubbish_in_the_queue_does_not_stop_it() {
    let setup = setup(Kind::Postgres, Via::Apalis).await;
    let runtime = setup.work(brisk());
    setup.enqueue([setup.act(1, Deed::Effect)]).await;
    setup.finished().await;
    let mut redis = redis().await;
    let () = redis.hset(key(&setup, "data"), "01JRUBBISH0000000000000000", "{not a number").await.unwrap();
    let () = redis.rpush(key(&setup, "active"), "01JRUBBISH0000000000000000").await.unwrap();
    setup.enqueue((2..20).map(|n| setup.act(n, Deed::Effect))).await;
    setup.finished().await;
    drop(runtime);
    assert_eq!(effects(setup.ledger.db()).await.len(), 19);
}

/// Finished tasks stay for ever, their hashes too; and with results not persisted nothing is acknowledged at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finished_tasks_are_acknowledged_and_forgotten() {
    let setup = setup(Kind::Postgres, Via::Apalis).await;
    let runtime = setup.work(brisk());
    setup.enqueue_together((0..500).map(|n| setup.act(n, Deed::Note))).await;
    setup.finished().await;
    let mut redis = redis().await;
    let jobs::Transport::Apalis(storages) = &setup.transport else { panic!("apalis") };
    // The last acknowledgements are on their way, and the heartbeat may forget some of them first.
    for _ in 0..1500 {
        storages.trim(&jobs::Lane::queue(act::QUEUE), 100).await.unwrap();
        if redis.hlen::<_, i64>(key(&setup, "data")).await.unwrap() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(redis.hlen::<_, i64>(key(&setup, "data")).await.unwrap(), 0);
    let keys: Vec<String> = redis.keys(format!("{{{}:*", setup.prefix)).await.unwrap();
    assert!(!keys.iter().any(|key| key.contains(":meta:") || key.contains("idempotency") || key.contains("lock")), "{keys:?}");
    assert!(keys.iter().all(|key| key.starts_with(&format!("{{{}:apalis:{}}}", setup.prefix, act::QUEUE))), "hash tags: {keys:?}");
    drop(runtime);
}

/// With the `task-tracking` feature the first heartbeat kills the worker.
#[tokio::test]
async fn a_worker_outlives_its_heartbeats() {
    let setup = setup(Kind::Postgres, Via::Apalis).await;
    let runtime = setup.work(brisk());
    tokio::time::sleep(Duration::from_secs(11)).await;
    setup.enqueue([setup.act(1, Deed::Effect)]).await;
    setup.finished().await;
    drop(runtime);
    assert_eq!(effects(setup.ledger.db()).await, [1]);
}

/// Heartbeats starve while the buffer of fetched tasks is full. A worker that counts as dead has its tasks given to others
/// once more, and isn't let back in under its name; here the buffer is full for three heartbeats.
#[tokio::test]
async fn a_worker_with_a_full_buffer_runs_each_of_its_jobs_once() {
    let setup = setup(Kind::Postgres, Via::Apalis).await;
    let options = || jobs::runtime::Options { concurrency: 2, ..brisk() };
    let (one, other) = (setup.work(options()), setup.work(options()));
    setup.enqueue_together((0..60).map(|n| setup.act(n, Deed::SlowEffect(1000)))).await;
    setup.finished().await;
    drop((one, other));
    assert_eq!(setup.log.starts().len(), 60);
    assert_eq!(effects(setup.ledger.db()).await.len(), 60);
}

/// A task that kills its process is given to the next one, and the next: what apalis-redis recovers has no more attempts than
/// before. They are counted at the claim.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_kills_its_process_is_dead_after_its_attempts() {
    for via in [Via::Redis, Via::Apalis] {
        let setup = setup(Kind::Postgres, via).await;
        setup.enqueue([setup.act(1, Deed::Abort).order_key("line"), setup.act(2, Deed::Effect).order_key("line")]).await;
        let program = Program::new(env!("CARGO_BIN_EXE_acts"), &[]);
        let redis = redis_url();
        let arguments = [setup.database.url.as_str(), &redis, &setup.prefix, setup.transport.name()];
        let start = || program.spawn("acts", &arguments, &[]);
        let (mut worker, mut deaths) = (start(), 0);
        while !jobs::testing::leftovers(&setup.ledger).await.unwrap().is_empty() {
            if worker.ended().is_some() {
                (worker, deaths) = (start(), deaths + 1);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(deaths, 3, "{via:?}");
        assert_eq!(setup.states().await, [(1, "dead".into(), 3), (2, "done".into(), 1)]);
        assert_eq!(effects(setup.ledger.db()).await, [2], "its line goes on");
    }
}
