//! What somebody said about a record.

use sea_orm::entity::prelude::*;

use crate::{CommentId, TenantId, UserId};

/// What somebody said about a record.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "comments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: CommentId,
    pub tenant_id: TenantId,
    pub topic: String,
    pub subject_id: Uuid,
    pub parent_id: Option<CommentId>,
    pub author_id: UserId,
    pub body: String,
    pub edited_at: Option<DateTimeUtc>,
    pub deleted_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
