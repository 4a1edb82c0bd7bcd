//! Reminders: whoever does an activity, or takes part in it, gets a mail some minutes before it is due.
//!
//! A job waits for that time. It knows the time for which it was made: an activity that has moved, was done or went into the
//! trash meanwhile has another reminder or none, and the job for the old one does nothing.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use db::Db;
use entities::UserId;
use jobs::NewJob;
use serde_json::{Value, json};
use uuid::Uuid;

use super::calendar::When;
use crate::{
    Result, Scope,
    engine::Write,
    payloads::{Notice, RemindActivity, SendMail},
    resource::{Change, Record, access::Act, list, registry, value, write::load},
    settings,
};

/// What a reminder says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reminder {
    /// Of what.
    pub title: String,
    /// When that is.
    pub when: When,
    /// With whom, and about which deals.
    pub with: Vec<String>,
}

/// When people are reminded of an activity; `None`: they are not.
fn due(activity: &Record) -> Option<DateTime<Utc>> {
    let open = activity.get("completed") == Some(&json!(false)) && activity.get("deleted_at").is_none_or(Value::is_null);
    let due = activity.get("due_at").and_then(Value::as_str).and_then(value::moment).filter(|_| open)?;
    due.checked_sub_signed(TimeDelta::minutes(activity.get("reminder_minutes")?.as_i64()?))
}

/// Has a job wait for the time at which people are reminded, if that is another one than before and has not passed.
pub(super) async fn set(write: &Write<'_>, change: &Change) -> Result<()> {
    if let Some(at) = due(&change.after).filter(|at| due(&change.before) != Some(*at) && *at > Utc::now()) {
        let job = RemindActivity { activity_id: change.id, at };
        let once = format!("{}:{}", change.id, at.timestamp());
        write.enqueue(NewJob::new(write.scope.tenant.0, &job).run_at(at).unique_key(once)).await?;
    }
    Ok(())
}

/// Has everybody reminded by mail whom the activity concerns, if this is still the time for it.
///
/// # Errors
/// The database's.
pub async fn send(write: &Write<'_>, activity: Uuid, at: DateTime<Utc>) -> Result<()> {
    let found = load(write, registry::named("activities"), Act::View, activity, false).await?;
    let Some(record) = found.filter(|record| due(record) == Some(at)) else { return Ok(()) };
    let mut users: Vec<Uuid> = record["guest_ids"].as_array().into_iter().flatten().filter_map(|id| value::id(id.as_str()?)).collect();
    users.extend(record["owner_id"].as_str().and_then(value::id));
    users.sort_unstable();
    users.dedup();
    for user in users {
        let mail = SendMail { user_id: UserId(user), notice: Notice::Activity { activity_id: activity, at } };
        write.enqueue(NewJob::new(write.scope.tenant.0, &mail)).await?;
    }
    Ok(())
}

/// What a reader is told; `None` when there is nothing to be reminded of any more.
///
/// # Errors
/// [`crate::Error::NotFound`] and [`crate::Error::Forbidden`] for what they don't get to see; the database's.
pub async fn of(db: &Db, reader: &Scope, activity: Uuid, at: DateTime<Utc>) -> Result<Option<Reminder>> {
    let record = list::get(db, reader, registry::named("activities"), activity, Vec::new()).await?;
    let company = settings::zone(&db.read, reader.tenant).await?;
    Ok(due(&record).filter(|due| *due == at).and_then(|_| told(&record, company)))
}

fn told(record: &Record, company: Tz) -> Option<Reminder> {
    let labels = record.get("_labels").and_then(Value::as_object);
    let names = |field: &str| labels.and_then(|labels| labels.get(field)?.as_array()).into_iter().flatten();
    let with = ["contact_ids", "company_ids", "deal_ids"].into_iter().flat_map(names).filter_map(Value::as_str);
    Some(Reminder {
        title: record.get("title")?.as_str()?.to_owned(),
        when: When::of(record, company)?,
        with: with.map(str::to_owned).collect(),
    })
}
