//! What a job is: a kind, a queue, a payload of ids; and how one is asked for.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

/// The queues of SOMO. A queue is what a worker process can choose to serve, pause and be scaled by.
pub mod queue {
    /// Outgoing WhatsApp messages and receipts.
    pub const WHATSAPP_SEND: &str = "whatsapp-send";
    /// Webhook deliveries on their way into conversations.
    pub const WHATSAPP_RECEIVE: &str = "whatsapp-receive";
    /// Media up and down.
    pub const WHATSAPP_MEDIA: &str = "whatsapp-media";
    /// Contacts and what they are called elsewhere.
    pub const CONTACT_SYNC: &str = "contact-sync";
    /// Outgoing mail.
    pub const MAIL_SEND: &str = "mail-send";
    /// Incoming mail.
    pub const MAIL_SYNC: &str = "mail-sync";
    /// Workflow runs.
    pub const WORKFLOWS: &str = "workflows";
    /// Roll-ups.
    pub const STATISTICS: &str = "statistics";
    /// Outgoing webhooks.
    pub const WEBHOOKS: &str = "webhooks";
    /// Imports.
    pub const IMPORTS: &str = "imports";
    /// Exports.
    pub const EXPORTS: &str = "exports";
    /// Notifications to users.
    pub const NOTIFICATIONS: &str = "notifications";
    /// Trimming, purging, health checks.
    pub const MAINTENANCE: &str = "maintenance";

    /// All of them.
    pub const ALL: [&str; 13] = [
        WHATSAPP_SEND,
        WHATSAPP_RECEIVE,
        WHATSAPP_MEDIA,
        CONTACT_SYNC,
        MAIL_SEND,
        MAIL_SYNC,
        WORKFLOWS,
        STATISTICS,
        WEBHOOKS,
        IMPORTS,
        EXPORTS,
        NOTIFICATIONS,
        MAINTENANCE,
    ];
}

/// Which of two waiting jobs of a queue goes first. Four fixed levels, so that a release reads one index range each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i16)]
pub enum Priority {
    /// Somebody waits for it right now: a reply in a chat.
    Urgent = 0,
    /// The usual.
    #[default]
    Normal = 1,
    /// Can wait for the usual.
    Low = 2,
    /// Imports, campaigns, back-fills.
    Bulk = 3,
}

/// A kind of job. The type is its payload: ids, not copies of records, because it is run later and perhaps twice.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name in the ledger, e.g. `whatsapp.send_message`. A literal: it outlives renames of the type.
    const KIND: &'static str;
    /// One of [`queue`].
    const QUEUE: &'static str;
    /// Attempts before the job is dead. A lost worker costs one, so that a job that kills its process ends.
    const MAX_ATTEMPTS: i16 = 20;
    /// How long one attempt may take before it counts as failed.
    const TIMEOUT: Duration = Duration::from_secs(60);
    /// Its level among the waiting jobs of its queue.
    const PRIORITY: Priority = Priority::Normal;

    /// The pause after the failed attempt number `attempt` (1, 2, …): 1 s, doubling to 10 min, ± 20 %.
    #[must_use]
    fn backoff(attempt: i16) -> Duration {
        backoff(attempt)
    }
}

/// 1 s, doubling to 10 min, ± 20 % so that what failed together doesn't return together.
#[must_use]
pub fn backoff(attempt: i16) -> Duration {
    let doubled = 1u64 << u32::from(attempt.clamp(1, 11).unsigned_abs() - 1);
    Duration::from_secs(doubled.min(600)).mul_f64(0.8 + 0.4 * rand::random::<f64>())
}

/// A job about to be written to the ledger by [`Tx::enqueue`](crate::Tx::enqueue).
#[derive(Clone, Debug)]
pub struct NewJob {
    pub(crate) id: Uuid,
    pub(crate) tenant: Uuid,
    pub(crate) queue: String,
    pub(crate) kind: String,
    pub(crate) payload: Value,
    pub(crate) priority: Priority,
    pub(crate) max_attempts: i16,
    pub(crate) route: String,
    pub(crate) order_key: Option<String>,
    pub(crate) unique_key: Option<String>,
    pub(crate) delay: Duration,
    pub(crate) run_at: Option<DateTime<Utc>>,
    pub(crate) cause_id: Option<Uuid>,
    pub(crate) depth: i16,
}

impl NewJob {
    /// `job` for `tenant`, as soon as possible.
    ///
    /// # Panics
    /// When the payload can't be written as JSON, which payloads of ids and texts always can.
    #[must_use]
    pub fn new<J: Job>(tenant: Uuid, job: &J) -> Self {
        let payload = serde_json::to_value(job).expect("a payload holds only ids and texts");
        Self { priority: J::PRIORITY, max_attempts: J::MAX_ATTEMPTS, ..Self::raw(tenant, J::QUEUE, J::KIND, payload) }
    }

    /// A job whose kind is known only at run time, as in a schedule.
    #[must_use]
    pub fn raw(tenant: Uuid, queue: &str, kind: &str, payload: Value) -> Self {
        Self {
            id: Uuid::now_v7(),
            tenant,
            queue: queue.to_owned(),
            kind: kind.to_owned(),
            payload,
            priority: Priority::default(),
            max_attempts: 20,
            route: String::new(),
            order_key: None,
            unique_key: None,
            delay: Duration::ZERO,
            run_at: None,
            cause_id: None,
            depth: 0,
        }
    }

    /// Its line: of the unfinished jobs of a queue with one key, one at a time runs, in the order they were written.
    #[must_use]
    pub fn order_key(mut self, key: impl Into<String>) -> Self {
        self.order_key = Some(key.into());
        self
    }

    /// Written only if the tenant has no unfinished job with this key in the queue.
    #[must_use]
    pub fn unique_key(mut self, key: impl Into<String>) -> Self {
        self.unique_key = Some(key.into());
        self
    }

    /// Not before this long after the commit's database time.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Not before this time.
    #[must_use]
    pub fn run_at(mut self, at: DateTime<Utc>) -> Self {
        self.run_at = Some(at);
        self
    }

    /// For the one process that owns this route of the queue.
    #[must_use]
    pub fn route(mut self, route: impl Into<String>) -> Self {
        self.route = route.into();
        self
    }

    /// Another level than its kind's own.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// What led to it, and how many causes stand before it.
    #[must_use]
    pub fn cause(mut self, id: Uuid, depth: i16) -> Self {
        (self.cause_id, self.depth) = (Some(id), depth);
        self
    }

    /// Its id, known before it is written.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }
}

/// A queue, or one route of it: what a relay releases into and a worker listens on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// The queue's name.
    pub queue: String,
    /// The route's name; empty for the queue itself.
    pub route: String,
}

impl Lane {
    /// The queue itself, served by any of its workers.
    #[must_use]
    pub fn queue(name: impl Into<String>) -> Self {
        Self { queue: name.into(), route: String::new() }
    }

    /// One route of a queue.
    #[must_use]
    pub fn route(queue: impl Into<String>, route: impl Into<String>) -> Self {
        Self { queue: queue.into(), route: route.into() }
    }
}

impl std::fmt::Display for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.route.as_str() {
            "" => f.write_str(&self.queue),
            route => write!(f, "{}:{route}", self.queue),
        }
    }
}

impl From<&str> for Lane {
    /// The other way round from `to_string`.
    fn from(text: &str) -> Self {
        let (queue, route) = text.split_once(':').unwrap_or((text, ""));
        Self::route(queue, route)
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It did what it should.
    Done,
    /// [`Run::settle`](crate::Run::settle) has finished it in the transaction of its effects.
    Settled,
    /// It failed and may be tried again, after the kind's backoff when no time is given; dead when the attempts are used up.
    Retry {
        /// The pause.
        after: Option<Duration>,
        /// Why, for the job board. No secrets, no message texts.
        error: String,
    },
    /// It is too early: again after this time, and this attempt doesn't count.
    Snooze(Duration),
    /// It can't succeed. The reason is for the job board.
    Dead(String),
}

impl Outcome {
    /// A failed attempt to be repeated after the kind's own backoff.
    #[must_use]
    pub fn retry(error: impl Into<String>) -> Self {
        Self::Retry { after: None, error: error.into() }
    }
}
