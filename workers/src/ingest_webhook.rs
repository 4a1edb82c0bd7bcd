//! Takes a change from the inbox into its conversation.

use domain::{engine::Write, payloads::IngestWebhook, whatsapp::ingest};
use jobs::{Outcome, Run};

use crate::{Context, scope};

pub(crate) async fn run(_: Context, run: Run, IngestWebhook { inbox_id }: IngestWebhook) -> anyhow::Result<Outcome> {
    let scope = scope(&run);
    let write = Write::within(run.begin().await?, &scope);
    ingest::ingest(&write, inbox_id).await?;
    run.settle(write.into_tx()).await
}
