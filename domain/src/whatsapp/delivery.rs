//! The way of a message out: handed to WhatsApp once, and what WhatsApp says of it afterwards.
//!
//! ```text
//! queued ─hand─► handed ─► accepted ─► sent ─► delivered ─► read
//!    ▲              ├────► queued    WhatsApp certainly doesn't have it: again later
//!    │              ├────► unknown   WhatsApp may have it: never sent again, a status settles it
//!    └── retry      └────► failed
//! ```
//!
//! `queued → handed` is committed, durably, before the call. A job that finds its message `handed` is a second attempt after
//! a crash between the two: nobody knows what WhatsApp got, so the message is parked as `unknown`.

use chrono::{DateTime, TimeDelta, Utc};
use entities::{
    DeviceId, DeviceStatus, MessageId, MessageStatus, TenantId, whatsapp_conversation, whatsapp_device, whatsapp_message as table,
};
use jobs::Ledger;
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, prelude::Expr, sea_query::LockType};
use serde_json::{Value, json};
use whatsapp::{
    channel::{DeviceTrouble, Outbound, ProviderError, Sent},
    cloud::{
        errors::{self, Action},
        webhook::StatusUpdate,
    },
    message::Content,
};

use super::{
    devices::{self, DeviceSettings},
    messages::{note, own},
    rates,
};
use crate::{
    Result, Scope,
    engine::{Event, Write},
    scope::Actor,
};

/// What is to be done with a queued message.
#[derive(Clone, Debug, PartialEq)]
pub enum Handing {
    /// It is `handed` now: call WhatsApp.
    Now {
        /// Through which device.
        device: Box<whatsapp_device::Model>,
        /// What.
        outbound: Box<Outbound>,
    },
    /// Its slot is in so long.
    Later(TimeDelta),
    /// Nothing: it was settled before.
    Settled,
    /// It was handed before a crash, and is `unknown` now.
    Parked,
    /// It failed without a call; the reason.
    Failed(String),
}

/// Takes a queued message's slot and marks it as handed. To be committed before the call.
///
/// # Errors
/// The database's.
pub async fn hand(write: &Write<'_>, id: MessageId) -> Result<Handing> {
    let tenant = write.scope.tenant;
    let Some(message) = lock(write, id).await? else { return Ok(Handing::Settled) };
    match message.status {
        MessageStatus::Queued => {}
        MessageStatus::Handed => {
            let error =
                ProviderError { message: "the process ended between handing it over and the answer".into(), ..ProviderError::default() };
            set(write, &message, MessageStatus::Unknown, Utc::now(), Some(&error)).await?;
            return Ok(Handing::Parked);
        }
        _ => return Ok(Handing::Settled),
    }
    let now = Utc::now();
    if message.deadline_at.is_some_and(|deadline| deadline < now) {
        return fail(write, &message, "it could not be sent within ten minutes").await;
    }
    let device = match devices::row(&***write, tenant, message.device_id).await {
        Ok(device) => device,
        Err(crate::Error::NotFound(_)) => return fail(write, &message, "its device was deleted").await,
        Err(other) => return Err(other),
    };
    if message.slot_at.is_none() {
        let mut settings: DeviceSettings = serde_json::from_value(device.settings.clone()).unwrap_or_default();
        if device.status == DeviceStatus::Slowed {
            settings.per_second = (settings.per_second / 4.0).max(0.1);
        }
        let slot = rates::reserve(write, device.id, &message.chat, &settings, now).await?;
        let keep = table::Entity::update_many().col_expr(table::Column::SlotAt, Expr::value(slot)).filter(own(tenant, id));
        keep.exec(&***write).await?;
        if slot > now {
            return Ok(Handing::Later(slot - now));
        }
    } else if let Some(slot) = message.slot_at
        && slot > now
    {
        return Ok(Handing::Later(slot - now));
    }
    let outbound = match outbound(write, &message).await? {
        Ok(outbound) => outbound,
        Err(reason) => return fail(write, &message, reason).await,
    };
    set(write, &message, MessageStatus::Handed, now, None).await?;
    Ok(Handing::Now { device: Box::new(device), outbound: Box::new(outbound) })
}

async fn fail(write: &Write<'_>, message: &table::Model, reason: &str) -> Result<Handing> {
    let error = ProviderError { message: reason.to_owned(), ..ProviderError::default() };
    set(write, message, MessageStatus::Failed, Utc::now(), Some(&error)).await?;
    Ok(Handing::Failed(reason.to_owned()))
}

/// What the channel is given, or why there is nothing to give.
async fn outbound(write: &Write<'_>, message: &table::Model) -> Result<std::result::Result<Outbound, &'static str>> {
    let tenant = write.scope.tenant;
    let mut whole = message.content.clone();
    whole["type"] = json!(message.kind);
    let Ok(content) = serde_json::from_value::<Content>(whole) else { return Ok(Err("its content can't be read by this version")) };
    use whatsapp_conversation::Column;
    let conversation = whatsapp_conversation::Entity::find()
        .filter(Column::TenantId.eq(tenant).and(Column::Id.eq(message.conversation_id)))
        .one(&***write)
        .await?;
    let Some(conversation) = conversation else { return Ok(Err("its conversation is gone")) };
    let quoted = match message.reply_to_id {
        Some(id) => table::Entity::find().filter(own(tenant, id)).one(&***write).await?.and_then(|row| row.provider_id),
        None => None,
    };
    let (reply_to, target) = if content.reaction.is_some() { (None, quoted) } else { (quoted, None) };
    Ok(Ok(Outbound { to: conversation.wa_id, content, reply_to, target }))
}

/// When a message that WhatsApp didn't take may be tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct Again {
    /// The pause.
    pub after: std::time::Duration,
    /// Why.
    pub reason: String,
}

/// Notes how the call ended. `Some`: the message is queued again.
///
/// # Errors
/// The database's.
pub async fn settle(write: &Write<'_>, id: MessageId, sent: Sent, last_attempt: bool) -> Result<Option<Again>> {
    let Some(message) = lock(write, id).await? else { return Ok(None) };
    let now = Utc::now();
    if matches!(sent, Sent::Accepted { .. } | Sent::Ambiguous(_)) {
        has_it(write, &message, matches!(sent, Sent::Accepted { .. }), now).await?;
    }
    // A webhook may have been faster than the answer to the call: what it said stays.
    if !matches!(message.status, MessageStatus::Handed | MessageStatus::Unknown) {
        if let Sent::Accepted { provider_id } = sent
            && message.provider_id.is_none()
        {
            known_as(write, &message, &provider_id).await?;
        }
        return Ok(None);
    }
    // One that was parked meanwhile was so by the job's last attempt: queued, it would wait for nobody.
    let has_job = !last_attempt && message.status == MessageStatus::Handed;
    let again = |after, error: &ProviderError| Some(Again { after, reason: error.to_string() });
    match sent {
        Sent::Handed => Ok(None),
        Sent::Accepted { provider_id } => {
            known_as(write, &message, &provider_id).await?;
            set(write, &message, MessageStatus::Accepted, now, None).await?;
            Ok(None)
        }
        Sent::Retry { after, error } if has_job => {
            back(write, &message, &error).await?;
            Ok(again(after, &error))
        }
        Sent::Retry { error, .. } | Sent::Permanent(error) | Sent::NeedsTemplate(error) => {
            if error.code == Some(131_047) {
                close_window(write, &message).await?;
            }
            set(write, &message, MessageStatus::Failed, now, Some(&error)).await?;
            Ok(None)
        }
        Sent::Device { trouble, error, retry } => {
            devices::set_status(write, message.device_id, status_of(trouble), Some(&error.message)).await?;
            match retry {
                Some(after) if has_job => {
                    back(write, &message, &error).await?;
                    Ok(again(after, &error))
                }
                _ => {
                    set(write, &message, MessageStatus::Failed, now, Some(&error)).await?;
                    Ok(None)
                }
            }
        }
        Sent::Ambiguous(error) => {
            set(write, &message, MessageStatus::Unknown, now, Some(&error)).await?;
            Ok(None)
        }
    }
}

fn status_of(trouble: DeviceTrouble) -> DeviceStatus {
    match trouble {
        DeviceTrouble::Slowed => DeviceStatus::Slowed,
        DeviceTrouble::Stopped => DeviceStatus::Stopped,
        DeviceTrouble::Unauthorized => DeviceStatus::Unauthorized,
    }
}

/// WhatsApp has the message, or may have it: it counts for the pace. A device that sends is connected; slowed ones recover by
/// their health check only.
async fn has_it(write: &Write<'_>, message: &table::Model, surely: bool, now: DateTime<Utc>) -> Result<()> {
    let device = match devices::row(&***write, write.scope.tenant, message.device_id).await {
        Ok(device) => device,
        Err(crate::Error::NotFound(_)) => return Ok(()),
        Err(other) => return Err(other),
    };
    let settings: DeviceSettings = serde_json::from_value(device.settings).unwrap_or_default();
    rates::arrived(write, device.id, &message.chat, &settings, now).await?;
    if surely && matches!(device.status, DeviceStatus::Connecting | DeviceStatus::Unauthorized | DeviceStatus::Disconnected) {
        devices::set_status(write, device.id, DeviceStatus::Connected, None).await?;
    }
    Ok(())
}

/// WhatsApp knows better than our clock that the window is closed.
async fn close_window(write: &Write<'_>, message: &table::Model) -> Result<()> {
    use whatsapp_conversation::Column;
    let this = Column::TenantId.eq(write.scope.tenant).and(Column::Id.eq(message.conversation_id));
    let close = whatsapp_conversation::Entity::update_many().col_expr(Column::WindowUntil, Expr::value(Utc::now()));
    close.filter(this.and(Column::WindowUntil.gt(Utc::now()))).exec(&***write).await?;
    Ok(())
}

/// Takes a status from WhatsApp into the message's history; one that comes late changes nothing else.
///
/// # Errors
/// The database's.
pub async fn update(write: &Write<'_>, device: DeviceId, update: &StatusUpdate) -> Result<()> {
    let Some(message) = addressed(write, device, update).await? else { return Ok(()) };
    let status = match update.status.as_str() {
        "sent" => MessageStatus::Sent,
        "delivered" => MessageStatus::Delivered,
        "read" => MessageStatus::Read,
        "failed" => MessageStatus::Failed,
        other => {
            tracing::info!(message = %message.id, status = other, "a status of an unknown kind");
            return Ok(());
        }
    };
    if message.provider_id.is_none() {
        known_as(write, &message, &update.provider_id).await?;
    }
    let error = update.errors.first();
    if let Some(error) = error {
        match errors::action(error.code, None) {
            Action::SlowDown => devices::set_status(write, device, DeviceStatus::Slowed, Some(&error.message)).await?,
            Action::Stop => devices::set_status(write, device, DeviceStatus::Stopped, Some(&error.message)).await?,
            Action::NeedsTemplate => close_window(write, &message).await?,
            Action::Retry | Action::PairLimit | Action::Permanent | Action::Unauthorized => {}
        }
    }
    if message.status.rises_to(status) {
        return set(write, &message, status, update.at, error).await;
    }
    use entities::whatsapp_message_event::{Column, Entity};
    let same = Column::TenantId.eq(write.scope.tenant).and(Column::MessageId.eq(message.id)).and(Column::Status.eq(status));
    if Entity::find().filter(same).one(&***write).await?.is_none() {
        note(write, message.id, status, update.at, error.map(|error| json!(error))).await?;
    }
    Ok(())
}

/// The message a status is about, locked: by our id, which WhatsApp repeats, else by WhatsApp's.
async fn addressed(write: &Write<'_>, device: DeviceId, update: &StatusUpdate) -> Result<Option<table::Model>> {
    let ours = update.callback.as_ref().and_then(|id| id.parse().ok()).map(MessageId);
    if let Some(id) = ours
        && let Some(message) = lock(write, id).await?
        && message.device_id == device
    {
        return Ok(Some(message));
    }
    let theirs = table::Column::TenantId
        .eq(write.scope.tenant)
        .and(table::Column::DeviceId.eq(device))
        .and(table::Column::ProviderId.eq(update.provider_id.as_str()));
    Ok(table::Entity::find().filter(theirs).lock(LockType::NoKeyUpdate).one(&***write).await?)
}

async fn lock(write: &Write<'_>, id: MessageId) -> Result<Option<table::Model>> {
    Ok(table::Entity::find().filter(own(write.scope.tenant, id)).lock(LockType::NoKeyUpdate).one(&***write).await?)
}

async fn known_as(write: &Write<'_>, message: &table::Model, provider_id: &str) -> Result<()> {
    let name = table::Entity::update_many().col_expr(table::Column::ProviderId, Expr::value(provider_id));
    name.filter(own(write.scope.tenant, message.id)).exec(&***write).await?;
    Ok(())
}

/// Queued again, with its slot to be taken anew.
async fn back(write: &Write<'_>, message: &table::Model, error: &ProviderError) -> Result<()> {
    let anew = table::Entity::update_many().col_expr(table::Column::SlotAt, Expr::value(None::<DateTime<Utc>>));
    anew.filter(own(write.scope.tenant, message.id)).exec(&***write).await?;
    set(write, message, MessageStatus::Queued, Utc::now(), Some(error)).await
}

/// The message's status, its history and its event.
async fn set(
    write: &Write<'_>,
    message: &table::Model,
    status: MessageStatus,
    at: DateTime<Utc>,
    error: Option<&ProviderError>,
) -> Result<()> {
    let tenant = write.scope.tenant;
    let detail: Option<Value> = error.map(|error| json!(error));
    table::Entity::update_many()
        .col_expr(table::Column::Status, Expr::value(status.as_str()))
        .col_expr(table::Column::Error, Expr::value(detail.clone()))
        .col_expr(table::Column::UpdatedAt, Expr::value(Utc::now()))
        .filter(own(tenant, message.id))
        .exec(&***write)
        .await?;
    note(write, message.id, status, at, detail).await?;
    let data = json!({ "conversation_id": message.conversation_id, "status": [message.status, status] });
    write.record(Event { topic: "messages", subject_id: message.id.0, action: "status_changed", data }).await
}

/// Gives up messages that wait long past their deadline: their job is dead or was cancelled. How many.
///
/// # Errors
/// The database's.
pub async fn give_up(ledger: &Ledger) -> Result<usize> {
    let long_ago = Utc::now() - TimeDelta::minutes(5);
    let stuck = table::Column::Status.eq(MessageStatus::Queued).and(table::Column::DeadlineAt.lt(long_ago));
    let stuck: Vec<(TenantId, MessageId)> = table::Entity::find()
        .select_only()
        .columns([table::Column::TenantId, table::Column::Id])
        .filter(stuck)
        .order_by_asc(table::Column::DeadlineAt)
        .limit(500)
        .into_tuple()
        .all(&ledger.db().read)
        .await?;
    for (tenant, id) in &stuck {
        let scope = Scope::system(*tenant, Actor::System);
        let write = Write::begin(ledger, &scope).await?;
        // The deadline is over, so this fails it.
        hand(&write, *id).await?;
        write.commit(()).await?;
    }
    Ok(stuck.len())
}
