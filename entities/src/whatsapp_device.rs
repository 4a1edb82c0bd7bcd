//! A WhatsApp number of the tenant.

use sea_orm::entity::prelude::*;

use crate::{DeviceId, DeviceStatus, Provider, TenantId};

/// A WhatsApp number of the tenant.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "whatsapp_devices")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: DeviceId,
    pub tenant_id: TenantId,
    pub name: String,
    pub provider: Provider,
    pub phone_number_id: Option<String>,
    pub business_account_id: Option<String>,
    pub secrets: Option<String>,
    pub verify_token_hash: Option<String>,
    pub status: DeviceStatus,
    pub status_reason: Option<String>,
    pub status_at: DateTimeUtc,
    pub settings: Json,
    pub version: i32,
    pub deleted_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
