//! Hands a queued message to WhatsApp, at most once.
//!
//! ```text
//! transaction: queued → handed, committed    no row, no call
//! the call                                   no transaction is open
//! transaction: what WhatsApp said + the job is done
//! ```
//! A file that WhatsApp doesn't have yet is uploaded before all that: whoever dies while uploading has sent nothing.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use domain::{
    Scope,
    engine::Write,
    entities::{DeviceId, MediaId, MediaState, MessageId, whatsapp_device, whatsapp_media},
    payloads::SendMessage,
    whatsapp::{
        delivery::{self, Again, Handing},
        media,
    },
};
use jobs::{Outcome, Run, Taken};
use object_store::{ObjectStoreExt, path::Path};
use whatsapp::channel::{ChannelError, DeviceTrouble, Outbound, ProviderError, Sent, Upload};

use crate::{Context, scope};

/// How often an answer from WhatsApp is written before it is given up.
const TRIES: u32 = 8;

/// WhatsApp forgets a file after 30 days.
const KEPT: TimeDelta = TimeDelta::days(29);

pub(crate) async fn run(context: Context, run: Run, SendMessage { message_id }: SendMessage) -> anyhow::Result<Outcome> {
    let scope = scope(&run);
    let mut uploaded = None;
    let (device, mut outbound) = loop {
        let write = Write::within(run.begin().await?, &scope);
        // A cancelled job sends nothing, and one that is about to send is not cancelled any more.
        run.hold(&write).await?;
        let (device, outbound) = match delivery::hand(&write, message_id).await? {
            Handing::Now { device, outbound } => (device, outbound),
            Handing::Later(wait) => {
                write.commit(()).await?;
                return Ok(Outcome::Snooze(wait.to_std().unwrap_or_default()));
            }
            Handing::Settled | Handing::Parked | Handing::Failed(_) => return run.settle(write.into_tx()).await,
        };
        if let (Some(id), None) = (file_of(&outbound), &uploaded) {
            let row = media::row(&**write, scope.tenant, id).await?;
            match row.as_ref().and_then(|row| known(row, device.id)) {
                Some(provider_media_id) => uploaded = Some(Ok(provider_media_id)),
                None => {
                    // Not handed yet after all: an upload takes long, and until it is done the message is still queued.
                    drop(write);
                    uploaded = Some(upload(&context, &scope, &device, row).await?);
                    continue;
                }
            }
        }
        write.commit(()).await?;
        break (device, outbound);
    };
    let ready = match uploaded {
        Some(Ok(provider_media_id)) => {
            if let Some(file) = outbound.content.media_mut() {
                (file.media_id, file.id) = (None, Some(provider_media_id));
            }
            context.channels.of(&context.sealer, &device)
        }
        Some(Err(error)) => Err(error),
        None => context.channels.of(&context.sealer, &device),
    };
    let attempt = run.attempt.unsigned_abs();
    let sent = match ready {
        Ok(channel) => channel.send(&outbound, &message_id.to_string(), attempt.into()).await,
        Err(error) => unsent(error, run.attempt),
    };
    note(&run, &scope, message_id, sent).await
}

/// The file that was uploaded to SOMO, if the message has one.
fn file_of(outbound: &Outbound) -> Option<MediaId> {
    outbound.content.media().and_then(|file| file.media_id).map(MediaId)
}

/// WhatsApp's id of a file of ours, while WhatsApp has it. A number can't send what another has uploaded, and what came from
/// a customer has an id that can't be sent.
fn known(row: &whatsapp_media::Model, device: DeviceId) -> Option<String> {
    let fresh = row.updated_at > Utc::now() - KEPT;
    row.provider_media_id.clone().filter(|_| fresh && reusable(row, device))
}

fn reusable(row: &whatsapp_media::Model, device: DeviceId) -> bool {
    row.message_id.is_none() && row.device_id == device
}

/// Gives WhatsApp the file; its id there.
async fn upload(
    context: &Context,
    scope: &Scope,
    device: &whatsapp_device::Model,
    row: Option<whatsapp_media::Model>,
) -> anyhow::Result<Result<String, ChannelError>> {
    let why = |message: &str| ProviderError { message: message.to_owned(), ..ProviderError::default() };
    let Some((row, key)) = row.filter(|row| row.state == MediaState::Stored).and_then(|row| row.storage_key.clone().map(|key| (row, key)))
    else {
        return Ok(Err(ChannelError::Permanent(why("its file is not here"))));
    };
    let read = async { context.store.get(&Path::from(key)).await?.bytes().await }.await;
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(object_store::Error::NotFound { .. }) => return Ok(Err(ChannelError::Permanent(why("its file is gone from the store")))),
        Err(error) => {
            tracing::warn!(media = %row.id, %error, "a file can't be read");
            return Ok(Err(ChannelError::Again(why("its file can't be read from the store"))));
        }
    };
    let file = Upload {
        file_name: row.file_name.clone().unwrap_or_else(|| row.id.to_string()),
        mime_type: row.mime_type.clone().unwrap_or_else(|| "application/octet-stream".into()),
        bytes,
    };
    let given = match context.channels.of(&context.sealer, device) {
        Ok(channel) => channel.upload(file).await,
        Err(error) => Err(error),
    };
    if let Ok(provider_media_id) = &given
        && reusable(&row, device.id)
    {
        let write = Write::begin(&context.ledger, scope).await?;
        media::uploaded(&write, row.id, provider_media_id).await?;
        write.commit(()).await?;
    }
    Ok(given)
}

/// What a failure before the call means for the message: WhatsApp certainly doesn't have it.
fn unsent(error: ChannelError, attempt: i16) -> Sent {
    match error {
        ChannelError::Again(error) => Sent::Retry { after: jobs::backoff(attempt), error },
        ChannelError::Permanent(error) => Sent::Permanent(error),
        ChannelError::Unauthorized(error) => {
            Sent::Device { trouble: DeviceTrouble::Unauthorized, error, retry: Some(Duration::from_secs(60)) }
        }
        ChannelError::Unsupported => {
            Sent::Permanent(ProviderError { message: ChannelError::Unsupported.to_string(), ..ProviderError::default() })
        }
    }
}

/// Writes what WhatsApp said, whatever becomes of the job: nobody will say it again.
async fn note(run: &Run, scope: &Scope, id: MessageId, sent: Sent) -> anyhow::Result<Outcome> {
    let mut ours = true;
    let mut tried = 0;
    loop {
        tried += 1;
        match write_down(run, scope, id, sent.clone(), ours).await {
            Err(error) if ours && error.is::<Taken>() => {
                tracing::warn!(job = %run.id, message = %id, "the job was taken away during the call; what WhatsApp said is kept");
                ours = false;
            }
            Err(error) if tried < TRIES => {
                tracing::warn!(message = %id, error = format!("{error:#}"), "what WhatsApp said could not be written yet");
                tokio::time::sleep(Duration::from_millis(100) * 2u32.pow(tried.min(5))).await;
            }
            done => return done,
        }
    }
}

async fn write_down(run: &Run, scope: &Scope, id: MessageId, sent: Sent, ours: bool) -> anyhow::Result<Outcome> {
    let write = Write::within(run.begin().await?, scope);
    match delivery::settle(&write, id, sent, run.last_attempt).await? {
        Some(Again { after, reason }) => {
            write.commit(()).await?;
            Ok(Outcome::Retry { after: Some(after), error: reason })
        }
        None if ours => run.settle(write.into_tx()).await,
        None => {
            write.commit(()).await?;
            Ok(Outcome::Done)
        }
    }
}
