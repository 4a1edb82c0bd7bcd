use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    Error,
    deals::{
        board::{self, Card, Column, Found, Total},
        drag::{self, Place},
        forecast::{self, Month, Span},
        history::{self, Visit},
    },
    page::{Page, Paging},
    resource::registry::named,
};
use jobs::Ledger;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

use super::conversations::PageInfo;
use crate::{
    guard::Caller,
    problem::Answer,
    resource::{self, etag, read_filter, records, tag},
};

pub(crate) struct Deals {
    pub(crate) ledger: Ledger,
}

tag! { OfDeals = "deals" }

records! {
    /// A deal, as the resource's schema says.
    Deal = "Deal", |registry| resource::register(named("deals"), registry);
}

/// A deal on the board.
#[derive(Object)]
struct DealCard {
    #[oai(flatten)]
    deal: Deal,
    /// Whether it has been in its stage for longer than the stage's `rotting_days`.
    rotting: bool,
}

impl From<Card> for DealCard {
    fn from(Card { deal, rotting }: Card) -> Self {
        Self { deal: Deal(deal), rotting }
    }
}

/// What the deals of a stage are worth in one currency.
#[derive(Object)]
#[oai(rename = "StageTotal")]
struct TotalOut {
    /// Which currency.
    currency: String,
    /// How many deals.
    count: u64,
    /// Their amounts together, a decimal.
    sum: String,
    /// The same, times the probability of the stage, rounded half up to the hundredth.
    weighted: String,
}

impl From<Total> for TotalOut {
    fn from(Total { currency, count, sum, weighted }: Total) -> Self {
        Self { currency, count, sum, weighted }
    }
}

/// A stage on the board.
#[derive(Object)]
struct BoardStage {
    /// Its id.
    id: Uuid,
    /// What it is called; left out for those who may not see stages.
    #[oai(skip_serializing_if_is_none)]
    label: Option<String>,
    /// How likely a deal is won from here, in percent.
    probability: i64,
    /// After so many days here a deal is rotting.
    #[oai(skip_serializing_if_is_none)]
    rotting_days: Option<i64>,
    /// How many deals are in it.
    count: u64,
    /// What they are worth, by currency; empty for those who don't get to see amounts.
    totals: Vec<TotalOut>,
    /// The first of them.
    deals: Vec<DealCard>,
    /// Where its next page begins; null when these are all.
    #[oai(skip_serializing_if_is_none = false)]
    next_cursor: Option<String>,
}

impl From<Column> for BoardStage {
    fn from(Column { stage, count, totals, deals }: Column) -> Self {
        let Page { data, next_cursor } = deals.map(DealCard::from);
        Self {
            id: stage.id,
            label: stage.label,
            probability: stage.probability,
            rotting_days: stage.rotting_days,
            count,
            totals: totals.into_iter().map(TotalOut::from).collect(),
            deals: data,
            next_cursor,
        }
    }
}

/// The open deals of a pipeline, stage by stage.
#[derive(Object)]
struct Board {
    /// Which pipeline; null while there is none.
    #[oai(skip_serializing_if_is_none = false)]
    pipeline_id: Option<Uuid>,
    /// Its stages, first to last.
    data: Vec<BoardStage>,
}

/// Some of the deals of a stage.
#[derive(Object)]
struct BoardStagePage {
    /// In the order of the board.
    data: Vec<DealCard>,
    /// Where the next page begins.
    page: PageInfo,
}

/// Where a deal goes.
#[derive(Object)]
struct DealMove {
    /// Into which stage of its pipeline; maybe the one that it is in.
    stage_id: Uuid,
    /// The open deal of that stage before which it stands then.
    before: Option<Uuid>,
    /// The one right after which it stands then. Without a neighbour it goes to the end.
    after: Option<Uuid>,
}

/// What is expected in a month, in one currency.
#[derive(Object)]
#[oai(rename = "ForecastMonth")]
struct MonthOut {
    /// Which month, `2026-12`.
    month: String,
    /// Which currency.
    currency: String,
    /// How many deals, open and won.
    count: u64,
    /// The amounts of the open ones together, a decimal.
    open: String,
    /// The same, each times the probability of its stage, rounded half up to the hundredth.
    weighted: String,
    /// The amounts of those that are won.
    won: String,
}

impl From<Month> for MonthOut {
    fn from(Month { month, currency, count, open, weighted, won }: Month) -> Self {
        Self { month, currency, count, open, weighted, won }
    }
}

/// What may come in.
#[derive(Object)]
struct Forecast {
    /// By month and currency, the first month first.
    data: Vec<MonthOut>,
}

/// A deal's time in a stage.
#[derive(Object)]
#[oai(rename = "StageVisit", skip_serializing_if_is_none)]
struct VisitOut {
    /// Which stage.
    stage_id: Uuid,
    /// What it is called; left out for one that you may not see.
    label: Option<String>,
    /// Since when.
    entered_at: DateTime<Utc>,
    /// Until when; left out while the deal is there.
    left_at: Option<DateTime<Utc>>,
    /// How long, in seconds; until now while it is there.
    seconds: i64,
}

impl From<Visit> for VisitOut {
    fn from(Visit { stage_id, label, entered_at, left_at, seconds }: Visit) -> Self {
        Self { stage_id, label, entered_at, left_at, seconds }
    }
}

/// The stages that a deal was in.
#[derive(Object)]
struct StageHistory {
    /// First to last.
    data: Vec<VisitOut>,
}

#[derive(ApiResponse)]
enum Moved {
    /// The deal in its place.
    #[oai(status = 200)]
    Moved(
        Json<Deal>,
        /// Its version; a repeated answer to an Idempotency-Key lacks it.
        #[oai(header = "ETag")]
        Option<String>,
    ),
}

fn found(filter: Option<String>, q: Option<String>) -> Result<Found, Error> {
    Ok(Found { filter: read_filter(filter)?, q })
}

#[OpenApi(prefix_path = "/deals", tag = "OfDeals")]
impl Deals {
    /// The board: the open deals of a pipeline, stage by stage, the first ones of each.
    #[oai(path = "/board", method = "get", operation_id = "deals_board")]
    async fn board(
        &self,
        caller: Caller,
        /// Which pipeline; the first one by default.
        pipeline_id: Query<Option<Uuid>>,
        /// A filter as JSON: a comparison `{"field","op","value"}`, or several under `and` or `or`.
        #[oai(validator(max_length = 2500))]
        filter: Query<Option<String>>,
        /// Words that have to be in the searched fields, without case and accents; one of one or two letters begins a word there.
        #[oai(validator(max_length = 200))]
        q: Query<Option<String>>,
        /// How many deals of each stage, 1 to 100; 20 when it is left out.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u64>>,
    ) -> Answer<Json<Board>> {
        let found = found(filter.0, q.0)?;
        let board::Board { pipeline_id, stages } =
            board::read(self.ledger.db(), &caller.scope(), pipeline_id.0, found, limit.0.unwrap_or(20)).await?;
        Ok(Json(Board { pipeline_id, data: stages.into_iter().map(BoardStage::from).collect() }))
    }

    /// More open deals of one stage of the board.
    #[oai(path = "/board/stages/:stage_id", method = "get", operation_id = "deals_board_stage")]
    async fn stage(
        &self,
        caller: Caller,
        /// Which stage.
        stage_id: Path<Uuid>,
        /// The filter of the board.
        #[oai(validator(max_length = 2500))]
        filter: Query<Option<String>>,
        /// The words of the board.
        #[oai(validator(max_length = 200))]
        q: Query<Option<String>>,
        /// How many, 1 to 100; 20 when it is left out.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u64>>,
        /// Where the board or the page before ended.
        #[oai(validator(max_length = 500))]
        cursor: Query<Option<String>>,
    ) -> Answer<Json<BoardStagePage>> {
        let paging = Paging { limit: limit.0.unwrap_or(20), cursor: cursor.0 };
        let page = board::stage(self.ledger.db(), &caller.scope(), stage_id.0, found(filter.0, q.0)?, paging).await?;
        let Page { data, next_cursor } = page.map(DealCard::from);
        Ok(Json(BoardStagePage { data, page: PageInfo { next_cursor, total: None } }))
    }

    /// What the open and won deals amount to, by the month in which they should be decided.
    #[oai(path = "/forecast", method = "get", operation_id = "deals_forecast")]
    async fn forecast(
        &self,
        caller: Caller,
        /// Only deals of this pipeline.
        pipeline_id: Query<Option<Uuid>>,
        /// Only deals that should be decided on this day or later.
        from: Query<Option<NaiveDate>>,
        /// Only deals that should be decided on this day or earlier.
        to: Query<Option<NaiveDate>>,
    ) -> Answer<Json<Forecast>> {
        let span = Span { pipeline_id: pipeline_id.0, from: from.0, to: to.0 };
        let months = forecast::read(self.ledger.db(), &caller.scope(), span).await?;
        Ok(Json(Forecast { data: months.into_iter().map(MonthOut::from).collect() }))
    }

    /// Put a deal somewhere on the board: into a stage, between two deals of it or at its end.
    #[oai(path = "/:id/move", method = "post", operation_id = "deals_move")]
    async fn drag(
        &self,
        caller: Caller,
        /// Which deal.
        id: Path<Uuid>,
        body: Json<DealMove>,
    ) -> Answer<Moved> {
        let DealMove { stage_id, before, after } = body.0;
        let deal = drag::put(&self.ledger, &caller.scope(), id.0, Place { stage_id, before, after }).await?;
        let tag = Some(etag(&deal));
        Ok(Moved::Moved(Json(Deal(deal)), tag))
    }

    /// The stages that a deal was in, and for how long.
    #[oai(path = "/:id/stages", method = "get", operation_id = "deals_stages")]
    async fn stages(
        &self,
        caller: Caller,
        /// Which deal.
        id: Path<Uuid>,
    ) -> Answer<Json<StageHistory>> {
        let visits = history::of(self.ledger.db(), &caller.scope(), id.0).await?;
        Ok(Json(StageHistory { data: visits.into_iter().map(VisitOut::from).collect() }))
    }
}
