//! Figures per device and hour or day. Each is computed anew from the messages, so computing it twice changes nothing and a
//! late status corrects it.

use std::{collections::BTreeSet, str::FromStr};

use chrono::{DateTime, DurationRound, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use db::Db;
use entities::{DeviceId, TenantId, tenant, whatsapp_statistic as table};
use jobs::Ledger;
use poem_openapi::Object;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Statement, Value};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, Scope, page::plausible};

/// What happened through a device in an hour or day.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[oai(rename = "WhatsAppStatistic")]
pub struct Statistic {
    /// Through which device.
    pub device_id: DeviceId,
    /// `hour` or `day`.
    pub period: String,
    /// When it began. Days are those of the team's time zone.
    pub starts_at: DateTime<Utc>,
    /// Messages from customers.
    pub received: i32,
    /// Messages that WhatsApp took.
    pub sent: i32,
    /// Those of them that arrived.
    pub delivered: i32,
    /// Those of them that were seen.
    pub read: i32,
    /// Messages that failed.
    pub failed: i32,
    /// Conversations in which something was written.
    pub conversations: i32,
    /// Conversations that got their first answer.
    pub first_replies: i32,
    /// How long those customers had waited for it, all together, in seconds.
    pub first_reply_seconds: i64,
}

/// An hour or a day, as roll-ups have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// UTC hours.
    Hour,
    /// Days of the tenant's time zone.
    Day,
}

impl Period {
    fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// Rolls up every hour and day that reaches into the last `hours` hours. How many figures it wrote.
///
/// # Errors
/// The database's.
pub async fn roll_up(ledger: &Ledger, hours: u32) -> Result<u64> {
    let now = Utc::now();
    let since = now - TimeDelta::hours(hours.into());
    let mut written = 0;
    let mut hour = since.duration_trunc(TimeDelta::hours(1)).map_err(anyhow::Error::from)?;
    while hour <= now {
        written += compute(ledger, Period::Hour, None, hour, hour + TimeDelta::hours(1)).await?;
        hour += TimeDelta::hours(1);
    }
    let mut tenants = tenant::Entity::find().order_by_asc(tenant::Column::Id).limit(500).all(&ledger.db().read).await?;
    while let Some(last) = tenants.last().map(|tenant| tenant.id) {
        for tenant in &tenants {
            // A tenant's zone was checked when it was set.
            let zone = Tz::from_str(&tenant.time_zone).unwrap_or(Tz::UTC);
            for (start, end) in days(zone, since, now) {
                written += compute(ledger, Period::Day, Some(tenant.id), start, end).await?;
            }
        }
        let more = tenant::Entity::find().filter(tenant::Column::Id.gt(last)).order_by_asc(tenant::Column::Id).limit(500);
        tenants = more.all(&ledger.db().read).await?;
    }
    Ok(written)
}

/// The days of a zone that reach into a time, each from its first moment to the next day's.
fn days(zone: Tz, since: DateTime<Utc>, until: DateTime<Utc>) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    // Where a clock change leaves midnight out, the day begins with the next hour there is.
    let begin = |date: chrono::NaiveDate| {
        (0..4).find_map(|hour| zone.from_local_datetime(&date.and_hms_opt(hour, 0, 0)?).earliest()).map(|start| start.with_timezone(&Utc))
    };
    let mut days = Vec::new();
    let mut date = since.with_timezone(&zone).date_naive();
    while let (Some(start), Some(next)) = (begin(date), date.succ_opt()) {
        let Some(end) = begin(next) else { break };
        if start > until {
            break;
        }
        days.push((start, end));
        date = next;
    }
    days
}

/// Computes one period of all devices, or of one tenant's.
async fn compute(ledger: &Ledger, period: Period, tenant: Option<TenantId>, start: DateTime<Utc>, end: DateTime<Utc>) -> Result<u64> {
    let whose = if tenant.is_some() { "and tenant_id = $4" } else { "" };
    let figures = format!(
        "insert into whatsapp_statistics (tenant_id, device_id, period, starts_at, received, sent, delivered, read, failed, conversations,
             first_replies, first_reply_seconds, computed_at)
         select m.tenant_id, m.device_id, $3, $1, m.received, m.sent, m.delivered, m.read, m.failed, m.conversations,
             coalesce(r.replies, 0), coalesce(r.seconds, 0), {now}
         from (select tenant_id, device_id,
                   sum(case when direction = 'in' then 1 else 0 end) as received,
                   sum(case when direction = 'out' and status in ('accepted', 'sent', 'delivered', 'read') then 1 else 0 end) as sent,
                   sum(case when direction = 'out' and status in ('delivered', 'read') then 1 else 0 end) as delivered,
                   sum(case when direction = 'out' and status = 'read' then 1 else 0 end) as read,
                   sum(case when direction = 'out' and status = 'failed' then 1 else 0 end) as failed,
                   count(distinct conversation_id) as conversations
               from whatsapp_messages where created_at >= $1 and created_at < $2 {whose} group by tenant_id, device_id) m
         left join (select tenant_id, device_id, count(*) as replies, cast(sum({waited}) as bigint) as seconds
               from whatsapp_conversations where first_reply_at >= $1 and first_reply_at < $2 {whose} group by tenant_id, device_id) r
         on r.tenant_id = m.tenant_id and r.device_id = m.device_id
         where true
         on conflict (tenant_id, device_id, period, starts_at) do update set
             received = excluded.received, sent = excluded.sent, delivered = excluded.delivered, read = excluded.read, failed = excluded.failed,
             conversations = excluded.conversations, first_replies = excluded.first_replies,
             first_reply_seconds = excluded.first_reply_seconds, computed_at = excluded.computed_at",
        now = if ledger.db().is_sqlite() { "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')" } else { "now()" },
        waited = if ledger.db().is_sqlite() {
            "(julianday(first_reply_at) - julianday(created_at)) * 86400"
        } else {
            "extract(epoch from first_reply_at - created_at)"
        },
    );
    let mut values: Vec<Value> = vec![start.into(), end.into(), period.as_str().into()];
    values.extend(tenant.map(|tenant| tenant.0.into()));
    let db = &ledger.db().write;
    Ok(db.execute_raw(Statement::from_sql_and_values(ledger.db().backend(), figures, values)).await?.rows_affected())
}

/// The figures of a time, oldest first; those of one device when it is given. At most 2,000.
///
/// # Errors
/// [`Error::Invalid`]; the database's.
pub async fn list(
    db: &Db,
    scope: &Scope,
    period: Period,
    device: Option<DeviceId>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<Statistic>> {
    scope.require("messages:read")?;
    for (at, pointer) in [(from, "/from"), (to, "/to")] {
        if !plausible(at) {
            return Err(Error::field(pointer, "invalid", "is not in a year of four digits"));
        }
    }
    let mut find = table::Entity::find()
        .filter(table::Column::TenantId.eq(scope.tenant).and(table::Column::Period.eq(period.as_str())))
        .filter(table::Column::StartsAt.gte(from).and(table::Column::StartsAt.lt(to)));
    let devices: BTreeSet<DeviceId> = device.into_iter().collect();
    if !devices.is_empty() {
        find = find.filter(table::Column::DeviceId.is_in(devices));
    }
    let rows = find.order_by_asc(table::Column::StartsAt).order_by_asc(table::Column::DeviceId).limit(2000).all(&db.read).await?;
    let view = |row: table::Model| {
        let table::Model {
            tenant_id: _,
            device_id,
            period,
            starts_at,
            received,
            sent,
            delivered,
            read,
            failed,
            conversations,
            first_replies,
            first_reply_seconds,
            computed_at: _,
        } = row;
        Statistic {
            device_id,
            period,
            starts_at,
            received,
            sent,
            delivered,
            read,
            failed,
            conversations,
            first_replies,
            first_reply_seconds,
        }
    };
    Ok(rows.into_iter().map(view).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_follow_the_zones_clock() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
        let berlin = days(Tz::Europe__Berlin, at("2026-03-28T22:30:00Z"), at("2026-03-29T21:00:00Z"));
        assert_eq!(
            berlin,
            [
                (at("2026-03-27T23:00:00Z"), at("2026-03-28T23:00:00Z")),
                (at("2026-03-28T23:00:00Z"), at("2026-03-29T22:00:00Z")), // 23 hours
            ]
        );
    }
}
