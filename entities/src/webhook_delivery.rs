//! Something that a webhook is told.

use sea_orm::entity::prelude::*;

use crate::{TenantId, WebhookDeliveryId, WebhookDeliveryState, WebhookId};

/// Something that a webhook is told.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_deliveries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: WebhookDeliveryId,
    pub tenant_id: TenantId,
    pub webhook_id: WebhookId,
    pub event_id: Uuid,
    pub topic: String,
    pub action: String,
    pub subject_id: Uuid,
    pub data: Json,
    pub happened_at: DateTimeUtc,
    pub state: WebhookDeliveryState,
    pub state_reason: Option<String>,
    pub attempts: i32,
    pub created_at: DateTimeUtc,
    pub finished_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
