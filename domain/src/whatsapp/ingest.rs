//! From the inbox into conversations. Runs once for each change, or twice after a crash: the second time finds it done.

use chrono::{DateTime, TimeDelta, Utc};
use entities::{
    ConversationStatus, Direction, InboxId, MediaId, MediaState, MessageId, MessageStatus, whatsapp_conversation, whatsapp_device,
    whatsapp_inbox, whatsapp_media, whatsapp_message as table,
};
use jobs::NewJob;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QuerySelect,
    prelude::Expr,
    sea_query::{LockType, OnConflict},
};
use serde_json::{Value, json};
use whatsapp::{
    cloud::webhook::{Event as Told, Inbound, InboundMedia, parse},
    phone,
};

use super::{conversations, delivery, devices, messages};
use crate::{
    Error, Result,
    engine::{Event, Write},
    payloads::FetchMedia,
};

/// After a customer's message anything may be sent for so long.
const WINDOW: TimeDelta = TimeDelta::hours(24);

/// Kinds that nobody has to answer.
const QUIET: [&str; 4] = ["reaction", "edit", "revoke", "system"];

/// Takes one row of the inbox where it belongs.
///
/// # Errors
/// The database's.
pub async fn ingest(write: &Write<'_>, id: InboxId) -> Result<()> {
    use whatsapp_inbox::Column;
    let this = Column::TenantId.eq(write.scope.tenant).and(Column::Id.eq(id));
    let row = whatsapp_inbox::Entity::find().filter(this.clone()).lock(LockType::NoKeyUpdate).one(&***write).await?;
    let Some(row) = row.filter(|row| row.processed_at.is_none()) else { return Ok(()) };
    match devices::row(&***write, write.scope.tenant, row.device_id).await {
        Ok(device) => {
            for change in parse(&row.body) {
                match change.event {
                    Told::Message(inbound) => receive(write, &device, &inbound).await?,
                    Told::Status(update) => delivery::update(write, device.id, &update).await?,
                    Told::Other { field, value } => other(write, &device, &field, value).await?,
                }
            }
        }
        // Deleted since: there is nowhere to put it.
        Err(Error::NotFound(_)) => {}
        Err(error) => return Err(error),
    }
    let done = whatsapp_inbox::Entity::update_many().col_expr(Column::ProcessedAt, Expr::value(Utc::now())).filter(this);
    done.exec(&***write).await?;
    Ok(())
}

/// What concerns the account or is new to this version: kept as an event, so that somebody can look.
async fn other(write: &Write<'_>, device: &whatsapp_device::Model, field: &str, value: Value) -> Result<()> {
    let data = json!({ "field": field, "value": value });
    write.record(Event { topic: "devices", subject_id: device.id.0, action: "notified", data }).await
}

async fn receive(write: &Write<'_>, device: &whatsapp_device::Model, inbound: &Inbound) -> Result<()> {
    let chat = phone::canonical(&inbound.from).unwrap_or_else(|| inbound.from.clone());
    let conversation = conversations::open(write, device, &chat, &inbound.from, inbound.profile_name.as_deref()).await?;
    let about = match &inbound.context {
        Some(provider_id) => by_provider_id(write, device, provider_id).await?,
        None => None,
    };
    let (id, now) = (MessageId::new(), Utc::now());
    let row = table::ActiveModel {
        id: Set(id),
        tenant_id: Set(write.scope.tenant),
        conversation_id: Set(conversation.id),
        device_id: Set(device.id),
        contact_id: Set(conversation.contact_id),
        direction: Set(Direction::In),
        kind: Set(inbound.kind.clone()),
        content: Set(json!({ inbound.kind.as_str(): inbound.content })),
        chat: Set(chat.clone()),
        sender: Set(chat.clone()),
        provider_id: Set(Some(inbound.provider_id.clone())),
        reply_to_id: Set(about.as_ref().map(|row| row.id)),
        status: Set(MessageStatus::Received),
        provider_at: Set(Some(inbound.at)),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    // Meta repeats deliveries for a week; this is what makes them one message.
    use table::Column;
    let mut once = OnConflict::columns([Column::TenantId, Column::DeviceId, Column::Chat, Column::Sender, Column::ProviderId]);
    once.target_and_where(Expr::col(Column::ProviderId).is_not_null()).do_nothing();
    if table::Entity::insert(row).on_conflict(once).exec_without_returning(&***write).await? == 0 {
        return Ok(());
    }
    messages::note(write, id, MessageStatus::Received, inbound.at, None).await?;
    if let Some(original) = about.filter(|original| original.conversation_id == conversation.id) {
        amend(write, inbound, original).await?;
    }
    if let Some(file) = &inbound.media {
        fetch(write, device, id, file).await?;
    }
    touch(write, &conversation, inbound, id, now).await?;
    let data = json!({ "conversation_id": conversation.id, "direction": "in", "type": inbound.kind });
    write.record(Event { topic: "messages", subject_id: id.0, action: "created", data }).await
}

async fn by_provider_id(write: &Write<'_>, device: &whatsapp_device::Model, provider_id: &str) -> Result<Option<table::Model>> {
    let named = table::Column::TenantId
        .eq(write.scope.tenant)
        .and(table::Column::DeviceId.eq(device.id))
        .and(table::Column::ProviderId.eq(provider_id));
    Ok(table::Entity::find().filter(named).one(&***write).await?)
}

/// An edit or a revoke marks the customer's message; what it said before stays readable to the team.
async fn amend(write: &Write<'_>, inbound: &Inbound, original: table::Model) -> Result<()> {
    if original.direction != Direction::In || !matches!(inbound.kind.as_str(), "edit" | "revoke") {
        return Ok(());
    }
    let mut content = original.content;
    content[if inbound.kind == "edit" { "edited" } else { "revoked" }] = json!({ "at": inbound.at, "content": inbound.content });
    table::Entity::update_many()
        .col_expr(table::Column::Content, Expr::value(content))
        .col_expr(table::Column::UpdatedAt, Expr::value(Utc::now()))
        .filter(messages::own(write.scope.tenant, original.id))
        .exec(&***write)
        .await?;
    let action = if inbound.kind == "edit" { "edited" } else { "revoked" };
    let data = json!({ "conversation_id": original.conversation_id });
    write.record(Event { topic: "messages", subject_id: original.id.0, action, data }).await
}

async fn fetch(write: &Write<'_>, device: &whatsapp_device::Model, message: MessageId, file: &InboundMedia) -> Result<()> {
    let id = MediaId::new();
    let row = whatsapp_media::ActiveModel {
        id: Set(id),
        tenant_id: Set(write.scope.tenant),
        device_id: Set(device.id),
        message_id: Set(Some(message)),
        provider_media_id: Set(Some(file.provider_media_id.clone())),
        mime_type: Set(file.mime_type.clone()),
        file_name: Set(file.file_name.clone()),
        state: Set(MediaState::Pending),
        created_at: Set(Utc::now()),
        updated_at: Set(Utc::now()),
        ..Default::default()
    };
    whatsapp_media::Entity::insert(row).exec_without_returning(&***write).await?;
    write.enqueue(NewJob::new(write.scope.tenant.0, &FetchMedia { media_id: id })).await?;
    Ok(())
}

/// The conversation shows the message, waits for an answer, and its window is open again.
async fn touch(write: &Write<'_>, row: &whatsapp_conversation::Model, inbound: &Inbound, id: MessageId, now: DateTime<Utc>) -> Result<()> {
    use whatsapp_conversation::Column;
    let mut change = whatsapp_conversation::Entity::update_many().col_expr(Column::UpdatedAt, Expr::value(now));
    // Deliveries may come late and out of order: only a newer message moves these.
    if row.last_inbound_at.is_none_or(|last| last <= inbound.at) {
        change = change
            .col_expr(Column::LastInboundAt, Expr::value(inbound.at))
            .col_expr(Column::LastInboundProviderId, Expr::value(inbound.provider_id.as_str()))
            .col_expr(Column::WaId, Expr::value(inbound.from.as_str()));
    }
    let until = inbound.at + WINDOW;
    if row.window_until.is_none_or(|window| window < until) {
        change = change.col_expr(Column::WindowUntil, Expr::value(until));
    }
    change = change.col_expr(Column::LastMessageId, Expr::value(id)).col_expr(Column::LastMessageAt, Expr::value(now));
    if !QUIET.contains(&inbound.kind.as_str()) {
        change = change.col_expr(Column::Unread, Expr::col(Column::Unread).add(1));
        if row.waiting_since.is_none() {
            change = change.col_expr(Column::WaitingSince, Expr::value(inbound.at));
        }
        if matches!(row.status, ConversationStatus::Resolved | ConversationStatus::Snoozed) {
            change = change.col_expr(Column::Status, Expr::value(ConversationStatus::Open.as_str()));
            write.record(Event { topic: "conversations", subject_id: row.id.0, action: "reopened", data: json!({}) }).await?;
        }
    }
    change.filter(Column::TenantId.eq(write.scope.tenant).and(Column::Id.eq(row.id))).exec(&***write).await?;
    write.record(Event { topic: "conversations", subject_id: row.id.0, action: "updated", data: json!({ "last_message_id": id }) }).await
}
