//! The rules of the CRM. One folder or file for each module; the same names are used in `api` and `workers`.
//!
//! Every read and write starts from a [`Scope`]: whose data, and what may be done. Every write goes through
//! [`engine::Write`]: the record, its event and the jobs that follow, in one transaction. DTOs derive poem-openapi's schema,
//! nothing else of HTTP is here. Modules talk through each other's functions; reactions go through events and jobs.
//!
//! To add a module: its tables in `migration` and `entities`, a file here, routes in `api`, handlers in `workers`.

pub mod activities;
pub mod audit;
pub mod auth;
pub mod board;
mod brands;
mod calls;
pub mod collaboration;
pub mod contacts;
mod custom_fields;
pub mod deals;
pub mod engine;
pub mod error;
pub mod events;
pub mod export;
pub mod files;
pub mod idempotency;
pub mod keys;
pub mod maintenance;
mod notes;
pub mod page;
pub mod payloads;
mod products;
pub mod realtime;
pub mod resource;
mod saved_views;
pub mod schedules;
pub mod scope;
pub mod seal;
pub mod settings;
mod tags;
pub mod users;
pub mod webhooks;
pub mod whatsapp;

pub use entities;
pub use error::{Error, FieldError, Result};
pub use scope::Scope;
