//! A chat with somebody through a device.

use sea_orm::entity::prelude::*;

use crate::{ContactId, ConversationId, ConversationStatus, DeviceId, MessageId, TenantId, UserId};

/// A chat with somebody through a device.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "whatsapp_conversations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ConversationId,
    pub tenant_id: TenantId,
    pub device_id: DeviceId,
    pub contact_id: ContactId,
    pub chat: String,
    pub wa_id: String,
    pub status: ConversationStatus,
    pub assignee_id: Option<UserId>,
    pub priority: i16,
    pub unread: i32,
    pub last_message_id: Option<MessageId>,
    pub last_message_at: Option<DateTimeUtc>,
    pub last_inbound_at: Option<DateTimeUtc>,
    pub last_inbound_provider_id: Option<String>,
    pub window_until: Option<DateTimeUtc>,
    pub waiting_since: Option<DateTimeUtc>,
    pub first_reply_at: Option<DateTimeUtc>,
    pub version: i32,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
