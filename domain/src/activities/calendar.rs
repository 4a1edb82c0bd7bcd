//! The calendar: the activities that reach into some days.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use chrono_tz::Tz;
use db::Db;
use sea_orm::sea_query::{Expr, ExprTrait, Order, SelectStatement};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Error, Result, Scope,
    resource::{
        Record, Resource,
        access::Act,
        filter::{Asker, Filter, dates::midnight, sql::Target},
        list::{self, Wanted},
        registry,
        rows::{self, ROW},
        value,
    },
    settings,
};

/// So many days are shown at once.
pub const MAX_DAYS: i64 = 62;
/// So many activities are shown at once.
pub const MAX: u64 = 1_000;

/// Which activities.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Those on this day or later, where the caller is.
    pub from: NaiveDate,
    /// Those before this day.
    pub to: NaiveDate,
    /// Those that this user does, or takes part in.
    pub user_id: Option<Uuid>,
    /// Those that the filter holds for.
    pub filter: Option<Value>,
}

/// What there is in some days.
#[derive(Clone, Debug)]
pub struct Calendar {
    /// The activities, in the order in which they begin.
    pub entries: Vec<Entry>,
    /// Whether there are more than are shown.
    pub more: bool,
    /// Where the days begin and end.
    pub zone: Tz,
}

/// An activity in the calendar.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The activity.
    pub activity: Record,
    /// The first and the last of the whole days that it takes.
    pub days: Option<(NaiveDate, NaiveDate)>,
    /// Whether it should have been done by now.
    pub overdue: bool,
}

/// When an activity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At a time, perhaps until another.
    Time(DateTime<Utc>, Option<DateTime<Utc>>),
    /// All of these days, the first to the last.
    Days(NaiveDate, NaiveDate),
}

impl When {
    /// When it is in a company of this time zone; `None`: nobody knows.
    #[must_use]
    pub fn of(activity: &Record, company: Tz) -> Option<Self> {
        let moment = |field: &str| activity.get(field).and_then(Value::as_str).and_then(value::moment);
        let (from, to) = (moment("due_at")?, moment("ends_at"));
        let day = |at: DateTime<Utc>| at.with_timezone(&company).date_naive();
        Some(match activity.get("all_day") {
            Some(Value::Bool(true)) => Self::Days(day(from), day(to.unwrap_or(from))),
            _ => Self::Time(from, to),
        })
    }

    /// When it is over.
    fn over(self, company: Tz) -> DateTime<Utc> {
        match self {
            Self::Time(from, to) => to.unwrap_or(from),
            Self::Days(_, last) => midnight(last.succ_opt().unwrap_or(last), company),
        }
    }
}

/// The activities of some days that the caller may see.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] names what of the question can't be answered; the database's.
pub async fn read(db: &Db, scope: &Scope, asked: Asked) -> Result<Calendar> {
    let Asked { from, to, user_id, filter } = asked;
    for (pointer, day) in [("/from", from), ("/to", to)] {
        if !(1..=9999).contains(&day.year()) {
            return Err(Error::field(pointer, "invalid", "takes a day such as 2026-12-31"));
        }
    }
    if from >= to {
        return Err(Error::field("/to", "invalid", "is the day after the last one: it comes after from"));
    }
    if (to - from).num_days() > MAX_DAYS {
        return Err(Error::field("/to", "too_large", format!("is more than {MAX_DAYS} days after from")));
    }
    let activities = shown(scope)?;
    let asker = Asker::of(db, scope).await?;
    let company = settings::zone(&db.read, scope.tenant).await?;
    let mut select = rows::select(activities);
    list::matching(db, scope, activities, &Wanted { filter, ..Wanted::default() }, &mut select).await?;
    reaching_into(&mut select, (from, to), asker.zone, company);
    if let Some(user) = user_id {
        select.and_where(with(user, "/user_id", &asker, scope, db)?);
    }
    let mut found = in_order(db, scope, activities, &mut select, MAX + 1).await?;
    let more = found.len() as u64 > MAX;
    found.truncate(usize::try_from(MAX).unwrap_or(usize::MAX));
    rows::show(&db.read, scope, activities, &[], &mut found).await?;
    let entry = |activity: Record| {
        let when = When::of(&activity, company);
        let days = match when {
            Some(When::Days(first, last)) => Some((first, last)),
            _ => None,
        };
        let open = activity.get("completed") == Some(&json!(false));
        Entry { overdue: open && when.is_some_and(|when| when.over(company) < asker.now), days, activity }
    };
    Ok(Calendar { entries: found.into_iter().map(entry).collect(), more, zone: asker.zone })
}

/// The resource, if the caller gets to see when activities are.
pub(super) fn shown(scope: &Scope) -> Result<&'static Resource> {
    let activities = registry::named("activities");
    match ["due_at", "ends_at", "all_day", "completed"].iter().any(|field| scope.hides(activities, field)) {
        true => Err(Error::Forbidden(activities.ability(Act::View))),
        false => Ok(activities),
    }
}

/// Narrows to what reaches into the days from one to before another, which begin where the reader is. Whole days are the same
/// ones everywhere.
pub(super) fn reaching_into(select: &mut SelectStatement, (from, to): (NaiveDate, NaiveDate), reader: Tz, company: Tz) {
    let column = |name| Resource::column(ROW, name);
    let (begin, end) = (midnight(from, reader), midnight(to, reader));
    let (first, after) = (midnight(from, company), midnight(to, company));
    let timed = column("due_at").lt(end).and(column("due_at").gte(begin).or(column("ends_at").gt(begin)));
    let whole = column("due_at").lt(after).and(column("due_at").gte(first).or(column("ends_at").gte(first)));
    let all_day = || column("all_day").eq(true);
    let (lowest, highest) = (Ord::min(begin, first), Ord::max(end, after));
    select
        // These say nothing new, but indexes begin and end there.
        .and_where(column("due_at").lt(highest))
        .and_where(column("due_at").gte(lowest).or(column("ends_at").gte(lowest)))
        .and_where(all_day().not().and(timed).or(all_day().and(whole)));
}

/// Whether a user does it or takes part in it.
pub(super) fn with(user: Uuid, at: &str, asker: &Asker, scope: &Scope, db: &Db) -> Result<Expr> {
    let activities = registry::named("activities");
    if ["owner_id", "guest_ids"].iter().any(|field| scope.hides(activities, field)) {
        return Err(Error::field(at, "forbidden", "you don't get to see who does activities, or who takes part"));
    }
    let either = json!({ "or": [
        { "field": "owner_id", "op": "eq", "value": user },
        { "field": "guest_ids", "op": "has_any", "value": [user] },
    ] });
    Filter::read(activities, scope, asker, &either, at)?.sql(activities, ROW, Target { backend: db.backend(), scope })
}

/// The first of them.
pub(super) async fn in_order(
    db: &Db,
    scope: &Scope,
    activities: &'static Resource,
    select: &mut SelectStatement,
    limit: u64,
) -> Result<Vec<Record>> {
    let column = |name| Resource::column(ROW, name);
    select.order_by_expr(column("due_at"), Order::Asc).order_by_expr(column("id"), Order::Asc).limit(limit);
    rows::read(&db.read, scope, activities, select).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_days_are_those_of_the_company() {
        let record = |all_day: bool| {
            let Value::Object(record) = json!({
                "due_at": "2026-12-01T03:00:00+00:00", "ends_at": "2026-12-02T03:00:00+00:00", "all_day": all_day,
            }) else {
                unreachable!("it is an object")
            };
            record
        };
        let day = |text: &str| text.parse::<NaiveDate>().expect("a day");
        let zone = chrono_tz::America::Sao_Paulo;
        let days = When::of(&record(true), zone).expect("it has a time");
        assert_eq!(days, When::Days(day("2026-12-01"), day("2026-12-02")));
        assert_eq!(days.over(zone).to_rfc3339(), "2026-12-03T03:00:00+00:00");
        let time = When::of(&record(false), zone).expect("it has a time");
        assert_eq!(time.over(zone).to_rfc3339(), "2026-12-02T03:00:00+00:00");
        assert_eq!(When::of(&Record::new(), zone), None);
    }
}
