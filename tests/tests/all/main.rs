//! The black-box suite: one binary.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod api;
mod chaos;
mod ledger;
mod resources;
mod scheduler;
mod security;
mod workers;
