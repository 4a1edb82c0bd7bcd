//! Figures of one hour or day.

use sea_orm::entity::prelude::*;

use crate::{DeviceId, TenantId};

/// Figures of one hour or day.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "whatsapp_statistics")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub device_id: DeviceId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub period: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub starts_at: DateTimeUtc,
    pub received: i32,
    pub sent: i32,
    pub delivered: i32,
    pub read: i32,
    pub failed: i32,
    pub conversations: i32,
    pub first_replies: i32,
    pub first_reply_seconds: i64,
    pub computed_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
