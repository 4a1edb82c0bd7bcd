//! Tells WhatsApp that a conversation was read, or that somebody is typing.

use domain::{
    Error,
    payloads::MarkRead,
    whatsapp::{conversations, devices},
};
use jobs::{Outcome, Run};
use whatsapp::channel::ChannelError;

use crate::{Context, scope};

pub(crate) async fn run(context: Context, run: Run, MarkRead { conversation_id, typing }: MarkRead) -> anyhow::Result<Outcome> {
    let (scope, db) = (scope(&run), context.ledger.db());
    let found = async {
        let Some((device, provider_id)) = conversations::last_inbound(db, &scope, conversation_id).await? else { return Ok(None) };
        Ok(Some((devices::row(&db.read, scope.tenant, device).await?, provider_id)))
    };
    let (device, provider_id) = match found.await {
        Ok(Some(found)) => found,
        // The customer has never written, or the device was deleted since: there is nobody to tell.
        Ok(None) | Err(Error::NotFound(_)) => return Ok(Outcome::Done),
        Err(error) => return Err(error.into()),
    };
    let told = match context.channels.of(&context.sealer, &device) {
        Ok(channel) => channel.mark_read(&provider_id, typing).await,
        Err(error) => Err(error),
    };
    match told {
        Ok(()) => Ok(Outcome::Done),
        Err(ChannelError::Again(error)) if !typing => Ok(Outcome::retry(error.to_string())),
        // A receipt is not worth a dead job, and nobody types for long.
        Err(error) => {
            tracing::info!(conversation = %conversation_id, typing, %error, "WhatsApp was not told");
            Ok(Outcome::Done)
        }
    }
}
