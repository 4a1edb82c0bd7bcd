//! Reading: one record, or a page of them in any order, found by a filter and by words.

use chrono::{Utc, Weekday};
use db::Db;
use entities::user;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait, Func, SelectStatement},
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Record, Resource,
    access::Act,
    custom::{self, Customs},
    filter::{Asker, Filter, sql::Target},
    rows::{self, ROW},
    search::words::Words,
    sorting::Sorting,
};
use crate::{
    Error, FieldError, Result, Scope,
    saved_views::{self, View},
    settings,
};

/// What part of a resource's records.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Those that it holds for.
    pub filter: Option<Value>,
    /// Those of a saved view, in its order if no other is asked for.
    pub view: Option<Uuid>,
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
        Self::on(&db.read, scope).await
    }

    /// [`Asker::of`], as a transaction sees it.
    pub(crate) async fn on(conn: &impl ConnectionTrait, scope: &Scope) -> Result<Self> {
        Self::with(conn, scope, |_| true).await
    }

    /// [`Asker::of`], but only what this filter has words for is looked up.
    ///
    /// # Errors
    /// The database's.
    pub async fn about(db: &Db, scope: &Scope, filter: &Value) -> Result<Self> {
        let said = filter.to_string();
        Self::with(&db.read, scope, |word| said.contains(word)).await
    }

    async fn with(conn: &impl ConnectionTrait, scope: &Scope, needs: impl Fn(&str) -> bool) -> Result<Self> {
        let user = scope.user().map(|id| id.0);
        let team = user.into_iter().collect();
        let (zone, week_start) = (chrono_tz::UTC, Weekday::Mon);
        let mut asker = Self { user, team, now: Utc::now(), zone, week_start, customs: Customs::default() };
        if needs(custom::PREFIX) {
            asker.customs = Customs::of(conn, scope.tenant.0).await?;
        }
        if needs("within") {
            let company = settings::company(conn, scope.tenant).await?;
            asker.week_start = settings::week_start(&company);
            let mut zone = Some(company.time_zone);
            if let Some(id) = scope.user() {
                let own = user::Column::TenantId.eq(scope.tenant).and(user::Column::Id.eq(id));
                let row: Option<Option<String>> =
                    user::Entity::find().filter(own).select_only().column(user::Column::TimeZone).into_tuple().one(conn).await?;
                zone = row.flatten().or(zone);
            }
            asker.zone = zone.and_then(|zone| zone.parse().ok()).unwrap_or(chrono_tz::UTC);
        }
        if user.is_some() && needs("@my_team") {
            for mate in conn.query_all(&scope.teammates()).await? {
                let mate: Uuid = mate.try_get("", "user_id")?;
                if !asker.team.contains(&mate) {
                    asker.team.push(mate);
                }
            }
        }
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
    let view = match wanted.view {
        Some(id) => saved_views::named(db, scope, resource, id).await?,
        None => View::default(),
    };
    let sort = wanted.sort.as_deref().or(view.sort.as_deref()).unwrap_or(usual);
    let customs = if sort.contains(custom::PREFIX) { Customs::of(&db.read, scope.tenant.0).await? } else { Customs::default() };
    let order = Sorting::read(scope, resource, &customs, sort);
    let order = order.map_err(|error| if wanted.sort.is_some() { error } else { of_view(error) })?;
    read_include(resource, &wanted)?;
    let mut select = rows::select(resource);
    matching(db, scope, resource, &wanted, &mut select).await?;
    shown_by(db, scope, resource, &view, &mut select).await?;
    let total = match wanted.count {
        Count::None => None,
        Count::Estimate if !db.is_sqlite() => Some(estimate(db, &select).await?),
        Count::Estimate | Count::Exact => Some(count(db, &select).await?),
    };
    let target = Target { backend: db.backend(), scope };
    let after = order.after(wanted.cursor.as_deref())?;
    order.apply(target, &mut select);
    let limit = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let mut data = Vec::new();
    for part in order.parts(target, after.as_deref()) {
        let missing = (limit + 1).saturating_sub(data.len());
        if missing > 0 {
            let mut select = select.clone();
            part.into_iter().for_each(|part| _ = select.and_where(part));
            data.extend(rows::read(&db.read, scope, resource, select.limit(missing as u64)).await?);
        }
    }
    let more = data.len() > limit;
    data.truncate(limit);
    let next_cursor = data.last().filter(|_| more).map(|last| order.cursor(last));
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

/// Narrows a statement to what a saved view shows.
pub(crate) async fn shown_by(db: &Db, scope: &Scope, resource: &'static Resource, view: &View, select: &mut SelectStatement) -> Result<()> {
    if let Some(filter) = &view.filter {
        let asker = Asker::about(db, scope, filter).await?;
        let filter = Filter::read(resource, scope, &asker, filter, "").map_err(of_view)?;
        select.and_where(filter.sql(resource, ROW, Target { backend: db.backend(), scope })?);
    }
    Ok(())
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
        let asker = Asker::about(db, scope, filter).await?;
        let filter = Filter::read(resource, scope, &asker, filter, "/filter")?;
        select.and_where(filter.sql(resource, ROW, target)?);
    }
    for condition in Words::read(wanted.q.as_deref().unwrap_or_default()).conditions(target, &[resource], &Resource::column(ROW, "id")) {
        select.and_where(condition);
    }
    Ok(())
}

/// Whether a list could be in this order.
pub(crate) fn check_sort(scope: &Scope, resource: &Resource, customs: &Customs, sort: &str) -> Result<()> {
    Sorting::read(scope, resource, customs, sort).map(|_| ())
}

/// A fault of a saved view: of a field that is gone since, or that whoever uses it doesn't get to see.
fn of_view(error: Error) -> Error {
    match error {
        Error::Invalid(faults) => {
            let fault = |FieldError { pointer, code, message }| {
                let message = format!("has something that you can't use, at {pointer}: {message}");
                FieldError { pointer: "/view_id".into(), code, message }
            };
            Error::Invalid(faults.into_iter().map(fault).collect())
        }
        other => other,
    }
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

/// How many rows a statement selects.
pub(crate) async fn count(db: &Db, select: &SelectStatement) -> Result<u64> {
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
