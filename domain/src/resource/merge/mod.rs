//! Records that are the same become one, and can be parted again.
//!
//! The one that stays gets what it lacks from the others (`combine`), whatever leads to them leads to it ([`moves`]), and they go to
//! the trash. All of that is one transaction, and kept, so that it can be taken back for as long as they lie there. [`duplicates`] finds
//! what could be the same.

mod combine;
pub mod duplicates;
pub mod moves;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, SubsecRound, Utc};
use entities::{MergeId, Role, UserId, merge as table, merge_record};
use jobs::Ledger;
use poem_openapi::{Object, types::Any};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    Statement, sea_query::LockType,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Record, Resource, access::Act, custom, field::Written, registry, rows, write};
use crate::{
    Error, FieldError, Result, Scope,
    engine::{
        Event, Write, again,
        set::{Insert, Otherwise},
    },
    page::{Page, Paging},
};

/// What lets records of a resource become one.
#[derive(Debug)]
pub struct Merging {
    /// What records have in common that could be the same.
    pub alike: &'static [duplicates::Alike],
    /// Tables that are no resource's whose rows lead to one.
    pub held: &'static [moves::Held],
}

/// Records that become one at once, the one that stays left aside.
pub const MOST: usize = 20;

/// Which records are the same.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
pub struct MergeRequest {
    /// The record that stays.
    pub into_id: Uuid,
    /// Those that become part of it, 1 to 20; what it lacks comes from the first of them that has it. They go to the trash.
    #[oai(validator(min_items = 1, max_items = 20))]
    pub ids: Vec<Uuid>,
    /// By field, the record whose value it gets, even if it has one: `{"city": "…", "custom.budget": "…"}`. Of lists, such as `emails`,
    /// that record's come first.
    #[oai(default, validator(max_properties = 200))]
    #[serde(default)]
    pub choose: HashMap<String, Uuid>,
    /// Only say what would come of it.
    #[oai(default)]
    #[serde(default)]
    pub dry_run: bool,
}

/// Records that became one.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
pub struct Merge {
    /// Its id.
    pub id: MergeId,
    /// The resource.
    pub topic: String,
    /// The record that stays.
    pub into_id: Uuid,
    /// Those that became part of it.
    pub ids: Vec<Uuid>,
    /// How much led to them and leads to it now, by place: `deals.company_id`, `comments`, …
    pub moved: BTreeMap<String, u64>,
    /// Who did it.
    pub user_id: Option<UserId>,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When it was taken back.
    pub undone_at: Option<DateTime<Utc>>,
}

/// What came of a merge, or would.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
pub struct Merged {
    /// The merge; with `dry_run` there is none.
    pub merge: Option<Merge>,
    /// How much leads to the record now that led to the others, by place.
    pub moved: BTreeMap<String, u64>,
    /// The record as it is then.
    pub record: Any<Value>,
}

/// Makes records one.
///
/// # Errors
/// [`Error::Forbidden`]: it takes editing the one that stays and deleting the others; [`Error::NotFound`]; [`Error::Invalid`];
/// [`Error::Conflict`]; the database's.
pub async fn merge(ledger: &Ledger, scope: &Scope, resource: &'static Resource, request: &MergeRequest) -> Result<Merged> {
    let MergeRequest { into_id, ids, choose, dry_run } = request;
    scope.may(resource, Act::Edit)?;
    scope.may(resource, Act::Delete)?;
    let choice = chosen(scope, resource, *into_id, ids, choose)?;
    let whole = unbounded(scope);
    again(|| async {
        let mut write = Write::begin(ledger, scope).await?.quietly();
        let records = held(&write, resource, *into_id, ids).await?;
        // What leads to them leads to the one that stays, whoever may see it.
        write.scope = &whole;
        let moves = moves::all(&write, resource, *into_id, ids).await?;
        for id in ids {
            write::trash(&write, resource, *id, None).await?;
        }
        let before = records[0].clone();
        let mut now = vec![moves::now(&write, resource, *into_id).await?];
        now.extend(records.into_iter().skip(1));
        let after = combine::combined(resource, &now, &choice);
        let changes = combine::changes(resource, &before, &after);
        let own = changes.keys().map(|name| (name.clone(), after[name].clone())).collect();
        let held = now.swap_remove(0);
        let record = write::change(&write, resource, held, &Record::new(), own).await?;
        let moved = moves::counted(&moves);
        let row = table::Model {
            id: MergeId::new(),
            tenant_id: scope.tenant,
            topic: resource.topic.to_owned(),
            into_id: *into_id,
            user_id: scope.user(),
            changes: Value::Object(changes),
            moved: json!(moved),
            created_at: Utc::now().trunc_subsecs(6),
            undone_at: None,
        };
        let shown = told(row.clone(), ids.clone());
        keep(&write, row, ids, moves).await?;
        let data = json!({ "merge_id": shown.id, "ids": ids, "moved": moved });
        let event = Event { topic: resource.topic, subject_id: *into_id, action: "merged", data };
        write.record_of(event, Some(&record)).await?;
        write.scope = scope;
        let mut seen = [moves::now(&write, resource, *into_id).await?];
        rows::show(&**write, scope, resource, &[], &mut seen).await?;
        let [record] = seen;
        let merged = Merged { merge: (!dry_run).then_some(shown), moved, record: Any(Value::Object(record)) };
        // Dropped, it leaves nothing.
        if *dry_run { Ok(merged) } else { write.commit(merged).await }
    })
    .await
}

/// Takes a merge back: those that became part of a record are there again, with what led to them; what somebody changed since stays.
///
/// # Errors
/// As [`merge`]; [`Error::Conflict`] when it is taken back already, or can't be any more.
pub async fn undo(ledger: &Ledger, scope: &Scope, id: MergeId) -> Result<Merge> {
    let whole = unbounded(scope);
    again(|| async {
        let mut write = Write::begin(ledger, scope).await?.quietly();
        let of = table::Column::TenantId.eq(scope.tenant).and(table::Column::Id.eq(id));
        let row = table::Entity::find().filter(of).lock(LockType::Update).one(&**write).await?;
        let (row, resource) = visible(scope, row)?;
        if row.undone_at.is_some() {
            return Err(Error::conflict("undone", "it is taken back already"));
        }
        let ids = ids_of(&**write, &row).await?;
        let mut all = vec![(row.into_id, Act::Edit)];
        all.extend(ids.iter().map(|id| (*id, Act::Delete)));
        all.sort_unstable();
        for (id, act) in all {
            match write::locked(&write, resource, act, id, None).await {
                Ok(record) if id == row.into_id && record["deleted_at"] != Value::Null => {
                    let message =
                        format!("the {} that stayed is in the trash; restore it, or take back the later merge first", resource.name);
                    return Err(Error::conflict("in_trash", message));
                }
                Ok(_) => {}
                Err(Error::NotFound(_)) => {
                    return Err(Error::conflict("gone", format!("a {} of it is not there any more, or not for you", resource.name)));
                }
                Err(other) => return Err(other),
            }
        }
        write.scope = &whole;
        moves::back(&write, resource, id, row.into_id).await?;
        let now = moves::now(&write, resource, row.into_id).await?;
        let changes = row.changes.as_object().cloned().unwrap_or_default();
        let own = combine::reverted(resource, &now, &changes);
        let record = write::change(&write, resource, now, &Record::new(), own).await?;
        for one in &ids {
            write::restore(&write, resource, *one).await?;
        }
        let at = Some(Utc::now().trunc_subsecs(6));
        table::ActiveModel { undone_at: Set(at), ..row.clone().into() }.update(&**write).await?;
        let data = json!({ "merge_id": id, "ids": ids });
        let event = Event { topic: resource.topic, subject_id: row.into_id, action: "merge_undone", data };
        write.record_of(event, Some(&record)).await?;
        write.scope = scope;
        write.commit(told(table::Model { undone_at: at, ..row }, ids)).await
    })
    .await
}

/// Merges, newest first: the caller's own; for admins, everybody's. Of one record: those that it stayed in or became part of.
///
/// # Errors
/// A foreign cursor; the database's.
pub async fn list(ledger: &Ledger, scope: &Scope, record: Option<Uuid>, paging: Paging) -> Result<Page<Merge>> {
    let read = &ledger.db().read;
    let mut find = table::Entity::find().filter(table::Column::TenantId.eq(scope.tenant));
    if scope.role != Role::Admin {
        find = find.filter(table::Column::UserId.eq(scope.user()));
    }
    let seen = registry::all().iter().filter(|resource| resource.merging.is_some() && scope.reach(resource, Act::View).is_some());
    find = find.filter(table::Column::Topic.is_in(seen.map(|resource| resource.topic)));
    if let Some(record) = record {
        let of = merge_record::Column::TenantId.eq(scope.tenant).and(merge_record::Column::RecordId.eq(record));
        let ids = merge_record::Entity::find().filter(of).select_only().column(merge_record::Column::MergeId);
        let ids: Vec<MergeId> = ids.into_tuple().all(read).await?;
        find = find.filter(table::Column::IntoId.eq(record).or(table::Column::Id.is_in(ids)));
    }
    if let Some(after) = paging.after::<MergeId>()? {
        find = find.filter(table::Column::Id.lt(after));
    }
    let rows = find.order_by_desc(table::Column::Id).limit(paging.limit + 1).all(read).await?;
    let page = paging.page(rows, |row| row.id);
    let of = merge_record::Column::TenantId.eq(scope.tenant);
    let of = of.and(merge_record::Column::MergeId.is_in(page.data.iter().map(|row| row.id)));
    let mut parts: HashMap<MergeId, Vec<Uuid>> = HashMap::new();
    for part in merge_record::Entity::find().filter(of).order_by_asc(merge_record::Column::RecordId).all(read).await? {
        parts.entry(part.merge_id).or_default().push(part.record_id);
    }
    Ok(page.map(|row| {
        let ids = parts.remove(&row.id).unwrap_or_default();
        told(row, ids)
    }))
}

/// One of them.
///
/// # Errors
/// [`Error::NotFound`]; the database's.
pub async fn get(ledger: &Ledger, scope: &Scope, id: MergeId) -> Result<Merge> {
    let read = &ledger.db().read;
    let of = table::Column::TenantId.eq(scope.tenant).and(table::Column::Id.eq(id));
    let (row, _) = visible(scope, table::Entity::find().filter(of).one(read).await?)?;
    let ids = ids_of(read, &row).await?;
    Ok(told(row, ids))
}

/// A record, and all that became part of it.
pub(crate) async fn with_parts(conn: &impl ConnectionTrait, scope: &Scope, resource: &Resource, id: Uuid) -> Result<Vec<Uuid>> {
    if resource.merging.is_none() {
        return Ok(vec![id]);
    }
    let find = "with recursive part (id) as (
            select cast($2 as uuid) as id
            union
            select r.record_id from part
            join merges m on m.tenant_id = $1 and m.into_id = part.id and m.undone_at is null
            join merge_records r on r.tenant_id = m.tenant_id and r.merge_id = m.id
        ) select id from part";
    let backend = conn.get_database_backend();
    let find = if backend == db::DbBackend::Sqlite { find.replace("cast($2 as uuid)", "$2") } else { find.to_owned() };
    let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, find, [scope.tenant.0.into(), id.into()])).await?;
    rows.iter().map(|row| Ok(row.try_get("", "id")?)).collect()
}

fn unbounded(scope: &Scope) -> Scope {
    Scope { role: Role::Admin, abilities: None, grants: std::sync::Arc::default(), ..scope.clone() }
}

/// The choice by the places of the records; each field is one that people write and the caller sees.
fn chosen(scope: &Scope, resource: &'static Resource, into: Uuid, ids: &[Uuid], choose: &HashMap<String, Uuid>) -> Result<combine::Choice> {
    let mut faults = Vec::new();
    let mut fault = |pointer: String, code, message: &str| faults.push(FieldError { pointer, code, message: message.to_owned() });
    for (at, id) in ids.iter().enumerate() {
        if *id == into || ids[..at].contains(id) {
            fault(format!("/ids/{at}"), "invalid", "is named twice");
        }
    }
    let mut choice = combine::Choice::new();
    for (name, id) in choose {
        let pointer = format!("/choose/{}", name.replace('~', "~0").replace('/', "~1"));
        let custom = name.starts_with(custom::PREFIX) && resource.field(custom::FIELD).is_some();
        let field = resource.field(if custom { custom::FIELD } else { name });
        let at = [into].iter().chain(ids).position(|one| one == id);
        match (field, at) {
            (None, _) => fault(pointer, "unknown_field", "is not a field of this object"),
            (Some(field), _) if field.written != Written::Freely || name == custom::FIELD => fault(pointer, "read_only", "can't be chosen"),
            (Some(field), _) if scope.hides(resource, field.name) => fault(pointer, "forbidden", "you don't get to see this field"),
            (_, None) => fault(pointer, "invalid", "is none of the records that become one"),
            (Some(_), Some(at)) => choice.push((name.clone(), at)),
        }
    }
    faults.sort_by(|one, other| one.pointer.cmp(&other.pointer));
    if faults.is_empty() { Ok(choice) } else { Err(Error::Invalid(faults)) }
}

/// The records, the one that stays first, for this transaction alone; in one order, so that two merges don't wait for each other.
async fn held(write: &Write<'_>, resource: &'static Resource, into: Uuid, ids: &[Uuid]) -> Result<Vec<Record>> {
    let mut all = vec![(into, Act::Edit)];
    all.extend(ids.iter().map(|id| (*id, Act::Delete)));
    all.sort_unstable();
    let mut found = HashMap::new();
    for (id, act) in all {
        let pointer = ids.iter().position(|one| *one == id).map_or_else(|| "/into_id".to_owned(), |at| format!("/ids/{at}"));
        let record = match write::locked(write, resource, act, id, None).await {
            Err(Error::NotFound(name)) => return Err(Error::field(pointer, "not_found", format!("there is no such {name}"))),
            other => other?,
        };
        if record["deleted_at"] != Value::Null {
            return Err(Error::conflict("in_trash", format!("the {} at {pointer} is in the trash; restore it first", resource.name)));
        }
        found.insert(id, record);
    }
    Ok([into].iter().chain(ids).filter_map(|id| found.remove(id)).collect())
}

async fn keep(write: &Write<'_>, row: table::Model, ids: &[Uuid], moves: Vec<moves::Move>) -> Result<()> {
    let id = row.id;
    table::ActiveModel::from(row).insert(&***write).await?;
    let rows = ids.iter().map(|one| vec![write.scope.tenant.0.into(), id.0.into(), (*one).into()]).collect();
    let columns = vec!["tenant_id", "merge_id", "record_id"];
    write.insert(Insert { table: "merge_records", columns, otherwise: Otherwise::Fail, rows }).await?;
    moves::keep(write, id, moves).await
}

fn visible(scope: &Scope, row: Option<table::Model>) -> Result<(table::Model, &'static Resource)> {
    let theirs = |row: &table::Model| scope.role == Role::Admin || row.user_id.is_some() && row.user_id == scope.user();
    let row = row.filter(theirs).ok_or(Error::NotFound("merge"))?;
    let resource = registry::find(&row.topic).filter(|resource| resource.merging.is_some()).ok_or(Error::NotFound("merge"))?;
    scope.may(resource, Act::View)?;
    Ok((row, resource))
}

async fn ids_of(conn: &impl ConnectionTrait, row: &table::Model) -> Result<Vec<Uuid>> {
    let of = merge_record::Column::TenantId.eq(row.tenant_id).and(merge_record::Column::MergeId.eq(row.id));
    let ids = merge_record::Entity::find().filter(of).order_by_asc(merge_record::Column::RecordId).select_only();
    Ok(ids.column(merge_record::Column::RecordId).into_tuple().all(conn).await?)
}

fn told(row: table::Model, ids: Vec<Uuid>) -> Merge {
    let moved = serde_json::from_value(row.moved).unwrap_or_default();
    let (topic, into_id, user_id) = (row.topic, row.into_id, row.user_id);
    Merge { id: row.id, topic, into_id, ids, moved, user_id, created_at: row.created_at, undone_at: row.undone_at }
}
