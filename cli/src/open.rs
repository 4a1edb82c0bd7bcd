//! From settings to what the roles stand on.

use std::sync::Arc;

use anyhow::{Context, bail};
use config::{QueueTransport, SecretKey, Settings};
use db::Db;
use domain::{
    entities::Role,
    seal::Sealer,
    users::{self, NewUser},
};
use jobs::{Ledger, Transport, Wake};
use object_store::{ObjectStore, local::LocalFileSystem};

/// The prefix of SOMO's keys and channels in Redis.
pub(crate) const PREFIX: &str = "somo";

/// What every role stands on.
pub(crate) struct Opened {
    pub(crate) ledger: Ledger,
    pub(crate) transport: Transport,
    pub(crate) sealer: Sealer,
    pub(crate) store: Arc<dyn ObjectStore>,
}

/// Opens the database.
pub(crate) async fn database(settings: &Settings) -> anyhow::Result<Db> {
    if settings.database_url.starts_with("sqlite:") {
        make_folder(&settings.data_dir)?;
    }
    Db::open(&settings.database_url).await
}

/// Opens everything. With `migrate` the schema is brought up to date; without, it must be.
pub(crate) async fn all(settings: &Settings, migrate: bool) -> anyhow::Result<Opened> {
    let db = database(settings).await?;
    if migrate {
        migration::up(&db).await.context("the schema could not be migrated")?;
    } else {
        let behind = migration::status(&db).await.context("the schema can't be read")?.iter().filter(|(_, applied)| !applied).count();
        if behind > 0 {
            bail!("the database's schema is {behind} steps behind this version: run `somo migrate up`");
        }
    }
    let wake = match &settings.redis_url {
        Some(url) => Wake::redis(url, PREFIX).context("SOMO_REDIS_URL is not a Redis address")?,
        None => Wake::local(),
    };
    let ledger = Ledger::new(db, wake);
    domain::schedules::seed(&ledger).await?;
    first_admin(settings, &ledger).await?;
    let media = settings.media_dir();
    make_folder(&media)?;
    let store = LocalFileSystem::new_with_prefix(&media).with_context(|| format!("{} can't be used for files", media.display()))?;
    Ok(Opened { ledger, transport: transport(settings)?, sealer: sealer(settings), store: Arc::new(store) })
}

/// What seals and opens secrets.
pub(crate) fn sealer(settings: &Settings) -> Sealer {
    Sealer::with_old(settings.secret_key.bytes(), settings.secret_keys_old.iter().map(SecretKey::bytes))
}

/// How jobs are delivered.
pub(crate) fn transport(settings: &Settings) -> anyhow::Result<Transport> {
    let redis = || settings.redis_url.as_deref().context("SOMO_QUEUE_TRANSPORT needs SOMO_REDIS_URL");
    match settings.queue_transport {
        QueueTransport::Local => Ok(Transport::local()),
        QueueTransport::Redis => Transport::redis(redis()?, PREFIX),
        QueueTransport::ApalisRedis => Transport::apalis_redis(redis()?, PREFIX),
    }
}

fn make_folder(path: &std::path::Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("the folder {} can't be made; see SOMO_DATA_DIR", path.display()))
}

/// The admin of `SOMO_ADMIN_EMAIL`, when there is nobody yet.
async fn first_admin(settings: &Settings, ledger: &Ledger) -> anyhow::Result<()> {
    let (Some(email), Some(password)) = (&settings.admin_email, &settings.admin_password) else { return Ok(()) };
    if !users::none(ledger).await? {
        return Ok(());
    }
    match users::create(ledger, NewUser { email, password, name: "", role: Role::Admin, tenant: "SOMO" }).await {
        Ok(_) => tracing::info!("made the first team and its admin from SOMO_ADMIN_EMAIL"),
        // Another process was faster.
        Err(domain::Error::Conflict { .. }) => {}
        Err(domain::Error::Invalid(faults)) => {
            let what: Vec<_> = faults.iter().map(|fault| format!("{} {}", fault.pointer.trim_start_matches('/'), fault.message)).collect();
            bail!("SOMO_ADMIN_EMAIL and SOMO_ADMIN_PASSWORD make no admin: {}", what.join(", "));
        }
        Err(other) => return Err(other.into()),
    }
    Ok(())
}
