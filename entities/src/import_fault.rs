//! A row of an import's file that could not be taken.

use sea_orm::entity::prelude::*;

use crate::{ImportId, TenantId};

/// A row of an import's file that could not be taken.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "import_faults")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: TenantId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub import_id: ImportId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub line: i64,
    pub code: String,
    pub pointer: Option<String>,
    pub message: String,
    pub cells: Json,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
