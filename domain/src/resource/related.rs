//! What hangs on a record: its rows, the records it is joined with, its tags.

use std::collections::HashSet;

use db::DbBackend;
use sea_orm::{
    ConnectionTrait, Statement,
    sea_query::{Alias, Expr, ExprTrait, OnConflict, Query},
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
use crate::{Error, Result, engine::Write};

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
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let to = registry::named(to);
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
    Ok(ids.iter().enumerate().filter(|(_, id)| !seen.contains(id)).map(|(at, _)| at).collect())
}

/// Saves what a change changes of it.
pub(super) async fn save(write: &Write<'_>, resource: &'static Resource, change: &Change) -> Result<()> {
    // Nothing hangs on a record that wasn't there.
    let fresh = change.action == Action::Create;
    for field in resource.fields.iter().filter(|field| !field.is_column() && change.changes(field.name)) {
        let values = change.after.get(field.name).and_then(Value::as_array).cloned().unwrap_or_default();
        let tenant = Expr::val(write.scope.tenant.0);
        let own = Expr::val(change.id);
        match &field.kind {
            Kind::Rows(rows) => {
                if !fresh {
                    clear(write, rows.table, rows.owner, change.id).await?;
                }
                let columns = ["id", "tenant_id", rows.owner].into_iter().chain(rows.fields.iter().map(|field| field.name)).map(Alias::new);
                let mut insert = Query::insert();
                insert.into_table(rows.table).columns(columns);
                for row in &values {
                    let parts = rows.fields.iter().map(|field| Expr::val(value::sql(&field.kind, &row[field.name])));
                    insert.values_panic([Expr::val(Uuid::now_v7()), tenant.clone(), own.clone()].into_iter().chain(parts));
                }
                if !values.is_empty() {
                    write.execute(&insert).await?;
                }
            }
            Kind::References { table, own: column, other, .. } => {
                if !fresh {
                    clear(write, table, column, change.id).await?;
                }
                let ids = values.iter().filter_map(|id| value::id(id.as_str()?));
                join(write, table, ["tenant_id", column, other], ids.map(|id| [tenant.clone(), own.clone(), Expr::val(id)])).await?;
            }
            _ => {
                if !fresh {
                    clear(write, "taggings", "subject_id", change.id).await?;
                }
                let names: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
                let tags = tags(write, &names).await?;
                let columns = ["tenant_id", "subject_id", "tag_id", "topic"];
                let topic = Expr::val(resource.topic);
                join(write, "taggings", columns, tags.into_iter().map(|tag| [tenant.clone(), own.clone(), Expr::val(tag), topic.clone()]))
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
        let keys: Vec<String> = names.iter().filter_map(|name| name.as_str().map(value::fold)).collect();
        let mut find = rows::select(registry::named("tags"));
        find.and_where(Resource::of(ROW, write.scope.tenant.0))
            .and_where(Resource::column(ROW, "key").is_in(keys))
            .and_where(Resource::column(ROW, "deleted_at").is_null());
        for row in write.query_all(&find).await? {
            let known: String = row.try_get("", "name")?;
            for name in names.iter_mut().filter(|name| name.as_str().is_some_and(|name| value::fold(name) == value::fold(&known))) {
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
            Kind::Rows(rows) => clear(write, rows.table, rows.owner, id).await?,
            Kind::References { table, own, .. } => clear(write, table, own, id).await?,
            Kind::Tags => clear(write, "taggings", "subject_id", id).await?,
            _ => {}
        }
    }
    Ok(())
}

async fn clear(write: &Write<'_>, table: &'static str, owner: &'static str, id: Uuid) -> Result<()> {
    let clear = Query::delete()
        .from_table(table)
        .and_where(Expr::col(Alias::new("tenant_id")).eq(write.scope.tenant.0))
        .and_where(Expr::col(Alias::new(owner)).eq(id))
        .to_owned();
    write.execute(&clear).await?;
    Ok(())
}

async fn join<const N: usize>(
    write: &Write<'_>,
    table: &'static str,
    columns: [&'static str; N],
    rows: impl Iterator<Item = [Expr; N]>,
) -> Result<()> {
    let mut insert = Query::insert();
    insert.into_table(table).columns(columns.map(Alias::new)).on_conflict(OnConflict::new().do_nothing().to_owned());
    let mut any = false;
    for row in rows {
        insert.values_panic(row);
        any = true;
    }
    if any {
        write.execute(&insert).await.map_err(write::taken_by_another)?;
    }
    Ok(())
}

/// The tags with these names; those that are not there are made.
async fn tags(write: &Write<'_>, names: &[&str]) -> Result<Vec<Uuid>> {
    let resource = registry::named("tags");
    let mut ids = Vec::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        alone(write, &format!("tag={}", value::fold(name))).await?;
        let mut find = rows::select(resource);
        find.and_where(Resource::of(ROW, write.scope.tenant.0))
            .and_where(Resource::column(ROW, "key").eq(value::fold(name)))
            .and_where(Resource::column(ROW, "deleted_at").is_null());
        let known = write.query_one(&find).await?.map(|row| row.try_get::<Uuid>("", "id")).transpose()?;
        ids.push(match known {
            Some(id) => id,
            None if write.scope.reach(resource, Act::Create).is_none() => {
                return Err(Error::field(format!("/tags/{at}"), "not_found", "there is no such tag, and you may not make one"));
            }
            None => {
                let body: Record = [("name".to_owned(), json!(name))].into_iter().collect();
                rows::id_of(&Box::pin(write::create(write, resource, &body)).await?)
            }
        });
    }
    Ok(ids)
}
