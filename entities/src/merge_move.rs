//! What led to a record before it became part of another one.

use sea_orm::entity::prelude::*;

use crate::{MergeId, TenantId};

/// What led to a record before it became part of another one.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "merge_moves")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub merge_id: MergeId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub place: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub row_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub from_id: Uuid,
    pub had: bool,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
