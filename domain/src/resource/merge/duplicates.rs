//! Records that could be the same: those that have something in common.

use std::collections::{BTreeMap, HashSet};

use chrono::{SubsecRound, Utc};
use db::DbBackend;
use jobs::Ledger;
use poem_openapi::{Object, types::Any};
use sea_orm::{
    ConnectionTrait,
    sea_query::{Alias, Expr, ExprTrait, JoinType, Order, Query, SelectStatement},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Error, Result, Scope,
    engine::{
        Write,
        set::{Insert, Otherwise},
    },
    page::{Page, Paging},
    resource::{
        Resource,
        access::Act,
        field::{Field, Kind},
        filter::sql::Target,
        rows::{self, ROW},
        write,
    },
};

/// What records have in common: these fields, all of them. The first one is a text or rows.
#[derive(Debug)]
pub struct Alike {
    /// What it is called: `email`.
    pub name: &'static str,
    /// The fields.
    pub fields: &'static [&'static str],
}

/// Records of a group at most; what they can be merged with at once.
const MOST: usize = super::MOST;

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
pub struct DuplicatesRequest {
    /// What they have in common. Contacts: `email`, `phone`, `name`, or `company`, which is the same name at the same company. Companies:
    /// `name`, `email` or `phone`. Case and accents make no difference.
    #[oai(validator(max_length = 40))]
    pub by: String,
    /// How many groups, 1 to 100; left out: 50.
    #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
    pub limit: Option<u64>,
    /// Where the page before ended.
    #[oai(validator(max_length = 1000))]
    pub cursor: Option<String>,
}

/// Records that have something in common.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
pub struct DuplicateGroup {
    /// What they have in common, without case and accents.
    pub value: String,
    /// How many they are.
    pub total: u64,
    /// The oldest 20 of them.
    pub records: Any<Vec<Value>>,
}

/// Records that are two, whatever they have in common.
#[derive(Clone, Debug, PartialEq, Eq, Object, Serialize, Deserialize)]
pub struct DismissRequest {
    /// Which, 2 to 20: no two of them are the same.
    #[oai(validator(min_items = 2, max_items = 20))]
    pub ids: Vec<Uuid>,
    /// Whether they are left out from now on; false: they are looked for again.
    #[oai(default = "yes")]
    #[serde(default = "yes")]
    pub dismissed: bool,
}

fn yes() -> bool {
    true
}

/// Groups of records that could be the same, of those that the caller sees. A page may be short: what was dismissed is left out of it.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`]; a foreign cursor; the database's.
pub async fn find(
    ledger: &Ledger,
    scope: &Scope,
    resource: &'static Resource,
    request: &DuplicatesRequest,
) -> Result<Page<DuplicateGroup>> {
    scope.may(resource, Act::View)?;
    let read = &ledger.db().read;
    let alike = resource.merging.map_or(&[][..], |merging| merging.alike);
    let Some(alike) = alike.iter().find(|alike| alike.name == request.by) else {
        let known = alike.iter().map(|alike| alike.name).collect::<Vec<_>>().join(", ");
        return Err(Error::field("/by", "invalid", format!("takes one of {known}")));
    };
    let fields: Vec<&Field> = alike.fields.iter().filter_map(|name| resource.field(name)).collect();
    if fields.iter().any(|field| scope.hides(resource, field.name)) {
        return Err(Error::field("/by", "forbidden", "you don't get to see this field"));
    }
    let paging = Paging { limit: request.limit.unwrap_or(50).clamp(1, 100), cursor: request.cursor.clone() };
    let target = Target { backend: read.get_database_backend(), scope };
    let (from, key) = keyed(resource, &fields, target)?;
    let mut groups = from.clone();
    groups.expr_as(key.clone(), "key").expr_as(id().count_distinct(), "total");
    if let Some(after) = paging.after::<String>()? {
        groups.and_where(key.clone().gt(after));
    }
    groups
        .add_group_by([key.clone()])
        .and_having(id().count_distinct().gt(1))
        .order_by_expr(key.clone(), Order::Asc)
        .limit(paging.limit + 1);
    let rows = read.query_all(&groups).await?;
    let found =
        rows.iter().map(|row| Ok((row.try_get::<String>("", "key")?, row.try_get::<i64>("", "total")?))).collect::<Result<Vec<_>>>()?;
    let page = paging.page(found, |(key, _)| key.clone());
    let mut members: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
    if !page.data.is_empty() {
        let mut all = from;
        all.expr_as(key.clone(), "key").expr_as(id(), "id").and_where(key.is_in(page.data.iter().map(|(key, _)| key.clone())));
        all.order_by((Alias::new(ROW), Alias::new("id")), Order::Asc);
        for row in read.query_all(&all).await? {
            let group = members.entry(row.try_get("", "key")?).or_default();
            let id = row.try_get("", "id")?;
            if group.len() < MOST && group.last() != Some(&id) {
                group.push(id);
            }
        }
    }
    let dismissed = dismissed(read, scope, resource, members.values().flatten().copied().collect()).await?;
    members.values_mut().for_each(|group| {
        let all = group.clone();
        group.retain(|one| all.iter().any(|other| one != other && !dismissed.contains(&pair(*one, *other))));
    });
    let mut seen: BTreeMap<Uuid, Value> = BTreeMap::new();
    let mut ids: Vec<Uuid> = members.values().flatten().copied().collect();
    ids.sort_unstable();
    ids.dedup();
    if !ids.is_empty() {
        let mut select = rows::select(resource);
        select.and_where(scope.within(resource, Act::View, ROW)?).and_where(id().is_in(ids));
        let mut records = rows::read(read, scope, resource, &select).await?;
        rows::show(read, scope, resource, &[], &mut records).await?;
        seen.extend(records.into_iter().map(|record| (rows::id_of(&record), Value::Object(record))));
    }
    let Page { data, next_cursor } = page;
    let group = |(key, total): (String, i64)| {
        let records: Vec<Value> = members.remove(&key)?.iter().filter_map(|id| seen.get(id).cloned()).collect();
        let value = key.split(SEPARATOR).next().unwrap_or_default().trim().to_owned();
        (records.len() > 1).then(|| DuplicateGroup { value, total: u64::try_from(total).unwrap_or(0), records: Any(records) })
    };
    Ok(Page { data: data.into_iter().filter_map(group).collect(), next_cursor })
}

const SEPARATOR: char = '|';

fn id() -> Expr {
    Resource::column(ROW, "id")
}

/// The records of which something is to be the same, and that as a text. It holds no values of its own: whoever groups by it names it
/// twice.
fn keyed(resource: &Resource, fields: &[&Field], target: Target<'_>) -> Result<(SelectStatement, Expr)> {
    let mut from = Query::select();
    from.from_as(Alias::new(resource.topic), Alias::new(ROW))
        .and_where(target.scope.within(resource, Act::View, ROW)?)
        .and_where(Resource::column(ROW, "deleted_at").is_null());
    let mut parts: Vec<String> = Vec::new();
    let mut join = |table: &'static str, own: &'static str, about: &str| {
        let part = |name: &'static str| Resource::column("part", name);
        let of = part("tenant_id").equals((ROW, "tenant_id")).and(part(own).equals((ROW, "id")));
        from.join_as(JoinType::InnerJoin, table, "part", of);
        format!(r#""part"."{about}""#)
    };
    let sqlite = target.backend == DbBackend::Sqlite;
    for field in fields {
        let column = format!(r#""{ROW}"."{}""#, field.name);
        parts.push(match field.kind {
            Kind::Rows(rows) => join(rows.table, rows.owner, rows.fields[0].name),
            Kind::References { table, own, other, .. } => match (join(table, own, other), sqlite) {
                (id, true) => format!("'{SEPARATOR}' || hex({id})"),
                (id, false) => format!("'{SEPARATOR}' || cast({id} as text)"),
            },
            _ if sqlite => format!("coalesce({}, '')", db::fold::sqlite(&column)),
            _ => format!("coalesce({}, '')", db::fold::postgres(&column)),
        });
    }
    // Whoever has no name is like nobody.
    if let Some(first) = fields.first().filter(|field| field.is_column()) {
        from.and_where(Resource::column(ROW, first.name).is_not_null());
    }
    // Byte by byte, so that pages end where the next one begins.
    Ok((from, target.bytewise(Expr::cust(format!("({})", parts.join(" || ' ' || "))))))
}

fn pair(one: Uuid, other: Uuid) -> (Uuid, Uuid) {
    if one < other { (one, other) } else { (other, one) }
}

async fn dismissed(conn: &impl ConnectionTrait, scope: &Scope, resource: &Resource, ids: Vec<Uuid>) -> Result<HashSet<(Uuid, Uuid)>> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let column = |name: &'static str| Expr::col(Alias::new(name));
    let mut find = Query::select();
    find.from("duplicate_dismissals").columns(["low_id", "high_id"]).and_where(column("tenant_id").eq(scope.tenant.0));
    find.and_where(column("topic").eq(resource.topic)).and_where(column("low_id").is_in(ids));
    let rows = conn.query_all(&find).await?;
    rows.iter().map(|row| Ok((row.try_get("", "low_id")?, row.try_get("", "high_id")?))).collect()
}

/// Says that records are two, or that they may be one after all.
///
/// # Errors
/// [`Error::Forbidden`]: it takes editing each; [`Error::NotFound`]; the database's.
pub async fn dismiss(ledger: &Ledger, scope: &Scope, resource: &'static Resource, request: &DismissRequest) -> Result<()> {
    let mut ids = request.ids.clone();
    ids.sort_unstable();
    ids.dedup();
    let write = Write::begin(ledger, scope).await?;
    for id in &ids {
        write::locked(&write, resource, Act::Edit, *id, None).await?;
    }
    let mut pairs: Vec<(Uuid, Uuid)> = Vec::new();
    for (at, low) in ids.iter().enumerate() {
        pairs.extend(ids[at + 1..].iter().map(|high| (*low, *high)));
    }
    if request.dismissed {
        let now = Utc::now().trunc_subsecs(6);
        let user = scope.user().map(|user| user.0);
        let row = |(low, high): (Uuid, Uuid)| {
            vec![scope.tenant.0.into(), resource.topic.into(), low.into(), high.into(), user.into(), now.into()]
        };
        let columns = vec!["tenant_id", "topic", "low_id", "high_id", "user_id", "created_at"];
        let rows = pairs.into_iter().map(row).collect();
        write.insert(Insert { table: "duplicate_dismissals", columns, otherwise: Otherwise::Skip, rows }).await?;
    } else {
        let column = |name: &'static str| Expr::col(Alias::new(name));
        for (low, high) in pairs {
            let mut delete = Query::delete();
            delete.from_table("duplicate_dismissals").and_where(column("tenant_id").eq(scope.tenant.0));
            delete.and_where(column("topic").eq(resource.topic)).and_where(column("low_id").eq(low));
            write.execute(delete.and_where(column("high_id").eq(high))).await?;
        }
    }
    write.commit(()).await
}
