//! Records that became one.

use sea_orm::entity::prelude::*;

use crate::{MergeId, TenantId, UserId};

/// Records that became one.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "merges")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: MergeId,
    pub tenant_id: TenantId,
    pub topic: String,
    pub into_id: Uuid,
    pub user_id: Option<UserId>,
    pub changes: Json,
    pub moved: Json,
    pub created_at: DateTimeUtc,
    pub undone_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
