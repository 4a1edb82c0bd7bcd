//! Writes a file that somebody asked for: page by page to the disk, then into the store.

use domain::{
    engine::Write,
    entities::TenantId,
    export::{
        self,
        run::{Found, take_up},
    },
    payloads::RunExport,
};
use jobs::{Outcome, Run};
use object_store::{buffered::BufWriter, path::Path};
use tokio::io::AsyncWriteExt;

use crate::Context;

pub(crate) async fn run(context: Context, run: Run, RunExport { export_id }: RunExport) -> anyhow::Result<Outcome> {
    let (db, tenant) = (context.ledger.db(), TenantId(run.tenant));
    let mut exporting = match take_up(db, tenant, export_id).await? {
        Found::Running(exporting) => exporting,
        Found::Done => return Ok(Outcome::Done),
        Found::Refused(why) => return Ok(Outcome::Dead(why.to_owned())),
    };
    while !exporting.step(db).await? {
        // Here it is told that it was cancelled.
        run.progress(&exporting.progress()).await?;
    }
    let mut file = tokio::fs::File::open(exporting.path()).await?;
    let mut kept = BufWriter::new(context.store.clone(), Path::from(export::storage_key(tenant, export_id)));
    tokio::io::copy(&mut file, &mut kept).await?;
    kept.shutdown().await?;
    let scope = exporting.scope().clone();
    let write = Write::within(run.begin().await?, &scope);
    exporting.finish(&write).await?;
    run.settle(write.into_tx()).await
}
