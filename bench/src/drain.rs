//! (c) How fast a backlog of jobs that do nothing goes down: a short one, a long one, and the front of a longer one.

use jobs::Wake;

use crate::{
    contender::{Contender, Env},
    report::{Column, Table},
    somo,
    task::{Via, Work, Worked},
};

/// The contenders.
pub(crate) const WHO: [Contender; 6] =
    [Contender::SOMO[0], Contender::SOMO[1], Contender::SOMO[2], Contender::GRAPHILE, Contender::GRAPHILE_BATCHED, Contender::BULLMQ];

/// The columns.
pub(crate) const SHORT: &str = "1k, jobs/s";
/// 50k and nothing behind.
pub(crate) const ALL: &str = "50k, jobs/s";
/// 50k and 100k behind.
pub(crate) const FRONT: &str = "first 50k of 150k, jobs/s";

/// The table, still empty.
pub(crate) fn table() -> Table {
    Table::new(
        "c",
        "Drain",
        "A backlog of jobs that do nothing; from the start of the first until nothing is left unfinished (1k, 50k), or \
         until the 50,000th starts (150k). For 1k the worker is already running when the backlog appears, ten times over; \
         for the others the backlog is there before the worker.",
        &[Column::new(SHORT, 0), Column::new(ALL, 0), Column::new(FRONT, 0)],
    )
}

/// One measurement.
pub(crate) async fn measure(env: &Env, who: Contender, quick: bool, table: &mut Table) -> anyhow::Result<()> {
    let scale = if quick { 10 } else { 1 };
    let work = |expect, until_empty| Work {
        concurrency: who.concurrency(),
        batched: who == Contender::GRAPHILE_BATCHED,
        expect,
        until_empty,
        trace: false,
    };
    table.push(who.name(), SHORT, short(env, who, work(1_000, true)).await?);
    let jobs = 50_000 / scale;
    for (column, backlog) in [(ALL, jobs), (FRONT, 3 * jobs)] {
        env.reset().await?;
        env.seed(who, backlog).await?;
        let mut child = env.child(who, Some(work(jobs, backlog == jobs)), None).await?;
        child.go(true).await?;
        let worked: Worked = child.answer("worked").await?;
        child.stop().await?;
        let end = if backlog == jobs { worked.empty } else { worked.last };
        table.push(who.name(), column, jobs as f64 / (end - worked.first) * 1e3);
    }
    Ok(())
}

async fn short(env: &Env, who: Contender, work: Work) -> anyhow::Result<f64> {
    let rounds = 10;
    env.reset().await?;
    let mut child = env.child(who, Some(work), None).await?;
    child.go(true).await?;
    let wake = match who {
        // The local transport's relay can't be woken from here: its poll finds the jobs.
        Contender::Somo(Via::Redis | Via::ApalisRedis) => Wake::redis(env.redis(), "bench")?,
        _ => Wake::local(),
    };
    let mut busy = 0.0;
    for _ in 0..rounds {
        env.seed(who, work.expect).await?;
        wake.lanes([somo::lane()]);
        let worked: Worked = child.answer("worked").await?;
        busy += worked.empty - worked.first;
    }
    child.stop().await?;
    Ok((rounds * work.expect) as f64 / busy * 1e3)
}
