//! A message of a conversation, either way.

use sea_orm::entity::prelude::*;

use crate::{ContactId, ConversationId, DeviceId, Direction, MessageId, MessageStatus, TenantId, UserId};

/// A message of a conversation, either way.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "whatsapp_messages")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: MessageId,
    pub tenant_id: TenantId,
    pub conversation_id: ConversationId,
    pub device_id: DeviceId,
    pub contact_id: ContactId,
    pub attendant_id: Option<UserId>,
    pub direction: Direction,
    pub kind: String,
    pub content: Json,
    pub chat: String,
    pub sender: String,
    pub provider_id: Option<String>,
    pub reply_to_id: Option<MessageId>,
    pub status: MessageStatus,
    pub error: Option<Json>,
    pub deadline_at: Option<DateTimeUtc>,
    pub slot_at: Option<DateTimeUtc>,
    pub provider_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
