//! A sign-in, with its refresh token.

use sea_orm::entity::prelude::*;

use crate::{SessionId, TenantId, UserId};

/// A sign-in, with its refresh token.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: SessionId,
    pub tenant_id: TenantId,
    pub user_id: UserId,
    pub refresh_hash: String,
    pub family_hash: Option<String>,
    pub previous_hash: Option<String>,
    pub salt: Option<String>,
    pub rotated_at: Option<DateTimeUtc>,
    pub last_seen_at: Option<DateTimeUtc>,
    pub device_hash: Option<String>,
    pub user_agent: Option<String>,
    pub address: Option<String>,
    pub expires_at: DateTimeUtc,
    pub revoked_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
