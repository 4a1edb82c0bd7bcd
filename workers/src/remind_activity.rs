//! Has those reminded by mail whom an activity concerns, shortly before it is due.

use domain::{activities::reminder, engine::Write, payloads::RemindActivity};
use jobs::{Outcome, Run};

use crate::{Context, scope};

pub(crate) async fn run(context: Context, run: Run, RemindActivity { activity_id, at }: RemindActivity) -> anyhow::Result<Outcome> {
    if context.mailer.is_none() {
        // Nobody can mend a reminder whose time has passed: it is no dead job.
        tracing::info!(activity = %activity_id, "nobody is reminded: SOMO_SMTP_URL is not set");
        return Ok(Outcome::Done);
    }
    let scope = scope(&run);
    let write = Write::within(run.begin().await?, &scope);
    reminder::send(&write, activity_id, at).await?;
    run.settle(write.into_tx()).await
}
