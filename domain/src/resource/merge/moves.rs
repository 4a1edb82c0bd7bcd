//! What leads to a record: the fields of other records, and the rows of tables that are no resource's. Moved to the record that stays,
//! each move is kept, so that it can be taken back.

use std::collections::BTreeMap;

use entities::{MergeId, merge_move};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter,
    sea_query::{Alias, Expr, Query},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Result,
    collaboration::TOPICS,
    engine::{
        Event, Write,
        set::{Insert, Otherwise},
    },
    resource::{
        Record, Resource,
        access::Act,
        field::{Field, Kind},
        registry, rows, value, write,
    },
};

/// Rows of a table that is no resource's, each of which leads to a record.
#[derive(Debug)]
pub struct Held {
    /// The table; its rows have an id.
    pub table: &'static str,
    /// Its column with the record.
    pub column: &'static str,
    /// The topic of the events that say that a row leads elsewhere now, where people hear of it; its rows have a version then.
    pub topic: Option<&'static str>,
    /// A table whose rows hang on these and name the record once more, in the same column, and its column for these.
    pub parts: Option<(&'static str, &'static str)>,
}

/// What people do around records; their rows have the topic besides.
const AROUND: [Held; 3] = [
    Held { table: "comments", column: "subject_id", topic: None, parts: None },
    Held { table: "attachments", column: "subject_id", topic: None, parts: None },
    Held { table: "notifications", column: "subject_id", topic: None, parts: None },
];

/// Ids in one statement.
const CHUNK: usize = 500;

/// One move: where, of what, from where, and whether that led to the one that stays already.
pub(crate) struct Move {
    place: String,
    row: Uuid,
    from: Uuid,
    had: bool,
}

fn col(name: &'static str) -> Expr {
    Expr::col(Alias::new(name))
}

fn tables(resource: &Resource) -> impl Iterator<Item = &'static Held> {
    let around = AROUND.iter().filter(|_| TOPICS.contains(&resource.topic));
    around.chain(resource.merging.into_iter().flat_map(|merging| merging.held))
}

/// The fields of all resources that lead to records of this one.
fn fields(resource: &Resource) -> impl Iterator<Item = (&'static Resource, &'static Field)> {
    let leads = move |field: &&Field| field.name != "id" && field.leads_to() == Some(resource.topic);
    registry::all().iter().flat_map(move |from| from.fields.iter().filter(leads).map(move |field| (from, field)))
}

/// Moves whatever leads to `ids`.
pub(super) async fn all(write: &Write<'_>, resource: &'static Resource, into: Uuid, ids: &[Uuid]) -> Result<Vec<Move>> {
    let mut moves = Vec::new();
    for held in tables(resource) {
        let mut find = Query::select();
        find.from(Alias::new(held.table)).column("id").column(held.column).and_where(col("tenant_id").eq(write.scope.tenant.0));
        find.and_where(col(held.column).is_in(ids.iter().copied()));
        if held.column == "subject_id" {
            find.and_where(col("topic").eq(resource.topic));
        }
        for row in write.query_all(&find).await? {
            moves.push(Move { place: held.table.to_owned(), row: row.try_get("", "id")?, from: row.try_get("", held.column)?, had: false });
        }
        let of_here: Vec<&Move> = moves.iter().filter(|one| one.place == held.table).collect();
        lead(write, held, into, of_here.iter().map(|one| (one.row, one.from))).await?;
    }
    if TOPICS.contains(&resource.topic) {
        moves.extend(followers(write, resource, into, ids).await?);
    }
    for (from, field) in fields(resource) {
        for id in leading(write, from, field, ids).await? {
            let Some(before) = write::load(write, from, Act::Edit, id, true).await? else { continue };
            let place = format!("{}.{}", from.topic, field.name);
            let held = held(&before, field);
            let gone = ids.iter().filter(|id| held.contains(id));
            moves.extend(gone.map(|gone| Move { place: place.clone(), row: id, from: *gone, had: held.contains(&into) }));
            let mut left: Vec<Uuid> = Vec::new();
            for id in held.into_iter().map(|id| if ids.contains(&id) { into } else { id }) {
                if !left.contains(&id) {
                    left.push(id);
                }
            }
            // The one that stays may belong to one that goes; none belongs to itself.
            left.retain(|one| !(from.topic == resource.topic && id == into && *one == into));
            write::rewrite(write, from, before, put(field, &left)).await?;
        }
    }
    Ok(moves)
}

/// The records whose field leads to one of these, those in the trash too.
async fn leading(write: &Write<'_>, from: &Resource, field: &Field, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    let mut find = Query::select();
    let (table, own, other) = match field.kind {
        Kind::References { table, own, other, .. } => (table, own, other),
        _ => (from.topic, "id", field.name),
    };
    find.from(Alias::new(table)).expr_as(col(own), "id").distinct();
    find.and_where(col("tenant_id").eq(write.scope.tenant.0)).and_where(col(other).is_in(ids.iter().copied()));
    let rows = write.query_all(&find).await?;
    let mut found = rows.iter().map(|row| Ok(row.try_get("", "id")?)).collect::<Result<Vec<Uuid>>>()?;
    found.sort_unstable();
    Ok(found)
}

fn held(record: &Record, field: &Field) -> Vec<Uuid> {
    match record.get(field.name) {
        Some(Value::Array(ids)) => ids.iter().filter_map(|id| value::id(id.as_str()?)).collect(),
        Some(Value::String(id)) => value::id(id).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn put(field: &Field, ids: &[Uuid]) -> Record {
    let value = if field.is_column() { json!(ids.first()) } else { json!(ids) };
    [(field.name.to_owned(), value)].into_iter().collect()
}

/// Lets rows lead to a record, with what hangs on them, and tells of it.
async fn lead(write: &Write<'_>, held: &Held, to: Uuid, rows: impl Iterator<Item = (Uuid, Uuid)>) -> Result<()> {
    let rows: Vec<(Uuid, Uuid)> = rows.collect();
    let tenant = write.scope.tenant.0;
    for chunk in rows.chunks(CHUNK) {
        let ids = || chunk.iter().map(|(row, _)| *row);
        let mut update = Query::update();
        update.table(Alias::new(held.table)).value(Alias::new(held.column), to).and_where(col("tenant_id").eq(tenant));
        if held.topic.is_some() {
            update.value("version", col("version").add(1)).value("updated_at", chrono::Utc::now());
        }
        write.execute(update.and_where(col("id").is_in(ids()))).await?;
        if let Some((table, own)) = held.parts {
            let mut update = Query::update();
            update.table(Alias::new(table)).value(Alias::new(held.column), to).and_where(col("tenant_id").eq(tenant));
            write.execute(update.and_where(col(own).is_in(ids()))).await?;
        }
        for (row, from) in chunk.iter().filter(|_| held.topic.is_some()) {
            let data = json!({ "changes": { held.column: { "from": from, "to": to } } });
            let topic = held.topic.unwrap_or_default();
            write.record(Event { topic, subject_id: *row, action: "updated", data }).await?;
        }
    }
    Ok(())
}

/// Who follows one of them follows the one that stays, unless they left that on purpose.
async fn followers(write: &Write<'_>, resource: &'static Resource, into: Uuid, ids: &[Uuid]) -> Result<Vec<Move>> {
    let mut find = Query::select();
    find.from("followers").columns(["user_id", "subject_id"]).and_where(col("tenant_id").eq(write.scope.tenant.0));
    find.and_where(col("topic").eq(resource.topic)).and_where(col("subject_id").is_in(ids.iter().copied()));
    find.and_where(col("following").eq(true));
    let there = Query::select()
        .from("followers")
        .column("user_id")
        .and_where(col("tenant_id").eq(write.scope.tenant.0))
        .and_where(col("topic").eq(resource.topic))
        .and_where(col("subject_id").eq(into))
        .to_owned();
    find.and_where(col("user_id").not_in_subquery(there));
    let mut moves: Vec<Move> = Vec::new();
    for row in write.query_all(&find).await? {
        let user: Uuid = row.try_get("", "user_id")?;
        if moves.iter().all(|one| one.row != user) {
            moves.push(Move { place: "followers".to_owned(), row: user, from: row.try_get("", "subject_id")?, had: false });
        }
    }
    let row = |one: &Move| vec![write.scope.tenant.0.into(), resource.topic.into(), into.into(), one.row.into(), true.into()];
    let columns = vec!["tenant_id", "topic", "subject_id", "user_id", "following"];
    write.insert(Insert { table: "followers", columns, otherwise: Otherwise::Skip, rows: moves.iter().map(row).collect() }).await?;
    Ok(moves)
}

/// Keeps what was moved.
pub(super) async fn keep(write: &Write<'_>, merge: MergeId, moves: Vec<Move>) -> Result<()> {
    let tenant = write.scope.tenant.0;
    let row = |Move { place, row, from, had }: Move| vec![tenant.into(), merge.0.into(), place.into(), row.into(), from.into(), had.into()];
    let columns = vec!["tenant_id", "merge_id", "place", "row_id", "from_id", "had"];
    let rows = moves.into_iter().map(row).collect();
    write.insert(Insert { table: "merge_moves", columns, otherwise: Otherwise::Skip, rows }).await?;
    Ok(())
}

/// How much was moved, by place.
pub(super) fn counted(moves: &[Move]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for one in moves {
        *counts.entry(one.place.clone()).or_default() += 1;
    }
    counts
}

/// Moves back what still leads to the one that stayed.
pub(super) async fn back(write: &Write<'_>, resource: &'static Resource, merge: MergeId, into: Uuid) -> Result<()> {
    let of = merge_move::Column::TenantId.eq(write.scope.tenant).and(merge_move::Column::MergeId.eq(merge));
    let moves = merge_move::Entity::find().filter(of).all(&***write).await?;
    let mut by_place: BTreeMap<&str, Vec<&merge_move::Model>> = BTreeMap::new();
    for one in &moves {
        by_place.entry(&one.place).or_default().push(one);
    }
    for held in tables(resource) {
        let mut by_record: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
        for one in by_place.get(held.table).into_iter().flatten() {
            by_record.entry(one.from_id).or_default().push(one.row_id);
        }
        for (record, rows) in by_record {
            let mut still = Vec::new();
            for chunk in rows.chunks(CHUNK) {
                let mut find = Query::select();
                find.from(Alias::new(held.table)).column("id").and_where(col("tenant_id").eq(write.scope.tenant.0));
                find.and_where(col("id").is_in(chunk.iter().copied())).and_where(col(held.column).eq(into));
                for row in write.query_all(&find).await? {
                    still.push((row.try_get("", "id")?, into));
                }
            }
            lead(write, held, record, still.into_iter()).await?;
        }
    }
    let users: Vec<Uuid> = by_place.get("followers").into_iter().flatten().map(|one| one.row_id).collect();
    if !users.is_empty() {
        let mut leave = Query::delete();
        leave.from_table("followers").and_where(col("tenant_id").eq(write.scope.tenant.0)).and_where(col("topic").eq(resource.topic));
        write.execute(leave.and_where(col("subject_id").eq(into)).and_where(col("user_id").is_in(users))).await?;
    }
    for (from, field) in fields(resource) {
        let place = format!("{}.{}", from.topic, field.name);
        let mut by_record: BTreeMap<Uuid, Vec<&merge_move::Model>> = BTreeMap::new();
        for one in by_place.get(place.as_str()).into_iter().flatten() {
            by_record.entry(one.row_id).or_default().push(one);
        }
        for (id, moves) in by_record {
            // It may be gone for good, or lead elsewhere by now.
            let Some(before) = write::load(write, from, Act::Edit, id, true).await? else { continue };
            let mut left = held(&before, field);
            let itself = from.topic == resource.topic && id == into && left.is_empty();
            if !left.contains(&into) && !itself {
                continue;
            }
            left.retain(|one| *one != into || moves[0].had);
            for one in moves {
                if !left.contains(&one.from_id) {
                    left.push(one.from_id);
                }
            }
            write::rewrite(write, from, before, put(field, &left)).await?;
        }
    }
    Ok(())
}

/// The record as the transaction sees it now.
pub(super) async fn now(write: &Write<'_>, resource: &'static Resource, id: Uuid) -> Result<Record> {
    let mut find = rows::select(resource);
    find.and_where(Resource::of(rows::ROW, write.scope.tenant.0)).and_where(Resource::column(rows::ROW, "id").eq(id));
    let record = rows::read(&***write, write.scope, resource, &find).await?.pop();
    record.ok_or(crate::Error::NotFound(resource.name))
}
