//! Takes the rows of a file, and takes them back: a part in each transaction, held so that nobody else does it too. A long one makes
//! room for others now and then, and goes on where it was.

use std::time::{Duration, Instant};

use domain::{
    engine::Write,
    entities::TenantId,
    files,
    payloads::{RevertImport, RunImport},
    resource::import::{
        self, revert as taking_back,
        run::{self as rows, Found},
    },
};
use jobs::{Outcome, Run};

use crate::Context;

/// How long it keeps its place in the queue.
const TURN: Duration = Duration::from_secs(60);

pub(crate) async fn run(context: Context, run: Run, RunImport { import_id }: RunImport) -> anyhow::Result<Outcome> {
    let begun = Instant::now();
    let (db, tenant) = (context.ledger.db(), TenantId(run.tenant));
    if !rows::is_open(db, tenant, import_id).await? {
        return Ok(Outcome::Done);
    }
    let key = import::storage_key(tenant, import_id);
    let Some(file) = files::at_hand(&*context.store, &key).await? else {
        return Ok(Outcome::Dead("its file is gone from the store".to_owned()));
    };
    let (mut running, scope) = match rows::take_up(db, tenant, import_id, file.path()).await? {
        Found::Running(running, scope) => (running, scope),
        Found::Done => return Ok(Outcome::Done),
        Found::Refused(why) => return Ok(Outcome::Dead(why)),
    };
    loop {
        let write = Write::within(run.begin().await?, &scope).quietly();
        run.hold(&write).await?;
        if running.step(&write).await? {
            return run.settle(write.into_tx()).await;
        }
        write.into_tx().commit().await?;
        running.look_again(db).await?;
        run.progress(&running.progress()).await?;
        // What was only tried is not gone on with: it would begin anew.
        if begun.elapsed() > TURN && !running.only_tries() {
            return Ok(Outcome::Snooze(Duration::ZERO));
        }
    }
}

pub(crate) async fn revert(context: Context, run: Run, RevertImport { import_id }: RevertImport) -> anyhow::Result<Outcome> {
    let begun = Instant::now();
    let (mut reverting, scope) = match taking_back::take_up(context.ledger.db(), TenantId(run.tenant), import_id).await? {
        Found::Running(reverting, scope) => (reverting, scope),
        Found::Done => return Ok(Outcome::Done),
        Found::Refused(why) => return Ok(Outcome::Dead(why)),
    };
    loop {
        let write = Write::within(run.begin().await?, &scope).quietly();
        run.hold(&write).await?;
        if reverting.step(&write).await? {
            return run.settle(write.into_tx()).await;
        }
        write.into_tx().commit().await?;
        run.progress(&reverting.progress()).await?;
        if begun.elapsed() > TURN {
            return Ok(Outcome::Snooze(Duration::ZERO));
        }
    }
}
