//! A record to which a run could not do what it does.

use sea_orm::entity::prelude::*;

use crate::{BulkRunId, TenantId};

/// A record to which a run could not do what it does.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "bulk_faults")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub bulk_run_id: BulkRunId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub record_id: Uuid,
    pub code: String,
    pub pointer: Option<String>,
    pub message: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
