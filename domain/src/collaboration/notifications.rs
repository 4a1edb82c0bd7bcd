//! Notifications: what somebody is told of records. Each is its user's alone. It names the record only by its id; what the record is
//! called is looked up whenever it is read, so that nobody learns more than they may see by then.

use std::collections::HashMap;

use chrono::{DateTime, SubsecRound, Utc};
use db::Db;
use entities::{CommentId, NotificationId, NotificationKind, Role, UserId, notification as table, user};
use jobs::Ledger;
use poem_openapi::Object;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::Expr,
};
use serde::Serialize;
use uuid::Uuid;

use super::{names, seeing};
use crate::{
    Error, Result, Scope,
    engine::Write,
    page::{Page, Paging},
    resource::{Resource, registry, rows},
};

/// Something that somebody is told.
#[derive(Clone, Debug, PartialEq, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct Notification {
    /// Its id.
    pub id: NotificationId,
    /// What happened.
    pub kind: NotificationKind,
    /// The resource of the record.
    pub topic: String,
    /// The record.
    pub subject_id: Uuid,
    /// What the record is called; left out when it has no name, or you may not see it any more.
    pub label: Option<String>,
    /// The comment that it is about.
    pub comment_id: Option<CommentId>,
    /// Whose doing it was; left out when it was no user's.
    pub actor_id: Option<UserId>,
    /// What they are called; left out for somebody whom you may not see.
    pub actor: Option<String>,
    /// When you read it; left out while you haven't.
    pub read_at: Option<DateTime<Utc>>,
    /// When it happened.
    pub created_at: DateTime<Utc>,
}

/// What the caller was told, newest first.
///
/// # Errors
/// [`Error::Invalid`] for a foreign cursor; the database's.
pub async fn list(db: &Db, scope: &Scope, unread: bool, paging: Paging) -> Result<Page<Notification>> {
    let mut find = own(scope)?;
    if unread {
        find = find.filter(table::Column::ReadAt.is_null());
    }
    if let Some(after) = paging.after::<NotificationId>()? {
        find = find.filter(table::Column::Id.lt(after));
    }
    let rows = find.order_by_desc(table::Column::Id).limit(paging.limit + 1).all(&db.read).await?;
    let Page { data, next_cursor } = paging.page(rows, |row| row.id);
    Ok(Page { data: shown(&db.read, scope, data).await?, next_cursor })
}

/// How much of it the caller has not read.
///
/// # Errors
/// The database's.
pub async fn unread(db: &Db, scope: &Scope) -> Result<u64> {
    Ok(own(scope)?.filter(table::Column::ReadAt.is_null()).count(&db.read).await?)
}

/// The caller has read one.
///
/// # Errors
/// [`Error::NotFound`]; the database's.
pub async fn read(ledger: &Ledger, scope: &Scope, id: NotificationId) -> Result<Notification> {
    let write = Write::begin(ledger, scope).await?;
    mark(&write, Some(id)).await?;
    let row = own(scope)?.filter(table::Column::Id.eq(id)).one(&**write).await?.ok_or(Error::NotFound("notification"))?;
    let shown = shown(&**write, scope, vec![row]).await?.pop();
    let shown = shown.ok_or_else(|| anyhow::anyhow!("a notification that is shown is one"))?;
    write.commit(shown).await
}

/// The caller has read all of it.
///
/// # Errors
/// The database's.
pub async fn read_all(ledger: &Ledger, scope: &Scope) -> Result<()> {
    let write = Write::begin(ledger, scope).await?;
    mark(&write, None).await?;
    write.commit(()).await
}

/// Tells these users what happened to a record: those of them who see it, but not whoever did it.
pub(crate) async fn send(
    write: &Write<'_>,
    (resource, id): (&'static Resource, Uuid),
    kind: NotificationKind,
    comment_id: Option<CommentId>,
    users: impl IntoIterator<Item = UserId>,
) -> Result<()> {
    let actor_id = write.scope.user();
    let others = users.into_iter().filter(|user| Some(*user) != actor_id);
    let rows = seeing(write, resource, id, others).await?.into_iter().map(|user_id| table::ActiveModel {
        id: Set(NotificationId::new()),
        tenant_id: Set(write.scope.tenant),
        user_id: Set(user_id),
        kind: Set(kind),
        topic: Set(resource.topic.into()),
        subject_id: Set(id),
        comment_id: Set(comment_id),
        actor_id: Set(actor_id),
        read_at: Set(None),
        created_at: Set(Utc::now().trunc_subsecs(6)),
    });
    table::Entity::insert_many(rows).exec_without_returning(&***write).await?;
    Ok(())
}

/// Tells all admins of something that is no record.
pub(crate) async fn tell_admins(write: &Write<'_>, kind: NotificationKind, topic: &str, id: Uuid) -> Result<()> {
    let tenant = write.scope.tenant;
    let admins: Vec<UserId> = user::Entity::find()
        .filter(user::Column::TenantId.eq(tenant).and(user::Column::Role.eq(Role::Admin)).and(user::Column::DisabledAt.is_null()))
        .select_only()
        .column(user::Column::Id)
        .into_tuple()
        .all(&***write)
        .await?;
    let rows = admins.into_iter().map(|user_id| table::ActiveModel {
        id: Set(NotificationId::new()),
        tenant_id: Set(tenant),
        user_id: Set(user_id),
        kind: Set(kind),
        topic: Set(topic.into()),
        subject_id: Set(id),
        comment_id: Set(None),
        actor_id: Set(None),
        read_at: Set(None),
        created_at: Set(Utc::now().trunc_subsecs(6)),
    });
    table::Entity::insert_many(rows).exec_without_returning(&***write).await?;
    Ok(())
}

/// Nobody is told of a comment that is deleted.
pub(super) async fn forget(write: &Write<'_>, resource: &Resource, id: Uuid, comment: CommentId) -> Result<()> {
    table::Entity::delete_many()
        .filter(table::Column::TenantId.eq(write.scope.tenant).and(table::Column::Topic.eq(resource.topic)))
        .filter(table::Column::SubjectId.eq(id).and(table::Column::CommentId.eq(comment)))
        .exec(&***write)
        .await?;
    Ok(())
}

/// Those of the caller.
fn own(scope: &Scope) -> Result<sea_orm::Select<table::Entity>> {
    let user = scope.user().ok_or(Error::Forbidden("notifications:read"))?;
    Ok(table::Entity::find().filter(table::Column::TenantId.eq(scope.tenant).and(table::Column::UserId.eq(user))))
}

/// Marks unread ones of the caller as read: one, or all.
async fn mark(write: &Write<'_>, id: Option<NotificationId>) -> Result<()> {
    let user = write.scope.user().ok_or(Error::Forbidden("notifications:read"))?;
    let mut update = table::Entity::update_many()
        .col_expr(table::Column::ReadAt, Expr::value(Utc::now().trunc_subsecs(6)))
        .filter(table::Column::TenantId.eq(write.scope.tenant).and(table::Column::UserId.eq(user)))
        .filter(table::Column::ReadAt.is_null());
    if let Some(id) = id {
        update = update.filter(table::Column::Id.eq(id));
    }
    update.exec(&***write).await?;
    Ok(())
}

async fn shown(conn: &impl ConnectionTrait, scope: &Scope, rows: Vec<table::Model>) -> Result<Vec<Notification>> {
    let names = names(conn, scope, rows.iter().filter_map(|row| row.actor_id)).await?;
    let mut wanted: HashMap<&str, Vec<Uuid>> = HashMap::new();
    for row in &rows {
        wanted.entry(&row.topic).or_default().push(row.subject_id);
    }
    let mut labels: HashMap<Uuid, String> = HashMap::new();
    for (topic, ids) in wanted {
        let Some(resource) = registry::find(topic) else { continue };
        let seen = rows::seen(conn, scope, resource, ids).await?;
        labels.extend(seen.into_iter().map(|(id, record)| (id, resource.label_of(&record))));
    }
    let notification = |row: table::Model| {
        let table::Model { id, tenant_id: _, user_id: _, kind, topic, subject_id, comment_id, actor_id, read_at, created_at } = row;
        let label = labels.get(&subject_id).filter(|label| !label.is_empty()).cloned();
        let actor = actor_id.and_then(|actor| names.get(&actor).cloned());
        Notification { id, kind, topic, subject_id, label, comment_id, actor_id, actor, read_at, created_at }
    };
    Ok(rows.into_iter().map(notification).collect())
}
