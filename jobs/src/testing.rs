//! For tests of those who enqueue and handle jobs.

use std::time::Duration;

use db::DbErr;
use sea_orm::{
    ConnectionTrait,
    sea_query::{Order, SelectStatement},
};
use uuid::Uuid;

use crate::{
    Handlers, JobView, Lane, Ledger, STATES, Transport,
    handlers::RunJob,
    relay::{Pace, Relay},
};

/// The unfinished jobs of one kind, oldest first.
///
/// # Errors
/// The database's.
pub async fn unfinished(ledger: &Ledger, kind: &str) -> Result<Vec<JobView>, DbErr> {
    let mut jobs = leftovers(ledger).await?;
    jobs.retain(|job| job.kind == kind);
    Ok(jobs)
}

/// The tenant's newest jobs, the newest first.
///
/// # Errors
/// The database's.
pub async fn newest(ledger: &Ledger, tenant: Uuid, limit: u64) -> Result<Vec<JobView>, DbErr> {
    let newest = |select: &mut SelectStatement| _ = select.order_by(("job", "seq"), Order::Desc).limit(limit);
    ledger.list(tenant, &STATES, "job", |_| {}, newest).await
}

/// Everything that is not finished, oldest first.
///
/// # Errors
/// The database's.
pub async fn leftovers(ledger: &Ledger) -> Result<Vec<JobView>, DbErr> {
    use sea_orm::FromQueryResult;
    let all = "select * from jobs where state in ('pending', 'held', 'dispatched', 'running') order by seq";
    let rows = ledger.db().write.query_all_raw(ledger.sql().statement(all, [])).await?;
    rows.iter().map(|row| JobView::from_query_result(row, "")).collect()
}

/// Exactly one unfinished job of this kind is there; it.
///
/// # Panics
/// When there is none or more than one.
pub async fn assert_enqueued(ledger: &Ledger, kind: &str) -> JobView {
    let mut jobs = unfinished(ledger, kind).await.expect("the database answers");
    assert_eq!(jobs.len(), 1, "unfinished jobs of kind {kind}: {jobs:#?}");
    jobs.remove(0)
}

/// Runs what is due in `queue`, and what that enqueues there, one by one until nothing is left. How many ran.
///
/// # Errors
/// The database's.
pub async fn run_to_empty<C: Clone + Send + Sync + 'static>(ledger: &Ledger, handlers: &Handlers<C>, queue: &str) -> anyhow::Result<usize> {
    let transport = Transport::local();
    let lane = Lane::queue(queue);
    let relay = Relay::new(ledger.clone(), lane.clone(), transport.clone(), Pace { window: 1, ..Pace::default() });
    let crate::transport::Source::Pull(mut pull) = transport.source(&lane) else { unreachable!("local pulls") };
    let worker = Uuid::now_v7().to_string();
    let mut ran = 0;
    loop {
        let pass = relay.pass().await?;
        if pass.released == 0 && pass.parked == 0 {
            return Ok(ran);
        }
        if pass.released > 0 {
            for job in ledger.claim(&worker, Duration::from_secs(60), &pull.pull(1).await).await? {
                let outcome = handlers.run(ledger.clone(), job.clone()).await;
                ledger.finish(&[(job, outcome)]).await?;
                ran += 1;
            }
        }
    }
}
