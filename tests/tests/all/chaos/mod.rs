//! Whole installations of real processes, to which everything is done that can happen to them.
//!
//! - [`town`] is an installation: PostgreSQL and Redis of its own (or SQLite), `somo` in its roles, WhatsApp's sandbox.
//! - [`load`] is what goes on in it meanwhile: the team writes through the API, customers write back.
//! - [`storm`] is what is done to it. [`check`] says what must hold once it has calmed down.
//!
//! The rest are stories. Their long forms run with `SOMO_TEST_CHAOS=long`, as `script/chaos` does.

mod away;
mod check;
mod drain;
mod load;
mod order;
mod overtaken;
mod storm;
mod town;
