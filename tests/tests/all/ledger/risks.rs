//! The risks that everything else stands on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use jobs::{
    Lane,
    relay::{Pace, Relay},
};
use sea_orm::{ConnectionTrait, Statement};
use tests::{
    act::{self, Deed},
    database::Kind,
    ledger::{Via, brisk, setup},
};

/// How long the load lasts; `SOMO_TEST_SECONDS` for the long form.
fn seconds(short: u64) -> Duration {
    Duration::from_secs(std::env::var("SOMO_TEST_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(short))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_takes_sixteen_writers_beside_a_relay_and_eight_workers_without_a_busy_error() {
    let setup = Arc::new(setup(Kind::Sqlite, Via::Local).await);
    let runtime = setup.work(jobs::runtime::Options { concurrency: 8, ..brisk() });
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
    let mut writers = Vec::new();
    for _ in 0..16 {
        let (setup, stop, written) = (setup.clone(), stop.clone(), written.clone());
        writers.push(tokio::spawn(async move {
            while !stop.load(Relaxed) {
                let n = written.fetch_add(1, Relaxed);
                let tx = setup.ledger.begin().await?;
                tx.enqueue(setup.act(n, Deed::Effect)).await?;
                tx.commit().await?;
                jobs::testing::newest(&setup.ledger, setup.tenant, 5).await?;
            }
            Ok::<_, db::DbErr>(())
        }));
    }
    // A second process on the same file: the command line, say.
    let other = db::Db::open(&setup.database.url).await.unwrap();
    for _ in 0..(seconds(5).as_millis() / 100) {
        let tx = other.begin().await.unwrap();
        tx.execute_unprepared("update job_workers set running = running").await.unwrap();
        tx.commit().await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stop.store(true, Relaxed);
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    setup.finished().await;
    runtime.stop(Duration::from_secs(5)).await;
    let mut done = act::effects(setup.ledger.db()).await;
    done.sort_unstable();
    assert_eq!(done, (0..written.load(Relaxed)).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_relays_never_exceed_the_window() {
    const WINDOW: i64 = 200;
    let setup = setup(Kind::Postgres, Via::Local).await;
    let jobs: i64 = if std::env::var_os("SOMO_TEST_SECONDS").is_some() { 50_000 } else { 10_000 };
    for chunk in 0..jobs / 1000 {
        setup.enqueue_together((0..1000).map(|n| setup.act(chunk * 1000 + n, Deed::Note))).await;
    }
    let lane = Lane::queue(act::QUEUE);
    let pace = Pace { window: WINDOW, deliver_within: Duration::from_secs(300), poll: Duration::from_millis(5), ..Pace::default() };
    let relays: Vec<_> =
        (0..10).map(|_| tokio::spawn(Relay::new(setup.ledger.clone(), lane.clone(), setup.transport.clone(), pace).run())).collect();
    let (mut done, mut most) = (0, 0);
    while done < jobs {
        let out =
            "select coalesce(array_agg(seq), '{}') as seqs from (select seq from jobs where state = 'dispatched' order by random()) s";
        let row = setup.ledger.db().read.query_one_raw(Statement::from_string(sea_orm::DbBackend::Postgres, out)).await.unwrap();
        let seqs: Vec<i64> = row.unwrap().try_get("", "seqs").unwrap();
        most = most.max(seqs.len());
        assert!(seqs.len() <= usize::try_from(WINDOW).unwrap(), "{} were out at once", seqs.len());
        let some = &seqs[..seqs.len().div_ceil(2)];
        let claimed = setup.ledger.claim("reader", Duration::from_secs(60), some).await.unwrap();
        done += i64::try_from(claimed.len()).unwrap();
        let batch: Vec<_> = claimed.into_iter().map(|job| (job, jobs::Outcome::Done)).collect();
        setup.ledger.finish(&batch).await.unwrap();
    }
    relays.iter().for_each(tokio::task::JoinHandle::abort);
    assert!(most > 150, "the window was used: {most}");
}
