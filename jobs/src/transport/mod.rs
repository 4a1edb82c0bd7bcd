//! Transports move row numbers from relays to workers. They may lose, repeat and reorder them: the ledger makes that harmless.
//!
//! `local` is a channel inside one process, `redis` a plain list per lane, `apalis` the queue of the apalis-redis crate.
//! One conformance suite runs over all three. A fourth is a file here, an arm in each function below, and a line in the suite.

mod apalis;
mod local;
mod redis;

use futures::stream::BoxStream;

use crate::Lane;
pub(crate) use apalis::{Storage, Tick};

/// How row numbers travel. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Transport {
    /// Inside this process.
    Local(local::Local),
    /// A list per lane in Redis or Valkey, 6.0 or later.
    Redis(redis::Lists),
    /// apalis-redis, with what it needs to be safe.
    Apalis(apalis::Storages),
}

impl Transport {
    /// A channel inside this process.
    #[must_use]
    pub fn local() -> Self {
        Self::Local(local::Local::default())
    }

    /// A list per lane under `prefix` in the Redis at `url`. A Redis that is away is no error here: it is asked again.
    ///
    /// # Errors
    /// `url` isn't a Redis address.
    pub fn redis(url: &str, prefix: &str) -> anyhow::Result<Self> {
        Ok(Self::Redis(redis::Lists::new(url, prefix)?))
    }

    /// apalis-redis under `prefix` in the Redis at `url`.
    ///
    /// # Errors
    /// `url` isn't a Redis address.
    pub fn apalis_redis(url: &str, prefix: &str) -> anyhow::Result<Self> {
        Ok(Self::Apalis(apalis::Storages::new(url, prefix)?))
    }

    /// Its name in settings and figures.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Local(_) => "local",
            Self::Redis(_) => "redis",
            Self::Apalis(_) => "apalis-redis",
        }
    }

    /// Sends row numbers to whoever serves the lane.
    ///
    /// # Errors
    /// Redis is away; the reaper returns what was not delivered.
    pub async fn push(&self, lane: &Lane, seqs: &[i64]) -> anyhow::Result<()> {
        match self {
            Self::Local(local) => local.push(lane, seqs),
            Self::Redis(lists) => lists.push(lane, seqs).await?,
            Self::Apalis(storages) => storages.push(lane, seqs).await?,
        }
        Ok(())
    }

    /// Whether it can deliver right now.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn ping(&self) -> anyhow::Result<()> {
        match self {
            Self::Local(_) => Ok(()),
            Self::Redis(lists) => lists.ping().await,
            Self::Apalis(storages) => storages.ping().await,
        }
    }

    /// Where a worker gets its numbers from.
    pub(crate) fn source(&self, lane: &Lane) -> Source {
        match self {
            Self::Local(local) => Source::Pull(Box::new(local.clone().source(lane))),
            Self::Redis(lists) => Source::Pull(Box::new(lists.clone().source(lane))),
            Self::Apalis(storages) => Source::Apalis(storages.storage(lane)),
        }
    }
}

/// A worker's end of a lane.
#[expect(clippy::large_enum_variant, reason = "made once for each lane")]
pub(crate) enum Source {
    /// Asked for at most so many numbers when there is room for them.
    Pull(Box<dyn Pull>),
    /// apalis-redis fetches by itself and hands over one at a time.
    Apalis(Storage),
}

/// Gives batches of row numbers, of one at least, waiting as long as it takes.
pub(crate) trait Pull: Send {
    fn pull(&mut self, max: usize) -> futures::future::BoxFuture<'_, Vec<i64>>;
}

/// A stream that apalis takes as a backend.
pub(crate) type Stream<T> = BoxStream<'static, Result<T, std::convert::Infallible>>;
