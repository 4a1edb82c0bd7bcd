//! Followers: who is told what happens around a record. Its owner follows it without a row; whoever left it on purpose has a row
//! that says so, and nothing but their own wish brings them back.

use db::Db;
use entities::{UserId, follower as table};
use jobs::Ledger;
use poem_openapi::Object;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Statement};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{held, names, seeing, seen};
use crate::{
    Error, Result, Scope,
    engine::{Event, Write, again},
    resource::{Record, Resource, access::Act, value, write},
};

/// Somebody who follows a record.
#[derive(Clone, Debug, PartialEq, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct Follower {
    /// Who.
    pub user_id: UserId,
    /// What they are called; left out for somebody whom you may not see.
    pub name: Option<String>,
}

/// Who follows a record.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; the database's.
pub async fn list(db: &Db, scope: &Scope, resource: &'static Resource, id: Uuid) -> Result<Vec<Follower>> {
    let record = seen(&db.read, scope, resource, id).await?;
    let users = following(&db.read, scope, resource, id, &record).await?;
    let mut names = names(&db.read, scope, users.iter().copied()).await?;
    Ok(users.into_iter().map(|user_id| Follower { user_id, name: names.remove(&user_id) }).collect())
}

/// Lets somebody follow a record, or leave it: oneself, if `user` is nobody. For others, whoever may edit the record does.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; [`Error::Invalid`] when they don't see the record; [`Error::Conflict`] when it is in the
/// trash; the database's.
pub async fn set(
    ledger: &Ledger,
    scope: &Scope,
    resource: &'static Resource,
    id: Uuid,
    user: Option<UserId>,
    follows: bool,
) -> Result<Follower> {
    again(|| async {
        let write = Write::begin(ledger, scope).await?;
        let (record, me) = held(&write, resource, id).await?;
        let user_id = user.unwrap_or(me);
        if user_id != me && write::load(&write, resource, Act::Edit, id, false).await?.is_none() {
            return Err(Error::Forbidden(resource.ability(Act::Edit)));
        }
        let followed = following(&**write, scope, resource, id, &record).await?.contains(&user_id);
        if follows && !followed && seeing(&write, resource, id, [user_id]).await?.is_empty() {
            return Err(Error::field("/user_id", "not_found", format!("there is no such user who may see this {}", resource.name)));
        }
        if follows != followed {
            put(&write, resource, id, user_id, follows, "do update set following = excluded.following").await?;
            let action = if follows { "followed" } else { "unfollowed" };
            write.record(Event { topic: resource.topic, subject_id: id, action, data: json!({ "user_id": user_id }) }).await?;
        }
        let name = names(&**write, scope, [user_id]).await?.remove(&user_id);
        write.commit(Follower { user_id, name }).await
    })
    .await
}

/// Lets users follow a record who have to do with it, but for those who left it on purpose.
pub(super) async fn join(write: &Write<'_>, resource: &Resource, id: Uuid, users: impl IntoIterator<Item = UserId>) -> Result<()> {
    let mut users: Vec<UserId> = users.into_iter().collect();
    users.sort_unstable(); // whoever writes several rows writes them in one order
    for user in users {
        put(write, resource, id, user, true, "do nothing").await?;
    }
    Ok(())
}

/// Who follows a record that the transaction has read.
pub(crate) async fn of(write: &Write<'_>, resource: &Resource, record: &Record) -> Result<Vec<UserId>> {
    following(&***write, write.scope, resource, crate::resource::rows::id_of(record), record).await
}

async fn put(write: &Write<'_>, resource: &Resource, id: Uuid, user: UserId, following: bool, otherwise: &str) -> Result<()> {
    let sql = format!(
        "insert into followers (tenant_id, topic, subject_id, user_id, following) values ($1, $2, $3, $4, $5)
         on conflict (tenant_id, topic, subject_id, user_id) {otherwise}"
    );
    let values = [write.scope.tenant.0.into(), resource.topic.into(), id.into(), user.0.into(), following.into()];
    write.execute_raw(Statement::from_sql_and_values(write.get_database_backend(), sql, values)).await?;
    Ok(())
}

/// Those with a row that says so, and the owner without one.
async fn following(conn: &impl ConnectionTrait, scope: &Scope, resource: &Resource, id: Uuid, record: &Record) -> Result<Vec<UserId>> {
    let rows = table::Entity::find()
        .filter(table::Column::TenantId.eq(scope.tenant))
        .filter(table::Column::Topic.eq(resource.topic))
        .filter(table::Column::SubjectId.eq(id))
        .all(conn)
        .await?;
    let owner = resource.owner.and_then(|owner| record.get(owner)).and_then(Value::as_str).and_then(value::id).map(UserId);
    let owner = owner.filter(|owner| rows.iter().all(|row| row.user_id != *owner));
    let mut users: Vec<UserId> = rows.iter().filter(|row| row.following).map(|row| row.user_id).chain(owner).collect();
    users.sort_unstable();
    Ok(users)
}
