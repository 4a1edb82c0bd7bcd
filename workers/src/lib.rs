//! What the jobs do, one file for each.
//!
//! A handler reloads what its payload names, looks at its state, and may run twice: after a crash, a job is run again. It
//! decides nothing itself: the rules are in `domain`, and calls to the outside are made while no transaction is open.
//!
//! To add one: its payload in `domain::payloads`, a file here, a line in [`handlers`], a story in `tests`.

mod channels;
mod check_devices;
mod delete_file;
mod deliver_webhook;
mod fetch_media;
mod ingest_webhook;
mod mark_read;
mod notices;
mod purge;
mod rebuild_search;
mod remind_activity;
mod roll_up_statistics;
mod run_bulk;
mod run_export;
mod run_import;
mod send_invitation;
mod send_mail;
mod send_message;
mod sync_contact;

use std::sync::Arc;

use domain::{Scope, entities::TenantId, scope::Actor, seal::Sealer};
use jobs::{Handlers, Ledger, Run};
use object_store::ObjectStore;

pub use channels::Channels;

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Where the jobs and everything else are.
    pub ledger: Ledger,
    /// Opens the secrets of devices.
    pub sealer: Sealer,
    /// The ways to WhatsApp.
    pub channels: Channels,
    /// Where files lie.
    pub store: Arc<dyn ObjectStore>,
    /// Sends mail; `None`: no mail server is set.
    pub mailer: Option<mail::Mailer>,
    /// Where people find the panel, without a slash at the end.
    pub public_url: String,
    /// Tells webhooks what happens.
    pub webhooks: Webhooks,
}

/// How webhooks are told what happens.
#[derive(Clone, Debug)]
pub struct Webhooks {
    /// Calls them.
    pub client: egress::Client,
    /// How many times faster than usual what failed is tried again.
    pub retry_speed: f64,
}

/// Every job of SOMO with its handler.
#[must_use]
pub fn handlers(context: Context) -> Handlers<Context> {
    Handlers::new(context)
        .on(send_message::run)
        .on(mark_read::run)
        .on(ingest_webhook::run)
        .on(fetch_media::run)
        .on(sync_contact::run)
        .on(send_mail::run)
        .on(send_invitation::run)
        .on(remind_activity::run)
        .on(roll_up_statistics::run)
        .on(check_devices::run)
        .on(delete_file::run)
        .on(deliver_webhook::run)
        .on(purge::run)
        .on(rebuild_search::run)
        .on(run_bulk::run)
        .on(run_export::run)
        .on(run_import::run)
        .on(run_import::revert)
}

/// The job, acting in its tenant.
fn scope(run: &Run) -> Scope {
    Scope::system(TenantId(run.tenant), Actor::Job(run.id))
}
