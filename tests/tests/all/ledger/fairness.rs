//! One tenant with a mountain of jobs, two hundred with five each.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jobs::{
    Lane, Outcome, Transport,
    relay::{Pace, Relay},
};
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};
use tests::{
    act::{self, Deed},
    ledger::{Setup, Via, setup},
    on_both_databases,
};
use uuid::Uuid;

/// How many jobs the big tenant has; `SOMO_TEST_ROWS` for the long form.
fn mountain() -> i64 {
    std::env::var("SOMO_TEST_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000)
}

/// Writes many jobs in one statement, as no client could.
async fn pile_up(setup: &Setup, rows: i64) {
    let (series, id, payload) = match setup.ledger.db().backend() {
        DbBackend::Sqlite => (
            "with recursive series(n) as (select 1 union all select n + 1 from series where n < $2)",
            "randomblob(16)",
            "json_object('n', n, 'deed', 'note')",
        ),
        _ => (
            "with series as (select generate_series(1, $2::bigint) as n)",
            "gen_random_uuid()",
            "jsonb_build_object('n', n, 'deed', 'note')",
        ),
    };
    let sql = format!(
        "insert into jobs (id, tenant_id, queue, kind, payload, max_attempts, priority, run_at)
         {series} select {id}, $1, 'acts', 'tests.act', {payload}, 3, 1, '2026-01-01T00:00:00+00:00' from series"
    );
    let db = setup.ledger.db();
    let values: [Value; 2] = [setup.tenant.into(), rows.into()];
    db.write.execute_raw(Statement::from_sql_and_values(db.backend(), sql, values)).await.unwrap();
    db.write.execute_unprepared(if db.is_sqlite() { "analyze" } else { "vacuum analyze jobs" }).await.unwrap();
}

async fn dispatched(setup: &Setup) -> Vec<(i64, Uuid)> {
    let db = setup.ledger.db();
    let sql = "select seq, tenant_id from jobs where state = 'dispatched'";
    let rows = db.write.query_all_raw(Statement::from_string(db.backend(), sql)).await.unwrap();
    rows.iter().map(|row| (row.try_get("", "seq").unwrap(), row.try_get("", "tenant_id").unwrap())).collect()
}

on_both_databases! {
    async fn two_hundred_small_tenants_do_not_wait_for_one_with_a_mountain(kind: Kind) {
        let setup = setup(kind, Via::Local).await;
        pile_up(&setup, mountain()).await;
        let small: Vec<Uuid> = (0..200).map(|_| Uuid::now_v7()).collect();
        setup.enqueue_together(small.iter().flat_map(|tenant| (0..5).map(|n| act::Act::job(n, Deed::Note, *tenant)))).await;

        let relay = Relay::new(setup.ledger.clone(), Lane::queue(act::QUEUE), Transport::local(), Pace::default());
        let (mut served, mut times) = (BTreeMap::<Uuid, usize>::new(), Vec::new());
        // Two passes have room for 2,000 jobs, and 1,000 are the small tenants'.
        for _ in 0..2 {
            let began = Instant::now();
            relay.pass().await.unwrap();
            times.push(began.elapsed());
            let out = dispatched(&setup).await;
            out.iter().for_each(|(_, tenant)| *served.entry(*tenant).or_default() += 1);
            let seqs: Vec<_> = out.iter().map(|(seq, _)| *seq).collect();
            let claimed = setup.ledger.claim("worker", Duration::from_secs(60), &seqs).await.unwrap();
            assert_eq!(claimed.len(), seqs.len());
            let done: Vec<_> = claimed.into_iter().map(|job| (job, Outcome::Done)).collect();
            setup.ledger.finish(&done).await.unwrap();
        }
        assert!(small.iter().all(|tenant| served.get(tenant) == Some(&5)), "{served:?}");
        assert!(served.contains_key(&setup.tenant), "the big one is served too");
        // A pass over the mountain alone, to see what it costs.
        for _ in 0..20 {
            let began = Instant::now();
            assert_eq!(relay.pass().await.unwrap().released, if times.len() == 2 { 1000 } else { 0 });
            times.push(began.elapsed());
        }
        times[3..].sort_unstable();
        eprintln!("fairness: {kind:?}, {} rows: first passes {:?}, full {:?}, with a full window {:?}", mountain(), &times[..2], times[2], times[12]);
    }
}
