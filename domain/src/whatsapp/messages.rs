//! Messages: writing one with its job, reading them.

use chrono::{DateTime, TimeDelta, Utc};
use db::Db;
use entities::{
    ContactId, ConversationId, ConversationStatus, DeviceId, Direction, MediaId, MediaState, MessageId, MessageStatus, Provider, TenantId,
    UserId, whatsapp_conversation, whatsapp_device, whatsapp_media, whatsapp_message as table, whatsapp_message_event,
};
use jobs::{Ledger, NewJob};
use poem_openapi::Object;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, prelude::Expr};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;
use whatsapp::{
    cloud,
    message::{Content, MessageType},
    phone,
};

use super::{conversations, devices, media};
use crate::{
    Error, FieldError, Result, Scope,
    engine::{Event, Write},
    page::{Page, Paging},
    payloads::SendMessage,
};

/// A message that could not be sent for so long is given up: an answer of an hour ago would confuse more than it helps.
pub const PATIENCE: TimeDelta = TimeDelta::minutes(10);

/// A message to be sent: to whom, and exactly one content under the name of its `type`.
#[derive(Clone, Debug, Object)]
#[oai(rename = "WhatsAppMessageSend")]
pub struct MessageSend {
    /// Through which device.
    pub device_id: DeviceId,
    /// To which number, with its country code.
    #[oai(validator(max_length = 40))]
    pub to: String,
    /// The message of the conversation that it answers.
    pub reply_to: Option<MessageId>,
    /// What it says.
    #[oai(flatten)]
    pub content: Content,
}

/// A message of a conversation, either way.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[oai(rename = "WhatsAppMessage", skip_serializing_if_is_none)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// In which conversation.
    pub conversation_id: ConversationId,
    /// Through which device.
    pub device_id: DeviceId,
    /// From or to whom.
    pub contact_id: ContactId,
    /// Who of the team wrote it.
    pub attendant_id: Option<UserId>,
    /// Which way it went.
    pub direction: Direction,
    /// Its type; of received ones also `button_reply`, `list_reply`, `order`, `edit`, `revoke`, `unsupported`, …
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says, under the name of its type.
    pub content: Value,
    /// Its id at WhatsApp.
    pub provider_id: Option<String>,
    /// The message it answers or is about.
    pub reply_to: Option<MessageId>,
    /// Where it is.
    pub status: MessageStatus,
    /// Why it failed, or is unknown.
    pub error: Option<Value>,
    /// Its file, when it has one.
    pub media: Option<MediaView>,
    /// Every status with its time, oldest first; only where one message is asked for.
    pub status_history: Option<Vec<StatusStep>>,
    /// WhatsApp's own time.
    pub provider_at: Option<DateTime<Utc>>,
    /// When it was written here.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A step in the life of a message.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[oai(rename = "WhatsAppStatusStep", skip_serializing_if_is_none)]
pub struct StatusStep {
    /// The status.
    pub status: MessageStatus,
    /// Since when, by the clock of whoever said it.
    pub at: DateTime<Utc>,
    /// More about it.
    pub detail: Option<Value>,
    /// When it was noted here.
    pub created_at: DateTime<Utc>,
}

/// A file of a message.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[oai(rename = "WhatsAppMediaFile", skip_serializing_if_is_none)]
pub struct MediaView {
    /// Its id.
    pub id: MediaId,
    /// Whether it is here.
    pub state: MediaState,
    /// Its type.
    pub mime_type: Option<String>,
    /// Its name.
    pub file_name: Option<String>,
    /// Bytes.
    pub size: Option<i64>,
    /// SHA-256, in hex.
    pub sha256: Option<String>,
    /// Why it is not here.
    pub error: Option<String>,
}

impl From<table::Model> for Message {
    fn from(row: table::Model) -> Self {
        let table::Model {
            id,
            tenant_id: _,
            conversation_id,
            device_id,
            contact_id,
            attendant_id,
            direction,
            kind,
            content,
            chat: _,
            sender: _,
            provider_id,
            reply_to_id,
            status,
            error,
            deadline_at: _,
            slot_at: _,
            provider_at,
            created_at,
            updated_at,
        } = row;
        Self {
            id,
            conversation_id,
            device_id,
            contact_id,
            attendant_id,
            direction,
            kind,
            content,
            provider_id,
            reply_to: reply_to_id,
            status,
            error,
            media: None,
            status_history: None,
            provider_at,
            created_at,
            updated_at,
        }
    }
}

impl From<whatsapp_media::Model> for MediaView {
    fn from(row: whatsapp_media::Model) -> Self {
        let whatsapp_media::Model { id, state, mime_type, file_name, size, sha256, error, .. } = row;
        Self { id, state, mime_type, file_name, size, sha256, error }
    }
}

/// Writes a message and the job that sends it.
///
/// # Errors
/// [`Error::Invalid`] with a pointer to each fault; [`Error::Conflict`] with `window_closed` or `device_unavailable`; the
/// database's. Nothing is enqueued then.
pub async fn send(ledger: &Ledger, scope: &Scope, new: MessageSend) -> Result<Message> {
    scope.require("messages:send")?;
    let MessageSend { device_id, to, reply_to, content } = new;
    let mut faults = Vec::new();
    if let Err(wrong) = content.check() {
        faults.extend(wrong.into_iter().map(|one| FieldError { pointer: one.pointer, code: one.code, message: one.message }));
    }
    let chat = phone::canonical(&to);
    if chat.is_none() {
        faults.push(FieldError {
            pointer: "/to".into(),
            code: "invalid",
            message: "is not an international phone number such as +5511987654321".into(),
        });
    }
    let device = match devices::row(&ledger.db().read, scope.tenant, device_id).await {
        Ok(device) => Some(device),
        Err(Error::NotFound(_)) => {
            faults.push(FieldError { pointer: "/device_id".into(), code: "not_found", message: "there is no such device".into() });
            None
        }
        Err(other) => return Err(other),
    };
    if let Some(id) = content.media().and_then(|file| file.media_id) {
        let ready = media::row(&ledger.db().read, scope.tenant, MediaId(id)).await?.is_some_and(|row| row.state == MediaState::Stored);
        if !ready {
            let pointer = format!("/{}/media_id", content.kind.as_str());
            faults.push(FieldError { pointer, code: "not_found", message: "there is no such file; upload it first".into() });
        }
    }
    let (Some(chat), Some(device), true) = (chat, device, faults.is_empty()) else { return Err(Error::Invalid(faults)) };
    sendable(&device, content.kind)?;

    let write = Write::begin(ledger, scope).await?;
    let known = conversations::find(&write, device.id, &chat).await?;
    let open = known.as_ref().and_then(|row| row.window_until).is_some_and(|until| until > Utc::now());
    if cloud::CAPS.window && !open && content.kind != MessageType::Template {
        return Err(Error::conflict(
            "window_closed",
            "the customer has not written within 24 hours; send a template, or wait for them to write",
        ));
    }
    let conversation = match known {
        Some(row) => row,
        None => conversations::open(&write, &device, &chat, &chat, None).await?,
    };
    let about = content.reaction.as_ref().map(|reaction| MessageId(reaction.message_id));
    for (id, pointer) in [(reply_to, "/reply_to"), (about, "/reaction/message_id")] {
        if let Some(id) = id {
            quotable(&write, conversation.id, id, pointer).await?;
        }
    }
    let message = queue(&write, &device, &conversation, content, reply_to.or(about)).await?;
    write.commit(Message::from(message)).await
}

/// Whether the device can send this now.
fn sendable(device: &whatsapp_device::Model, kind: MessageType) -> Result<()> {
    let types: &[MessageType] = match device.provider {
        Provider::Cloud => cloud::CAPS.types,
        Provider::Web => &[],
    };
    if !types.contains(&kind) {
        let message = format!("this kind of device can't send messages of type {}", kind.as_str());
        return Err(Error::field("/type", "unsupported", message));
    }
    if devices::down(device.status) {
        let why = device.status_reason.as_deref().unwrap_or("see the device");
        return Err(Error::conflict("device_unavailable", format!("the device is {}: {why}", device.status.as_str())));
    }
    Ok(())
}

/// The message pointed at is one that WhatsApp knows in this conversation.
async fn quotable(write: &Write<'_>, conversation: ConversationId, id: MessageId, pointer: &str) -> Result<()> {
    let same = own(write.scope.tenant, id).and(table::Column::ConversationId.eq(conversation));
    match table::Entity::find().filter(same).one(&***write).await? {
        Some(row) if row.provider_id.is_some() => Ok(()),
        Some(_) => Err(Error::field(pointer, "invalid", "WhatsApp does not have that message yet")),
        None => Err(Error::field(pointer, "not_found", "there is no such message in this conversation")),
    }
}

/// The message's row, its first status, its event, its place in the conversation and its job.
async fn queue(
    write: &Write<'_>,
    device: &whatsapp_device::Model,
    conversation: &whatsapp_conversation::Model,
    content: Content,
    reply_to: Option<MessageId>,
) -> Result<table::Model> {
    let (tenant, now, id) = (write.scope.tenant, Utc::now(), MessageId::new());
    let mut said = serde_json::to_value(&content).map_err(anyhow::Error::from)?;
    let kind = content.kind.as_str();
    let said = json!({ kind: said[kind].take() });
    let row = table::ActiveModel {
        id: Set(id),
        tenant_id: Set(tenant),
        conversation_id: Set(conversation.id),
        device_id: Set(device.id),
        contact_id: Set(conversation.contact_id),
        attendant_id: Set(write.scope.user()),
        direction: Set(Direction::Out),
        kind: Set(kind.to_owned()),
        content: Set(said),
        chat: Set(conversation.chat.clone()),
        sender: Set("me".into()),
        reply_to_id: Set(reply_to),
        status: Set(MessageStatus::Queued),
        deadline_at: Set(Some(now + PATIENCE)),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    let row = table::Entity::insert(row).exec_with_returning(&***write).await?;
    note(write, id, MessageStatus::Queued, now, None).await?;

    let waited = conversation.waiting_since.is_some() && write.scope.user().is_some();
    let mut touch = whatsapp_conversation::Entity::update_many()
        .col_expr(whatsapp_conversation::Column::LastMessageId, Expr::value(id))
        .col_expr(whatsapp_conversation::Column::LastMessageAt, Expr::value(now))
        .col_expr(whatsapp_conversation::Column::UpdatedAt, Expr::value(now));
    if waited {
        touch = touch.col_expr(whatsapp_conversation::Column::WaitingSince, Expr::value(None::<DateTime<Utc>>));
        if conversation.first_reply_at.is_none() {
            touch = touch.col_expr(whatsapp_conversation::Column::FirstReplyAt, Expr::value(now));
        }
    }
    if conversation.status != ConversationStatus::Open {
        touch = touch.col_expr(whatsapp_conversation::Column::Status, Expr::value(ConversationStatus::Open.as_str()));
    }
    let this = whatsapp_conversation::Column::TenantId.eq(tenant).and(whatsapp_conversation::Column::Id.eq(conversation.id));
    touch.filter(this).exec(&***write).await?;

    let data = json!({ "conversation_id": conversation.id, "direction": "out", "type": kind });
    write.record(Event { topic: "messages", subject_id: id.0, action: "created", data }).await?;
    let job = NewJob::new(tenant.0, &SendMessage { message_id: id }).order_key(format!("out:{}", conversation.id));
    write.enqueue(job).await?;
    Ok(row)
}

/// Notes a step in the life of a message.
pub(crate) async fn note(write: &Write<'_>, id: MessageId, status: MessageStatus, at: DateTime<Utc>, detail: Option<Value>) -> Result<()> {
    let step = whatsapp_message_event::ActiveModel {
        id: Set(Uuid::now_v7()),
        tenant_id: Set(write.scope.tenant),
        message_id: Set(id),
        status: Set(status),
        at: Set(at),
        detail: Set(detail),
        created_at: Set(Utc::now()),
    };
    whatsapp_message_event::Entity::insert(step).exec_without_returning(&***write).await?;
    Ok(())
}

pub(crate) fn own(tenant: TenantId, id: MessageId) -> sea_orm::sea_query::SimpleExpr {
    table::Column::TenantId.eq(tenant).and(table::Column::Id.eq(id))
}

/// One message with its status history.
///
/// # Errors
/// [`Error::NotFound`]; the database's.
pub async fn get(db: &Db, scope: &Scope, id: MessageId) -> Result<Message> {
    scope.require("messages:read")?;
    let row = table::Entity::find().filter(own(scope.tenant, id)).one(&db.read).await?.ok_or(Error::NotFound("message"))?;
    let mut message = Message::from(row);
    let mut files = files_of(db, scope, &[id]).await?;
    message.media = files.pop().map(|(_, file)| file);
    use whatsapp_message_event::Column;
    let steps = whatsapp_message_event::Entity::find()
        .filter(Column::TenantId.eq(scope.tenant).and(Column::MessageId.eq(id)))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .all(&db.read)
        .await?;
    let view = |step: whatsapp_message_event::Model| StatusStep {
        status: step.status,
        at: step.at,
        detail: step.detail,
        created_at: step.created_at,
    };
    message.status_history = Some(steps.into_iter().map(view).collect());
    Ok(message)
}

/// The messages of a conversation, newest first.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Invalid`] for a foreign cursor; the database's.
pub async fn of_conversation(db: &Db, scope: &Scope, conversation: ConversationId, paging: Paging) -> Result<Page<Message>> {
    scope.require("messages:read")?;
    conversations::get(db, scope, conversation).await?;
    let mut find =
        table::Entity::find().filter(table::Column::TenantId.eq(scope.tenant).and(table::Column::ConversationId.eq(conversation)));
    if let Some((Some(at), id)) = paging.after_time::<MessageId>()? {
        find = find.filter(table::Column::CreatedAt.lt(at).or(table::Column::CreatedAt.eq(at).and(table::Column::Id.lt(id))));
    }
    let find = find.order_by_desc(table::Column::CreatedAt).order_by_desc(table::Column::Id).limit(paging.limit + 1);
    let mut page = paging.page(find.all(&db.read).await?, |row| (row.created_at, row.id)).map(Message::from);
    let ids: Vec<_> = page.data.iter().map(|message| message.id).collect();
    for (id, file) in files_of(db, scope, &ids).await? {
        if let Some(message) = page.data.iter_mut().find(|message| message.id == id) {
            message.media = Some(file);
        }
    }
    Ok(page)
}

async fn files_of(db: &Db, scope: &Scope, ids: &[MessageId]) -> Result<Vec<(MessageId, MediaView)>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    use whatsapp_media::Column;
    let theirs = Column::TenantId.eq(scope.tenant).and(Column::MessageId.is_in(ids.iter().copied()));
    let rows = whatsapp_media::Entity::find().filter(theirs).all(&db.read).await?;
    Ok(rows.into_iter().filter_map(|row| row.message_id.map(|id| (id, MediaView::from(row)))).collect())
}
