//! The job ledger: SQL decides, Redis delivers.
//!
//! A job is a row of `jobs`. Its state says who may touch it next:
//!
//! ```text
//!  pending ──relay──► dispatched ──claim──► running ──finish──► done | dead | cancelled
//!     ▲  ▲                │                    │
//!     │  └─ wake ── held  └────── reaper ──────┤      held = behind an earlier unfinished job of its line
//!     └───────── retry, snooze ────────────────┘
//! ```
//!
//! Five rules keep it right, whatever dies and whenever:
//! 1. A message in a transport is only a row number. Losing it costs time (the reaper), repeating it costs nothing (the claim).
//! 2. A claim raises `attempts` and sets a fresh random token; every later write must show it. Random, because claims don't
//!    wait for the disk: after a crash of the database a counter could repeat.
//! 3. At most one job of a line (queue + order key) is in flight: a unique index says so, not code. The line's order is `seq`.
//! 4. A statement skips locked rows or touches only rows whose token it holds, so none can deadlock.
//! 5. Who parks a job commits first and looks again after; who ends one commits first and wakes its line after. Whoever
//!    commits last sees the other; a sweep covers a crash in between.
//!
//! [`Tx::enqueue`] is the only way in, inside the transaction of the write that asks for the job. `somo api` runs none of
//! the loops; every worker process runs a [`relay`], the [`reaper`] and its handlers ([`runtime`]).
//! To add a kind of job: docs/adding-a-job.md. To add a transport: one more file in [`transport`].

pub mod board;
pub mod bus;
mod claim;
mod handlers;
mod job;
mod ledger;
pub mod reaper;
pub mod relay;
pub mod routes;
pub mod runtime;
mod sql;
pub mod testing;
pub mod transport;
mod wake;

pub use board::{BoardError, JobView, QueueView, STATES};
pub use bus::Bus;
pub use claim::{Claimed, Coalescer};
pub use handlers::{Handlers, Run, Taken};
pub use job::{Job, Lane, NewJob, Outcome, Priority, backoff, queue};
pub use ledger::{Ledger, Tx};
pub use transport::Transport;
pub use wake::Wake;
