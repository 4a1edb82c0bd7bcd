//! What people do around a record, whatever resource it is of: they comment on it, follow it, are told of
//! it, put files on it.
//!
//! None of it is a field of the record: it changes no version, and stays while the record lies in the trash. Whoever sees the
//! record sees it too, and nobody else: not by a mention, not as a follower, not by a notification of earlier days. What the
//! kernel does to a record comes by here (`saved`, `forget`), in the writing transaction.
//!
//! To let people do it around another resource: its topic in [`TOPICS`].

pub mod attachments;
pub mod comments;
pub mod followers;
pub mod notifications;
pub mod reactions;

use std::collections::HashMap;

use entities::{NotificationKind, Role, UserId, user};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Statement};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Error, Result, Scope,
    engine::Write,
    resource::{
        Action, Change, Record, Resource,
        access::{Act, Grants},
        registry, rows, write,
    },
    scope::{Actor, covers},
};

/// The resources around whose records people do it.
pub const TOPICS: &[&str] = &["contacts", "companies", "deals", "activities", "notes", "calls", "products"];

/// The record, for whoever sees it.
pub(crate) async fn seen(conn: &impl ConnectionTrait, scope: &Scope, resource: &'static Resource, id: Uuid) -> Result<Record> {
    scope.may(resource, Act::View)?;
    rows::seen(conn, scope, resource, vec![id]).await?.remove(&id).ok_or(Error::NotFound(resource.name))
}

/// The record and who it is that does something around it: whoever sees it. Until the transaction ends, nobody deletes it.
pub(crate) async fn held(write: &Write<'_>, resource: &'static Resource, id: Uuid) -> Result<(Record, UserId)> {
    // A token that is for reading only doesn't speak.
    let ability = resource.ability(Act::Edit);
    if write.scope.abilities.as_ref().is_some_and(|granted| !granted.iter().any(|one| covers(one, ability))) {
        return Err(Error::Forbidden(ability));
    }
    let record = write::load(write, resource, Act::View, id, true).await?.ok_or(Error::NotFound(resource.name))?;
    let user = write.scope.user().ok_or(Error::Forbidden(ability))?;
    match record.get("deleted_at") {
        Some(Value::String(_)) => Err(Error::conflict("in_trash", format!("the {} is in the trash; restore it first", resource.name))),
        _ => Ok((record, user)),
    }
}

/// Those of these users who see the record, each once, in the order of their ids.
pub(crate) async fn seeing(
    write: &Write<'_>,
    resource: &'static Resource,
    id: Uuid,
    users: impl IntoIterator<Item = UserId>,
) -> Result<Vec<UserId>> {
    let users: Vec<UserId> = users.into_iter().collect();
    if users.is_empty() {
        return Ok(users);
    }
    let tenant = write.scope.tenant;
    let found: Vec<(UserId, Role)> = user::Entity::find()
        .filter(user::Column::TenantId.eq(tenant).and(user::Column::Id.is_in(users)).and(user::Column::DisabledAt.is_null()))
        .order_by_asc(user::Column::Id)
        .select_only()
        .columns([user::Column::Id, user::Column::Role])
        .into_tuple()
        .all(&***write)
        .await?;
    let mut seeing = Vec::with_capacity(found.len());
    for (user, role) in found {
        // What a member sees depends on their roles; everybody else sees all there is.
        if role == Role::Member {
            let grants = Grants::of(&***write, tenant, user).await?.into();
            let scope = Scope { role, grants, ..Scope::system(tenant, Actor::User(user)) };
            if !rows::seen(&***write, &scope, resource, vec![id]).await?.contains_key(&id) {
                continue;
            }
        }
        seeing.push(user);
    }
    Ok(seeing)
}

/// What some users are called, those whom the caller may see.
async fn names(conn: &impl ConnectionTrait, scope: &Scope, users: impl IntoIterator<Item = UserId>) -> Result<HashMap<UserId, String>> {
    let people = registry::named("users");
    let mut ids: Vec<Uuid> = users.into_iter().map(|user| user.0).collect();
    ids.sort_unstable();
    ids.dedup();
    let known = rows::seen(conn, scope, people, ids).await?;
    Ok(known.into_iter().map(|(id, record)| (UserId(id), people.label_of(&record))).collect())
}

/// What follows for others when a record was written: whose it is now is told.
pub(crate) async fn saved(write: &Write<'_>, resource: &'static Resource, change: &Change) -> Result<()> {
    let Some(owner) = resource.owner.filter(|owner| TOPICS.contains(&resource.topic) && change.changes(owner)) else { return Ok(()) };
    if write.is_quiet() || !matches!(change.action, Action::Create | Action::Update) {
        return Ok(());
    }
    let owner = change.reference(owner).map(UserId);
    notifications::send(write, (resource, change.id), NotificationKind::Assigned, None, owner).await
}

/// What goes with a record that is deleted for good.
pub(crate) async fn forget(write: &Write<'_>, resource: &Resource, id: Uuid) -> Result<()> {
    if !TOPICS.contains(&resource.topic) {
        return Ok(());
    }
    attachments::forget(write, resource, id).await?;
    for table in ["comments", "followers", "notifications"] {
        let clear = format!("delete from {table} where tenant_id = $1 and topic = $2 and subject_id = $3");
        let values = [write.scope.tenant.0.into(), resource.topic.into(), id.into()];
        write.execute_raw(Statement::from_sql_and_values(write.get_database_backend(), clear, values)).await?;
    }
    Ok(())
}
