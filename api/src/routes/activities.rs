use chrono::NaiveDate;
use domain::{
    activities::calendar::{self, Asked, Calendar, Entry},
    resource::registry::named,
};
use jobs::Ledger;
use poem_openapi::{Object, OpenApi, param::Query, payload::Json};
use uuid::Uuid;

use crate::{
    guard::Caller,
    problem::Answer,
    resource::{self, read_filter, records, tag},
};

pub(crate) struct Activities {
    pub(crate) ledger: Ledger,
}

tag! { OfActivities = "activities" }

records! {
    /// An activity, as the resource's schema says.
    Activity = "Activity", |registry| resource::register(named("activities"), registry);
}

/// An activity in the calendar.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct CalendarActivity {
    #[oai(flatten)]
    activity: Activity,
    /// The first of the days that it takes, if it takes whole days.
    first_day: Option<NaiveDate>,
    /// The last of them.
    last_day: Option<NaiveDate>,
    /// Whether it is over and not completed.
    overdue: bool,
}

impl From<Entry> for CalendarActivity {
    fn from(Entry { activity, days, overdue }: Entry) -> Self {
        let (first_day, last_day) = days.unzip();
        Self { activity: Activity(activity), first_day, last_day, overdue }
    }
}

/// The activities of some days.
#[derive(Object)]
#[oai(rename = "ActivityCalendar")]
struct CalendarOut {
    /// In the order in which they begin.
    data: Vec<CalendarActivity>,
    /// Whether there are more than these: then ask for fewer days, or narrow it with a filter.
    more: bool,
    /// Where the days begin and end: your time zone, or else the company's.
    time_zone: String,
}

#[OpenApi(tag = "OfActivities")]
impl Activities {
    /// The calendar: the activities that reach into some days.
    ///
    /// At most 62 days and 1,000 activities; `more` says when there are more of them.
    #[oai(path = "/activities/calendar", method = "get", operation_id = "activities_calendar")]
    async fn calendar(
        &self,
        caller: Caller,
        /// The first day.
        from: Query<NaiveDate>,
        /// The day after the last one.
        to: Query<NaiveDate>,
        /// Only what this user does or takes part in.
        user_id: Query<Option<Uuid>>,
        /// A filter as JSON: a comparison `{"field","op","value"}`, or several under `and` or `or`.
        #[oai(validator(max_length = 2500))]
        filter: Query<Option<String>>,
    ) -> Answer<Json<CalendarOut>> {
        let asked = Asked { from: from.0, to: to.0, user_id: user_id.0, filter: read_filter(filter.0)? };
        let Calendar { entries, more, zone } = calendar::read(self.ledger.db(), &caller.scope(), asked).await?;
        let data = entries.into_iter().map(CalendarActivity::from).collect();
        Ok(Json(CalendarOut { data, more, time_zone: zone.name().to_owned() }))
    }
}
