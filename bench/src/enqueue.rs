//! (a) A record and its job in one transaction, 16 at a time, while a worker drains: until the last job is done.

use crate::{
    contender::{Contender, Env},
    report::{Column, Table},
    task::{Pace, Produce, Work},
};

/// The contenders.
pub(crate) const WHO: [Contender; 7] = [
    Contender::SOMO[0],
    Contender::SOMO[1],
    Contender::SOMO[2],
    Contender::GRAPHILE,
    Contender::GRAPHILE_BATCHED,
    Contender::BULLMQ,
    Contender::BULLMQ_RECORD,
];

/// The table, still empty.
pub(crate) fn table() -> Table {
    Table::new(
        "a",
        "Durable enqueue and run",
        "16 connections; each iteration is one transaction that inserts a record and enqueues one job that does nothing. A \
         worker drains meanwhile. Measured from the first transaction until no job is left unfinished. BullMQ has no \
         transactions: one row is its `queue.add` alone, one after the record's own committed insert; its jobs live in a \
         Redis without persistence.",
        &[Column::new("jobs/s", 0)],
    )
}

/// One measurement.
pub(crate) async fn measure(env: &Env, who: Contender, quick: bool, table: &mut Table) -> anyhow::Result<()> {
    let jobs = if quick { 2_000 } else { 12_000 };
    let work =
        Work { concurrency: who.concurrency(), batched: who == Contender::GRAPHILE_BATCHED, expect: jobs, until_empty: true, trace: false };
    let produce = Produce { record: who == Contender::BULLMQ_RECORD, connections: 16, jobs, pace: Pace::Flat };
    let (worked, produced) = env.both(who, work, produce).await?;
    table.push(who.name(), "jobs/s", jobs as f64 / (worked.empty - produced.started) * 1e3);
    Ok(())
}
