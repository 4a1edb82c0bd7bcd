use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    Error,
    activities::{
        calendar::{self, Asked, Calendar, Entry},
        feed,
    },
    entities::calendar_feed,
    resource::registry::named,
};
use jobs::Ledger;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Header, Path, Query},
    payload::{Json, PlainText},
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    guard::Caller,
    problem::Answer,
    resource::{self, read_filter, records, tag},
};

pub(crate) struct Activities {
    pub(crate) ledger: Ledger,
    pub(crate) public_url: String,
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

/// Whether you have a calendar feed.
#[derive(Object)]
#[oai(rename = "CalendarFeed", skip_serializing_if_is_none)]
struct FeedOut {
    /// Whether there is one.
    active: bool,
    /// Since when its address is what it is.
    created_at: Option<DateTime<Utc>>,
    /// When a program last read it; left out while none has.
    last_read_at: Option<DateTime<Utc>>,
}

impl From<Option<calendar_feed::Model>> for FeedOut {
    fn from(feed: Option<calendar_feed::Model>) -> Self {
        let active = feed.is_some();
        let (created_at, last_read_at) = feed.map_or((None, None), |feed| (Some(feed.created_at), feed.last_read_at));
        Self { active, created_at, last_read_at }
    }
}

/// The address of a calendar feed.
#[derive(Object)]
struct FeedAddress {
    /// What a calendar program subscribes to. It is shown this once; whoever has it reads your calendar.
    url: String,
}

#[derive(ApiResponse)]
enum FeedMade {
    /// The address, this once.
    #[oai(status = 201)]
    Made(Json<FeedAddress>),
}

#[derive(ApiResponse)]
enum FeedEnded {
    /// There is none any more.
    #[oai(status = 204)]
    Ended,
}

#[derive(ApiResponse)]
enum Feed {
    /// The calendar, as RFC 5545 has it.
    #[oai(status = 200, content_type = "text/calendar; charset=utf-8")]
    Calendar(
        PlainText<String>,
        /// What it is now.
        #[oai(header = "ETag")]
        String,
        /// A program keeps it, and asks whether it is still the same.
        #[oai(header = "Cache-Control")]
        String,
    ),
    /// It is what you have.
    #[oai(status = 304)]
    Same,
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

    /// Whether you have a calendar feed, and when it was last read.
    #[oai(path = "/me/calendar-feed", method = "get", operation_id = "calendar_feed_get")]
    async fn feed(&self, caller: Caller) -> Answer<Json<FeedOut>> {
        Ok(Json(feed::get(self.ledger.db(), &caller.scope()).await?.into()))
    }

    /// Make a calendar feed of what you do and take part in. An address that you had before ends.
    #[oai(path = "/me/calendar-feed", method = "post", operation_id = "calendar_feed_create")]
    async fn renew_feed(&self, caller: Caller) -> Answer<FeedMade> {
        let token = feed::renew(&self.ledger, &caller.scope()).await?;
        let url = format!("{}/api/calendar/{token}.ics", self.public_url.trim_end_matches('/'));
        Ok(FeedMade::Made(Json(FeedAddress { url })))
    }

    /// End your calendar feed: its address finds nothing any more.
    #[oai(path = "/me/calendar-feed", method = "delete", operation_id = "calendar_feed_delete")]
    async fn end_feed(&self, caller: Caller) -> Answer<FeedEnded> {
        feed::end(&self.ledger, &caller.scope()).await?;
        Ok(FeedEnded::Ended)
    }

    /// Somebody's calendar, for calendar programs: what they do and take part in, from three months ago to a year ahead. Who has
    /// the address needs no token.
    #[oai(path = "/calendar/:file", method = "get", operation_id = "calendar_ics")]
    async fn ics(
        &self,
        /// The secret of the feed, and `.ics`.
        #[oai(validator(max_length = 200))]
        file: Path<String>,
        /// The ETag that you have: if it is still the same, there is no body.
        #[oai(name = "If-None-Match", validator(max_length = 100))]
        known: Header<Option<String>>,
    ) -> Answer<Feed> {
        let token = file.0.strip_suffix(".ics").ok_or(Error::NotFound("calendar"))?;
        let text = feed::read(&self.ledger, token).await?;
        let tag = format!("\"{}\"", hex::encode(&Sha256::digest(&text)[..16]));
        let same = known.0.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
        Ok(if same { Feed::Same } else { Feed::Calendar(PlainText(text), tag, "private, no-cache".into()) })
    }
}
