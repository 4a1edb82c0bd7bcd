//! Deletes what is over, and gives up messages that nobody sends any more.

use domain::{
    maintenance::{self, Purged},
    payloads::Purge,
    whatsapp::delivery,
};
use jobs::{Outcome, Run};

use crate::Context;

pub(crate) async fn run(context: Context, _: Run, Purge {}: Purge) -> anyhow::Result<Outcome> {
    let given_up = delivery::give_up(&context.ledger).await?;
    let Purged { jobs, inbox, keys, sessions, notifications, deliveries, records } = maintenance::purge(&context.ledger).await?;
    tracing::info!(given_up, jobs, inbox, keys, sessions, notifications, deliveries, records, "purged");
    Ok(Outcome::Done)
}
