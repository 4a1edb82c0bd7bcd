use chrono::{DateTime, TimeDelta, Utc};
use db::Db;
use domain::{
    entities::DeviceId,
    whatsapp::statistics::{self, Period, Statistic},
};
use poem_openapi::{Enum, Object, OpenApi, param::Query, payload::Json};

use crate::{Tag, guard::Caller, problem::Answer};

pub(crate) struct Statistics {
    pub(crate) db: Db,
}

/// How long the periods are.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
enum StatisticPeriod {
    /// UTC hours.
    Hour,
    /// Days of the team's time zone.
    Day,
}

/// Figures.
#[derive(Object)]
struct StatisticList {
    /// Oldest first.
    data: Vec<Statistic>,
}

#[OpenApi(prefix_path = "/whatsapp/statistics", tag = "Tag::Statistics")]
impl Statistics {
    /// Figures by hour or day. They are rolled up every hour; a late status corrects them.
    #[oai(path = "/", method = "get", operation_id = "whatsapp_statistics_list")]
    async fn list(
        &self,
        caller: Caller,
        /// How long the periods are.
        period: Query<StatisticPeriod>,
        /// Only of this device.
        device_id: Query<Option<DeviceId>>,
        /// From then; by default 30 days ago.
        from: Query<Option<DateTime<Utc>>>,
        /// Until then; by default now.
        to: Query<Option<DateTime<Utc>>>,
    ) -> Answer<Json<StatisticList>> {
        let to = to.0.unwrap_or_else(Utc::now);
        let from = from.0.or_else(|| to.checked_sub_signed(TimeDelta::days(30))).unwrap_or(to);
        let period = match period.0 {
            StatisticPeriod::Hour => Period::Hour,
            StatisticPeriod::Day => Period::Day,
        };
        Ok(Json(StatisticList { data: statistics::list(&self.db, &caller.scope(), period, device_id.0, from, to).await? }))
    }
}
