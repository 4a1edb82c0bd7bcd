//! How often somebody may ask: so often a minute, and all of it at once if they like. Each process counts by itself, so several
//! together take that many times more: what is kept off is a program that has run wild, and that one process notices.
//!
//! GCRA: of each who asks, only the time is kept at which all that they have asked so far would be due at an even pace.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::Mutex,
    time::{Duration, Instant},
};

use domain::entities::{TokenId, UserId};
use poem::http::{HeaderMap, HeaderValue};

/// What is counted at once.
const WINDOW: Duration = Duration::from_secs(60);
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
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Asker {
    User(UserId),
    Token(TokenId),
    Address(IpAddr),
}

/// Lets askers in.
pub(crate) struct Gate {
    limits: Limits,
    due: Mutex<HashMap<Asker, Instant>>,
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
        Self { limits, due: Mutex::default() }
    }

    /// The turn of one who asks now; `None` for who may ask as often as they like.
    pub(crate) fn turn(&self, asker: Asker, now: Instant) -> Option<Turn> {
        let limit = match asker {
            Asker::User(_) => self.limits.user,
            Asker::Token(_) => self.limits.token,
            Asker::Address(_) => self.limits.address,
        };
        let pace = WINDOW.checked_div(limit)?;
        let mut all = self.due.lock().expect("nothing panics while holding it");
        if all.len() >= REMEMBERED {
            all.retain(|_, due| *due > now);
        }
        let due = all.entry(asker).or_insert(now);
        let next = (*due).max(now) + pace;
        let allowed = next <= now + WINDOW;
        if allowed {
            *due = next;
        }
        let behind = due.saturating_duration_since(now);
        let remaining = u32::try_from((WINDOW - behind.min(WINDOW)).as_nanos() / pace.as_nanos().max(1)).unwrap_or(limit);
        let wait = (next - now).saturating_sub(WINDOW);
        Some(Turn { allowed, limit, remaining, reset: seconds(behind), wait: seconds(wait) })
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
        let gate = Gate::new(Limits { user: 60, token: 0, address: 3 });
        let (now, ana) = (Instant::now(), Asker::User(UserId::new()));
        for left in (0..60).rev() {
            let turn = gate.turn(ana, now).expect("counted");
            assert_eq!((turn.allowed, turn.remaining, turn.reset), (true, left, 60 - u64::from(left)));
        }
        let turn = gate.turn(ana, now).expect("counted");
        assert_eq!((turn.allowed, turn.remaining, turn.wait), (false, 0, 1));
        // Others have their own.
        assert!(gate.turn(Asker::User(UserId::new()), now).expect("counted").allowed);
        let later = now + Duration::from_secs(1);
        assert!(gate.turn(ana, later).expect("counted").allowed);
        assert!(!gate.turn(ana, later).expect("counted").allowed);
        let address = Asker::Address("203.0.113.7".parse().expect("an address"));
        let allowed = (0..5).filter(|_| gate.turn(address, now).expect("counted").allowed).count();
        assert_eq!(allowed, 3);
        assert_eq!(gate.turn(Asker::Token(TokenId::new()), now), None);
    }
}
