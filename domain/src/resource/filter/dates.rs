//! Relative dates: `today`, `last_7_days`, `this_quarter`, in the time zone of whoever asks. A span is [from, to).

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, TimeZone, Utc, Weekday};
use chrono_tz::Tz;

/// The words there are, with a number for `N`.
pub const WORDS: &[&str] = &[
    "today",
    "yesterday",
    "tomorrow",
    "this_week",
    "last_week",
    "next_week",
    "this_month",
    "last_month",
    "next_month",
    "this_quarter",
    "last_quarter",
    "next_quarter",
    "this_year",
    "last_year",
    "next_year",
    "last_N_days",
    "next_N_days",
];

/// The days that `word` means: the first, and the one after the last.
#[must_use]
pub fn span(word: &str, today: NaiveDate, week_start: Weekday) -> Option<(NaiveDate, NaiveDate)> {
    let days = |count: u64| Days::new(count);
    match word {
        "today" => return Some((today, today.checked_add_days(days(1))?)),
        "yesterday" => return Some((today.checked_sub_days(days(1))?, today)),
        "tomorrow" => return Some((today.checked_add_days(days(1))?, today.checked_add_days(days(2))?)),
        _ => {}
    }
    if let Some(count) = word.strip_suffix("_days") {
        let (last, count) = match (count.strip_prefix("last_"), count.strip_prefix("next_")) {
            (Some(count), _) => (true, count),
            (_, Some(count)) => (false, count),
            _ => return None,
        };
        let count: u64 = count.parse().ok().filter(|count| (1..=3660).contains(count))?;
        // Both count today.
        return match last {
            true => Some((today.checked_sub_days(days(count - 1))?, today.checked_add_days(days(1))?)),
            false => Some((today, today.checked_add_days(days(count))?)),
        };
    }
    let (which, unit) = word.split_once('_')?;
    let (first, months) = match unit {
        "week" => {
            let first = today.checked_sub_days(days(u64::from(today.weekday().days_since(week_start))))?;
            return match which {
                "this" => Some((first, first.checked_add_days(days(7))?)),
                "last" => Some((first.checked_sub_days(days(7))?, first)),
                "next" => Some((first.checked_add_days(days(7))?, first.checked_add_days(days(14))?)),
                _ => None,
            };
        }
        "month" => (today.with_day(1)?, 1),
        "quarter" => (NaiveDate::from_ymd_opt(today.year(), today.month0() / 3 * 3 + 1, 1)?, 3),
        "year" => (NaiveDate::from_ymd_opt(today.year(), 1, 1)?, 12),
        _ => return None,
    };
    let (unit, after) = (Months::new(months), first.checked_add_months(Months::new(months))?);
    match which {
        "this" => Some((first, after)),
        "last" => Some((first.checked_sub_months(unit)?, first)),
        "next" => Some((after, after.checked_add_months(unit)?)),
        _ => None,
    }
}

/// When a day begins there. Where a clock change skips midnight, the day begins with the first moment after it.
#[must_use]
pub fn midnight(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let at = |hour: u32| zone.from_local_datetime(&day.and_hms_opt(hour, 0, 0)?).earliest().map(|moment| moment.to_utc());
    (0..24).find_map(at).unwrap_or_else(|| day.and_hms_opt(0, 0, 0).unwrap_or_default().and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_days() {
        let day = |text: &str| text.parse::<NaiveDate>().expect("a day");
        let today = day("2026-11-25"); // a Wednesday
        for (word, from, to) in [
            ("today", "2026-11-25", "2026-11-26"),
            ("yesterday", "2026-11-24", "2026-11-25"),
            ("last_7_days", "2026-11-19", "2026-11-26"),
            ("next_3_days", "2026-11-25", "2026-11-28"),
            ("this_week", "2026-11-23", "2026-11-30"),
            ("last_week", "2026-11-16", "2026-11-23"),
            ("next_month", "2026-12-01", "2027-01-01"),
            ("this_quarter", "2026-10-01", "2027-01-01"),
            ("last_quarter", "2026-07-01", "2026-10-01"),
            ("next_year", "2027-01-01", "2028-01-01"),
        ] {
            assert_eq!(span(word, today, Weekday::Mon), Some((day(from), day(to))), "{word}");
        }
        for (week_start, from) in [(Weekday::Sun, "2026-11-22"), (Weekday::Sat, "2026-11-21"), (Weekday::Wed, "2026-11-25")] {
            assert_eq!(span("this_week", today, week_start).map(|(first, _)| first), Some(day(from)), "{week_start}");
        }
        for wrong in ["", "now", "this_", "last_0_days", "last_-1_days", "this_decade", "days"] {
            assert_eq!(span(wrong, today, Weekday::Mon), None, "{wrong}");
        }
    }

    #[test]
    fn a_day_begins_at_its_own_midnight() {
        let day: NaiveDate = "2018-11-04".parse().expect("a day"); // São Paulo's clocks went from 00:00 to 01:00
        assert_eq!(midnight(day, chrono_tz::America::Sao_Paulo).to_rfc3339(), "2018-11-04T03:00:00+00:00");
        let day: NaiveDate = "2026-11-25".parse().expect("a day");
        assert_eq!(midnight(day, chrono_tz::America::Sao_Paulo).to_rfc3339(), "2026-11-25T03:00:00+00:00");
    }
}
