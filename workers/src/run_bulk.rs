//! Does to many records what somebody asked for: a part in each transaction, held so that nobody else does it too. A long run
//! makes room for others now and then, and goes on where it was.

use std::time::{Duration, Instant};

use domain::{
    engine::Write,
    entities::TenantId,
    payloads::RunBulk,
    resource::bulk::run::{Found, take_up},
};
use jobs::{Outcome, Run};

use crate::Context;

/// How long it keeps its place in the queue.
const TURN: Duration = Duration::from_secs(60);

pub(crate) async fn run(context: Context, run: Run, RunBulk { bulk_run_id }: RunBulk) -> anyhow::Result<Outcome> {
    let begun = Instant::now();
    let (mut running, scope) = match take_up(context.ledger.db(), TenantId(run.tenant), bulk_run_id).await? {
        Found::Running(running, scope) => (running, scope),
        Found::Done => return Ok(Outcome::Done),
        Found::Refused(why) => return Ok(Outcome::Dead(why.to_owned())),
    };
    loop {
        let write = Write::within(run.begin().await?, &scope);
        run.hold(&write).await?;
        if running.step(&write).await? {
            return run.settle(write.into_tx()).await;
        }
        write.into_tx().commit().await?;
        run.progress(&running.progress()).await?;
        if begun.elapsed() > TURN {
            return Ok(Outcome::Snooze(Duration::ZERO));
        }
    }
}
