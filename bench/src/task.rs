//! What a measured process is told, and what it answers: the same for SOMO's and for Node's.
//!
//! A process gets its [`Task`] as one JSON argument. It opens its connections and prints `{"event":"ready"}`; at the line
//! `go` it starts its worker (`{"event":"working"}`) and then its producer, whichever it has, and prints what came of
//! them; it ends when its input does. Times are [`crate::clock::now`].

use serde::{Deserialize, Serialize};

/// What one process does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) postgres: String,
    pub(crate) redis: String,
    /// SOMO only: how row numbers travel.
    pub(crate) transport: Option<Via>,
    pub(crate) work: Option<Work>,
    pub(crate) produce: Option<Produce>,
}

/// SOMO's transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Via {
    Redis,
    Local,
    ApalisRedis,
}

/// A worker of jobs that do nothing but note when they started.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) concurrency: usize,
    /// graphile-worker only: its batching options.
    pub(crate) batched: bool,
    /// After so many jobs it answers [`Worked`], and counts again from zero.
    pub(crate) expect: u64,
    /// Answer only when nothing is left unfinished in the queue.
    pub(crate) until_empty: bool,
    /// Answer with the start of every job.
    pub(crate) trace: bool,
}

/// A producer. Each iteration is one transaction that inserts a record and enqueues one job, where the queue has
/// transactions.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Produce {
    /// BullMQ only: insert the record too, in a transaction of its own before the job.
    pub(crate) record: bool,
    pub(crate) connections: u32,
    pub(crate) jobs: u64,
    pub(crate) pace: Pace,
}

/// When the next iteration begins.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pace {
    /// As soon as its connection's last one is over.
    Flat,
    /// One at a time, 10 to 20 ms after the last one was over.
    Alone,
    /// So many a second, whether or not the last ones are over.
    Rate(f64),
}

/// What a worker answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Worked {
    /// The first of the counted jobs started.
    pub(crate) first: f64,
    /// The last of them started.
    pub(crate) last: f64,
    /// Nothing was left unfinished (with `until_empty`; else the same as `last`).
    pub(crate) empty: f64,
    /// With `trace`: when each started, by its number.
    pub(crate) starts: Vec<f64>,
}

/// What a producer answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Produced {
    pub(crate) started: f64,
    pub(crate) ended: f64,
    /// By the job's number: when its commit was sent, and when it had been answered. Empty for [`Pace::Flat`].
    pub(crate) commits: Vec<(f64, f64)>,
}
