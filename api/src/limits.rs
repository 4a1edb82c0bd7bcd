//! How often somebody may ask: so often a minute, and all of it at once if they like; chats, work on many records and all else are
//! counted apart. Processes tell each other five times a second what they have let in, so that together they take what one would: no
//! request waits for another server, and when that is away each counts by itself.
//!
//! GCRA: of each who asks, only the time is kept at which all that they have asked so far would be due at an even pace.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, Weak},
    time::{Duration, Instant},
};

use domain::entities::{TokenId, UserId};
use jobs::{Bus, bus::Said};
use poem::http::{HeaderMap, HeaderValue, Method};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What is counted at once.
const WINDOW: Duration = Duration::from_secs(60);
/// How often processes tell each other.
const TELLING: Duration = Duration::from_millis(200);
/// So many are remembered; then those are forgotten who have not asked lately.
const REMEMBERED: usize = 100_000;

/// How often somebody may ask in a minute; 0: as often as they like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Somebody signed in.
    pub user: u32,
    /// A program with a personal token.
    pub token: u32,
    /// An address, as long as nobody is signed in.
    pub address: u32,
    /// Anybody for work on many records, such as imports.
    pub bulk: u32,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Class {
    /// Conversations.
    Chat,
    /// All else.
    Usual,
    /// Work on many records.
    Bulk,
}

impl Class {
    /// Of a path below `/api/`.
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        let many = ["bulk", "import", "export", "duplicates", "merge"];
        let mut parts = path.split('/');
        match (parts.next(), parts.next_back()) {
            (Some("whatsapp"), _) => Self::Chat,
            (Some("imports" | "exports" | "merges"), _) if *method == Method::POST => Self::Bulk,
            (_, Some(last)) if *method == Method::POST && many.contains(&last) => Self::Bulk,
            _ => Self::Usual,
        }
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Asker {
    User(UserId),
    Token(TokenId),
    Address(IpAddr),
}

/// Lets askers in.
pub(crate) struct Gate {
    limits: Limits,
    due: Mutex<HashMap<(Asker, Class), Instant>>,
    /// What was let in since the other processes were told.
    fresh: Mutex<HashMap<(Asker, Class), u32>>,
}

/// What a process has let in.
#[derive(Serialize, Deserialize)]
struct Told {
    by: Uuid,
    let_in: Vec<(Asker, Class, u32)>,
}

/// What somebody is told who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) allowed: bool,
    limit: u32,
    remaining: u32,
    /// In so many seconds, all may be asked again.
    reset: u64,
    /// In so many seconds, one may be asked again.
    pub(crate) wait: u64,
}

impl Gate {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, due: Mutex::default(), fresh: Mutex::default() }
    }

    /// Counts together with the other processes from now on. To be called inside a runtime: the tasks end with the gate.
    pub(crate) fn share(self: &Arc<Self>, bus: Bus) {
        let own = Uuid::new_v4();
        tokio::spawn(hear(Arc::downgrade(self), bus.hear(), own));
        tokio::spawn(tell(Arc::downgrade(self), bus, own));
    }

    fn pace(&self, asker: Asker, class: Class) -> Option<(u32, Duration)> {
        let limit = match (class, asker) {
            (Class::Bulk, _) => self.limits.bulk,
            (_, Asker::User(_)) => self.limits.user,
            (_, Asker::Token(_)) => self.limits.token,
            (_, Asker::Address(_)) => self.limits.address,
        };
        Some((limit, WINDOW.checked_div(limit)?))
    }

    /// What another process has let in.
    fn heard(&self, asker: Asker, class: Class, times: u32, now: Instant) {
        let Some((limit, pace)) = self.pace(asker, class) else { return };
        let mut all = self.due.lock().expect("nothing panics while holding it");
        let due = all.entry((asker, class)).or_insert(now);
        // Both may have let in the last ones: nobody waits for more than what is theirs.
        *due = ((*due).max(now) + pace * times.min(limit)).min(now + WINDOW);
    }

    /// The turn of one who asks now; `None` for who may ask as often as they like.
    pub(crate) fn turn(&self, asker: Asker, class: Class, now: Instant) -> Option<Turn> {
        let (limit, pace) = self.pace(asker, class)?;
        let mut all = self.due.lock().expect("nothing panics while holding it");
        if all.len() >= REMEMBERED {
            all.retain(|_, due| *due > now);
        }
        let due = all.entry((asker, class)).or_insert(now);
        let next = (*due).max(now) + pace;
        let allowed = next <= now + WINDOW;
        if allowed {
            *due = next;
            *self.fresh.lock().expect("nothing panics while holding it").entry((asker, class)).or_default() += 1;
        }
        let behind = due.saturating_duration_since(now);
        let remaining = u32::try_from((WINDOW - behind.min(WINDOW)).as_nanos() / pace.as_nanos().max(1)).unwrap_or(limit);
        let wait = (next - now).saturating_sub(WINDOW);
        Some(Turn { allowed, limit, remaining, reset: seconds(behind), wait: seconds(wait) })
    }
}

async fn tell(gate: Weak<Gate>, bus: Bus, own: Uuid) {
    loop {
        tokio::time::sleep(TELLING).await;
        let Some(gate) = gate.upgrade() else { return };
        let fresh = std::mem::take(&mut *gate.fresh.lock().expect("nothing panics while holding it"));
        let let_in: Vec<_> = fresh.into_iter().map(|((asker, class), times)| (asker, class, times)).collect();
        // A message of Redis is a text that everybody reads: not too long a one.
        for part in let_in.chunks(1000) {
            if let Ok(text) = serde_json::to_string(&Told { by: own, let_in: part.to_vec() }) {
                bus.say(Said { text, key: "let-in".to_owned(), field: own.to_string(), seconds: None });
            }
        }
    }
}

async fn hear(gate: Weak<Gate>, mut told: tokio::sync::broadcast::Receiver<String>, own: Uuid) {
    use tokio::sync::broadcast::error::RecvError;
    loop {
        let text = match told.recv().await {
            Ok(text) => text,
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        let Some(gate) = gate.upgrade() else { return };
        let Ok(Told { by, let_in }) = serde_json::from_str(&text) else { continue };
        let now = Instant::now();
        for (asker, class, times) in let_in.into_iter().filter(|_| by != own) {
            gate.heard(asker, class, times, now);
        }
    }
}

/// Rounded up: who comes a moment early is refused again.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

impl Turn {
    /// Tells them.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        headers.insert("ratelimit-limit", HeaderValue::from(self.limit));
        headers.insert("ratelimit-remaining", HeaderValue::from(self.remaining));
        headers.insert("ratelimit-reset", HeaderValue::from(self.reset));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minutes_worth_at_once_and_then_at_an_even_pace() {
        let gate = Gate::new(Limits { user: 60, token: 0, address: 3, bulk: 2 });
        let (now, ana) = (Instant::now(), Asker::User(UserId::new()));
        for left in (0..60).rev() {
            let turn = gate.turn(ana, Class::Usual, now).expect("counted");
            assert_eq!((turn.allowed, turn.remaining, turn.reset), (true, left, 60 - u64::from(left)));
        }
        let turn = gate.turn(ana, Class::Usual, now).expect("counted");
        assert_eq!((turn.allowed, turn.remaining, turn.wait), (false, 0, 1));
        // Others have their own.
        assert!(gate.turn(Asker::User(UserId::new()), Class::Usual, now).expect("counted").allowed);
        let later = now + Duration::from_secs(1);
        assert!(gate.turn(ana, Class::Usual, later).expect("counted").allowed);
        assert!(!gate.turn(ana, Class::Usual, later).expect("counted").allowed);
        let address = Asker::Address("203.0.113.7".parse().expect("an address"));
        let allowed = (0..5).filter(|_| gate.turn(address, Class::Usual, now).expect("counted").allowed).count();
        assert_eq!(allowed, 3);
        assert_eq!(gate.turn(Asker::Token(TokenId::new()), Class::Usual, now), None);
    }

    #[test]
    fn classes_and_processes_count_apart_and_together() {
        let gate = Gate::new(Limits { user: 10, bulk: 2, ..Limits::default() });
        let (now, ana) = (Instant::now(), Asker::User(UserId::new()));
        let left = |class| gate.turn(ana, class, now).expect("counted").remaining;
        assert_eq!((left(Class::Bulk), left(Class::Chat), left(Class::Usual)), (1, 9, 9));
        gate.heard(ana, Class::Chat, 5, now);
        assert_eq!((left(Class::Chat), left(Class::Usual)), (3, 8));
        // However much others have let in, a minute later all may be asked again.
        gate.heard(ana, Class::Chat, 5000, now);
        assert!(!gate.turn(ana, Class::Chat, now).expect("counted").allowed);
        assert_eq!(gate.turn(ana, Class::Chat, now + WINDOW).expect("counted").remaining, 9);
    }

    #[test]
    fn paths_have_their_class() {
        let of = |method, path| Class::of(&method, path);
        assert_eq!(of(Method::POST, "whatsapp/messages/send"), Class::Chat);
        assert_eq!(of(Method::POST, "contacts/bulk"), Class::Bulk);
        assert_eq!(of(Method::POST, "imports/1/start"), Class::Bulk);
        assert_eq!(of(Method::GET, "imports/1"), Class::Usual);
        assert_eq!(of(Method::POST, "contacts"), Class::Usual);
    }
}
