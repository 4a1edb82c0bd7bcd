//! The one reader of a process, and those whom it tells.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use db::Db;
use entities::{TenantId, UserId, event};
use jobs::{Bus, Ledger};
use tokio::{sync::Notify, task::JoinHandle};
use uuid::Uuid;

use super::{
    client::{Client, Credential, End, Frame, Inbox, Room, Subscription},
    interest::{Frames, Interest, Wanted, changes_sight},
    presence::{Lasting, Presence},
    records,
};
use crate::{Error, Result, auth, events};

/// When nobody rings, it looks by itself.
const POLL: Duration = Duration::from_millis(300);
/// Events at once.
const PAGE: u64 = 200;
/// Whoever is signed out is let go within five seconds.
const WATCH: Duration = Duration::from_secs(3);
/// After a fault of the database.
const PAUSE: Duration = Duration::from_millis(500);

/// Stands for the event before the first one.
const BEGINNING: Uuid = Uuid::nil();

/// Whom a process tells.
pub struct Hub {
    /// Who looks at which record.
    pub presence: Arc<Presence>,
    db: Db,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Everything up to here has been handed out; nothing while nobody listens.
    position: Option<i64>,
    clients: HashMap<TenantId, Vec<Arc<Client>>>,
    closed: bool,
}

/// A subscription on its way: first what somebody has missed, from the database, page by page; then they are told live.
pub struct Start {
    name: String,
    wanted: Arc<Wanted>,
    interest: Arc<Interest>,
    /// So far it was read.
    at: i64,
    /// What is after it comes live.
    live_after: Option<i64>,
    /// The event after which they are told.
    pub after: Uuid,
}

/// Some of what came before somebody was told live.
struct Page {
    frames: Vec<Frame>,
    at: i64,
    more: bool,
}

/// The tasks of a hub; they end with it.
pub struct Running(Vec<JoinHandle<()>>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Hub {
    /// A hub that reads for whoever comes. To be called inside a runtime.
    #[must_use]
    pub fn run(ledger: &Ledger, bus: Bus, lasting: Lasting) -> (Arc<Self>, Running) {
        let (presence, hearing) = Presence::run(ledger.db(), bus, lasting);
        let hub = Arc::new(Self { presence, db: ledger.db().clone(), state: Mutex::default() });
        let bell = ledger.wake().bell(&events::bell());
        let tasks = vec![hearing, tokio::spawn(hub.clone().read(bell)), tokio::spawn(hub.clone().watch())];
        (hub, Running(tasks))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while holding it")
    }

    /// Somebody comes; nobody does any more once the process ends.
    #[must_use]
    pub fn enter(&self, tenant: TenantId, user: UserId, credential: Credential, room: Room) -> Option<(Arc<Client>, Inbox)> {
        let mut state = self.state();
        if state.closed {
            return None;
        }
        let (client, inbox) = Client::new(tenant, user, credential, room);
        state.clients.entry(tenant).or_default().push(client.clone());
        Some((client, inbox))
    }

    /// And goes.
    pub fn leave(&self, client: &Arc<Client>) {
        let mut state = self.state();
        if let Some(all) = state.clients.get_mut(&client.tenant) {
            all.retain(|one| !Arc::ptr_eq(one, client));
            if all.is_empty() {
                state.clients.remove(&client.tenant);
            }
        }
        if state.clients.is_empty() {
            state.position = None;
        }
    }

    /// How many are there.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.state().clients.values().map(Vec::len).sum()
    }

    /// How many of them are one user.
    #[must_use]
    pub fn connected_as(&self, tenant: TenantId, user: UserId) -> usize {
        self.state().clients.get(&tenant).map_or(0, |all| all.iter().filter(|client| client.user == user).count())
    }

    /// The process ends: all are let go, and nobody comes in any more.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.clients.values().flatten().for_each(|client| client.end(End::Restarting));
    }

    /// Begins to tell somebody, of what comes now, or came after an event that they have seen; `None` when that isn't kept. A
    /// subscription of the same name is replaced.
    ///
    /// # Errors
    /// The database's.
    pub async fn start(
        &self,
        client: &Client,
        name: String,
        wanted: Wanted,
        interest: Interest,
        after: Option<Uuid>,
    ) -> Result<Option<Start>> {
        let (wanted, interest) = (Arc::new(wanted), Arc::new(interest));
        _ = client.unsubscribe(&name);
        let (at, live_after, after) = match after {
            Some(BEGINNING) => (0, None, BEGINNING),
            Some(id) => match events::position_of(&self.db, client.tenant, id).await? {
                Some(at) => (at, None, id),
                None => return Ok(None),
            },
            None => {
                let from = self.subscribe(client, &name, wanted.clone(), interest.clone(), 0).await?;
                let last = events::last_of(&self.db, client.tenant, from).await?;
                (from, Some(from), last.unwrap_or(BEGINNING))
            }
        };
        Ok(Some(Start { name, wanted, interest, at, live_after, after }))
    }

    /// The next of what somebody has missed; `None` once they are told live. It is to be sent before anything that is live.
    ///
    /// # Errors
    /// The database's.
    pub async fn missed(&self, client: &Client, start: &mut Start) -> Result<Option<Vec<Frame>>> {
        if start.live_after.is_some_and(|live| start.at >= live) {
            return Ok(None);
        }
        let page = self.past(client, &start.name, &start.interest, start.at, start.live_after).await?;
        start.at = page.at;
        match start.live_after {
            _ if page.more => {}
            Some(live) => start.at = live,
            // There is no more for now: what comes from here on is told live, and what came in between is the last page.
            None => {
                let live = self.subscribe(client, &start.name, start.wanted.clone(), start.interest.clone(), start.at).await?;
                start.live_after = Some(live);
            }
        }
        Ok(Some(page.frames))
    }

    async fn position(&self) -> Result<i64> {
        if let Some(position) = self.state().position {
            return Ok(position);
        }
        let last = events::last(&self.db).await?;
        Ok(*self.state().position.get_or_insert(last))
    }

    /// From now on the client is told live; of what comes after the place that is given back. What is between `at` and that
    /// place is for [`Hub::past`]. A subscription of the same name is replaced.
    ///
    /// # Errors
    /// The database's.
    async fn subscribe(&self, client: &Client, name: &str, wanted: Arc<Wanted>, interest: Arc<Interest>, at: i64) -> Result<i64> {
        let position = self.position().await?;
        // Read again under the lock: what the reader has taken since then was taken without this subscription.
        let mut state = self.state();
        let from = at.max(*state.position.get_or_insert(position));
        let new = Subscription { name: name.to_owned(), wanted, interest, from };
        let mut all = client.subscriptions();
        all.retain(|one| one.name != name);
        all.push(new);
        Ok(from)
    }

    /// What somebody sees of what came after `at`, up to `upto`, from the database. What they are told live by another of their
    /// subscriptions is left out.
    ///
    /// # Errors
    /// The database's.
    async fn past(&self, client: &Client, name: &str, interest: &Interest, at: i64, upto: Option<i64>) -> Result<Page> {
        let rows = events::past(&self.db, client.tenant, &interest.topics(), at, upto, PAGE).await?;
        let records = records::of(&self.db, client.tenant, &rows.iter().collect::<Vec<_>>(), |topic| interest.looks_at(topic)).await?;
        let others: Vec<_> = client.subscriptions().iter().filter(|one| one.name != name).cloned().collect();
        let mut frames = Vec::new();
        for event in &rows {
            let record = records.get(&(&event.topic[..], event.subject_id));
            let Some(view) = interest.told(event, record) else { continue };
            // Where it depends on the record, nobody knows any more what they were told: rather twice than not at all.
            let sure = |one: &Subscription| !one.interest.looks_at(&event.topic) && one.interest.told(event, record).is_some();
            let told = |one: &Subscription| Some(one.from) < event.position && sure(one);
            if !others.iter().any(told) {
                frames.push(Frames::default().of(event, &view));
            }
        }
        let at = rows.last().and_then(|event| event.position).unwrap_or(at);
        Ok(Page { frames, at, more: rows.len() as u64 == PAGE })
    }

    async fn read(self: Arc<Self>, bell: Arc<Notify>) {
        loop {
            match self.turn().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "events could not be read for those who are connected");
                    tokio::time::sleep(PAUSE).await;
                }
            }
            _ = tokio::time::timeout(POLL, bell.notified()).await; // nobody rang
        }
    }

    /// Hands out the next page; whether there may be more.
    async fn turn(&self) -> Result<bool> {
        let Some(from) = self.state().position else { return Ok(false) };
        let rows = events::tail(&self.db, from, PAGE).await?;
        let Some(last) = rows.last().and_then(|event| event.position) else { return Ok(false) };
        let clients = {
            let mut state = self.state();
            if state.position != Some(from) {
                return Ok(true); // everybody has left meanwhile, and somebody else has come
            }
            // From here on, whoever subscribes gets these from the database.
            state.position = Some(last);
            state.clients.clone()
        };
        let mut by_tenant: HashMap<TenantId, Vec<&event::Model>> = HashMap::new();
        for event in &rows {
            if clients.contains_key(&event.tenant_id) {
                by_tenant.entry(event.tenant_id).or_default().push(event);
            }
        }
        for (tenant, events) in by_tenant {
            // They count as handed out, so there is no way but to do it.
            while let Err(error) = self.hand_out(tenant, &events, &clients[&tenant]).await {
                tracing::warn!(%error, "the records of events could not be read");
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(rows.len() as u64 == PAGE)
    }

    async fn hand_out(&self, tenant: TenantId, events: &[&event::Model], clients: &[Arc<Client>]) -> Result<()> {
        let listening: Vec<(&Arc<Client>, Vec<Subscription>)> =
            clients.iter().map(|client| (client, client.subscriptions().clone())).filter(|(_, all)| !all.is_empty()).collect();
        let subscriptions = || listening.iter().flat_map(|(_, all)| all);
        let looks_at: HashSet<&str> =
            events.iter().map(|event| &event.topic[..]).filter(|topic| subscriptions().any(|one| one.interest.looks_at(topic))).collect();
        let records = records::of(&self.db, tenant, events, |topic| looks_at.contains(topic)).await?;
        for event in events {
            let record = records.get(&(&event.topic[..], event.subject_id));
            let mut frames = Frames::default();
            for (client, all) in &listening {
                let mut live = all.iter().filter(|one| Some(one.from) < event.position);
                if let Some(view) = live.find_map(|one| one.interest.told(event, record)) {
                    client.push(frames.of(event, &view));
                }
            }
            if changes_sight(&event.topic) {
                // Of a user, they themselves; of everything else, whoever it may be.
                let meant = |client: &&Arc<Client>| event.topic != "users" || client.user.0 == event.subject_id;
                clients.iter().filter(meant).for_each(|client| client.spoil());
            }
            // Many who listen to much: others want to get on, too.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Lets those go who are signed out: one look for all of them.
    async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(WATCH).await;
            let clients: Vec<_> = self.state().clients.values().flatten().cloned().collect();
            let clients: Vec<_> = clients.into_iter().map(|client| (client.credential(), client)).collect();
            let valid = auth::valid(&self.db, clients.iter().map(|(credential, _)| *credential).collect()).await;
            match valid {
                Ok(valid) => clients.iter().filter(|(one, _)| !valid.contains(one)).for_each(|(_, client)| client.end(End::Revoked)),
                Err(Error::Db(error)) => tracing::warn!(%error, "sessions could not be looked at"),
                Err(error) => tracing::error!(%error, "sessions could not be looked at"),
            }
        }
    }
}
