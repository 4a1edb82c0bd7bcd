//! Writing: every record goes this way, whoever writes it. Loaded in scope, checked, saved with what hangs on it, its event
//! and what follows, all in the caller's transaction.

use sea_orm::{
    ConnectionTrait, DbErr, SqlErr,
    sea_query::{Alias, Expr, ExprTrait, JoinType, LockType, Query},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Action, Change, Record, Resource,
    access::Act,
    custom,
    field::{Field, Kind},
    filter::sql::Target,
    related,
    rows::{self, ROW},
    search::texts,
    value,
};
use crate::{
    Error, FieldError, Result, Scope, collaboration,
    engine::{
        Event, Write,
        set::{Insert, Otherwise},
    },
};

/// Makes a record of `body`.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] names every field that can't be taken; what the resource's rules say; the
/// database's.
pub async fn create(write: &Write<'_>, resource: &'static Resource, body: &Record) -> Result<Record> {
    create_of(write, resource, body, Record::new()).await
}

/// [`create`], with what only the rules of the resource write.
pub(crate) async fn create_of(write: &Write<'_>, resource: &'static Resource, body: &Record, own: Record) -> Result<Record> {
    write.scope.may(resource, Act::Create)?;
    let record = create_with(write, resource, body, own).await?;
    if write.scope.reach(resource, Act::Create) != Some(super::access::Reach::All)
        && !within(write, resource, Act::Create, rows::id_of(&record)).await?
    {
        let owner = resource.owner.unwrap_or("id");
        return Err(Error::field(format!("/{owner}"), "forbidden", "you may make records only for yourself or your team"));
    }
    Ok(record)
}

/// [`create`] by the rules of a module, whoever is behind it, with what only they write.
///
/// # Errors
/// As there.
pub(crate) async fn create_with(write: &Write<'_>, resource: &'static Resource, body: &Record, own: Record) -> Result<Record> {
    let mut after = taken(write.scope, resource, Action::Create, body)?;
    after.extend(own);
    let id = Uuid::now_v7();
    let now = value::now();
    for field in &resource.fields {
        let own = || resource.owner == Some(field.name) && field.name != "id";
        let value = match (&field.default, &field.kind) {
            (Some(default), _) => default.clone(),
            (None, Kind::Rows(_) | Kind::References { .. } | Kind::Tags) => json!([]),
            _ if own() => json!(write.scope.user()),
            _ => Value::Null,
        };
        // Null stands for nobody's own value: only what has a default can't be without one.
        let keep = after.get(field.name).is_some_and(|given| !given.is_null() || field.default.is_none());
        if !keep {
            after.insert(field.name.to_owned(), value);
        }
    }
    for (name, value) in [("id", json!(id)), ("version", json!(1)), ("created_at", now.clone()), ("updated_at", now)] {
        after.insert(name.to_owned(), value);
    }
    let mut change = Change { action: Action::Create, id, before: Record::new(), after };
    custom::complete(write, resource, &mut change).await?;
    related::spell(write, resource, &mut change).await?;
    resource.rules.check(write, &mut change).await?;
    verify(write, resource, &change, body).await?;
    write.insert_record(row(write, resource, &change.after, Otherwise::Fail)).await.map_err(taken_by_another)?;
    saved(write, resource, change).await
}

/// The record as a row of its table.
fn row(write: &Write<'_>, resource: &Resource, record: &Record, otherwise: Otherwise) -> Insert {
    let columns = ["tenant_id"].into_iter().chain(resource.columns().map(|field| field.name)).collect();
    let values = resource.columns().map(|field| value::sql(&field.kind, record.get(field.name).unwrap_or(&Value::Null)));
    let row = [write.scope.tenant.0.into()].into_iter().chain(values).collect();
    Insert { table: resource.topic, columns, otherwise, rows: vec![row] }
}

/// Changes those fields of a record that `body` has: null clears one. With `version`, only if the record still has it.
///
/// # Errors
/// As [`create`]; [`Error::NotFound`]; [`Error::Changed`].
pub async fn update(write: &Write<'_>, resource: &'static Resource, id: Uuid, body: &Record, version: Option<i64>) -> Result<Record> {
    update_with(write, resource, id, body, Record::new(), version).await
}

/// [`update`], with what only the rules of the resource write.
///
/// # Errors
/// As there.
pub(crate) async fn update_with(
    write: &Write<'_>,
    resource: &'static Resource,
    id: Uuid,
    body: &Record,
    own: Record,
    version: Option<i64>,
) -> Result<Record> {
    let before = locked(write, resource, Act::Edit, id, version).await?;
    change(write, resource, before, body, own).await
}

/// [`update_with`], of a record that the transaction has locked for it.
pub(crate) async fn change(write: &Write<'_>, resource: &'static Resource, before: Record, body: &Record, own: Record) -> Result<Record> {
    let id = rows::id_of(&before);
    if before["deleted_at"] != Value::Null {
        return Err(Error::conflict("in_trash", format!("the {} is in the trash; restore it first", resource.name)));
    }
    let mut after = before.clone();
    after.extend(taken(write.scope, resource, Action::Update, body)?);
    after.extend(own);
    let mut change = Change { action: Action::Update, id, before, after };
    custom::complete(write, resource, &mut change).await?;
    related::spell(write, resource, &mut change).await?;
    resource.rules.check(write, &mut change).await?;
    verify(write, resource, &change, body).await?;
    store(write, resource, change).await
}

/// What rules and merges let a field hold, in the trash too; nobody is asked whether it may.
pub(crate) async fn rewrite(write: &Write<'_>, resource: &'static Resource, before: Record, own: Record) -> Result<Record> {
    let mut after = before.clone();
    after.extend(own);
    store(write, resource, Change { action: Action::Update, id: rows::id_of(&before), before, after }).await
}

/// Puts a record into the trash.
///
/// # Errors
/// As [`update`].
pub async fn trash(write: &Write<'_>, resource: &'static Resource, id: Uuid, version: Option<i64>) -> Result<Record> {
    move_to(write, resource, id, version, Action::Delete).await
}

/// Takes a record out of the trash.
///
/// # Errors
/// As [`update`].
pub async fn restore(write: &Write<'_>, resource: &'static Resource, id: Uuid) -> Result<Record> {
    move_to(write, resource, id, None, Action::Restore).await
}

async fn move_to(write: &Write<'_>, resource: &'static Resource, id: Uuid, version: Option<i64>, action: Action) -> Result<Record> {
    let before = locked(write, resource, Act::Delete, id, version).await?;
    let mut after = before.clone();
    let gone = if action == Action::Delete { value::now() } else { Value::Null };
    if (before["deleted_at"] == Value::Null) == (gone == Value::Null) {
        return Ok(before); // it is there already
    }
    after.insert("deleted_at".into(), gone);
    let mut change = Change { action, id, before, after };
    resource.rules.check(write, &mut change).await?;
    if action == Action::Restore {
        verify(write, resource, &change, &Record::new()).await?;
    }
    store(write, resource, change).await
}

/// Deletes a record for good.
///
/// # Errors
/// As [`update`]; [`Error::Conflict`] when other records need it.
pub async fn purge(write: &Write<'_>, resource: &'static Resource, id: Uuid, version: Option<i64>) -> Result<()> {
    let before = locked(write, resource, Act::Delete, id, version).await?;
    let mut change = Change { action: Action::Purge, id, before, after: Record::new() };
    resource.rules.check(write, &mut change).await?;
    related::forget(write, resource, id).await?;
    collaboration::forget(write, resource, id).await?;
    texts::forget_all(write, id).await?;
    let delete = Query::delete()
        .from_table(Alias::new(resource.topic))
        .and_where(Expr::col(Alias::new("tenant_id")).eq(write.scope.tenant.0))
        .and_where(Expr::col(Alias::new("id")).eq(id))
        .to_owned();
    write.execute(&delete).await.map_err(|error| match error.sql_err() {
        Some(SqlErr::ForeignKeyConstraintViolation(_)) => {
            Error::conflict("in_use", format!("other records need this {}; put it into the trash instead", resource.name))
        }
        _ => Error::Db(error),
    })?;
    note(write, resource, &change).await?;
    resource.rules.follow(write, &change).await
}

/// Makes another record with what this one has, but what only one may have.
///
/// # Errors
/// As [`create`]; [`Error::NotFound`].
pub async fn duplicate(write: &Write<'_>, resource: &'static Resource, id: Uuid) -> Result<Record> {
    let record = load(write, resource, Act::View, id, false).await?.ok_or(Error::NotFound(resource.name))?;
    let copied = resource.writable(Action::Create).filter(|field| !field.unique && !write.scope.hides(resource, field.name));
    let body: Record =
        copied.map(|field| (field.name.to_owned(), record[field.name].clone())).filter(|(_, value)| !value.is_null()).collect();
    create(write, resource, &body).await
}

/// The record whose unique `field` has this value, changed to `body`; made when there is none.
///
/// # Errors
/// As [`create`].
pub async fn upsert(write: &Write<'_>, resource: &'static Resource, field: &str, key: &str, body: &Record) -> Result<(bool, Record)> {
    write.scope.may(resource, Act::Edit)?;
    let unique = || resource.fields.iter().filter(|field| field.unique);
    let Some(field) = unique().find(|one| one.name == field) else {
        let known = unique().map(|field| field.name).collect::<Vec<_>>().join(", ");
        return Err(Error::field("/field", "invalid", format!("takes what only one of them has: {known}")));
    };
    if write.scope.hides(resource, field.name) {
        return Err(Error::field("/field", "forbidden", "you don't get to see this field"));
    }
    let refused = |(code, message): value::Refusal| Error::field("/value", code, message);
    let (about, kind) = match field.kind {
        Kind::Rows(rows) => (Some(rows.fields[0].name), &rows.fields[0].kind),
        _ => (None, &field.kind),
    };
    let key = value::accept(kind, &json!(key)).map_err(refused)?;
    related::alone(write, &format!("{}.{}={key}", resource.topic, field.name)).await?;
    let target = Target { backend: write.get_database_backend(), scope: write.scope };
    let found = match owner_of(write, resource, field, &key, target, Uuid::nil()).await? {
        Some(id) => Some(update(write, resource, id, body, None).await?),
        None => None,
    };
    if let Some(record) = found {
        return Ok((false, record));
    }
    let mut body = body.clone();
    match about {
        None => _ = body.insert(field.name.to_owned(), key),
        Some(about) => {
            let rows = body.entry(field.name).or_insert(Value::Null);
            if *rows == Value::Null {
                *rows = json!([]);
            }
            if let Some(rows) = rows.as_array_mut() {
                let has = rows.iter().any(|row| value::accept(kind, &row[about]).is_ok_and(|value| value == key));
                if !has {
                    rows.insert(0, json!({ about: key }));
                }
            }
        }
    }
    Ok((true, create(write, resource, &body).await?))
}

/// The fields of a body in their one form.
pub(crate) fn taken(scope: &Scope, resource: &'static Resource, action: Action, body: &Record) -> Result<Record> {
    let mut faults = Vec::new();
    let mut after = Record::new();
    let mut fault = |name: &str, code, message: String| {
        let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        faults.push(FieldError { pointer, code, message });
    };
    for (name, value) in body {
        let Some(field) = resource.writable(action).find(|field| field.name == name) else {
            match resource.field(name) {
                Some(_) => fault(name, "read_only", "can't be written".into()),
                None => fault(name, "unknown_field", "is not a field of this object".into()),
            }
            continue;
        };
        if scope.hides(resource, name) {
            fault(name, "forbidden", "you don't get to see this field, so you can't write it".into());
            continue;
        }
        match value::accept(&field.kind, value) {
            Ok(Value::Null) if !field.is_column() => _ = after.insert(name.clone(), json!([])),
            Ok(Value::Null) if field.required && action == Action::Update => fault(name, "required", "can't be cleared".into()),
            Ok(value) => _ = after.insert(name.clone(), value),
            Err((code, message)) => fault(name, code, message),
        }
    }
    if action == Action::Create {
        for field in resource.writable(action).filter(|field| field.required && field.default.is_none()) {
            if body.get(field.name).is_none_or(Value::is_null) {
                fault(field.name, "required", "is required".into());
            }
        }
    }
    if faults.is_empty() { Ok(after) } else { Err(Error::Invalid(faults)) }
}

/// Whether everything that `given` refers to is there for the caller, and nobody else has what only one may have. What the
/// rules choose, they answer for.
async fn verify(write: &Write<'_>, resource: &'static Resource, change: &Change, given: &Record) -> Result<()> {
    let target = Target { backend: write.get_database_backend(), scope: write.scope };
    let mut faults = Vec::new();
    let restored = change.action == Action::Restore;
    for field in resource.fields.iter().filter(|field| field.name != "id" && (change.changes(field.name) || restored && field.unique)) {
        let value = &change.after[field.name];
        match field.kind {
            Kind::Reference { .. } | Kind::References { .. } if !given.contains_key(field.name) => {}
            Kind::Reference { to } | Kind::References { to, .. } => {
                // What it referred to before may have gone since; that is no reason to refuse another change.
                let known = change.before.get(field.name).and_then(Value::as_array);
                let (places, fresh): (Vec<usize>, Vec<Value>) = match value {
                    Value::Array(ids) => {
                        let fresh = ids.iter().enumerate().filter(|(_, id)| known.is_none_or(|known| !known.contains(id)));
                        fresh.map(|(at, id)| (at, id.clone())).unzip()
                    }
                    Value::Null => continue,
                    one => (vec![0], vec![one.clone()]),
                };
                for at in related::missing(write, to, &Value::Array(fresh)).await? {
                    let at = places[at];
                    let pointer = if field.is_column() { format!("/{}", field.name) } else { format!("/{}/{at}", field.name) };
                    let message = format!("there is no such {}", super::registry::named(to).name);
                    faults.push(FieldError { pointer, code: "not_found", message });
                }
            }
            _ if field.unique
                && field.is_column()
                && !value.is_null()
                && owner_of(write, resource, field, value, target, change.id).await?.is_some() =>
            {
                let message = format!("another {} has it", resource.name);
                faults.push(FieldError { pointer: format!("/{}", field.name), code: "taken", message });
            }
            _ => {}
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}

/// Which other record of the tenant has this value in a field that only one may have.
async fn owner_of(
    write: &Write<'_>,
    resource: &Resource,
    field: &Field,
    value: &Value,
    target: Target<'_>,
    but: Uuid,
) -> Result<Option<Uuid>> {
    let mut find = Query::select();
    find.from_as(Alias::new(resource.topic), Alias::new(ROW))
        .expr_as(Resource::column(ROW, "id"), "id")
        .and_where(Resource::of(ROW, write.scope.tenant.0))
        .and_where(Resource::column(ROW, "deleted_at").is_null())
        .and_where(Resource::column(ROW, "id").ne(but));
    match field.kind {
        Kind::Rows(rows) => {
            let part = |name: &'static str| Resource::column("part", name);
            let joined = part("tenant_id").equals((ROW, "tenant_id")).and(part(rows.owner).equals((ROW, "id")));
            let about = &rows.fields[0];
            find.join_as(JoinType::InnerJoin, rows.table, "part", joined).and_where(part(about.name).eq(value::sql(&about.kind, value)));
            find.and_where(write.scope.within(resource, Act::Edit, ROW)?);
            find.order_by((Alias::new(ROW), Alias::new("id")), sea_orm::Order::Asc).limit(1);
        }
        // There is one at most. Asked for the first of several, PostgreSQL would rather go through all of them in their order.
        _ => {
            let column = Resource::column(ROW, field.name);
            match (&field.kind, value.as_str()) {
                (Kind::Text { .. }, Some(text)) => find.and_where(target.folded(ROW, field.name).eq(value::fold(text))),
                (kind, _) => find.and_where(column.eq(value::sql(kind, value))),
            };
        }
    }
    let row = write.query_one(&find).await?;
    Ok(row.map(|row| row.try_get("", "id")).transpose()?)
}

pub(crate) async fn load(write: &Write<'_>, resource: &'static Resource, act: Act, id: Uuid, lock: bool) -> Result<Option<Record>> {
    let mut select = rows::select(resource);
    select.and_where(write.scope.within(resource, act, ROW)?).and_where(Resource::column(ROW, "id").eq(id));
    if lock && write.get_database_backend() == db::DbBackend::Postgres {
        select.lock(LockType::NoKeyUpdate);
    }
    Ok(rows::read(&***write, write.scope, resource, &select).await?.pop())
}

async fn within(write: &Write<'_>, resource: &'static Resource, act: Act, id: Uuid) -> Result<bool> {
    Ok(load(write, resource, act, id, false).await?.is_some())
}

/// The record, for this transaction alone.
pub(crate) async fn locked(write: &Write<'_>, resource: &'static Resource, act: Act, id: Uuid, version: Option<i64>) -> Result<Record> {
    write.scope.may(resource, act)?;
    let Some(record) = load(write, resource, act, id, true).await? else {
        // One that may be seen is refused, one that may not be is not there.
        return match within(write, resource, Act::View, id).await {
            Ok(true) => Err(Error::Forbidden(resource.ability(act))),
            _ => Err(Error::NotFound(resource.name)),
        };
    };
    match version {
        Some(version) if record["version"] != json!(version) => Err(Error::Changed),
        _ => Ok(record),
    }
}

/// Saves what a change changes; one that changes nothing leaves no trace.
async fn store(write: &Write<'_>, resource: &'static Resource, mut change: Change) -> Result<Record> {
    let changed: Vec<&Field> = resource.fields.iter().filter(|field| change.changes(field.name)).collect();
    if changed.is_empty() {
        return Ok(change.after);
    }
    let version = change.before["version"].as_i64().unwrap_or(0) + 1;
    change.after.insert("version".into(), json!(version));
    change.after.insert("updated_at".into(), value::now());
    if write.gathers() {
        // The row is locked, and all of it is at hand: over the one that is there, beside those of other records.
        write.insert_record(row(write, resource, &change.after, Otherwise::Replace(&["id"]))).await?;
        return saved(write, resource, change).await;
    }
    let mut update = Query::update();
    update
        .table(Alias::new(resource.topic))
        .and_where(Expr::col(Alias::new("tenant_id")).eq(write.scope.tenant.0))
        .and_where(Expr::col(Alias::new("id")).eq(change.id));
    for field in resource.columns().filter(|field| change.changes(field.name)) {
        update.value(Alias::new(field.name), Expr::val(value::sql(&field.kind, &change.after[field.name])));
    }
    write.execute(&update).await.map_err(taken_by_another)?;
    saved(write, resource, change).await
}

/// What hangs on the record, what it is found by, its event, what follows.
async fn saved(write: &Write<'_>, resource: &'static Resource, change: Change) -> Result<Record> {
    related::save(write, resource, &change).await?;
    texts::keep(write, resource, &change).await?;
    note(write, resource, &change).await?;
    resource.rules.follow(write, &change).await?;
    collaboration::saved(write, resource, &change).await?;
    Ok(change.after)
}

/// The event: every field that is another one afterwards, with what it was.
pub(crate) async fn note(write: &Write<'_>, resource: &Resource, change: &Change) -> Result<()> {
    let quiet = ["id", "version", "created_at", "updated_at", "deleted_at"];
    let changes = resource.fields.iter().filter(|field| !quiet.contains(&field.name) && change.changes(field.name)).map(|field| {
        let side = |record: &Record| record.get(field.name).cloned().unwrap_or(Value::Null);
        (field.name.to_owned(), json!({ "from": side(&change.before), "to": side(&change.after) }))
    });
    let data = json!({ "changes": changes.collect::<Record>() });
    // Of one that is gone, what it was.
    let record = if change.action == Action::Purge { &change.before } else { &change.after };
    write.record_of(Event { topic: resource.topic, subject_id: change.id, action: change.action.as_str(), data }, Some(record)).await
}

/// Two that came at the same moment.
pub(crate) fn taken_by_another(error: DbErr) -> Error {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => Error::conflict("taken", "another record has what only one may have; look again"),
        Some(SqlErr::ForeignKeyConstraintViolation(_)) => Error::conflict("gone", "something it refers to is gone; look again"),
        _ => Error::Db(error),
    }
}
