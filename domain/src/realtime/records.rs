//! The records that events are about: one statement for all who are told of them.

use std::collections::HashMap;

use db::Db;
use entities::{TenantId, event};
use sea_orm::ExprTrait;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Result, Scope,
    resource::{
        Action, Record, Resource, registry,
        rows::{self, ROW},
    },
    scope::Actor,
};

/// By topic and id.
pub(super) type Records<'a> = HashMap<(&'a str, Uuid), Record>;

/// The records of those events whose topic is asked for, as they are now: who may see one is decided by whose it is today, not by
/// whose it was. Of those that are gone for good, what they were.
pub(super) async fn of<'a>(db: &Db, tenant: TenantId, events: &[&'a event::Model], looks_at: impl Fn(&str) -> bool) -> Result<Records<'a>> {
    let mut wanted: HashMap<&'a str, Vec<Uuid>> = HashMap::new();
    let mut found = Records::new();
    for event in events.iter().filter(|event| looks_at(&event.topic)) {
        if event.action == Action::Purge.as_str() {
            found.insert((&event.topic, event.subject_id), purged(event));
        } else {
            wanted.entry(&event.topic).or_default().push(event.subject_id);
        }
    }
    let scope = Scope::system(tenant, Actor::System);
    for (topic, mut ids) in wanted {
        let Some(resource) = registry::find(topic) else { continue };
        ids.sort_unstable();
        ids.dedup();
        let mut select = rows::select(resource);
        select.and_where(Resource::of(ROW, tenant.0)).and_where(Resource::column(ROW, "id").is_in(ids));
        for record in rows::read(&db.read, &scope, resource, &select).await? {
            found.insert((topic, rows::id_of(&record)), record);
        }
    }
    Ok(found)
}

/// A record that is gone, as its last event has it.
fn purged(event: &event::Model) -> Record {
    let changes = event.data.get("changes").and_then(Value::as_object).into_iter().flatten();
    changes.map(|(field, sides)| (field.clone(), sides["from"].clone())).chain([("id".to_owned(), json!(event.subject_id))]).collect()
}
