//! A company that uses SOMO; everything else belongs to one.

use sea_orm::entity::prelude::*;

use crate::TenantId;

/// A company that uses SOMO; everything else belongs to one.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "tenants")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: TenantId,
    pub name: String,
    pub slug: String,
    pub locale: String,
    pub time_zone: String,
    pub currency: String,
    pub week_start: String,
    pub date_format: String,
    pub time_format: String,
    pub version: i64,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
