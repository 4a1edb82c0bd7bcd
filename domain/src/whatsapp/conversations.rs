//! Conversations: a device, a chat, a contact. Whoever writes a message locks its conversation first, so that the order of
//! commits is the order of the conversation.

use chrono::{DateTime, Utc};
use db::Db;
use entities::{
    ContactId, ConversationId, ConversationStatus, DeviceId, MessageId, TenantId, UserId, whatsapp_conversation as table, whatsapp_device,
};
use jobs::{Ledger, NewJob};
use poem_openapi::Object;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    prelude::Expr,
    sea_query::{LockType, NullOrdering, OnConflict},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Error, Result, Scope, contacts,
    engine::{Event, Write},
    page::{Page, Paging},
    payloads::MarkRead,
    resource::{registry, rows},
};

/// A chat with somebody through a device.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[oai(rename = "WhatsAppConversation", skip_serializing_if_is_none)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// Through which device.
    pub device_id: DeviceId,
    /// With whom.
    pub contact_id: ContactId,
    /// Their number as E.164 digits, or what WhatsApp calls the chat.
    pub chat: String,
    /// Where it stands.
    pub status: ConversationStatus,
    /// Who is on it.
    pub assignee_id: Option<UserId>,
    /// 0 (urgent) to 3.
    pub priority: i16,
    /// Messages of the customer that nobody has read.
    pub unread: i32,
    /// The newest message.
    pub last_message_id: Option<MessageId>,
    /// When it was written.
    pub last_message_at: Option<DateTime<Utc>>,
    /// When the customer last wrote.
    pub last_inbound_at: Option<DateTime<Utc>>,
    /// Until then anything may be sent, afterwards only templates. Absent: only templates.
    pub window_until: Option<DateTime<Utc>>,
    /// Since when the customer waits for an answer.
    pub waiting_since: Option<DateTime<Utc>>,
    /// When the first answer was given.
    pub first_reply_at: Option<DateTime<Utc>>,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// What those are called that its fields name.
    #[oai(rename = "_labels")]
    #[serde(rename = "_labels", default)]
    pub labels: Labels,
}

/// What those are called with whom a conversation is and who is on it; left out for those who may not see them.
#[derive(Clone, Debug, Default, PartialEq, Object, Serialize, Deserialize)]
#[oai(rename = "WhatsAppConversationLabels", skip_serializing_if_is_none)]
pub struct Labels {
    /// The contact's name.
    pub contact_id: Option<String>,
    /// The assignee's.
    pub assignee_id: Option<String>,
}

impl From<table::Model> for Conversation {
    fn from(row: table::Model) -> Self {
        let table::Model {
            id,
            tenant_id: _,
            device_id,
            contact_id,
            chat,
            wa_id: _,
            status,
            assignee_id,
            priority,
            unread,
            last_message_id,
            last_message_at,
            last_inbound_at,
            last_inbound_provider_id: _,
            window_until,
            waiting_since,
            first_reply_at,
            version: _,
            created_at,
            updated_at,
        } = row;
        Self {
            id,
            device_id,
            contact_id,
            chat,
            status,
            assignee_id,
            priority,
            unread,
            last_message_id,
            last_message_at,
            last_inbound_at,
            window_until,
            waiting_since,
            first_reply_at,
            created_at,
            updated_at,
            labels: Labels::default(),
        }
    }
}

/// The conversations with their labels.
async fn labelled(conn: &impl ConnectionTrait, scope: &Scope, rows: Vec<table::Model>) -> Result<Vec<Conversation>> {
    let (contacts, users) = (registry::named("contacts"), registry::named("users"));
    let people = rows::seen(conn, scope, contacts, rows.iter().map(|row| row.contact_id.0).collect()).await?;
    let assignees = rows::seen(conn, scope, users, rows.iter().filter_map(|row| row.assignee_id.map(|user| user.0)).collect()).await?;
    let named = |row: table::Model| {
        let contact_id = people.get(&row.contact_id.0).map(|contact| contacts.label_of(contact));
        let assignee_id = row.assignee_id.and_then(|user| assignees.get(&user.0)).map(|user| users.label_of(user));
        Conversation { labels: Labels { contact_id, assignee_id }, ..row.into() }
    };
    Ok(rows.into_iter().map(named).collect())
}

async fn labelled_one(conn: &impl ConnectionTrait, scope: &Scope, row: table::Model) -> Result<Conversation> {
    labelled(conn, scope, vec![row]).await?.pop().ok_or(Error::NotFound("conversation"))
}

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Through this device.
    pub device_id: Option<DeviceId>,
    /// In this state.
    pub status: Option<ConversationStatus>,
    /// With this contact.
    pub contact_id: Option<ContactId>,
}

fn own(tenant: TenantId, id: ConversationId) -> sea_orm::sea_query::SimpleExpr {
    table::Column::TenantId.eq(tenant).and(table::Column::Id.eq(id))
}

/// The one that changed last first.
///
/// # Errors
/// [`Error::Invalid`] for a foreign cursor; the database's.
pub async fn list(db: &Db, scope: &Scope, wanted: Wanted, paging: Paging) -> Result<Page<Conversation>> {
    scope.require("conversations:read")?;
    let Wanted { device_id, status, contact_id } = wanted;
    let mut find = table::Entity::find().filter(table::Column::TenantId.eq(scope.tenant));
    if let Some(device) = device_id {
        find = find.filter(table::Column::DeviceId.eq(device));
    }
    if let Some(status) = status {
        find = find.filter(table::Column::Status.eq(status));
    }
    if let Some(contact) = contact_id {
        find = find.filter(table::Column::ContactId.eq(contact));
    }
    if let Some((at, id)) = paging.after_time::<ConversationId>()? {
        let (last, same) = (table::Column::LastMessageAt, table::Column::Id.lt(id));
        find = find.filter(match at {
            Some(at) => last.lt(at).or(last.eq(at).and(same)).or(last.is_null()),
            None => last.is_null().and(same),
        });
    }
    let rows = find
        .order_by_with_nulls(table::Column::LastMessageAt, sea_orm::Order::Desc, NullOrdering::Last)
        .order_by_desc(table::Column::Id)
        .limit(paging.limit + 1)
        .all(&db.read)
        .await?;
    let Page { data, next_cursor } = paging.page(rows, |row| (row.last_message_at, row.id));
    Ok(Page { data: labelled(&db.read, scope, data).await?, next_cursor })
}

/// One of them.
///
/// # Errors
/// [`Error::NotFound`]; the database's.
pub async fn get(db: &Db, scope: &Scope, id: ConversationId) -> Result<Conversation> {
    scope.require("conversations:read")?;
    let row = table::Entity::find().filter(own(scope.tenant, id)).one(&db.read).await?;
    labelled_one(&db.read, scope, row.ok_or(Error::NotFound("conversation"))?).await
}

/// Nothing of it is unread any more; the customer sees that, too.
///
/// # Errors
/// [`Error::NotFound`]; the database's.
pub async fn mark_read(ledger: &Ledger, scope: &Scope, id: ConversationId) -> Result<Conversation> {
    scope.require("conversations:write")?;
    let write = Write::begin(ledger, scope).await?;
    let mut row = lock(&write, id).await?.ok_or(Error::NotFound("conversation"))?;
    if row.unread > 0 {
        (row.unread, row.updated_at) = (0, Utc::now());
        table::Entity::update_many()
            .col_expr(table::Column::Unread, Expr::value(0))
            .col_expr(table::Column::UpdatedAt, Expr::value(row.updated_at))
            .filter(own(scope.tenant, id))
            .exec(&**write)
            .await?;
        write.record(Event { topic: "conversations", subject_id: id.0, action: "read", data: json!({}) }).await?;
        if row.last_inbound_provider_id.is_some() {
            let job = NewJob::new(scope.tenant.0, &MarkRead { conversation_id: id, typing: false });
            write.enqueue(job.unique_key(format!("read:{id}"))).await?;
        }
    }
    let conversation = labelled_one(&**write, scope, row).await?;
    write.commit(conversation).await
}

/// The customer sees for up to 25 seconds that somebody is typing; WhatsApp marks the conversation as read with it.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when the customer has never written; the database's.
pub async fn show_typing(ledger: &Ledger, scope: &Scope, id: ConversationId) -> Result<()> {
    scope.require("conversations:write")?;
    let write = Write::begin(ledger, scope).await?;
    let row = lock(&write, id).await?.ok_or(Error::NotFound("conversation"))?;
    if row.last_inbound_provider_id.is_none() {
        return Err(Error::conflict("nothing_received", "WhatsApp shows typing only to a customer who has written"));
    }
    let job = NewJob::new(scope.tenant.0, &MarkRead { conversation_id: id, typing: true });
    write.enqueue(job.unique_key(format!("typing:{id}"))).await?;
    write.commit(()).await
}

/// Through which device the customer last wrote, and what WhatsApp calls that message. `None`: they have never written.
///
/// # Errors
/// [`Error::NotFound`]; the database's.
pub async fn last_inbound(db: &Db, scope: &Scope, id: ConversationId) -> Result<Option<(DeviceId, String)>> {
    scope.require("conversations:read")?;
    let row = table::Entity::find().filter(own(scope.tenant, id)).one(&db.read).await?.ok_or(Error::NotFound("conversation"))?;
    Ok(row.last_inbound_provider_id.map(|provider_id| (row.device_id, provider_id)))
}

/// Locks one.
pub(crate) async fn lock(write: &Write<'_>, id: ConversationId) -> Result<Option<table::Model>> {
    Ok(table::Entity::find().filter(own(write.scope.tenant, id)).lock(LockType::NoKeyUpdate).one(&***write).await?)
}

/// Locks the one of a device with a chat, and makes it, with its contact, when there is none.
///
/// # Errors
/// The database's.
pub async fn open(write: &Write<'_>, device: &whatsapp_device::Model, chat: &str, wa_id: &str, name: Option<&str>) -> Result<table::Model> {
    let tenant = write.scope.tenant;
    if let Some(row) = find(write, device.id, chat).await? {
        return Ok(row);
    }
    let contact = contacts::match_or_create(write, wa_id, name).await?;
    let now = Utc::now();
    let id = ConversationId::new();
    let new = table::ActiveModel {
        id: Set(id),
        tenant_id: Set(tenant),
        device_id: Set(device.id),
        contact_id: Set(contact),
        chat: Set(chat.to_owned()),
        wa_id: Set(wa_id.to_owned()),
        status: Set(ConversationStatus::Open),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    let columns = [table::Column::TenantId, table::Column::DeviceId, table::Column::Chat];
    let once = OnConflict::columns(columns).do_nothing().to_owned();
    if table::Entity::insert(new).on_conflict(once).exec_without_returning(&***write).await? == 1 {
        let data = json!({ "device_id": device.id, "contact_id": contact });
        write.record(Event { topic: "conversations", subject_id: id.0, action: "created", data }).await?;
    }
    find(write, device.id, chat).await?.ok_or_else(|| anyhow::anyhow!("a conversation vanished").into())
}

/// Locks the one of a device with a chat, if there is one.
pub(crate) async fn find(write: &Write<'_>, device: DeviceId, chat: &str) -> Result<Option<table::Model>> {
    let same = table::Column::TenantId.eq(write.scope.tenant).and(table::Column::DeviceId.eq(device)).and(table::Column::Chat.eq(chat));
    Ok(table::Entity::find().filter(same).lock(LockType::NoKeyUpdate).one(&***write).await?)
}
