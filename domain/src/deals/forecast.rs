//! What may come in, month by month.

use std::collections::{BTreeMap, HashMap};

use chrono::{Datelike, NaiveDate};
use db::{Db, DbBackend};
use sea_orm::{
    ConnectionTrait,
    sea_query::{Expr, ExprTrait, Func, Query},
};
use uuid::Uuid;

use super::{board, deals, sums};
use crate::{
    Error, Result, Scope,
    resource::{
        Resource,
        list::{self, Wanted},
        registry,
        rows::ROW,
    },
};

/// Which deals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// Those of this pipeline; of all of them, if none is named.
    pub pipeline_id: Option<Uuid>,
    /// Those that should be decided on this day or later.
    pub from: Option<NaiveDate>,
    /// Those that should be decided on this day or earlier.
    pub to: Option<NaiveDate>,
}

/// What is expected in a month, in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Month {
    /// Which month, `2026-12`.
    pub month: String,
    /// Which currency.
    pub currency: String,
    /// How many deals, open and won.
    pub count: u64,
    /// The amounts of the open ones, a decimal.
    pub open: String,
    /// The same, each times the probability of its stage.
    pub weighted: String,
    /// The amounts of those that are won.
    pub won: String,
}

#[derive(Default)]
struct Sums {
    count: u64,
    open: i128,
    weighted: i128,
    won: i128,
}

/// What the open and won deals amount to, by the month in which they should be decided. Those without such a day are in none.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; [`Error::Invalid`] names a day that can't be; the database's.
pub async fn read(db: &Db, scope: &Scope, Span { pipeline_id, from, to }: Span) -> Result<Vec<Month>> {
    let deals = deals(scope, &["status", "amount", "currency", "expected_close"])?;
    let column = |name| Resource::column(ROW, name);
    let mut select = Query::select();
    select.from_as("deals", ROW).and_where(column("status").is_in(["open", "won"])).and_where(column("expected_close").is_not_null());
    list::matching(db, scope, deals, &Wanted::default(), &mut select).await?;
    if let Some(pipeline) = pipeline_id {
        board::pipeline_of(db, scope, Some(pipeline)).await?;
        select.and_where(column("pipeline_id").eq(pipeline));
    }
    for (pointer, day) in [("/from", from), ("/to", to)] {
        let Some(day) = day else { continue };
        if !(1..=9999).contains(&day.year()) {
            return Err(Error::field(pointer, "invalid", "takes a day such as 2026-12-31"));
        }
        let bound = column("expected_close");
        select.and_where(if pointer == "/from" { bound.gte(day) } else { bound.lte(day) });
    }
    let month = match db.backend() {
        DbBackend::Sqlite => r#"substr("row_"."expected_close", 1, 7)"#,
        _ => r#"to_char("row_"."expected_close", 'YYYY-MM')"#,
    };
    select
        .expr_as(Expr::cust(month), "month")
        .expr_as(column("currency"), "currency")
        .expr_as(column("status"), "status")
        .expr_as(column("stage_id"), "stage_id")
        .expr_as(Func::count(Expr::cust("*")), "n")
        .expr_as(sums::of_amounts(), "amount")
        .add_group_by([Expr::cust(month), column("currency"), column("status"), column("stage_id")]);
    let probabilities = probabilities(db, scope).await?;
    let mut months: BTreeMap<(String, String), Sums> = BTreeMap::new();
    for row in db.read.query_all(&select).await? {
        let sums = months.entry((row.try_get("", "month")?, row.try_get("", "currency")?)).or_default();
        let amount = sums::read(&row, "amount")?;
        sums.count += u64::try_from(row.try_get::<i64>("", "n")?).unwrap_or(0);
        match row.try_get::<String>("", "status")?.as_str() {
            "won" => sums.won += amount,
            _ => {
                sums.open += amount;
                sums.weighted += amount * i128::from(probabilities.get(&row.try_get("", "stage_id")?).copied().unwrap_or(0));
            }
        }
    }
    let shown = |((month, currency), Sums { count, open, weighted, won }): ((String, String), Sums)| Month {
        month,
        currency,
        count,
        open: sums::shown(open),
        weighted: sums::shown(sums::weighted(weighted)),
        won: sums::shown(won),
    };
    Ok(months.into_iter().map(shown).collect())
}

/// Of every stage, in percent.
async fn probabilities(db: &Db, scope: &Scope) -> Result<HashMap<Uuid, i64>> {
    let column = |name| Resource::column(ROW, name);
    let mut select = Query::select();
    select
        .from_as(registry::named("stages").topic, ROW)
        .expr_as(column("id"), "id")
        .expr_as(column("probability"), "probability")
        .and_where(Resource::of(ROW, scope.tenant.0));
    db.read.query_all(&select).await?.iter().map(|row| Ok((row.try_get("", "id")?, row.try_get("", "probability")?))).collect()
}
