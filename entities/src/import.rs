//! A file whose rows become records.

use sea_orm::entity::prelude::*;

use crate::{ImportId, TenantId, TokenId, UserId};

/// A file whose rows become records.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "imports")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ImportId,
    pub tenant_id: TenantId,
    pub user_id: Option<UserId>,
    pub token_id: Option<TokenId>,
    pub topic: String,
    pub file_name: String,
    pub size: i64,
    pub sha256: String,
    pub shape: Json,
    pub options: Json,
    pub fixes_id: Option<ImportId>,
    pub job_id: Option<Uuid>,
    pub dry_run: bool,
    pub line: i64,
    pub row_count: i64,
    pub created: i64,
    pub updated: i64,
    pub unchanged: i64,
    pub skipped: i64,
    pub failed: i64,
    pub revert_job_id: Option<Uuid>,
    pub reverted: i64,
    pub kept: i64,
    pub revert_after: Option<Uuid>,
    pub created_at: DateTimeUtc,
    pub started_at: Option<DateTimeUtc>,
    pub finished_at: Option<DateTimeUtc>,
    pub reverted_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
