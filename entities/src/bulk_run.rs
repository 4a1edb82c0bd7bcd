//! Something that is done to many records by a job.

use sea_orm::entity::prelude::*;

use crate::{BulkRunId, TenantId, TokenId, UserId};

/// Something that is done to many records by a job.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "bulk_runs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: BulkRunId,
    pub tenant_id: TenantId,
    pub user_id: Option<UserId>,
    pub token_id: Option<TokenId>,
    pub job_id: Uuid,
    pub topic: String,
    pub request: Json,
    pub dry_run: bool,
    pub total: i64,
    pub last_id: Option<Uuid>,
    pub done: i64,
    pub failed: i64,
    pub created_at: DateTimeUtc,
    pub finished_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
