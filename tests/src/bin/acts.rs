//! A worker process of the tests, to be killed: serves [`tests::act::QUEUE`] as its arguments say.
//! With ACTS_LEASE a lease has so many seconds.
//! `acts DATABASE_URL REDIS_URL PREFIX redis|apalis-redis [ROUTE…]`

use std::time::Duration;

use jobs::{
    Lane, Ledger, Transport, Wake,
    runtime::{Options, Runtime},
};
use tests::{act, ledger::brisk};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [database, redis, prefix, transport, routes @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: acts DATABASE_URL REDIS_URL PREFIX redis|apalis-redis [ROUTE…]")
    };
    let db = db::Db::open_with(database, db::PoolSizes { write: 8, quick: 4, read: 4 }).await?;
    let ledger = Ledger::new(db, Wake::redis(redis, prefix)?);
    let transport = match transport.as_str() {
        "apalis-redis" => Transport::apalis_redis(redis, prefix)?,
        _ => Transport::redis(redis, prefix)?,
    };
    let mut options = Options { routes: routes.iter().map(|route| Lane::route(act::QUEUE, route)).collect(), ..brisk() };
    if let Ok(seconds) = std::env::var("ACTS_LEASE") {
        options.lease = Duration::from_secs(seconds.parse()?);
    }
    let runtime = Runtime::start(ledger, act::handlers(act::Log::default()), transport, options);
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    terminate.recv().await;
    runtime.stop(Duration::from_secs(10)).await;
    Ok(())
}
