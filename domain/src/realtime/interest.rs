//! What somebody asked to be told, as they see it.

use std::{collections::HashSet, sync::Arc};

use db::Db;
use entities::event;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::Frame;
use crate::{
    Error, Result, Scope,
    resource::{
        Record, Resource,
        access::{Act, Reach},
        filter::{Asker, Filter, memory::Seen},
        registry,
    },
    saved_views,
    webhooks::{shown, topics},
};

/// So many topics at once.
pub const MAX_TOPICS: usize = 50;

/// What somebody asks to be told.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// About which resources: `deals`, `conversations`.
    pub topics: Vec<String>,
    /// Of which records: a filter of their list.
    pub filter: Option<Value>,
    /// Of which records: a saved view's.
    pub view_id: Option<Uuid>,
}

/// The same, read with the eyes of whoever asked: what their roles say, who is in their teams, what `@me` and `today` mean.
#[derive(Debug)]
pub struct Interest {
    scope: Scope,
    mates: Vec<Uuid>,
    topics: Vec<Topic>,
    filters: Vec<Filter>,
}

#[derive(Debug)]
struct Topic {
    name: &'static str,
    resource: Option<&'static Resource>,
    /// What they don't get to see of it.
    hidden: Vec<&'static str>,
}

impl Interest {
    /// Reads it for the caller.
    ///
    /// # Errors
    /// [`Error::Invalid`] for topics that there are none of or that they don't see, and for filters; the database's.
    pub async fn read(db: &Db, scope: &Scope, wanted: &Wanted) -> Result<Self> {
        let fault = |at: usize, code, message| Error::field(format!("/topics/{at}"), code, message);
        if !(1..=MAX_TOPICS).contains(&wanted.topics.len()) {
            return Err(Error::field("/topics", "invalid", format!("takes 1 to {MAX_TOPICS} topics")));
        }
        let mut read = Vec::new();
        for (at, topic) in wanted.topics.iter().enumerate() {
            let Some(name) = topics::all().find(|known| known == topic) else {
                let known = topics::all().collect::<Vec<_>>().join(", ");
                return Err(fault(at, "invalid", format!("is none of {known}")));
            };
            if !topics::sees(scope, name) {
                return Err(fault(at, "forbidden", format!("you don't get to see {name}")));
            }
            let resource = registry::find(name);
            let fields = resource.into_iter().flat_map(|resource| resource.fields.iter().map(move |field| (resource, field.name)));
            let hidden = fields.filter(|(resource, field)| scope.hides(resource, field)).map(|(_, field)| field).collect();
            if !read.iter().any(|one: &Topic| one.name == name) {
                read.push(Topic { name, resource, hidden });
            }
        }
        let mut filters = Vec::new();
        let mut documents = Vec::new();
        if wanted.filter.is_some() || wanted.view_id.is_some() {
            let [Topic { resource: Some(resource), .. }] = &read[..] else {
                let at = if wanted.filter.is_some() { "/filter" } else { "/view_id" };
                return Err(Error::field(at, "invalid", "needs one topic, of records that have a list"));
            };
            documents.extend(wanted.filter.clone().map(|filter| (*resource, filter)));
            if let Some(id) = wanted.view_id {
                documents.extend(saved_views::named(db, scope, resource, id).await?.filter.map(|filter| (*resource, filter)));
            }
        }
        let said: Value = documents.iter().map(|(_, filter)| filter.clone()).chain([json!("@my_team")]).collect();
        let asker = Asker::about(db, scope, &said).await?;
        for (resource, filter) in &documents {
            filters.push(topics::read(resource, scope, &asker, filter)?);
        }
        Ok(Self { scope: scope.clone(), mates: asker.team, topics: read, filters })
    }

    /// Its topics.
    #[must_use]
    pub fn topics(&self) -> Vec<&'static str> {
        self.topics.iter().map(|topic| topic.name).collect()
    }

    fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.iter().find(|topic| topic.name == name)
    }

    /// Whether it takes the record itself to tell whether they are told of it.
    pub(super) fn looks_at(&self, topic: &str) -> bool {
        let Some(resource) = self.topic(topic).and_then(|topic| topic.resource) else { return false };
        let bounded = resource.owner.is_some() && self.scope.reach(resource, Act::View) != Some(Reach::All);
        bounded || resource.visibility.is_some() || !self.filters.is_empty()
    }

    /// What they are told of an event, if they are told: the fields that they don't get to see, and through whose eyes it is.
    pub(super) fn told(&self, event: &event::Model, record: Option<&Record>) -> Option<View<'_>> {
        let topic = self.topic(&event.topic)?;
        if self.looks_at(&event.topic) {
            let (resource, record) = (topic.resource?, record?);
            let seen = Seen { record, related: &|_| Vec::new() };
            if !self.scope.sees(resource, &self.mates, record) || !self.filters.iter().all(|filter| filter.holds(&seen)) {
                return None;
            }
        }
        Some(View { interest: self, topic })
    }
}

/// What somebody sees of an event.
pub(super) struct View<'a> {
    interest: &'a Interest,
    topic: &'a Topic,
}

/// The frames of one event: the same one for all who see the same of it.
#[derive(Default)]
pub(super) struct Frames<'a>(Vec<(&'a [&'static str], Frame)>);

impl<'a> Frames<'a> {
    pub(super) fn of(&mut self, event: &event::Model, view: &View<'a>) -> Frame {
        let hidden = &view.topic.hidden[..];
        if let Some((_, frame)) = self.0.iter().find(|(known, _)| *known == hidden) {
            return frame.clone();
        }
        let frame = frame(event, view);
        self.0.push((hidden, frame.clone()));
        frame
    }
}

fn frame(event: &event::Model, view: &View<'_>) -> Frame {
    let mut data = event.data.clone();
    if let (Some(resource), Some(changes)) = (view.topic.resource, data.get_mut("changes").and_then(Value::as_object_mut)) {
        *changes = shown(&view.interest.scope, resource, changes);
    }
    let event::Model { id, topic, action, subject_id, .. } = event;
    let text = json!({ "type": "event", "id": id, "topic": topic, "action": action, "subject_id": subject_id, "data": data });
    Frame { id: Some(*id), text: Arc::from(text.to_string()) }
}

/// Topics whose events change what people get to see, or what their filters mean.
pub(super) fn changes_sight(topic: &str) -> bool {
    static TOPICS: std::sync::LazyLock<HashSet<&str>> =
        std::sync::LazyLock::new(|| HashSet::from(["roles", "teams", "users", "custom_fields"]));
    TOPICS.contains(topic)
}
