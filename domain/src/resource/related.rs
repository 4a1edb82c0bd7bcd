//! What hangs on a record: its rows, the records it is joined with, its tags.

use std::collections::{HashMap, HashSet};

use db::DbBackend;
use sea_orm::{
    ConnectionTrait, Statement, Value as Sql,
    sea_query::{Alias, ExprTrait, Query},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Action, Change, Record, Resource,
    access::Act,
    field::Kind,
    registry,
    rows::{self, ROW},
    value, write,
};
use crate::{
    Error, Result,
    engine::{
        Write,
        set::{Insert, Known, Otherwise},
    },
};

/// One at a time for each name, until the transaction ends. SQLite's writer is alone anyway.
pub(crate) async fn alone(write: &Write<'_>, name: &str) -> Result<()> {
    if write.get_database_backend() == DbBackend::Postgres {
        let lock = "select pg_advisory_xact_lock(hashtextextended($1, 7203))";
        let name = format!("{}:{name}", write.scope.tenant);
        write.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, lock, [name.into()])).await?;
    }
    Ok(())
}

/// Which of the records that a value names are not there for the caller, by their place in it.
pub(super) async fn missing(write: &Write<'_>, to: &str, value: &Value) -> Result<Vec<usize>> {
    let ids: Vec<Uuid> = match value {
        Value::Array(ids) => ids.iter().filter_map(|id| value::id(id.as_str()?)).collect(),
        Value::String(id) => value::id(id).into_iter().collect(),
        _ => Vec::new(),
    };
    let to = registry::named(to);
    let known = |known: &mut Known| ids.iter().filter_map(|id| Some((*id, *known.seen.get(&(to.topic, *id))?))).collect();
    let known: HashMap<Uuid, bool> = write.known(known).unwrap_or_default();
    let unknown: Vec<Uuid> = ids.iter().copied().filter(|id| !known.contains_key(id)).collect();
    let mut seen: HashSet<Uuid> = known.into_iter().filter(|(_, there)| *there).map(|(id, _)| id).collect();
    if !unknown.is_empty() {
        let there = there(write, to, &unknown).await?;
        write.known(|known| known.seen.extend(unknown.iter().map(|id| ((to.topic, *id), there.contains(id)))));
        seen.extend(there);
    }
    Ok(ids.iter().enumerate().filter(|(_, id)| !seen.contains(id)).map(|(at, _)| at).collect())
}

/// Which of these records are there for the caller.
async fn there(write: &Write<'_>, to: &'static Resource, ids: &[Uuid]) -> Result<HashSet<Uuid>> {
    let mut select = Query::select();
    select
        .from_as(Alias::new(to.topic), Alias::new(ROW))
        .expr_as(Resource::column(ROW, "id"), "id")
        .and_where(Resource::column(ROW, "id").is_in(ids.iter().copied()))
        .and_where(Resource::column(ROW, "deleted_at").is_null());
    // Who may not see them can't refer to them either.
    let seen = match write.scope.within(to, Act::View, ROW) {
        Ok(within) => write.query_all(select.and_where(within)).await?,
        Err(_) => Vec::new(),
    };
    let mut seen = seen.iter().map(|row| row.try_get::<Uuid>("", "id")).collect::<std::result::Result<HashSet<_>, _>>()?;
    // Everybody knows themselves.
    seen.extend(write.scope.user().filter(|_| to.topic == "users").map(|user| user.0));
    Ok(seen)
}

/// Saves what a change changes of it.
pub(super) async fn save(write: &Write<'_>, resource: &'static Resource, change: &Change) -> Result<()> {
    // Nothing hangs on a record that wasn't there.
    let fresh = change.action == Action::Create;
    for field in resource.fields.iter().filter(|field| !field.is_column() && change.changes(field.name)) {
        let values = change.after.get(field.name).and_then(Value::as_array).cloned().unwrap_or_default();
        let (tenant, own): (Sql, Sql) = (write.scope.tenant.0.into(), change.id.into());
        match &field.kind {
            Kind::Rows(rows) => {
                if !fresh {
                    write.clear(rows.table, rows.owner, change.id).await?;
                }
                let columns = ["id", "tenant_id", rows.owner].into_iter().chain(rows.fields.iter().map(|field| field.name)).collect();
                let row = |row: &Value| {
                    let parts = rows.fields.iter().map(|field| value::sql(&field.kind, &row[field.name]));
                    [Uuid::now_v7().into(), tenant.clone(), own.clone()].into_iter().chain(parts).collect()
                };
                let all = values.iter().map(row).collect();
                write.insert(Insert { table: rows.table, columns, otherwise: Otherwise::Fail, rows: all }).await?;
            }
            Kind::References { table, own: column, other, .. } => {
                if !fresh {
                    write.clear(table, column, change.id).await?;
                }
                let ids = values.iter().filter_map(|id| value::id(id.as_str()?));
                join(write, table, ["tenant_id", column, other], ids.map(|id| [tenant.clone(), own.clone(), id.into()])).await?;
            }
            _ => {
                if !fresh {
                    write.clear("taggings", "subject_id", change.id).await?;
                }
                let names: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
                let tags = tags(write, &names).await?;
                let columns = ["tenant_id", "subject_id", "tag_id", "topic"];
                let topic: Sql = resource.topic.into();
                join(write, "taggings", columns, tags.into_iter().map(|tag| [tenant.clone(), own.clone(), tag.into(), topic.clone()]))
                    .await?;
            }
        }
    }
    Ok(())
}

/// Names tags that are there already as they are spelled: another spelling is no change.
pub(super) async fn spell(write: &Write<'_>, resource: &'static Resource, change: &mut Change) -> Result<()> {
    for field in resource.fields.iter().filter(|field| field.kind == Kind::Tags) {
        if !change.changes(field.name) {
            continue;
        }
        let Some(names) = change.after.get_mut(field.name).and_then(Value::as_array_mut).filter(|names| !names.is_empty()) else {
            continue;
        };
        let keys = names.iter().filter_map(|name| name.as_str().map(value::fold)).collect();
        let known = tagged(write, keys).await?;
        for name in names {
            if let Some((known, _)) = name.as_str().and_then(|name| known.get(&value::fold(name))) {
                *name = json!(known);
            }
        }
    }
    Ok(())
}

/// Before a record is deleted for good.
pub(super) async fn forget(write: &Write<'_>, resource: &'static Resource, id: Uuid) -> Result<()> {
    for field in &resource.fields {
        match &field.kind {
            Kind::Rows(rows) => write.clear(rows.table, rows.owner, id).await?,
            Kind::References { table, own, .. } => write.clear(table, own, id).await?,
            Kind::Tags => write.clear("taggings", "subject_id", id).await?,
            _ => {}
        }
    }
    Ok(())
}

async fn join<const N: usize>(
    write: &Write<'_>,
    table: &'static str,
    columns: [&'static str; N],
    rows: impl Iterator<Item = [Sql; N]>,
) -> Result<()> {
    let rows = rows.map(Vec::from).collect();
    let insert = Insert { table, columns: columns.to_vec(), otherwise: Otherwise::Skip, rows };
    write.insert(insert).await.map_err(write::taken_by_another)
}

/// The tags that are there of these keys: each as it is spelled, and its id.
async fn tagged(write: &Write<'_>, keys: Vec<String>) -> Result<HashMap<String, (String, Uuid)>> {
    let known = |known: &mut Known| keys.iter().filter_map(|key| Some((key.clone(), known.tags.get(key)?.clone()))).collect();
    let mut found: HashMap<String, (String, Uuid)> = write.known(known).unwrap_or_default();
    let unknown: Vec<String> = keys.into_iter().filter(|key| !found.contains_key(key)).collect();
    if unknown.is_empty() {
        return Ok(found);
    }
    let mut find = rows::select(registry::named("tags"));
    find.and_where(Resource::of(ROW, write.scope.tenant.0))
        .and_where(Resource::column(ROW, "key").is_in(unknown))
        .and_where(Resource::column(ROW, "deleted_at").is_null());
    for row in write.query_all(&find).await? {
        let (id, name): (Uuid, String) = (row.try_get("", "id")?, row.try_get("", "name")?);
        found.insert(value::fold(&name), (name, id));
    }
    write.known(|known| known.tags.extend(found.clone()));
    Ok(found)
}

/// The tags with these names; those that are not there are made.
async fn tags(write: &Write<'_>, names: &[&str]) -> Result<Vec<Uuid>> {
    let resource = registry::named("tags");
    let known = tagged(write, names.iter().map(|name| value::fold(name)).collect()).await?;
    let mut ids = Vec::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        let key = value::fold(name);
        if let Some((_, id)) = known.get(&key) {
            ids.push(*id);
            continue;
        }
        alone(write, &format!("tag={key}")).await?;
        // It may have been made while this one waited.
        ids.push(match tagged(write, vec![key.clone()]).await?.remove(&key) {
            Some((_, id)) => id,
            None if write.scope.reach(resource, Act::Create).is_none() => {
                return Err(Error::field(format!("/tags/{at}"), "not_found", "there is no such tag, and you may not make one"));
            }
            None => {
                let body: Record = [("name".to_owned(), json!(name))].into_iter().collect();
                let id = rows::id_of(&Box::pin(write::create(write, resource, &body)).await?);
                write.known(|known| known.tags.insert(key, ((*name).to_owned(), id)));
                id
            }
        });
    }
    Ok(ids)
}
