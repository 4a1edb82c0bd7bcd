//! A step in the life of a message.

use sea_orm::entity::prelude::*;

use crate::{MessageId, MessageStatus, TenantId};

/// A step in the life of a message.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "whatsapp_message_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub message_id: MessageId,
    pub status: MessageStatus,
    pub at: DateTimeUtc,
    pub detail: Option<Json>,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
