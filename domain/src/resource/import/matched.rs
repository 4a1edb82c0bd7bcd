//! Which records are there already: found for many rows at once, and locked.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use db::DbBackend;
use sea_orm::{
    ConnectionTrait,
    sea_query::{Alias, Expr, ExprTrait, LockType, Query, SelectStatement, UnionType},
};
use serde_json::Value;
use uuid::Uuid;

use super::plan::{Key, Plan};
use crate::{
    Result,
    engine::Write,
    resource::{
        Record, Resource,
        access::Act,
        field::Kind,
        filter::{Operand, Test, sql::Target},
        rows::{self, ROW},
        value::{self, fold},
    },
};

/// What a record is found by: which of the plan's keys, and the value in its one form.
pub(super) type Found = (usize, String);

/// What a body can be found by, the surest first.
pub(super) fn keys(plan: &Plan, body: &Record) -> Vec<Found> {
    let of = |(at, key): (usize, &Key)| said(key, body).into_iter().map(move |value| (at, value)).collect::<Vec<_>>();
    plan.keys.iter().enumerate().flat_map(of).collect()
}

/// What a record or a body says of a key.
pub(super) fn said(key: &Key, record: &Record) -> Vec<String> {
    let text = |kind: &Kind, value: &Value| {
        let value = value::accept(kind, value).ok().filter(|value| !value.is_null())?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    match key {
        Key::Id => record.get("id").and_then(|id| text(&Kind::Reference { to: "" }, id)).into_iter().collect(),
        Key::Custom(custom) => text(&custom.kind, custom.of(record)).into_iter().collect(),
        Key::Field(field) => match (&field.kind, record.get(field.name)) {
            (Kind::Rows(rows), Some(Value::Array(list))) => {
                let about = &rows.fields[0];
                list.iter().filter_map(|row| text(&about.kind, &row[about.name])).collect()
            }
            (kind @ Kind::Text { .. }, Some(value)) => text(kind, value).map(|text| fold(&text)).into_iter().collect(),
            (kind, Some(value)) => text(kind, value).into_iter().collect(),
            (_, None) => Vec::new(),
        },
    }
}

/// The records that have one of these, for this transaction alone; and which of them has which: the oldest of several.
pub(super) async fn find(
    write: &Write<'_>,
    plan: &Plan,
    wanted: &BTreeSet<Found>,
) -> Result<(HashMap<Found, Uuid>, HashMap<Uuid, Record>)> {
    let resource = plan.resource;
    let mut by_key: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for (at, value) in wanted {
        by_key.entry(*at).or_default().push(value);
    }
    let mut each = by_key.into_iter().map(|(at, values)| having(write, resource, &plan.keys[at], &values));
    let Some(mut ids) = each.next() else { return Ok((HashMap::new(), HashMap::new())) };
    // Each by the index of its own table; and their ids before the rows: of a subquery, PostgreSQL may well think that it is cheaper to
    // ask it again for every row.
    each.for_each(|one| _ = ids.union(UnionType::Distinct, one));
    let ids = write.query_all(&ids).await?.iter().map(|row| row.try_get_by_index(0)).collect::<std::result::Result<Vec<Uuid>, _>>()?;
    if ids.is_empty() {
        return Ok((HashMap::new(), HashMap::new()));
    }
    let mut select = rows::select(resource);
    select
        .and_where(write.scope.within(resource, Act::Edit, ROW)?)
        .and_where(Resource::column(ROW, "deleted_at").is_null())
        .and_where(Resource::column(ROW, "id").is_in(ids))
        .order_by((Alias::new(ROW), Alias::new("id")), sea_orm::Order::Asc);
    if write.get_database_backend() == DbBackend::Postgres {
        select.lock(LockType::NoKeyUpdate);
    }
    let found = rows::read(&***write, write.scope, resource, &select).await?;
    let mut owners = HashMap::new();
    let mut records = HashMap::new();
    for record in found {
        let id = rows::id_of(&record);
        for key in keys(plan, &record) {
            owners.entry(key).or_insert(id);
        }
        records.insert(id, record);
    }
    Ok((owners, records))
}

/// The ids of the records with one of these values.
fn having(write: &Write<'_>, resource: &'static Resource, key: &Key, values: &[&str]) -> SelectStatement {
    let tenant = write.scope.tenant.0;
    let target = Target { backend: write.get_database_backend(), scope: write.scope };
    let mut ids = Query::select();
    let of_resource = |ids: &mut SelectStatement, condition: Expr| {
        ids.from_as(Alias::new(resource.topic), "one")
            .expr(Resource::column("one", "id"))
            .and_where(Resource::of("one", tenant))
            .and_where(Resource::column("one", "deleted_at").is_null())
            .and_where(condition);
    };
    match key {
        Key::Id => of_resource(&mut ids, Resource::column("one", "id").is_in(values.iter().filter_map(|id| value::id(id)))),
        Key::Custom(custom) => {
            let operands = values.iter().map(|value| match custom.kind {
                Kind::Text { .. } | Kind::Reference { .. } | Kind::Date | Kind::Time | Kind::Decimal { .. } | Kind::Choice(_) => {
                    Value::from(*value)
                }
                _ => serde_json::from_str(value).unwrap_or(Value::Null),
            });
            let same = Test::In(operands.map(|value| Operand::of(&value)).collect());
            of_resource(&mut ids, target.custom(custom, &same, "one"));
        }
        Key::Field(field) => match &field.kind {
            Kind::Rows(rows) => {
                let part = |name: &'static str| Resource::column("one", name);
                ids.from_as(rows.table, "one")
                    .expr(part(rows.owner))
                    .and_where(Resource::of("one", tenant))
                    .and_where(part(rows.fields[0].name).is_in(values.iter().map(|value| (*value).to_owned())));
            }
            Kind::Text { .. } => {
                of_resource(&mut ids, target.folded("one", field.name).is_in(values.iter().map(|value| (*value).to_owned())))
            }
            kind => {
                let values = values.iter().map(|text| Expr::val(value::sql(kind, &Value::from(*text))));
                of_resource(&mut ids, Resource::column("one", field.name).is_in(values));
            }
        },
    }
    ids
}
