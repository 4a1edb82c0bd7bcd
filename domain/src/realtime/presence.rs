//! Who looks at a record right now, and who types.
//!
//! What somebody says of themselves holds for a while and then ends by itself, so nobody stays because a process died. It is
//! said to all processes; each keeps what it has heard, and tells those of its own clients that ask for the record.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use chrono::Utc;
use db::Db;
use entities::{TenantId, UserId, whatsapp_conversation};
use jobs::{Bus, bus::Said};
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::client::{Client, Frame};
use crate::{
    Error, Result, Scope,
    resource::{access, registry, rows},
};

/// A record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Its resource; of what is no resource, `conversations`.
    pub topic: String,
    /// Its id.
    pub subject_id: Uuid,
}

/// What somebody does there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// They have left.
    Gone,
    /// They look at it.
    Viewing,
    /// They write.
    Typing,
}

/// How long it holds.
#[derive(Clone, Copy, Debug)]
pub struct Lasting {
    /// That somebody looks.
    pub viewing: Duration,
    /// That they type.
    pub typing: Duration,
}

impl Default for Lasting {
    fn default() -> Self {
        Self { viewing: Duration::from_secs(30), typing: Duration::from_secs(6) }
    }
}

/// What one connection has said of itself at one place. Times are milliseconds since 1970.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Mark {
    tenant: TenantId,
    #[serde(flatten)]
    place: Place,
    connection: Uuid,
    user_id: UserId,
    name: String,
    viewing_until: i64,
    typing_until: i64,
}

impl Mark {
    fn state(&self, now: i64) -> State {
        match self {
            Self { typing_until, .. } if *typing_until > now => State::Typing,
            Self { viewing_until, .. } if *viewing_until > now => State::Viewing,
            _ => State::Gone,
        }
    }
}

type Key = (TenantId, Place);

/// What is known of a place.
#[derive(Default)]
struct There {
    marks: HashMap<Uuid, Mark>,
    /// What was told last of each user.
    told: BTreeMap<UserId, (String, State)>,
    watchers: Vec<Arc<Client>>,
}

impl There {
    /// Of each user, who may have several connections, what they do most.
    fn users(&mut self, now: i64) -> BTreeMap<UserId, (String, State)> {
        self.marks.retain(|_, mark| mark.state(now) != State::Gone);
        let mut users: BTreeMap<UserId, (String, State)> = BTreeMap::new();
        for mark in self.marks.values() {
            let user = users.entry(mark.user_id).or_insert_with(|| (mark.name.clone(), State::Gone));
            user.1 = user.1.max(mark.state(now));
        }
        users
    }

    /// Tells those who watch what is other than they were told.
    fn settle(&mut self, place: &Place, now: i64) {
        let users = self.users(now);
        let gone = self.told.iter().filter(|(user, _)| !users.contains_key(user)).map(|(user, (name, _))| (user, name, State::Gone));
        let changed = users.iter().filter(|(user, now)| self.told.get(user) != Some(now)).map(|(user, (name, state))| (user, name, *state));
        for (user, name, state) in gone.chain(changed) {
            let Place { topic, subject_id } = place;
            let user = json!({ "id": user, "name": name });
            let text = json!({ "type": "presence", "topic": topic, "subject_id": subject_id, "user": user, "state": state });
            let frame = Frame { id: None, text: Arc::from(text.to_string()) };
            self.watchers.iter().for_each(|watcher| watcher.push(frame.clone()));
        }
        self.told = users;
    }
}

/// Who is where.
pub struct Presence {
    db: Db,
    bus: Bus,
    lasting: Lasting,
    places: Mutex<HashMap<Key, There>>,
}

/// How often it is looked whether somebody has left without a word.
const LOOK: Duration = Duration::from_millis(500);

impl Presence {
    /// Begins to hear. To be called inside a runtime.
    pub(super) fn run(db: &Db, bus: Bus, lasting: Lasting) -> (Arc<Self>, JoinHandle<()>) {
        let mut heard = bus.hear();
        let presence = Arc::new(Self { db: db.clone(), bus, lasting, places: Mutex::default() });
        let own = presence.clone();
        let task = tokio::spawn(async move {
            let mut look = tokio::time::interval(LOOK);
            loop {
                tokio::select! {
                    // Who fell behind goes on with what is there: the rest ends by itself.
                    text = heard.recv() => if let Some(mark) = text.ok().and_then(|text| serde_json::from_str(&text).ok()) {
                        own.note(mark);
                    },
                    _ = look.tick() => own.look(),
                }
            }
        });
        (presence, task)
    }

    fn places(&self) -> MutexGuard<'_, HashMap<Key, There>> {
        self.places.lock().expect("nothing panics while holding it")
    }

    fn note(&self, mark: Mark) {
        let mut places = self.places();
        let there = places.entry((mark.tenant, mark.place.clone())).or_default();
        let place = mark.place.clone();
        there.marks.insert(mark.connection, mark);
        there.settle(&place, Utc::now().timestamp_millis());
    }

    fn look(&self) {
        let now = Utc::now().timestamp_millis();
        self.places().retain(|(_, place), there| {
            there.settle(place, now);
            !there.marks.is_empty() || !there.watchers.is_empty()
        });
    }

    /// Whether the caller sees the record, on which everything here depends.
    ///
    /// # Errors
    /// [`Error::Invalid`] when nobody can be there; [`Error::NotFound`] when there is no such record for them; the database's.
    pub async fn check(&self, scope: &Scope, place: &Place) -> Result<()> {
        if place.topic == "conversations" {
            scope.require("conversations:read")?;
            let own = whatsapp_conversation::Column::TenantId.eq(scope.tenant).and(whatsapp_conversation::Column::Id.eq(place.subject_id));
            let found = whatsapp_conversation::Entity::find().filter(own).one(&self.db.read).await?;
            return found.map(|_| ()).ok_or(Error::NotFound("conversation"));
        }
        let resource = registry::find(&place.topic).ok_or_else(|| Error::field("/topic", "invalid", "names no kind of record"))?;
        access::see(scope, resource)?;
        let found = rows::seen(&self.db.read, scope, resource, vec![place.subject_id]).await?;
        if found.is_empty() { Err(Error::NotFound(resource.name)) } else { Ok(()) }
    }

    /// Somebody says what they do at a place that they see.
    pub fn say(&self, client: &Client, name: &str, place: &Place, state: State) {
        let now = Utc::now().timestamp_millis();
        let until = |lasting: Duration| now + i64::try_from(lasting.as_millis()).unwrap_or(i64::MAX / 2);
        let mark = Mark {
            tenant: client.tenant,
            place: place.clone(),
            connection: client.id,
            user_id: client.user,
            name: name.to_owned(),
            viewing_until: if state == State::Gone { 0 } else { until(self.lasting.viewing) },
            typing_until: if state == State::Typing { until(self.lasting.typing) } else { 0 },
        };
        let seconds = (state != State::Gone).then(|| i64::try_from(self.lasting.viewing.as_secs() + 1).unwrap_or(30));
        let text = serde_json::to_string(&mark).expect("names are texts");
        self.bus.say(Said { text, key: key(client.tenant, place), field: client.id.to_string(), seconds });
    }

    /// From now on they are told who is there; those who are there already.
    pub async fn watch(&self, client: &Arc<Client>, place: &Place) -> Vec<Value> {
        let kept = self.bus.kept(&key(client.tenant, place)).await;
        let mut places = self.places();
        let there = places.entry((client.tenant, place.clone())).or_default();
        for mark in kept.iter().filter_map(|text| serde_json::from_str::<Mark>(text).ok()) {
            // What was heard is newer than what was kept.
            there.marks.entry(mark.connection).or_insert(mark);
        }
        there.settle(place, Utc::now().timestamp_millis());
        if !there.watchers.iter().any(|one| Arc::ptr_eq(one, client)) {
            there.watchers.push(client.clone());
        }
        let shown = |(user, (name, state)): (&UserId, &(String, State))| json!({ "user": { "id": user, "name": name }, "state": state });
        there.told.iter().map(shown).collect()
    }

    /// They don't want to be told any more.
    pub fn unwatch(&self, client: &Arc<Client>, place: &Place) {
        if let Some(there) = self.places().get_mut(&(client.tenant, place.clone())) {
            there.watchers.retain(|one| !Arc::ptr_eq(one, client));
        }
    }
}

fn key(tenant: TenantId, place: &Place) -> String {
    format!("{tenant}:{}:{}", place.topic, place.subject_id)
}
