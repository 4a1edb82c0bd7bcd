//! Activities.

use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use super::reminder;
use crate::{
    Error, Result,
    engine::Write,
    resource::{
        Change, Resource, Rules,
        field::{Field, Form, Kind, parties},
        filter::dates,
        value,
    },
    settings,
};

/// The resource.
pub(crate) fn resource() -> Resource {
    let guests = Kind::References { to: "users", table: "activity_guests", own: "activity_id", other: "user_id" };
    let mut fields = vec![
        Field::line("title", 200, "What is to be done.").required().searched().example("Call Ana about the offer"),
        Field::reference("type_id", "activity_types", "What kind of activity."),
        Field::new("due_at", Kind::Time, "When it is due or begins."),
        Field::new("ends_at", Kind::Time, "When it ends."),
        Field::new(
            "all_day",
            Kind::Boolean,
            "Whether it takes whole days: those of due_at and ends_at in the company's time zone, which are kept as the first moments of their days.",
        )
        .default(false),
        Field::new("reminder_minutes", Kind::Integer { min: 0, max: 40_320 }, "How long before it somebody is reminded.").example(30),
        Field::text("note", 10_000, Form::Lines, "What there is to know."),
        Field::reference("owner_id", "users", "Who does it; whoever makes it, if nobody is named."),
        Field::new("completed", Kind::Boolean, "Whether it is done.").default(false),
        Field::new("completed_at", Kind::Time, "When it was done.").by_rules(),
        Field::new("guest_ids", guests, "Which colleagues take part."),
    ];
    fields.extend(parties("activity_id", ["activity_contacts", "activity_companies", "activity_deals"]));
    let resource = Resource::new("activity", "activities", "Activity", "Something that somebody is going to do.", fields);
    Resource { label: &["title"], owner: Some("owner_id"), sort: "due_at", rules: &Activities, bulk: true, ..resource }
}

struct Activities;

#[async_trait::async_trait]
impl Rules for Activities {
    async fn check(&self, write: &Write<'_>, change: &mut Change) -> Result<()> {
        if change.action.ends() {
            return Ok(());
        }
        if change.after["all_day"] == json!(true) && ["all_day", "due_at", "ends_at"].iter().any(|field| change.changes(field)) {
            let zone = settings::zone(&***write, write.scope.tenant).await?;
            for field in ["due_at", "ends_at"] {
                let Some(at) = change.text(field).and_then(value::moment) else { continue };
                let begins = dates::midnight(at.with_timezone(&zone).date_naive(), zone);
                change.after.insert(field.into(), json!(begins.to_rfc3339()));
            }
        }
        let moment = |field: &str| change.text(field).and_then(value::moment);
        if let (Some(due), Some(end)) = (moment("due_at"), moment("ends_at"))
            && end < due
        {
            return Err(Error::field("/ends_at", "invalid", "lies before due_at"));
        }
        if change.changes("completed") {
            let done = change.after["completed"] == json!(true);
            change.after.insert("completed_at".into(), if done { value::now() } else { Value::Null });
        }
        Ok(())
    }

    /// Those it is with know when their next one is due, and those who do it are reminded.
    async fn follow(&self, write: &Write<'_>, change: &Change) -> Result<()> {
        reminder::set(write, change).await?;
        for (field, table, own, of) in [
            ("contact_ids", "activity_contacts", "contact_id", "contacts"),
            ("company_ids", "activity_companies", "company_id", "companies"),
            ("deal_ids", "activity_deals", "deal_id", "deals"),
        ] {
            let ids = [&change.before, &change.after].into_iter().filter_map(|record| record.get(field)?.as_array());
            let mut ids: Vec<_> = ids.flatten().filter_map(|id| value::id(id.as_str()?)).collect();
            ids.sort_unstable();
            ids.dedup();
            // Alone with them: of two activities that move at once, the second sees what the first did.
            if write.get_database_backend() == db::DbBackend::Postgres && !ids.is_empty() {
                let lock = format!("select id from {of} where tenant_id = $1 and id = any($2) order by id for no key update");
                let values = [write.scope.tenant.0.into(), ids.clone().into()];
                write.query_all_raw(Statement::from_sql_and_values(db::DbBackend::Postgres, lock, values)).await?;
            }
            let no = if write.get_database_backend() == db::DbBackend::Sqlite { "0" } else { "false" };
            let next = format!(
                "update {of} set next_activity_at = (
                    select min(a.due_at) from activities a join {table} l on l.tenant_id = a.tenant_id and l.activity_id = a.id
                    where l.tenant_id = $1 and l.{own} = $2 and a.completed = {no} and a.deleted_at is null
                 ) where tenant_id = $1 and id = $2"
            );
            for id in ids {
                let values = [write.scope.tenant.0.into(), id.into()];
                write.execute_raw(Statement::from_sql_and_values(write.get_database_backend(), &next, values)).await?;
            }
        }
        Ok(())
    }
}
