//! A file sent or received.

use sea_orm::entity::prelude::*;

use crate::{DeviceId, MediaId, MediaState, MessageId, TenantId};

/// A file sent or received.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "whatsapp_media")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: MediaId,
    pub tenant_id: TenantId,
    pub device_id: DeviceId,
    pub message_id: Option<MessageId>,
    pub provider_media_id: Option<String>,
    pub mime_type: Option<String>,
    pub file_name: Option<String>,
    pub size: Option<i64>,
    pub sha256: Option<String>,
    pub state: MediaState,
    pub error: Option<String>,
    pub storage_key: Option<String>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
