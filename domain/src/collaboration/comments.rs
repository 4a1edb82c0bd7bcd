//! Comments: what people say about a record, and what others answer. One that is deleted keeps its place while it is answered.

use std::collections::HashMap;

use chrono::{DateTime, SubsecRound, Utc};
use db::Db;
use entities::{CommentId, NotificationKind, Role, UserId, comment as table, comment_mention as mention};
use jobs::Ledger;
use poem_openapi::Object;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Statement,
    sea_query::{Alias, Expr, LockType, Query},
};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::{
    followers, held, names, notifications,
    reactions::{self, Reaction},
    seeing, seen,
};
use crate::{
    Error, FieldError, Result, Scope,
    engine::{Event, Write, again},
    page::{Page, Paging},
    resource::{
        Resource,
        field::{Form, Kind},
        value,
    },
};

/// What only its author does to a comment.
const EDIT: &str = "comments:edit";
/// What its author and admins do to a comment.
const DELETE: &str = "comments:delete";

/// A comment.
#[derive(Clone, Debug, PartialEq, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct Comment {
    /// Its id.
    pub id: CommentId,
    /// The comment that it answers.
    pub parent_id: Option<CommentId>,
    /// Who wrote it.
    pub author_id: UserId,
    /// What they are called; left out for somebody whom you may not see.
    pub author: Option<String>,
    /// What it says; empty once it is deleted.
    pub body: String,
    /// Whom it addresses.
    pub mentions: Vec<UserId>,
    /// What others think of it.
    pub reactions: Vec<Reaction>,
    /// When its author last changed it.
    pub edited_at: Option<DateTime<Utc>>,
    /// When it was deleted; it is still there because somebody answered it.
    pub deleted_at: Option<DateTime<Utc>>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

/// A comment to be written.
#[derive(Clone, Debug)]
pub struct NewComment {
    /// What it says.
    pub body: String,
    /// The comment that it answers.
    pub parent_id: Option<CommentId>,
    /// Whom it addresses.
    pub mentions: Vec<UserId>,
}

/// What its author changes of a comment.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// What it says.
    pub body: Option<String>,
    /// Whom it addresses.
    pub mentions: Option<Vec<UserId>>,
}

/// The comments on a record, newest first.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; [`Error::Invalid`] for a foreign cursor; the database's.
pub async fn list(db: &Db, scope: &Scope, resource: &'static Resource, id: Uuid, paging: Paging) -> Result<Page<Comment>> {
    seen(&db.read, scope, resource, id).await?;
    let answer = |name: &'static str| Expr::col((Alias::new("answer"), Alias::new(name)));
    let answered = Query::select()
        .expr(Expr::cust("1"))
        .from_as("comments", "answer")
        .and_where(answer("tenant_id").equals(("comments", "tenant_id")))
        .and_where(answer("parent_id").equals(("comments", "id")))
        .and_where(answer("deleted_at").is_null())
        .to_owned();
    let mut find = of(scope, resource, id).filter(table::Column::DeletedAt.is_null().or(Expr::exists(answered)));
    if let Some(after) = paging.after::<CommentId>()? {
        find = find.filter(table::Column::Id.lt(after));
    }
    let rows = find.order_by_desc(table::Column::Id).limit(paging.limit + 1).all(&db.read).await?;
    let Page { data, next_cursor } = paging.page(rows, |row| row.id);
    Ok(Page { data: shown(&db.read, scope, data).await?, next_cursor })
}

/// Writes a comment on a record. Its author and those whom it mentions follow the record from then on.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; [`Error::Invalid`] names what can't be taken; [`Error::Conflict`] when the record is
/// in the trash; the database's.
pub async fn create(ledger: &Ledger, scope: &Scope, resource: &'static Resource, id: Uuid, new: NewComment) -> Result<Comment> {
    again(|| async {
        let NewComment { body, parent_id, mentions } = new.clone();
        let write = Write::begin(ledger, scope).await?;
        let (record, author) = held(&write, resource, id).await?;
        let body = said(&body)?;
        if let Some(parent) = parent_id {
            let parent = of(scope, resource, id).filter(table::Column::Id.eq(parent)).filter(table::Column::DeletedAt.is_null());
            let missing = || Error::field("/parent_id", "not_found", format!("there is no such comment on this {}", resource.name));
            if parent.one(&**write).await?.ok_or_else(missing)?.parent_id.is_some() {
                return Err(Error::field("/parent_id", "invalid", "is an answer itself; answer the comment that it answers"));
            }
        }
        let mentions = mentioned(&write, resource, id, &mentions, &[]).await?;
        let row = table::ActiveModel {
            id: Set(CommentId::new()),
            tenant_id: Set(scope.tenant),
            topic: Set(resource.topic.into()),
            subject_id: Set(id),
            parent_id: Set(parent_id),
            author_id: Set(author),
            body: Set(body),
            created_at: Set(Utc::now().trunc_subsecs(6)),
            ..Default::default()
        };
        let row = table::Entity::insert(row).exec_with_returning(&**write).await?;
        address(&write, row.id, &mentions).await?;
        followers::join(&write, resource, id, mentions.iter().copied().chain([author])).await?;
        tell(&write, resource, &row, "commented").await?;
        let (about, comment) = ((resource, id), Some(row.id));
        let others = followers::of(&write, resource, &record).await?.into_iter().filter(|user| !mentions.contains(user));
        notifications::send(&write, about, NotificationKind::Commented, comment, others).await?;
        notifications::send(&write, about, NotificationKind::Mentioned, comment, mentions).await?;
        answered(write, row).await
    })
    .await
}

/// Changes a comment: its author does. Whom it mentions now and did not before is told.
///
/// # Errors
/// As [`create`].
pub async fn update(
    ledger: &Ledger,
    scope: &Scope,
    resource: &'static Resource,
    id: Uuid,
    comment: CommentId,
    edit: Edit,
) -> Result<Comment> {
    again(|| async {
        let Edit { body, mentions } = edit.clone();
        let write = Write::begin(ledger, scope).await?;
        let (_, user) = held(&write, resource, id).await?;
        let row = locked(&write, resource, id, comment).await?;
        if row.author_id != user {
            return Err(Error::Forbidden(EDIT));
        }
        let body = body.map(|body| said(&body)).transpose()?.unwrap_or_else(|| row.body.clone());
        let before = mentions_of(&**write, scope, &[comment]).await?.remove(&comment).unwrap_or_default();
        let after = match mentions {
            Some(mentions) => mentioned(&write, resource, id, &mentions, &before).await?,
            None => before.clone(),
        };
        if body == row.body && after == before {
            return answered(write, row).await;
        }
        if after != before {
            mention::Entity::delete_many()
                .filter(mention::Column::TenantId.eq(scope.tenant).and(mention::Column::CommentId.eq(comment)))
                .exec(&**write)
                .await?;
            address(&write, comment, &after).await?;
        }
        let mut change = row.into_active_model();
        (change.body, change.edited_at) = (Set(body), Set(Some(Utc::now().trunc_subsecs(6))));
        let row = table::Entity::update(change).exec(&**write).await?;
        tell(&write, resource, &row, "comment_edited").await?;
        let fresh: Vec<UserId> = after.into_iter().filter(|user| !before.contains(user)).collect();
        followers::join(&write, resource, id, fresh.iter().copied()).await?;
        notifications::send(&write, (resource, id), NotificationKind::Mentioned, Some(comment), fresh).await?;
        answered(write, row).await
    })
    .await
}

/// Deletes a comment: its author or an admin does. What it said is gone.
///
/// # Errors
/// As [`create`].
pub async fn delete(ledger: &Ledger, scope: &Scope, resource: &'static Resource, id: Uuid, comment: CommentId) -> Result<()> {
    again(|| async {
        let write = Write::begin(ledger, scope).await?;
        let (_, user) = held(&write, resource, id).await?;
        let row = locked(&write, resource, id, comment).await?;
        if row.author_id != user && scope.role != Role::Admin {
            return Err(Error::Forbidden(DELETE));
        }
        for table in ["comment_mentions", "comment_reactions"] {
            let clear = format!("delete from {table} where tenant_id = $1 and comment_id = $2");
            let values = [scope.tenant.0.into(), comment.0.into()];
            write.execute_raw(Statement::from_sql_and_values(write.get_database_backend(), clear, values)).await?;
        }
        notifications::forget(&write, resource, id, comment).await?;
        let mut change = row.into_active_model();
        (change.body, change.deleted_at) = (Set(String::new()), Set(Some(Utc::now().trunc_subsecs(6))));
        let row = table::Entity::update(change).exec(&**write).await?;
        tell(&write, resource, &row, "comment_deleted").await?;
        write.commit(()).await
    })
    .await
}

/// The comments on a record, deleted ones too.
fn of(scope: &Scope, resource: &Resource, id: Uuid) -> sea_orm::Select<table::Entity> {
    table::Entity::find()
        .filter(table::Column::TenantId.eq(scope.tenant))
        .filter(table::Column::Topic.eq(resource.topic))
        .filter(table::Column::SubjectId.eq(id))
}

/// A comment that is not deleted, for this transaction alone.
pub(super) async fn locked(write: &Write<'_>, resource: &Resource, id: Uuid, comment: CommentId) -> Result<table::Model> {
    let find = of(write.scope, resource, id).filter(table::Column::Id.eq(comment)).filter(table::Column::DeletedAt.is_null());
    find.lock(LockType::NoKeyUpdate).one(&***write).await?.ok_or(Error::NotFound("comment"))
}

/// What a comment says, in its one form.
fn said(body: &str) -> Result<String> {
    let accepted = value::accept(&Kind::Text { max: 10_000, form: Form::Lines }, &json!(body));
    let accepted = accepted.map_err(|(code, message)| Error::field("/body", code, message))?;
    Ok(accepted.as_str().unwrap_or_default().to_owned())
}

/// Those whom a comment mentions, each once: they have to see the record, but for those whom it mentions already.
async fn mentioned(write: &Write<'_>, resource: &'static Resource, id: Uuid, users: &[UserId], before: &[UserId]) -> Result<Vec<UserId>> {
    let mut all: Vec<UserId> = before.iter().copied().filter(|user| users.contains(user)).collect();
    all.extend(seeing(write, resource, id, users.iter().copied().filter(|user| !before.contains(user))).await?);
    all.sort_unstable();
    let missing = users.iter().enumerate().filter(|(_, user)| !all.contains(user)).map(|(at, _)| FieldError {
        pointer: format!("/mentions/{at}"),
        code: "not_found",
        message: format!("there is no such user who may see this {}", resource.name),
    });
    let missing: Vec<FieldError> = missing.collect();
    if missing.is_empty() { Ok(all) } else { Err(Error::Invalid(missing)) }
}

async fn address(write: &Write<'_>, comment: CommentId, users: &[UserId]) -> Result<()> {
    let tenant = write.scope.tenant;
    let rows = users.iter().map(|user| mention::ActiveModel { tenant_id: Set(tenant), comment_id: Set(comment), user_id: Set(*user) });
    mention::Entity::insert_many(rows).exec_without_returning(&***write).await?;
    Ok(())
}

/// Whom comments mention, by comment, in the order of their ids.
async fn mentions_of(conn: &impl ConnectionTrait, scope: &Scope, ids: &[CommentId]) -> Result<HashMap<CommentId, Vec<UserId>>> {
    let rows = mention::Entity::find()
        .filter(mention::Column::TenantId.eq(scope.tenant).and(mention::Column::CommentId.is_in(ids.iter().copied())))
        .order_by_asc(mention::Column::UserId)
        .all(conn)
        .await?;
    let mut found: HashMap<CommentId, Vec<UserId>> = HashMap::new();
    for row in rows {
        found.entry(row.comment_id).or_default().push(row.user_id);
    }
    Ok(found)
}

async fn tell(write: &Write<'_>, resource: &Resource, row: &table::Model, action: &'static str) -> Result<()> {
    let data = json!({ "comment_id": row.id, "parent_id": row.parent_id });
    write.record(Event { topic: resource.topic, subject_id: row.subject_id, action, data }).await
}

/// Commits, and answers with the comment.
pub(super) async fn answered(write: Write<'_>, row: table::Model) -> Result<Comment> {
    let comment = shown(&**write, write.scope, vec![row]).await?.pop();
    let comment = comment.ok_or_else(|| anyhow::anyhow!("a comment that is shown is one"))?;
    write.commit(comment).await
}

async fn shown(conn: &impl ConnectionTrait, scope: &Scope, rows: Vec<table::Model>) -> Result<Vec<Comment>> {
    let ids: Vec<CommentId> = rows.iter().map(|row| row.id).collect();
    let mut mentions = mentions_of(conn, scope, &ids).await?;
    let mut reactions = reactions::of(conn, scope, &ids).await?;
    let names = names(conn, scope, rows.iter().map(|row| row.author_id)).await?;
    let comment = |row: table::Model| {
        let table::Model { id, tenant_id: _, topic: _, subject_id: _, parent_id, author_id, body, edited_at, deleted_at, created_at } = row;
        Comment {
            id,
            parent_id,
            author_id,
            author: names.get(&author_id).cloned(),
            body,
            mentions: mentions.remove(&id).unwrap_or_default(),
            reactions: reactions.remove(&id).unwrap_or_default(),
            edited_at,
            deleted_at,
            created_at,
        }
    };
    Ok(rows.into_iter().map(comment).collect())
}
