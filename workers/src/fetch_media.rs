//! Fetches a customer's file from WhatsApp into the store.

use std::time::Duration;

use domain::{
    Error, Scope,
    engine::Write,
    entities::{MediaId, MediaState},
    payloads::FetchMedia,
    whatsapp::{devices, media},
};
use jobs::{Outcome, Run};
use object_store::{ObjectStoreExt, path::Path};
use whatsapp::channel::{ChannelError, Download};

use crate::{Context, scope};

/// The largest file that WhatsApp takes.
const LARGEST: u64 = 100 * 1024 * 1024;
/// How long its two calls may take each: together less than the job may.
const PATIENCE: Duration = Duration::from_secs(120);
/// Somebody has to renew the token first; WhatsApp keeps the file for days.
const TOKEN: Duration = Duration::from_secs(15 * 60);

pub(crate) async fn run(context: Context, run: Run, FetchMedia { media_id }: FetchMedia) -> anyhow::Result<Outcome> {
    let (scope, db) = (scope(&run), context.ledger.db());
    let row = media::row(&db.read, scope.tenant, media_id).await?;
    let Some(row) = row.filter(|row| row.state != MediaState::Stored) else { return Ok(Outcome::Done) };
    let Some(provider_media_id) = row.provider_media_id else { return fail(&run, &scope, media_id, "WhatsApp gave it no id").await };
    let device = match devices::row(&db.read, scope.tenant, row.device_id).await {
        Ok(device) => device,
        Err(Error::NotFound(_)) => return fail(&run, &scope, media_id, "its device was deleted").await,
        Err(error) => return Err(error.into()),
    };
    let fetched = match context.channels.clone().patience(PATIENCE).of(&context.sealer, &device) {
        Ok(channel) => channel.download(&provider_media_id, LARGEST).await,
        Err(error) => Err(error),
    };
    let Download { bytes, mime_type, sha256 } = match fetched {
        Ok(file) => file,
        Err(ChannelError::Again(error)) if !run.last_attempt => return Ok(Outcome::retry(error.to_string())),
        Err(ChannelError::Unauthorized(error)) if !run.last_attempt => {
            return Ok(Outcome::Retry { after: Some(TOKEN), error: error.to_string() });
        }
        Err(error) => return fail(&run, &scope, media_id, &error.to_string()).await,
    };
    let size = bytes.len() as u64;
    // A second attempt writes the same bytes to the same place.
    if let Err(error) = context.store.put(&Path::from(media::storage_key(scope.tenant, media_id)), bytes.into()).await {
        tracing::warn!(media = %media_id, %error, "a file can't be stored");
        let why = "the store does not take it";
        return if run.last_attempt { fail(&run, &scope, media_id, why).await } else { Ok(Outcome::retry(why)) };
    }
    let write = Write::within(run.begin().await?, &scope);
    media::stored(&write, media_id, &mime_type, size, &sha256).await?;
    run.settle(write.into_tx()).await
}

async fn fail(run: &Run, scope: &Scope, id: MediaId, why: &str) -> anyhow::Result<Outcome> {
    let write = Write::within(run.begin().await?, scope);
    media::failed(&write, id, why).await?;
    run.settle(write.into_tx()).await
}
