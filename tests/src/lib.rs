//! What the black-box suite stands on: real databases, a real Redis, a job that does what it is told.
//!
//! `script/test` starts PostgreSQL and Redis and names them in `SOMO_TEST_DATABASE_URL` and `SOMO_TEST_REDIS_URL`. Every test
//! has a database and a Redis prefix of its own. Tests live in `tests/all`, one folder for each crate they mostly speak of;
//! they are one binary, because linking it is most of what a test run costs.

pub mod act;
pub mod app;
pub mod database;
pub mod ledger;
pub mod listener;
pub mod processes;
pub mod receiver;
pub mod records;
pub mod whatsapp;
