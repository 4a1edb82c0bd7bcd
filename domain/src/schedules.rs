//! Calendars that become jobs: what a cron expression means, and which schedules every installation has.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use entities::{CatchUp, ScheduleId, schedule};
use jobs::{Job, Ledger};
use sea_orm::{ActiveValue::Set, EntityTrait, sea_query::OnConflict};
use serde_json::{Value, json};

use crate::{
    Error, Result,
    payloads::{CheckDevices, Purge, RollUpStatistics},
};

/// The next occurrence of `cron` after `after`, in `time_zone`'s wall-clock time. An hour that a clock change leaves out has
/// no occurrence; one that it repeats has its first.
///
/// # Errors
/// In words: the expression or the zone can't be read, or there is no further occurrence.
pub fn next(cron: &str, time_zone: &str, after: DateTime<Utc>) -> std::result::Result<DateTime<Utc>, String> {
    let zone = Tz::from_str(time_zone).map_err(|_| format!("{time_zone} is not a time zone such as America/Sao_Paulo"))?;
    // Five fields, as everywhere; the crate wants the seconds too.
    let fields = cron.split_whitespace().count();
    let full = if fields == 5 { format!("0 {cron}") } else { cron.to_owned() };
    let calendar = cron::Schedule::from_str(&full).map_err(|_| format!("{cron} is not a cron expression of five or six fields"))?;
    let next = calendar.after(&after.with_timezone(&zone)).next().ok_or_else(|| format!("{cron} never comes again"))?;
    Ok(next.with_timezone(&Utc))
}

/// Writes the standing schedules that are not there yet.
///
/// # Errors
/// The database's.
pub async fn seed(ledger: &Ledger) -> Result<()> {
    let standing: [(&str, &str, Value, &str); 4] = [
        ("statistics, hourly", RollUpStatistics::KIND, json!(RollUpStatistics { hours: 2 }), "5 * * * *"),
        ("statistics, daily", RollUpStatistics::KIND, json!(RollUpStatistics { hours: 49 }), "20 3 * * *"),
        ("purge", Purge::KIND, json!(Purge {}), "*/10 * * * *"),
        ("device health", CheckDevices::KIND, json!(CheckDevices {}), "*/5 * * * *"),
    ];
    let tx = ledger.begin().await?;
    for (name, kind, payload, cron) in standing {
        let row = schedule::ActiveModel {
            id: Set(ScheduleId::new()),
            tenant_id: Set(None),
            name: Set(name.to_owned()),
            kind: Set(kind.to_owned()),
            payload: Set(payload),
            cron: Set(cron.to_owned()),
            time_zone: Set("UTC".into()),
            catch_up: Set(CatchUp::Latest),
            next_at: Set(next(cron, "UTC", Utc::now()).map_err(|error| Error::Internal(anyhow::anyhow!(error)))?),
            last_at: Set(None),
            enabled: Set(true),
            created_at: Set(Utc::now()),
        };
        let once = OnConflict::column(schedule::Column::Name).do_nothing().to_owned();
        schedule::Entity::insert(row).on_conflict(once).exec_without_returning(&*tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn an_occurrence_follows_the_wall_clock() {
        for (cron, zone, after, expected) in [
            ("0 9 * * *", "America/Sao_Paulo", "2026-11-24T11:59:00Z", "2026-11-24T12:00:00Z"),
            ("0 9 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T07:00:00Z"), // the clocks went forward that night
            ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z"), // 02:30 did not exist
            ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"), // 02:30 came twice
            ("*/10 * * * * *", "UTC", "2026-01-01T00:00:01Z", "2026-01-01T00:00:10Z"),
        ] {
            let found = next(cron, zone, after.parse().expect("a time")).expect("an occurrence");
            assert_eq!(found.to_rfc3339(), expected.replace('Z', "+00:00"), "{cron} in {zone}");
        }
        assert!(next("nonsense", "UTC", chrono::Utc::now()).is_err());
        assert!(next("0 9 * * *", "Mars/Olympus", chrono::Utc::now()).is_err());
    }
}
