//! Rows as records: the columns, what hangs on them, and what they are called. Never a query for each record.

use std::collections::HashMap;

use sea_orm::{
    ConnectionTrait, QueryResult,
    sea_query::{Alias, Expr, ExprTrait, JoinType, Order, Query, SelectStatement, UnionType},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Record, Resource,
    access::Act,
    field::{Field, Kind, RowField},
    registry, value,
};
use crate::{Result, Scope};

/// How the statements here call the resource's table.
pub(crate) const ROW: &str = "row_";

/// All columns of a resource's table.
pub(crate) fn select(resource: &Resource) -> SelectStatement {
    select_only(resource, &resource.columns().collect::<Vec<_>>())
}

fn select_only(resource: &Resource, columns: &[&Field]) -> SelectStatement {
    let mut select = Query::select();
    select.from_as(Alias::new(resource.topic), Alias::new(ROW));
    for field in columns {
        select.expr_as(Resource::column(ROW, field.name), Alias::new(field.name));
    }
    select
}

fn decode(columns: &[&Field], row: &QueryResult) -> Result<Record> {
    columns.iter().map(|field| Ok((field.name.to_owned(), value::json(&field.kind, row, field.name)?))).collect()
}

/// The records that the statement selects, with everything that hangs on them.
pub(crate) async fn read(conn: &impl ConnectionTrait, scope: &Scope, resource: &Resource, select: &SelectStatement) -> Result<Vec<Record>> {
    let rows = conn.query_all(select).await?;
    let columns: Vec<_> = resource.columns().collect();
    let mut records = rows.iter().map(|row| decode(&columns, row)).collect::<Result<Vec<_>>>()?;
    attach(conn, scope, resource, &mut records).await?;
    Ok(records)
}

/// The id of a record.
pub(crate) fn id_of(record: &Record) -> Uuid {
    record.get("id").and_then(Value::as_str).and_then(value::id).unwrap_or_default()
}

/// What hangs on records has so many texts at most.
pub(super) const TEXTS: [&str; 3] = ["text_0", "text_1", "text_2"];

/// Adds the fields that are not columns, all of them with one statement.
async fn attach(conn: &impl ConnectionTrait, scope: &Scope, resource: &Resource, records: &mut [Record]) -> Result<()> {
    let fields: Vec<&Field> = resource.fields.iter().filter(|field| !field.is_column()).collect();
    let ids: Vec<Uuid> = records.iter().map(id_of).collect();
    let mut each = (0..).zip(&fields).map(|(at, field)| hanging(scope, at, &field.kind, &ids));
    let Some(mut all) = each.next().filter(|_| !ids.is_empty()) else { return Ok(()) };
    each.for_each(|one| _ = all.union(UnionType::All, one));
    for column in ["field", "part_id", TEXTS[1]] {
        all.order_by(Alias::new(column), Order::Asc);
    }
    let mut found: HashMap<(i32, Uuid), Vec<Value>> = HashMap::new();
    for row in conn.query_all(&all).await? {
        let at: i32 = row.try_get("", "field")?;
        let one = match fields.get(usize::try_from(at).unwrap_or_default()).map(|field| &field.kind) {
            Some(Kind::Rows(rows)) => {
                let member = |(field, text): (&RowField, &str)| Ok((field.name.to_owned(), value::json(&field.kind, &row, text)?));
                Value::Object(rows.fields.iter().zip(TEXTS).map(member).collect::<Result<_>>()?)
            }
            Some(Kind::References { .. }) => json!(row.try_get::<Uuid>("", "part_id")?),
            _ => json!(row.try_get::<String>("", TEXTS[0])?),
        };
        found.entry((at, row.try_get("", "owner")?)).or_default().push(one);
    }
    for (record, id) in records.iter_mut().zip(&ids) {
        for (at, field) in (0..).zip(&fields) {
            record.insert(field.name.to_owned(), Value::Array(found.remove(&(at, *id)).unwrap_or_default()));
        }
    }
    Ok(())
}

/// What a field has hanging on these records: whose it is, the id that it is sorted by, and its texts; of tags, the name and what
/// it is sorted by.
fn hanging(scope: &Scope, at: i32, kind: &Kind, ids: &[Uuid]) -> SelectStatement {
    let part = |name: &'static str| Expr::col((Alias::new("part"), Alias::new(name)));
    let tag = |name: &'static str| Expr::col((Alias::new("tag"), Alias::new(name)));
    let mut parts = Query::select();
    let (owner, id, texts) = match kind {
        Kind::Rows(rows) => {
            parts.from_as(rows.table, "part");
            (rows.owner, part("id"), rows.fields.iter().map(|field| part(field.name)).collect())
        }
        Kind::References { table, own, other, .. } => {
            parts.from_as(*table, "part");
            (*own, part(other), Vec::new())
        }
        _ => {
            let same = tag("tenant_id").equals(("part", "tenant_id")).and(tag("id").equals(("part", "tag_id")));
            parts.from_as("taggings", "part").join_as(JoinType::InnerJoin, "tags", "tag", same);
            parts.and_where(tag("deleted_at").is_null());
            ("subject_id", Expr::cust("cast(null as uuid)"), vec![tag("name"), tag("key")])
        }
    };
    // Only what has a type can be put under each other.
    let texts = texts.into_iter().chain(std::iter::repeat_with(|| Expr::cust("cast(null as text)")));
    parts.expr_as(Expr::val(at), Alias::new("field")).expr_as(part(owner), Alias::new("owner")).expr_as(id, Alias::new("part_id"));
    for (name, text) in TEXTS.into_iter().zip(texts) {
        parts.expr_as(text, Alias::new(name));
    }
    parts.and_where(part("tenant_id").eq(scope.tenant.0)).and_where(part(owner).is_in(ids.iter().copied()));
    parts
}

/// The records with these ids that the caller may see, by id.
pub(crate) async fn seen(conn: &impl ConnectionTrait, scope: &Scope, to: &Resource, ids: Vec<Uuid>) -> Result<HashMap<Uuid, Record>> {
    seen_only(conn, scope, to, ids, &to.columns().collect::<Vec<_>>()).await
}

/// [`seen`], with these columns alone, the id among them.
async fn seen_only(
    conn: &impl ConnectionTrait,
    scope: &Scope,
    to: &Resource,
    ids: Vec<Uuid>,
    columns: &[&Field],
) -> Result<HashMap<Uuid, Record>> {
    if ids.is_empty() || scope.reach(to, Act::View).is_none() {
        return Ok(HashMap::new());
    }
    let mut select = select_only(to, columns);
    select.and_where(scope.within(to, Act::View, ROW)?).and_where(Resource::column(ROW, "id").is_in(ids));
    let rows = conn.query_all(&select).await?;
    let masked = |mut record: Record| {
        scope.mask(to, &mut record);
        (id_of(&record), record)
    };
    rows.iter().map(|row| decode(columns, row).map(masked)).collect()
}

/// The ids that a field holds.
fn held(record: &Record, field: &str) -> Vec<Uuid> {
    match record.get(field) {
        Some(Value::Array(ids)) => ids.iter().filter_map(|id| value::id(id.as_str()?)).collect(),
        Some(Value::String(id)) => value::id(id).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// Makes records ready to be seen: without what the caller doesn't get to see; with `_labels`, which say what the records are
/// called that their fields name; with whole records of the relations that are asked for.
pub(crate) async fn show(
    conn: &impl ConnectionTrait,
    scope: &Scope,
    resource: &Resource,
    include: &[String],
    records: &mut [Record],
) -> Result<()> {
    records.iter_mut().for_each(|record| scope.mask(resource, record));
    let mut wanted: HashMap<&'static str, Vec<Uuid>> = HashMap::new();
    let fields = resource.fields.iter().filter(|field| field.name != "id");
    let fields: Vec<_> = fields.filter_map(|field| Some((field, registry::named(field.leads_to()?)))).collect();
    for (field, to) in &fields {
        wanted.entry(to.topic).or_default().extend(records.iter().flat_map(|record| held(record, field.name)));
    }
    let asked = |field: &Field| field.relation.filter(|name| include.iter().any(|one| one == name));
    let mut found: HashMap<&'static str, HashMap<Uuid, Record>> = HashMap::new();
    for (topic, mut ids) in wanted {
        ids.sort_unstable();
        ids.dedup();
        let to = registry::named(topic);
        let whole = fields.iter().any(|(field, to)| to.topic == topic && asked(field).is_some());
        let columns: Vec<_> = to.columns().filter(|field| whole || field.name == "id" || to.label.contains(&field.name)).collect();
        found.insert(topic, seen_only(conn, scope, to, ids, &columns).await?);
    }
    for record in records {
        let mut labels = Record::new();
        let mut included = Record::new();
        for (field, to) in &fields {
            let known = &found[to.topic];
            let label = |id: &Uuid| known.get(id).map_or(Value::Null, |record| json!(to.label_of(record)));
            let ids = held(record, field.name);
            match field.kind {
                Kind::References { .. } => _ = labels.insert(field.name.to_owned(), ids.iter().map(label).collect()),
                _ if !ids.is_empty() => _ = labels.insert(field.name.to_owned(), label(&ids[0])),
                _ => {}
            }
            if let Some(name) = asked(field) {
                let mut seen = ids.iter().filter_map(|id| known.get(id).cloned()).map(Value::Object);
                let whole = match field.kind {
                    Kind::References { .. } => seen.collect(),
                    _ => seen.next().unwrap_or(Value::Null),
                };
                included.insert(name.to_owned(), whole);
            }
        }
        record.extend(included);
        record.insert("_labels".to_owned(), Value::Object(labels));
    }
    Ok(())
}
