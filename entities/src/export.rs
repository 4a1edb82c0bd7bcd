//! What somebody takes out as a file.

use sea_orm::entity::prelude::*;

use crate::{ExportId, TenantId, TokenId, UserId};

/// What somebody takes out as a file.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "exports")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ExportId,
    pub tenant_id: TenantId,
    pub user_id: Option<UserId>,
    pub token_id: Option<TokenId>,
    pub topic: String,
    pub request: Json,
    pub format: String,
    pub job_id: Uuid,
    pub row_count: i64,
    pub size: Option<i64>,
    pub created_at: DateTimeUtc,
    pub finished_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
