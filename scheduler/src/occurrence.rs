//! Which occurrence of a due schedule is run, and when it is due again. No database, no clock.

use chrono::{DateTime, TimeDelta, Utc};
use domain::schedules::next;
use entities::CatchUp;

/// How late an occurrence is still in time.
const IN_TIME: TimeDelta = TimeDelta::seconds(60);

/// How a due schedule moves on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The occurrence that becomes a job.
    pub(crate) run: Option<DateTime<Utc>>,
    /// When the schedule is due again, perhaps at once. `None`: never.
    pub(crate) next_at: Option<DateTime<Utc>>,
}

/// The step of a schedule that has been due since `due_at`, which is not after `now`.
///
/// # Errors
/// In words: `cron` or `time_zone` can't be read.
pub(crate) fn step(catch_up: CatchUp, cron: &str, time_zone: &str, due_at: DateTime<Utc>, now: DateTime<Utc>) -> Result<Step, String> {
    // `next` fails for what can't be read and for what never comes again. Only the first fails from a time before, too.
    let after = |at: DateTime<Utc>| match next(cron, time_zone, at) {
        Ok(next) => Ok(Some(next)),
        Err(error) => next(cron, time_zone, due_at - TimeDelta::seconds(1)).map(|_| None).map_err(|_| error),
    };
    match catch_up {
        CatchUp::All => Ok(Step { run: Some(due_at), next_at: after(due_at)? }),
        CatchUp::Latest => {
            let (last, next_at) = last(due_at, now, after)?;
            Ok(Step { run: Some(last), next_at })
        }
        CatchUp::Skip => {
            let limit = now - IN_TIME;
            if due_at >= limit {
                return Ok(Step { run: Some(due_at), next_at: after(due_at)? });
            }
            // `next` is strictly after, and what is late by just the limit is in time.
            match after(limit - TimeDelta::nanoseconds(1))? {
                Some(at) if at <= now => Ok(Step { run: Some(at), next_at: after(at)? }),
                later => Ok(Step { run: None, next_at: later }),
            }
        }
    }
}

/// The last occurrence not after `now`, and the first one after it. By halving: after a year away, a calendar of every second
/// is not walked through second by second.
fn last(
    due_at: DateTime<Utc>,
    now: DateTime<Utc>,
    after: impl Fn(DateTime<Utc>) -> Result<Option<DateTime<Utc>>, String>,
) -> Result<(DateTime<Utc>, Option<DateTime<Utc>>), String> {
    // `low` is an occurrence, and none is after `high` and not after `now`.
    let (mut low, mut high) = (due_at, now);
    loop {
        let next_at = after(low)?;
        if next_at.is_none_or(|next_at| next_at > now) {
            return Ok((low, next_at));
        }
        let middle = low + (high - low) / 2;
        match after(middle)? {
            Some(at) if at <= now => low = at,
            _ => high = middle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-11-24T{text}Z").parse().unwrap()
    }

    /// Steps until nothing is due; what was run, and when it is due again.
    fn caught_up(catch_up: CatchUp, cron: &str, due_at: &str, now: &str) -> (Vec<DateTime<Utc>>, DateTime<Utc>) {
        let (mut due_at, mut run) = (at(due_at), vec![]);
        while due_at <= at(now) {
            let step = step(catch_up, cron, "UTC", due_at, at(now)).unwrap();
            run.extend(step.run);
            assert!(step.next_at.unwrap() > due_at, "it moves on");
            due_at = step.next_at.unwrap();
        }
        (run, due_at)
    }

    #[test]
    fn in_time_all_policies_are_the_same() {
        for catch_up in [CatchUp::All, CatchUp::Latest, CatchUp::Skip] {
            let found = caught_up(catch_up, "*/5 * * * *", "10:00:00", "10:00:01.25");
            assert_eq!(found, (vec![at("10:00:00")], at("10:05:00")), "{catch_up:?}");
        }
    }

    #[test]
    fn all_runs_each_that_was_missed() {
        let found = caught_up(CatchUp::All, "*/5 * * * *", "10:00:00", "10:17:00");
        assert_eq!(found, (vec![at("10:00:00"), at("10:05:00"), at("10:10:00"), at("10:15:00")], at("10:20:00")));
    }

    #[test]
    fn latest_runs_the_last_that_was_missed() {
        let found = caught_up(CatchUp::Latest, "*/5 * * * *", "10:00:00", "10:17:00");
        assert_eq!(found, (vec![at("10:15:00")], at("10:20:00")));
        let found = caught_up(CatchUp::Latest, "*/5 * * * *", "10:00:00", "10:15:00");
        assert_eq!(found, (vec![at("10:15:00")], at("10:20:00")), "one that is due this moment");
    }

    #[test]
    fn latest_agrees_with_walking_through() {
        for cron in ["*/7 * * * * *", "* * * * *", "13 */2 * * *", "*/10 3 * * * *", "0 0 1 12 *", "* 5 * * * *"] {
            for hours in [0, 1, 5, 26] {
                let now = at("03:30:04.5") + TimeDelta::hours(hours);
                let due_at = next(cron, "UTC", at("01:30:00")).unwrap();
                if due_at > now {
                    continue;
                }
                let mut walked = due_at;
                while let Ok(later) = next(cron, "UTC", walked)
                    && later <= now
                {
                    walked = later;
                }
                let found = step(CatchUp::Latest, cron, "UTC", due_at, now).unwrap();
                assert_eq!(found.run, Some(walked), "{cron}, {hours} h");
                assert_eq!(found.next_at, Some(next(cron, "UTC", walked).unwrap()), "{cron}, {hours} h");
            }
        }
    }

    #[test]
    fn latest_finds_its_way_through_years_of_seconds() {
        let now = at("10:00:00.5");
        let found = step(CatchUp::Latest, "* * * * * *", "UTC", now - TimeDelta::days(3650), now).unwrap();
        assert_eq!(found, Step { run: Some(at("10:00:00")), next_at: Some(at("10:00:01")) });
    }

    #[test]
    fn skip_runs_none_that_is_late_by_more_than_a_minute() {
        let found = caught_up(CatchUp::Skip, "*/5 * * * *", "10:00:00", "10:17:00");
        assert_eq!(found, (vec![], at("10:20:00")));
        let found = caught_up(CatchUp::Skip, "*/5 * * * *", "10:00:00", "10:15:30");
        assert_eq!(found, (vec![at("10:15:00")], at("10:20:00")), "the last one is in time");
        let found = caught_up(CatchUp::Skip, "*/5 * * * *", "10:00:00", "10:01:00");
        assert_eq!(found, (vec![at("10:00:00")], at("10:05:00")), "a minute is in time");
        let found = caught_up(CatchUp::Skip, "*/5 * * * *", "10:00:00", "10:16:00");
        assert_eq!(found, (vec![at("10:15:00")], at("10:20:00")), "a minute is in time, also after others");
        let found = caught_up(CatchUp::Skip, "*/5 * * * *", "10:00:00", "10:01:00.001");
        assert_eq!(found, (vec![], at("10:05:00")), "more is not");
    }

    #[test]
    fn skip_runs_all_of_the_last_minute() {
        let found = caught_up(CatchUp::Skip, "*/20 * * * * *", "10:00:00", "10:09:50");
        assert_eq!(found, (vec![at("10:09:00"), at("10:09:20"), at("10:09:40")], at("10:10:00")));
    }

    #[test]
    fn a_calendar_that_ends_has_its_last_occurrence() {
        for catch_up in [CatchUp::All, CatchUp::Latest, CatchUp::Skip] {
            let found = step(catch_up, "0 0 10 24 11 * 2026", "UTC", at("10:00:00"), at("10:00:10")).unwrap();
            assert_eq!(found, Step { run: Some(at("10:00:00")), next_at: None }, "{catch_up:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for (cron, zone) in [("nonsense", "UTC"), ("* * * * *", "Mars/Olympus")] {
            for catch_up in [CatchUp::All, CatchUp::Latest, CatchUp::Skip] {
                for now in ["10:00:01", "11:00:00"] {
                    step(catch_up, cron, zone, at("10:00:00"), at(now)).unwrap_err();
                }
            }
        }
    }
}
