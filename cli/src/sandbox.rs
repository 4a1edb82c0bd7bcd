use sandbox::Options;

use crate::{args, roles};

/// Runs a sandbox until the process is told to stop.
pub(crate) async fn run(options: args::Sandbox) -> anyhow::Result<()> {
    let args::Sandbox { bind, webhook, app_secret, auto_reply } = options;
    if webhook.is_none() {
        tracing::warn!("without --webhook nobody hears of statuses and replies, unless a number is added with its own");
    }
    let sandbox = sandbox::start(Options { bind, webhook, app_secret, auto_reply, ..Options::default() }).await?;
    tracing::info!("the sandbox is at {}, its phone at {}/phone", sandbox.url(), sandbox.url());
    roles::Stop::hear()?.told().await;
    Ok(())
}
