//! Realtime: people are told what happens while it happens.
//!
//! - [`hub`]: each process reads `events` once, for everybody who is connected to it, and hands out from memory.
//! - [`interest`]: what somebody asked to be told, and what they see of it.
//! - [`client`]: what waits for one of them. Whoever doesn't keep up is let go, and holds nobody up.
//!
//! - [`presence`]: who looks at a record right now, and who types.
//!
//! Nothing is lost between two connections: a client says after which event it goes on, and is sent what came since from the
//! database. An event has one position, for ever (see [`crate::events`]), so what was sent from there isn't sent again.
//!
//! How frames look on the wire, and how somebody signs in, is `api`'s.

pub mod client;
pub mod hub;
pub mod interest;
pub mod presence;
mod records;

pub use client::{Client, Credential, End, Frame, Inbox, Room};
pub use hub::{Hub, Running, Start};
pub use interest::{Interest, Wanted};
pub use presence::{Lasting, Place, Presence, State};
