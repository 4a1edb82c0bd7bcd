//! A change from a webhook, as it came.

use sea_orm::entity::prelude::*;

use crate::{DeviceId, InboxId, TenantId};

/// A change from a webhook, as it came.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "whatsapp_inbox")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: InboxId,
    pub tenant_id: TenantId,
    pub device_id: DeviceId,
    pub body: Json,
    pub received_at: DateTimeUtc,
    pub processed_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
