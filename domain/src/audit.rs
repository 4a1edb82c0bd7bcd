//! The audit log: everything that happened, who did it, and what changed.

use chrono::{DateTime, Utc};
use db::Db;
use entities::event;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::{
    Result, Scope,
    page::{Page, Paging},
    resource::{Resource, merge, registry},
};

/// Which events.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of this resource.
    pub topic: Option<String>,
    /// About this record.
    pub subject_id: Option<Uuid>,
    /// Of this kind.
    pub action: Option<String>,
    /// Done by one of this kind.
    pub actor_kind: Option<String>,
    /// Done by this one.
    pub actor_id: Option<Uuid>,
    /// Not before.
    pub from: Option<DateTime<Utc>>,
    /// Before.
    pub to: Option<DateTime<Utc>>,
}

/// The tenant's events, newest first.
///
/// # Errors
/// [`crate::Error::Forbidden`]; [`crate::Error::Invalid`] for a foreign cursor; the database's.
pub async fn list(db: &Db, scope: &Scope, wanted: Wanted, paging: Paging) -> Result<Page<event::Model>> {
    scope.require("audit:read")?;
    let Wanted { topic, subject_id, action, actor_kind, actor_id, from, to } = wanted;
    let mut find = event::Entity::find().filter(event::Column::TenantId.eq(scope.tenant));
    for (column, text) in [(event::Column::Topic, topic), (event::Column::Action, action), (event::Column::ActorKind, actor_kind)] {
        if let Some(text) = text {
            find = find.filter(column.eq(text));
        }
    }
    for (column, id) in [(event::Column::SubjectId, subject_id), (event::Column::ActorId, actor_id)] {
        if let Some(id) = id {
            find = find.filter(column.eq(id));
        }
    }
    if let Some(from) = from {
        find = find.filter(event::Column::CreatedAt.gte(from));
    }
    if let Some(to) = to {
        find = find.filter(event::Column::CreatedAt.lt(to));
    }
    page(db, scope, find, paging).await
}

/// What happened to one record and to those that became part of it, newest first; for whoever may see the record.
///
/// # Errors
/// [`crate::Error::NotFound`]; [`crate::Error::Forbidden`]; a foreign cursor; the database's.
pub async fn timeline(db: &Db, scope: &Scope, resource: &'static Resource, id: Uuid, paging: Paging) -> Result<Page<event::Model>> {
    crate::resource::list::get(db, scope, resource, id, Vec::new()).await?;
    let ids = merge::with_parts(&db.read, scope, resource, id).await?;
    let find = event::Entity::find()
        .filter(event::Column::TenantId.eq(scope.tenant))
        .filter(event::Column::Topic.eq(resource.topic))
        .filter(event::Column::SubjectId.is_in(ids));
    page(db, scope, find, paging).await
}

async fn page(db: &Db, scope: &Scope, mut find: sea_orm::Select<event::Entity>, paging: Paging) -> Result<Page<event::Model>> {
    if let Some(seq) = paging.after::<i64>()? {
        find = find.filter(event::Column::Seq.lt(seq));
    }
    let mut rows = find.order_by_desc(event::Column::Seq).limit(paging.limit + 1).all(&db.read).await?;
    for row in &mut rows {
        let Some(resource) = registry::find(&row.topic) else { continue };
        if let Some(changes) = row.data.get_mut("changes").and_then(serde_json::Value::as_object_mut) {
            changes.retain(|field, _| !scope.hides(resource, field));
        }
    }
    Ok(paging.page(rows, |row| row.seq))
}
