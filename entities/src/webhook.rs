//! Somebody else's address that is told what happens.

use sea_orm::entity::prelude::*;

use crate::{TenantId, UserId, WebhookId, WebhookState};

/// Somebody else's address that is told what happens.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "webhooks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: WebhookId,
    pub tenant_id: TenantId,
    pub name: String,
    pub url: String,
    pub topics: Json,
    pub filter: Option<Json>,
    pub secret: String,
    pub old_secret: Option<String>,
    pub old_secret_until: Option<DateTimeUtc>,
    pub state: WebhookState,
    pub state_reason: Option<String>,
    pub state_at: DateTimeUtc,
    pub owner_id: UserId,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
