//! The board: the open deals of a pipeline, stage by stage, in the order that people gave them.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use db::Db;
use sea_orm::{
    ConnectionTrait, Statement,
    sea_query::{Alias, Asterisk, Expr, ExprTrait, Func, Order, Query, SelectStatement, UnionType},
};
use serde_json::Value;
use uuid::Uuid;

use super::{deals, is_open, sums};
use crate::{
    Error, Result, Scope,
    page::{Page, Paging},
    resource::{
        Record, Resource,
        access::Act,
        list::{self, Wanted},
        registry,
        rows::{self, ROW},
        value,
    },
};

/// A pipeline's board.
#[derive(Clone, Debug)]
pub struct Board {
    /// Which pipeline; nothing while there is none.
    pub pipeline_id: Option<Uuid>,
    /// Its stages, first to last.
    pub stages: Vec<Column>,
}

/// A stage on the board.
#[derive(Clone, Debug)]
pub struct Column {
    /// Which stage.
    pub stage: Stage,
    /// How many deals are in it.
    pub count: u64,
    /// What they are worth, by currency; nothing for those who don't get to see that.
    pub totals: Vec<Total>,
    /// The first of them.
    pub deals: Page<Card>,
}

/// What the board knows of a stage.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Its id.
    pub id: Uuid,
    /// What it is called; nothing for one that the caller may not see.
    pub label: Option<String>,
    /// How likely a deal is won from here, in percent.
    pub probability: i64,
    /// After so many days here a deal is rotting.
    pub rotting_days: Option<i64>,
    gone: bool,
}

/// What the deals of a stage are worth in one currency.
#[derive(Clone, Debug)]
pub struct Total {
    /// Which currency.
    pub currency: String,
    /// How many deals.
    pub count: u64,
    /// Their amounts, a decimal.
    pub sum: String,
    /// The same, times the probability of the stage.
    pub weighted: String,
}

/// A deal on the board.
#[derive(Clone, Debug)]
pub struct Card {
    /// The deal.
    pub deal: Record,
    /// Whether it has been in its stage for too long.
    pub rotting: bool,
}

/// Which deals are wanted.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Those that the filter holds for.
    pub filter: Option<Value>,
    /// Those that have all of these words in their searched fields.
    pub q: Option<String>,
}

/// So many stages are asked for at once: databases take only so many parts of a statement.
const AT_ONCE: usize = 50;

/// The board of a pipeline, of the first one if none is named, with the first `limit` deals of each stage.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; [`Error::Invalid`] names what of the question can't be answered; the database's.
pub async fn read(db: &Db, scope: &Scope, pipeline: Option<Uuid>, found: Found, limit: u64) -> Result<Board> {
    let (deals, open) = open(db, scope, found).await?;
    let Some(pipeline) = pipeline_of(db, scope, pipeline).await? else {
        return Ok(Board { pipeline_id: None, stages: Vec::new() });
    };
    let mut totals = totals(db, scope, &open, pipeline).await?;
    // Deals of a stage that was put into the trash are not lost from sight.
    let stages: Vec<Stage> = stages(db, scope, "pipeline_id", pipeline)
        .await?
        .into_iter()
        .filter(|stage| !stage.gone || totals.contains_key(&stage.id))
        .collect();
    let mut records: HashMap<String, Vec<Record>> = HashMap::new();
    for stages in stages.chunks(AT_ONCE) {
        let mut each = stages.iter().enumerate().map(|(at, stage)| {
            let of = in_order(deals, &open, stage.id, limit + 1);
            Query::select().column(Asterisk).from_subquery(of, Alias::new(format!("stage_{at}"))).to_owned()
        });
        let Some(mut all) = each.next() else { continue };
        each.for_each(|one| _ = all.union(UnionType::All, one));
        for record in rows::read(&db.read, scope, deals, &all).await? {
            records.entry(text(&record, "stage_id")).or_default().push(record);
        }
    }
    let paging = Paging { limit, cursor: None };
    let mut columns = Vec::with_capacity(stages.len());
    for stage in stages {
        let mut own = records.remove(&stage.id.to_string()).unwrap_or_default();
        // A union promises no order.
        own.sort_by_cached_key(place);
        let (count, totals) = totals.remove(&stage.id).unwrap_or_default();
        let totals = totals.into_iter().map(|(currency, count, sum)| Total {
            currency,
            count,
            sum: sums::shown(sum),
            weighted: sums::shown(sums::weighted(sum * i128::from(stage.probability))),
        });
        let deals = cards(db, scope, deals, &stage, paging.page(own, place)).await?;
        columns.push(Column { count, totals: totals.collect(), deals, stage });
    }
    Ok(Board { pipeline_id: Some(pipeline), stages: columns })
}

/// A page of the deals of one stage.
///
/// # Errors
/// As [`read`].
pub async fn stage(db: &Db, scope: &Scope, stage: Uuid, found: Found, paging: Paging) -> Result<Page<Card>> {
    let (deals, open) = open(db, scope, found).await?;
    let stage = stages(db, scope, "id", stage).await?.pop().ok_or(Error::NotFound("stage"))?;
    let mut select = in_order(deals, &open, stage.id, paging.limit + 1);
    if let Some((position, id)) = paging.after::<(String, Uuid)>()? {
        let (own, same) = (Resource::column(ROW, "position"), Resource::column(ROW, "position").eq(position.as_str()));
        if position.contains('\0') {
            return Err(Error::field("/cursor", "invalid", "is not a cursor of this list; leave it out to start at the beginning"));
        }
        select.and_where(own.clone().gte(position.as_str()));
        select.and_where(own.gt(position).or(same.and(Resource::column(ROW, "id").gt(id))));
    }
    let records = rows::read(&db.read, scope, deals, &select).await?;
    cards(db, scope, deals, &stage, paging.page(records, place)).await
}

/// The pipeline of that id, or the first one.
pub(super) async fn pipeline_of(db: &Db, scope: &Scope, named: Option<Uuid>) -> Result<Option<Uuid>> {
    let sql = match named {
        Some(_) => "select id from pipelines where tenant_id = $1 and id = $2",
        None => "select id from pipelines where tenant_id = $1 and deleted_at is null order by position, id limit 1",
    };
    let values: Vec<sea_orm::Value> = [Some(scope.tenant.0), named].into_iter().flatten().map(Into::into).collect();
    let row = db.read.query_one_raw(Statement::from_sql_and_values(db.backend(), sql, values)).await?;
    match row {
        Some(row) => Ok(Some(row.try_get("", "id")?)),
        None if named.is_some() => Err(Error::NotFound("pipeline")),
        None => Ok(None),
    }
}

/// The stages of the tenant in which a column holds this, in their order.
pub(super) async fn stages(db: &Db, scope: &Scope, column: &'static str, is: Uuid) -> Result<Vec<Stage>> {
    let mut select = rows::select(registry::named("stages"));
    select
        .and_where(Resource::of(ROW, scope.tenant.0))
        .and_where(Resource::column(ROW, column).eq(is))
        .order_by_expr(Resource::column(ROW, "position"), Order::Asc)
        .order_by_expr(Resource::column(ROW, "id"), Order::Asc);
    // Who may see deals sees how far they are; what that is called is for those who may see stages.
    let named = scope.reach(registry::named("stages"), Act::View).is_some();
    let rows = db.read.query_all(&select).await?;
    let stage = |row: &sea_orm::QueryResult| {
        Ok(Stage {
            id: row.try_get("", "id")?,
            label: if named { row.try_get("", "name")? } else { None },
            probability: row.try_get("", "probability")?,
            rotting_days: row.try_get("", "rotting_days")?,
            gone: row.try_get::<Option<DateTime<Utc>>>("", "deleted_at")?.is_some(),
        })
    };
    rows.iter().map(stage).collect()
}

/// The open deals that the caller may see and asks for, still without columns.
async fn open(db: &Db, scope: &Scope, Found { filter, q }: Found) -> Result<(&'static Resource, SelectStatement)> {
    let deals = deals(scope, &["pipeline_id", "stage_id", "status", "position"])?;
    let mut select = Query::select();
    select.from_as("deals", ROW).and_where(is_open());
    list::matching(db, scope, deals, &Wanted { filter, q, ..Wanted::default() }, &mut select).await?;
    Ok((deals, select))
}

/// The first `limit` of them in a stage.
fn in_order(deals: &Resource, open: &SelectStatement, stage: Uuid, limit: u64) -> SelectStatement {
    let mut select = open.clone();
    for field in deals.columns() {
        select.expr_as(Resource::column(ROW, field.name), Alias::new(field.name));
    }
    select
        .and_where(Resource::column(ROW, "stage_id").eq(stage))
        .order_by_expr(Resource::column(ROW, "position"), Order::Asc)
        .order_by_expr(Resource::column(ROW, "id"), Order::Asc)
        .limit(limit)
        .to_owned()
}

/// How many deals a stage has, and their amounts by currency.
type Worth = (u64, Vec<(String, u64, i128)>);

async fn totals(db: &Db, scope: &Scope, open: &SelectStatement, pipeline: Uuid) -> Result<HashMap<Uuid, Worth>> {
    let (stage, currency) = (Resource::column(ROW, "stage_id"), Resource::column(ROW, "currency"));
    let mut select = open.clone();
    select
        .and_where(Resource::column(ROW, "pipeline_id").eq(pipeline))
        .expr_as(stage.clone(), "stage_id")
        .expr_as(currency.clone(), "currency")
        .expr_as(Func::count(Expr::cust("*")), "n")
        .expr_as(sums::of_amounts(), "amount")
        .add_group_by([stage, currency.clone()])
        .order_by_expr(currency, Order::Asc);
    let shown = deals(scope, &["amount", "currency"]).is_ok();
    let mut totals: HashMap<Uuid, Worth> = HashMap::new();
    for row in db.read.query_all(&select).await? {
        let n = u64::try_from(row.try_get::<i64>("", "n")?).unwrap_or(0);
        let (count, worth) = totals.entry(row.try_get("", "stage_id")?).or_default();
        *count += n;
        if shown {
            worth.push((row.try_get("", "currency")?, n, sums::read(&row, "amount")?));
        }
    }
    Ok(totals)
}

async fn cards(db: &Db, scope: &Scope, deals: &Resource, stage: &Stage, mut page: Page<Record>) -> Result<Page<Card>> {
    rows::show(&db.read, scope, deals, &[], &mut page.data).await?;
    let since = stage.rotting_days.map(|days| Utc::now() - TimeDelta::days(days));
    let rotten = |deal: &Record| deal["stage_entered_at"].as_str().and_then(value::moment).zip(since).is_some_and(|(at, since)| at < since);
    Ok(page.map(|deal| Card { rotting: rotten(&deal), deal }))
}

/// Where a deal stands, as cursors keep it.
fn place(deal: &Record) -> (String, String) {
    (text(deal, "position"), text(deal, "id"))
}

fn text(deal: &Record, field: &str) -> String {
    deal.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}
