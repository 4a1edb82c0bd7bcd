//! Reading: one record, or a page of them in any order, found by a filter and by words.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use chrono::Utc;
use db::Db;
use entities::user;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait, Func, NullOrdering, Order, SelectStatement},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Record, Resource,
    access::Act,
    custom::{self, Custom, Customs},
    field::{Field, Kind},
    filter::{self, Asker, Filter, Leaf, Place, Test, What, sql::Target},
    rows::{self, ROW},
    value,
};
use crate::{Error, Result, Scope, settings};

/// What part of a resource's records.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Those that it holds for.
    pub filter: Option<Value>,
    /// Those that have all of these words in their searched fields.
    pub q: Option<String>,
    /// In the order of these fields: `-created_at,name`.
    pub sort: Option<String>,
    /// With these relations' records.
    pub include: Vec<String>,
    /// Only these fields of each.
    pub fields: Option<Vec<String>>,
    /// Those in the trash.
    pub trashed: Trashed,
    /// Whether to count them.
    pub count: Count,
    /// How many, 1 to 200.
    pub limit: u64,
    /// After which one, as the page before said.
    pub cursor: Option<String>,
}

/// Whether records in the trash are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trashed {
    /// No.
    #[default]
    Without,
    /// Too.
    With,
    /// Nothing else.
    Only,
}

/// Whether all of them are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Count {
    /// No: it takes time.
    #[default]
    None,
    /// As the database guesses.
    Estimate,
    /// One by one.
    Exact,
}

/// A page of records.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The records.
    pub data: Vec<Record>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
    /// How many there are on all pages, if that was asked.
    pub total: Option<u64>,
}

impl Asker {
    /// What `@me`, `@my_team` and `today` mean to the caller.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(db: &Db, scope: &Scope) -> Result<Self> {
        let customs = Customs::of(&db.read, scope.tenant.0).await?;
        let company = settings::company(&db.read, scope.tenant).await?;
        let week_start = settings::week_start(&company);
        let mut asker = Self { user: None, team: Vec::new(), now: Utc::now(), zone: chrono_tz::UTC, week_start, customs };
        let mut zone = Some(company.time_zone);
        if let Some(id) = scope.user() {
            let own = user::Column::TenantId.eq(scope.tenant).and(user::Column::Id.eq(id));
            let row: Option<Option<String>> =
                user::Entity::find().filter(own).select_only().column(user::Column::TimeZone).into_tuple().one(&db.read).await?;
            zone = row.flatten().or(zone);
            let mates = db.read.query_all(&scope.teammates()).await?;
            asker.user = Some(id.0);
            asker.team = mates.iter().map(|row| row.try_get::<Uuid>("", "user_id")).collect::<std::result::Result<_, _>>()?;
            if !asker.team.contains(&id.0) {
                asker.team.push(id.0);
            }
        }
        asker.zone = zone.and_then(|zone| zone.parse().ok()).unwrap_or(chrono_tz::UTC);
        Ok(asker)
    }
}

/// A page of the records that the caller may see.
///
/// # Errors
/// [`Error::Invalid`] names what of the question can't be answered; [`Error::Forbidden`]; the database's.
pub async fn list(db: &Db, scope: &Scope, resource: &'static Resource, wanted: Wanted) -> Result<Listed> {
    // The order that nobody asked for must not fail on a field that isn't shown.
    let usual = if scope.hides(resource, resource.sort.trim_start_matches('-')) { "id" } else { resource.sort };
    let sort = wanted.sort.as_deref().unwrap_or(usual);
    let customs = if sort.contains(custom::PREFIX) { Customs::of(&db.read, scope.tenant.0).await? } else { Customs::default() };
    let order = read_sort(scope, resource, &customs, sort)?;
    read_include(resource, &wanted)?;
    let mut select = rows::select(resource);
    matching(db, scope, resource, &wanted, &mut select).await?;
    let total = match wanted.count {
        Count::None => None,
        Count::Estimate if !db.is_sqlite() => Some(estimate(db, &select).await?),
        Count::Estimate | Count::Exact => Some(count(db, &select).await?),
    };
    let target = Target { backend: db.backend(), scope };
    let name: String = order.iter().map(Key::spelled).collect::<Vec<_>>().join(",");
    if let Some(cursor) = &wanted.cursor {
        let after = read_cursor(cursor, &name, order.len()).ok_or_else(|| {
            Error::field("/cursor", "invalid", "is not a cursor of this list in this order; leave it out to start at the beginning")
        })?;
        select.and_where(beyond(target, &order, &after));
    }
    for key in &order {
        key.apply(target, &mut select);
    }
    select.limit(wanted.limit + 1);
    let mut data = rows::read(&db.read, scope, resource, &select).await?;
    let limit = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let more = data.len() > limit;
    data.truncate(limit);
    let next_cursor = data.last().filter(|_| more).map(|last| {
        let keys: Vec<&Value> = order.iter().map(|key| key.sorted.of(last)).collect();
        BASE64.encode(json!([name, keys]).to_string())
    });
    rows::show(&db.read, scope, resource, &wanted.include, &mut data).await?;
    if let Some(fields) = &wanted.fields {
        let kept = |name: &String| name == "id" || fields.contains(name) || wanted.include.contains(name);
        for record in &mut data {
            if let Some(Value::Object(labels)) = record.get_mut("_labels") {
                labels.retain(|name, _| kept(&name.clone()));
            }
            record.retain(|name, _| name == "_labels" || kept(&name.clone()));
        }
    }
    Ok(Listed { data, next_cursor, total })
}

/// One record, in the trash or not.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; the database's.
pub async fn get(db: &Db, scope: &Scope, resource: &'static Resource, id: Uuid, include: Vec<String>) -> Result<Record> {
    let wanted = Wanted { include, ..Wanted::default() };
    read_include(resource, &wanted)?;
    let mut select = rows::select(resource);
    select.and_where(scope.within(resource, Act::View, ROW)?).and_where(Resource::column(ROW, "id").eq(id));
    let mut found = rows::read(&db.read, scope, resource, &select).await?;
    rows::show(&db.read, scope, resource, &wanted.include, &mut found).await?;
    found.pop().ok_or(Error::NotFound(resource.name))
}

/// Narrows `select` to the records that are asked for.
pub(crate) async fn matching(
    db: &Db,
    scope: &Scope,
    resource: &'static Resource,
    wanted: &Wanted,
    select: &mut SelectStatement,
) -> Result<()> {
    let target = Target { backend: db.backend(), scope };
    select.and_where(scope.within(resource, Act::View, ROW)?);
    let trashed = Resource::column(ROW, "deleted_at");
    match wanted.trashed {
        Trashed::Without => _ = select.and_where(trashed.is_null()),
        Trashed::Only => _ = select.and_where(trashed.is_not_null()),
        Trashed::With => {}
    }
    if let Some(filter) = &wanted.filter {
        let asker = Asker::of(db, scope).await?;
        let filter = Filter::read(resource, scope, &asker, filter, "/filter")?;
        select.and_where(filter.sql(resource, ROW, target)?);
    }
    for word in wanted.q.as_deref().unwrap_or_default().split_whitespace().take(8) {
        select.and_where(mentions(resource, word, target)?);
    }
    Ok(())
}

/// Whether one of the searched fields has the word in it.
fn mentions(resource: &'static Resource, word: &str, target: Target<'_>) -> Result<Expr> {
    let test = Test::Like { text: value::fold(word), before: true, after: true };
    let leaf = |what| Filter::Leaf(Box::new(Leaf { place: Place { hop: None, what }, test: test.clone(), not: false }));
    let searched = resource.fields.iter().filter(|field| field.searched && !target.scope.hides(resource, field.name));
    let parts = searched.map(|field| match field.kind {
        Kind::Rows(rows) => leaf(What::Row(field, rows, &rows.fields[0])),
        _ => leaf(What::Field(field)),
    });
    Filter::Or(parts.collect()).sql(resource, ROW, target)
}

fn read_include(resource: &Resource, wanted: &Wanted) -> Result<()> {
    for name in &wanted.include {
        if resource.relations().all(|(relation, ..)| relation != name) {
            let known = resource.relations().map(|(name, ..)| name).collect::<Vec<_>>().join(", ");
            return Err(Error::field("/include", "invalid", format!("takes relations; {} have {known}", resource.topic)));
        }
    }
    for name in wanted.fields.iter().flatten() {
        if resource.field(name).is_none() {
            return Err(Error::field("/fields", "unknown_field", format!("names fields of {}", resource.topic)));
        }
    }
    Ok(())
}

/// A field of an order.
struct Key<'a> {
    sorted: Sorted<'a>,
    down: bool,
}

/// What is sorted by.
enum Sorted<'a> {
    Field(&'a Field),
    Custom(Arc<Custom>),
}

impl Sorted<'_> {
    fn name(&self) -> String {
        match self {
            Self::Field(field) => field.name.to_owned(),
            Self::Custom(custom) => custom.path(),
        }
    }

    /// As SQL compares it.
    fn kind(&self) -> &Kind {
        match self {
            Self::Field(field) => &field.kind,
            Self::Custom(custom) => filter::custom::kind(custom),
        }
    }

    /// Whether every record has it.
    fn required(&self) -> bool {
        matches!(self, Self::Field(field) if field.required)
    }

    fn of<'r>(&self, record: &'r Record) -> &'r Value {
        match self {
            Self::Field(field) => record.get(field.name).unwrap_or(&Value::Null),
            Self::Custom(custom) => custom.of(record),
        }
    }
}

fn read_sort<'a>(scope: &Scope, resource: &'a Resource, customs: &Customs, sort: &str) -> Result<Vec<Key<'a>>> {
    let mut order: Vec<Key<'_>> = Vec::new();
    for part in sort.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (down, name) = part.strip_prefix('-').map_or((false, part), |name| (true, name));
        let own = || resource.field(name).filter(|field| field.is_sortable()).map(Sorted::Field);
        let added = || customs.at(resource, name).filter(|custom| custom.is_sortable()).cloned().map(Sorted::Custom);
        let Some(sorted) = own().or_else(added) else {
            return Err(Error::field(
                "/sort",
                "unknown_field",
                format!("takes fields of {}, with a minus for the other way", resource.topic),
            ));
        };
        if order.iter().any(|key| key.sorted.name() == name) {
            return Err(Error::field("/sort", "invalid", "names a field twice"));
        }
        if scope.hides(resource, name.split_once('.').map_or(name, |(field, _)| field)) {
            return Err(Error::field("/sort", "forbidden", "you don't get to see this field"));
        }
        order.push(Key { sorted, down });
    }
    if order.len() > 4 {
        return Err(Error::field("/sort", "too_many", "takes at most 4 fields"));
    }
    // No two records have the same place.
    let down = order.last().is_some_and(|key| key.down);
    if order.iter().all(|key| key.sorted.name() != "id") {
        order.push(Key { sorted: Sorted::Field(resource.field("id").expect("every resource has an id")), down });
    }
    Ok(order)
}

impl Key<'_> {
    fn spelled(&self) -> String {
        format!("{}{}", if self.down { "-" } else { "" }, self.sorted.name())
    }

    /// What rows are sorted by: texts without case and accents.
    fn column(&self, target: Target<'_>) -> Expr {
        let text = matches!(self.sorted.kind(), Kind::Text { .. });
        match &self.sorted {
            Sorted::Field(field) if text => target.bytewise(target.folded(ROW, field.name)),
            Sorted::Field(field) => Resource::column(ROW, field.name),
            Sorted::Custom(custom) if text => target.bytewise(target.folded_of(custom, ROW)),
            Sorted::Custom(custom) => target.value_of(custom, ROW),
        }
    }

    fn value(&self, value: &Value) -> Expr {
        match (self.sorted.kind(), value.as_str()) {
            (Kind::Text { .. }, Some(text)) => Expr::val(value::fold(text)),
            (kind, _) => Expr::val(value::sql(kind, value)),
        }
    }

    /// Empty ones come last, and first the other way round: as PostgreSQL's indexes have them.
    fn apply(&self, target: Target<'_>, select: &mut SelectStatement) {
        let order = if self.down { Order::Desc } else { Order::Asc };
        match (self.sorted.required(), target.backend) {
            (false, db::DbBackend::Sqlite) => {
                let nulls = if self.down { NullOrdering::First } else { NullOrdering::Last };
                select.order_by_expr_with_nulls(self.column(target), order, nulls);
            }
            _ => _ = select.order_by_expr(self.column(target), order),
        }
    }
}

/// The rows that come after `after` in the order.
fn beyond(target: Target<'_>, order: &[Key<'_>], after: &[Value]) -> Expr {
    let (Some((key, order)), Some((value, after))) = (order.split_first(), after.split_first()) else { return Expr::cust("1 = 0") };
    let rest = || beyond(target, order, after);
    let column = || key.column(target);
    match (value.is_null(), key.down) {
        (true, false) => column().is_null().and(rest()),
        (true, true) => column().is_not_null().or(column().is_null().and(rest())),
        (false, down) => {
            let value = key.value(value);
            let (further, bound) = match down {
                true => (column().lt(value.clone()), column().lte(value.clone())),
                false => (column().gt(value.clone()), column().gte(value.clone())),
            };
            let further = further.or(column().eq(value).and(rest()));
            match (key.sorted.required(), down) {
                // The bound says nothing new, but an index begins there.
                (true, _) => bound.and(further),
                (false, false) => further.or(column().is_null()),
                (false, true) => further,
            }
        }
    }
}

fn read_cursor(cursor: &str, name: &str, keys: usize) -> Option<Vec<Value>> {
    let bytes = BASE64.decode(cursor).ok()?;
    let (order, values): (String, Vec<Value>) = serde_json::from_slice(&bytes).ok()?;
    let plain = |value: &Value| !value.is_array() && !value.is_object() && value.as_str().is_none_or(|text| !text.contains('\0'));
    (order == name && values.len() == keys && values.iter().all(plain)).then_some(values)
}

async fn count(db: &Db, select: &SelectStatement) -> Result<u64> {
    let counted = sea_orm::sea_query::Query::select()
        .expr_as(Func::count(Expr::cust("*")), "n")
        .from_subquery(select.clone().clear_selects().expr(Expr::cust("1")).to_owned(), "counted")
        .to_owned();
    let row = db.read.query_one(&counted).await?;
    let n: i64 = row.map_or(Ok(0), |row| row.try_get("", "n"))?;
    Ok(u64::try_from(n).unwrap_or(0))
}

/// How many rows PostgreSQL's planner expects.
async fn estimate(db: &Db, select: &SelectStatement) -> Result<u64> {
    let mut statement = db.backend().build(select);
    statement.sql = format!("explain (format json) {}", statement.sql);
    let row = db.read.query_one_raw(statement).await?;
    let plan: Value = row.map_or(Ok(Value::Null), |row| row.try_get_by_index(0))?;
    Ok(plan[0]["Plan"]["Plan Rows"].as_u64().unwrap_or(0))
}
