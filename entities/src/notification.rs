//! What somebody is told.

use sea_orm::entity::prelude::*;

use crate::{CommentId, NotificationId, NotificationKind, TenantId, UserId};

/// What somebody is told.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "notifications")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: NotificationId,
    pub tenant_id: TenantId,
    pub user_id: UserId,
    pub kind: NotificationKind,
    pub topic: String,
    pub subject_id: Uuid,
    pub comment_id: Option<CommentId>,
    pub actor_id: Option<UserId>,
    pub read_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
