//! Realtime: `GET /api/realtime`, a WebSocket, and `GET /api/events`, server-sent events. docs/realtime.md has their frames.
//!
//! What somebody is told is decided by `domain::realtime`; here is how they come in, how it is written, and when they have to go.

mod frames;
mod socket;
mod stream;
mod there;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use domain::realtime::{Client, Credential, Hub, Inbox, Lasting, Place, Room, Running, State};
use jobs::{Bus, Ledger};

use crate::guard::Principal;
pub(crate) use socket::serve;
pub(crate) use stream::Events;

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct RealtimeLimits {
    /// Of all people together, in this process.
    pub connections: usize,
    /// Of one person, in this process.
    pub per_user: usize,
    /// Of one connection.
    pub subscriptions: usize,
    /// The largest frame that is taken, in bytes.
    pub frame_bytes: usize,
    /// What may wait for one who doesn't take it.
    pub room: Room,
    /// How long it holds that somebody looks at a record.
    pub lasting: Lasting,
}

impl Default for RealtimeLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            per_user: 50,
            subscriptions: 50,
            frame_bytes: 65_536,
            room: Room::default(),
            lasting: Lasting::default(),
        }
    }
}

/// Those who are connected to this process. Cheap to clone.
#[derive(Clone)]
pub struct Realtime {
    hub: Arc<Hub>,
    ledger: Ledger,
    limits: RealtimeLimits,
    running: Arc<Mutex<Option<Running>>>,
}

/// When the process ends, this long is waited for those who are connected to hear of it.
const GOODBYE: Duration = Duration::from_secs(3);

impl Realtime {
    /// Begins to read for whoever comes, and to hear on `bus` who is where. To be called inside a runtime; it ends with it, or by
    /// [`Realtime::close`].
    #[must_use]
    pub fn start(ledger: &Ledger, bus: Bus, limits: RealtimeLimits) -> Self {
        let (hub, running) = Hub::run(ledger, bus, limits.lasting);
        Self { hub, ledger: ledger.clone(), limits, running: Arc::new(Mutex::new(Some(running))) }
    }

    /// Tells everybody that the process ends, and waits a moment for them to hear it. They come back to another one, or to this
    /// one when it is there again.
    ///
    /// # Panics
    /// Never: nothing panics while holding it.
    pub async fn close(&self) {
        self.hub.close();
        let gone = async {
            while self.hub.connected() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        _ = tokio::time::timeout(GOODBYE, gone).await; // whoever has not heard it by now won't
        self.running.lock().expect("nothing panics while holding it").take();
    }

    pub(crate) fn frame_bytes(&self) -> usize {
        self.limits.frame_bytes
    }

    /// Somebody comes in, unless there are too many.
    fn enter(&self, principal: &Principal) -> Result<Seat, Refusal> {
        let Some((user, credential)) = credential(principal) else { return Err(Refusal::Unauthorized) };
        let full = self.hub.connected() >= self.limits.connections;
        if full || self.hub.connected_as(principal.tenant, user) >= self.limits.per_user {
            return Err(Refusal::TooMany);
        }
        let (client, inbox) = self.hub.enter(principal.tenant, user, credential, self.limits.room).ok_or(Refusal::Restarting)?;
        metrics::gauge!("somo_realtime_connections").increment(1.0);
        Ok(Seat { hub: self.hub.clone(), client, inbox, said: HashSet::new(), watched: HashMap::new() })
    }
}

/// Who somebody is, and what they are signed in with.
fn credential(principal: &Principal) -> Option<(domain::entities::UserId, Credential)> {
    let scope = principal.scope(None);
    let token = match scope.actor {
        domain::scope::Actor::Token { token, .. } => Some(Credential::Token(token)),
        _ => principal.session.map(Credential::Session),
    };
    Some((scope.user()?, token?))
}

/// Why somebody doesn't come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Unauthorized,
    TooMany,
    Restarting,
}

/// The place of one who is connected; given up with it.
struct Seat {
    hub: Arc<Hub>,
    client: Arc<Client>,
    inbox: Inbox,
    /// The records at which they have said that they are.
    said: HashSet<Place>,
    /// Those of which they are told who is there, by their names for it.
    watched: HashMap<String, Place>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.leave(&self.client);
        let presence = &self.hub.presence;
        self.watched.values().for_each(|place| presence.unwatch(&self.client, place));
        self.said.iter().for_each(|place| presence.say(&self.client, "", place, State::Gone));
        metrics::gauge!("somo_realtime_connections").decrement(1.0);
        if let Some(end) = self.client.ended() {
            metrics::counter!("somo_realtime_dropped_total", "reason" => end.as_str()).increment(1);
        }
    }
}
