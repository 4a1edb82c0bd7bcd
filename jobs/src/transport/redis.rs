//! A plain list per lane: `RPUSH` on one side; `BLPOP`, then what else is there, on the other.
//!
//! Keys are hash-tagged (`{somo:whatsapp-send}`), so that a Redis Cluster keeps each lane on one node.

use std::time::Duration;

use futures::{FutureExt, future::BoxFuture};
use redis::{
    AsyncConnectionConfig, Client,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
};

use super::Pull;
use crate::Lane;

/// Pushes on one shared connection that mends itself; each puller has its own, because it blocks on it.
#[derive(Clone)]
pub struct Lists {
    client: Client,
    prefix: String,
    pushing: ConnectionManager,
}

impl std::fmt::Debug for Lists {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lists").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// How long Redis may take to answer before it counts as away.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a `BLPOP` waits: long enough to cost nothing, short enough to notice a dead connection.
const BLOCK: Duration = Duration::from_secs(2);

impl Lists {
    pub(super) fn new(url: &str, prefix: &str) -> anyhow::Result<Self> {
        let client = Client::open(url)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let pushing = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
        Ok(Self { client, prefix: prefix.to_owned(), pushing })
    }

    fn key(&self, lane: &Lane) -> String {
        format!("{{{}:{lane}}}", self.prefix)
    }

    pub(super) async fn push(&self, lane: &Lane, seqs: &[i64]) -> anyhow::Result<()> {
        let mut push = redis::cmd("RPUSH");
        push.arg(self.key(lane)).arg(seqs);
        Ok(push.query_async::<()>(&mut self.pushing.clone()).await?)
    }

    pub(super) async fn ping(&self) -> anyhow::Result<()> {
        Ok(redis::cmd("PING").query_async::<()>(&mut self.pushing.clone()).await?)
    }

    pub(super) fn source(self, lane: &Lane) -> impl Pull + use<> {
        let key = self.key(lane);
        Puller { client: self.client.clone(), key, connection: None }
    }
}

struct Puller {
    client: Client,
    key: String,
    connection: Option<MultiplexedConnection>,
}

impl Pull for Puller {
    fn pull(&mut self, max: usize) -> BoxFuture<'_, Vec<i64>> {
        async move {
            loop {
                match self.pop(max).await {
                    Ok(seqs) if seqs.is_empty() => {}
                    Ok(seqs) => return seqs,
                    Err(error) => {
                        tracing::warn!(%error, "Redis is away; looking again");
                        self.connection = None;
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                }
            }
        }
        .boxed()
    }
}

impl Puller {
    async fn pop(&mut self, max: usize) -> redis::RedisResult<Vec<i64>> {
        let redis = match &mut self.connection {
            Some(redis) => redis,
            none => {
                let patience =
                    AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(BLOCK + PATIENCE));
                none.insert(self.client.get_multiplexed_async_connection_with_config(&patience).await?)
            }
        };
        // What is there, at once; else the first one that comes, without asking for more: nothing stands between it and its claim.
        let last = isize::try_from(max).expect("a batch is small") - 1;
        let (there,): (Vec<i64>,) =
            redis::pipe().atomic().lrange(&self.key, 0, last).ltrim(&self.key, last + 1, -1).ignore().query_async(redis).await?;
        if !there.is_empty() {
            return Ok(there);
        }
        let first: Option<(String, i64)> = redis::cmd("BLPOP").arg(&self.key).arg(BLOCK.as_secs()).query_async(redis).await?;
        Ok(first.map(|(_, seq)| seq).into_iter().collect())
    }
}
