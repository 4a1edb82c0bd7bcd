//! A link with which somebody who forgot their password chooses another one.

use sea_orm::entity::prelude::*;

use crate::{PasswordResetId, TenantId, UserId};

/// A link with which somebody who forgot their password chooses another one.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "password_resets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PasswordResetId,
    pub tenant_id: TenantId,
    pub user_id: UserId,
    pub token_hash: Option<String>,
    pub expires_at: DateTimeUtc,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
