//! Rolls up the hours and days that reach into the last hours. Twice is the same as once.

use domain::{payloads::RollUpStatistics, whatsapp::statistics};
use jobs::{Outcome, Run};

use crate::Context;

pub(crate) async fn run(context: Context, _: Run, RollUpStatistics { hours }: RollUpStatistics) -> anyhow::Result<Outcome> {
    let figures = statistics::roll_up(&context.ledger, hours).await?;
    tracing::debug!(hours, figures, "statistics were rolled up");
    Ok(Outcome::Done)
}
