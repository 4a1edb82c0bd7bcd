//! (b) From the commit to the start of the job: one job at a time, and under a fixed rate that waits for nobody.

use crate::{
    contender::{Contender, Env},
    report::{Column, Table},
    stats::percentile,
    task::{Pace, Produce, Work},
};

/// The contenders.
pub(crate) const WHO: [Contender; 5] = [Contender::SOMO[0], Contender::SOMO[1], Contender::SOMO[2], Contender::GRAPHILE, Contender::BULLMQ];

/// The columns of p50 and p99, idle.
pub(crate) const IDLE: [&str; 2] = ["idle p50, ms", "idle p99, ms"];
const LOADED: [&str; 2] = ["loaded p50, ms", "loaded p99, ms"];
/// The same, from when the commit was sent.
pub(crate) const IDLE_SENT: [&str; 2] = ["idle p50 from sending, ms", "idle p99 from sending, ms"];

/// The table, still empty.
pub(crate) fn table() -> Table {
    Table::new(
        "b",
        "From commit to start",
        "From the moment the commit was answered (BullMQ: `queue.add`) until the job's handler runs, in another process \
         except for the local transport. Below zero: the job started before the producer had its answer. Idle: one job at \
         a time. Loaded: 500 a second, whether or not earlier ones are through. *From sending* counts from when the \
         commit was sent, so it has the disk's flush in it.",
        &[
            Column::new(IDLE[0], 2),
            Column::new(IDLE[1], 2),
            Column::new(LOADED[0], 2),
            Column::new(LOADED[1], 2),
            Column::new(IDLE_SENT[0], 2),
            Column::new(IDLE_SENT[1], 2),
        ],
    )
}

/// One measurement.
pub(crate) async fn measure(env: &Env, who: Contender, quick: bool, table: &mut Table) -> anyhow::Result<()> {
    let rate = 500.0;
    let plans = [
        (if quick { 50 } else { 200 }, Pace::Alone, IDLE, Some(IDLE_SENT)),
        (if quick { 1000 } else { 5000 }, Pace::Rate(rate), LOADED, None),
    ];
    for (jobs, pace, columns, from_sending) in plans {
        let work = Work { concurrency: 24, batched: false, expect: jobs, until_empty: false, trace: true };
        let produce = Produce { record: false, connections: 16, jobs, pace };
        let (worked, produced) = env.both(who, work, produce).await?;
        anyhow::ensure!(worked.starts.len() == produced.commits.len(), "a job has no start");
        let pairs = || worked.starts.iter().zip(&produced.commits);
        let mut answered: Vec<f64> = pairs().map(|(start, (_, answered))| start - answered).collect();
        let mut sent: Vec<f64> = pairs().map(|(start, (sent, _))| start - sent).collect();
        for (at, part) in [0.5, 0.99].into_iter().enumerate() {
            table.push(who.name(), columns[at], percentile(&mut answered, part).unwrap_or(f64::NAN));
            if let Some(columns) = from_sending {
                table.push(who.name(), columns[at], percentile(&mut sent, part).unwrap_or(f64::NAN));
            }
        }
    }
    Ok(())
}
