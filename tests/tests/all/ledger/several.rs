//! Several worker processes, each with its relay and its reaper, on one queue; some of them end.

use std::{collections::BTreeSet, time::Duration};

use jobs::{Job, NewJob, testing};
use rand::Rng;
use serde_json::json;
use tests::{
    act::{Act, Deed, QUEUE, effects},
    database::Kind,
    ledger::{Setup, Via, redis_url, setup},
    processes::{Process, Program},
};

fn workers(setup: &Setup, program: &Program, count: usize) -> Vec<Process> {
    (0..count).map(|n| worker(setup, program, n)).collect()
}

fn worker(setup: &Setup, program: &Program, n: usize) -> Process {
    let redis = redis_url();
    program.spawn(&format!("acts-{n}"), &[&setup.database.url, &redis, &setup.prefix, setup.transport.name()], &[])
}

async fn left(setup: &Setup) -> usize {
    testing::leftovers(&setup.ledger).await.unwrap().len()
}

/// A thousand jobs, a third of them in lines, some slow enough to be caught.
async fn enqueue(setup: &Setup) {
    let job = |n: i64| {
        let deed = if n % 7 == 0 { Deed::SlowEffect(40) } else { Deed::Effect };
        // Raw, so that it has as many attempts as SOMO's own jobs.
        let job = NewJob::raw(setup.tenant, QUEUE, Act::KIND, json!(Act { n, deed }));
        if n % 3 == 0 { job.order_key(format!("line-{}", n % 10)) } else { job }
    };
    for chunk in 0..10 {
        setup.enqueue_together((chunk * 100..(chunk + 1) * 100).map(job)).await;
    }
}

/// Every effect once, those of a line in order.
async fn check(setup: &Setup) {
    let done = effects(setup.ledger.db()).await;
    assert_eq!(done.len(), 1000);
    assert_eq!(done.iter().copied().collect::<BTreeSet<_>>(), (0..1000).collect());
    for line in 0..10 {
        let own: Vec<_> = done.iter().copied().filter(|n| n % 3 == 0 && n % 10 == line).collect();
        assert!(own.is_sorted(), "line {line}: {own:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_workers_lose_nothing_and_double_nothing() {
    for via in [Via::Redis, Via::Apalis] {
        let setup = setup(Kind::Postgres, via).await;
        let program = Program::new(env!("CARGO_BIN_EXE_acts"), &[]);
        let mut workers = workers(&setup, &program, 3);
        enqueue(&setup).await;
        let mut kills = 0;
        while left(&setup).await > 0 {
            if kills < 10 {
                workers[kills % 3].kill();
                workers[kills % 3] = worker(&setup, &program, kills % 3);
                kills += 1;
            }
            let pause = rand::rng().random_range(50..400);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        drop(workers);
        check(&setup).await;
    }
}

/// Nothing waits for a lease to end: what runs is done, and what doesn't is given back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_told_to_stop_finish_what_runs() {
    for via in [Via::Redis, Via::Apalis] {
        let setup = setup(Kind::Postgres, via).await;
        let program = Program::new(env!("CARGO_BIN_EXE_acts"), &[("ACTS_LEASE", "30")]); // no lease ends because the machine is slow
        let mut workers = workers(&setup, &program, 2);
        enqueue(&setup).await;
        for round in 0..6 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let stopped = &mut workers[round % 2];
            let status = stopped.terminate();
            assert!(status.success(), "{status}: {}", stopped.log());
            workers[round % 2] = worker(&setup, &program, round % 2);
        }
        setup.finished().await;
        drop(workers);
        check(&setup).await;
        let jobs = jobs::testing::newest(&setup.ledger, setup.tenant, 2000).await.unwrap();
        let twice: Vec<_> = jobs.iter().filter(|job| job.state != "done" || job.attempts != 1).collect();
        assert!(twice.is_empty(), "{via:?}: {twice:#?}");
    }
}
