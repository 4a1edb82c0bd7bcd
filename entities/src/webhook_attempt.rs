//! One try to tell a webhook something.

use sea_orm::entity::prelude::*;

use crate::{TenantId, WebhookAttemptId, WebhookDeliveryId};

/// One try to tell a webhook something.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_attempts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: WebhookAttemptId,
    pub tenant_id: TenantId,
    pub delivery_id: WebhookDeliveryId,
    pub status: Option<i32>,
    pub error: Option<String>,
    pub response: Option<String>,
    pub duration_ms: i64,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
