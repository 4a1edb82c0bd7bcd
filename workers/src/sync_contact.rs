//! Completes a contact from what it is called elsewhere.

use domain::{contacts, engine::Write, payloads::SyncContact};
use jobs::{Outcome, Run};

use crate::{Context, scope};

pub(crate) async fn run(_: Context, run: Run, SyncContact { contact_id }: SyncContact) -> anyhow::Result<Outcome> {
    let scope = scope(&run);
    let write = Write::within(run.begin().await?, &scope);
    contacts::sync(&write, contact_id).await?;
    run.settle(write.into_tx()).await
}
