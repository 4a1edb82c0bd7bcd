//! Something that happened; never changed.

use sea_orm::entity::prelude::*;

use crate::TenantId;

/// Something that happened; never changed.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "events")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub seq: i64,
    pub id: Uuid,
    pub position: Option<i64>,
    pub tenant_id: TenantId,
    pub topic: String,
    pub subject_id: Uuid,
    pub action: String,
    pub actor_kind: String,
    pub actor_id: Option<Uuid>,
    pub cause_id: Option<Uuid>,
    pub depth: i16,
    pub data: Json,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
