//! Says something to all processes at once, and keeps it for a while for those who ask later: in process, and over Redis.
//!
//! For what may get lost, such as who looks at a record right now. Nothing here waits or fails.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::sync::{broadcast, mpsc};
use uuid::Uuid;

/// What is said.
#[derive(Clone, Debug)]
pub struct Said {
    /// The text that everybody hears.
    pub text: String,
    /// Under which key it is kept.
    pub key: String,
    /// In which of its fields.
    pub field: String,
    /// For so many seconds; `None`: what was kept there is forgotten.
    pub seconds: Option<i64>,
}

/// Who says and hears it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bus {
    near: broadcast::Sender<String>,
    far: Option<Arc<Far>>,
}

#[derive(Debug)]
struct Far {
    client: redis::Client,
    prefix: String,
    said: mpsc::Sender<Said>,
    asks: tokio::sync::Mutex<Option<redis::aio::MultiplexedConnection>>,
}

/// So much may wait to be heard, or for Redis.
const WAITING: usize = 10_000;

impl Bus {
    /// For one process, or for tests.
    #[must_use]
    pub fn local() -> Self {
        Self { near: broadcast::Sender::new(WAITING), far: None }
    }

    /// Also for the other processes, under `{prefix}:presence` in the Redis at `url`. To be called inside a runtime.
    ///
    /// # Errors
    /// `url` isn't a Redis address. A Redis that is away is no error: it is asked again.
    pub fn redis(url: &str, prefix: &str) -> anyhow::Result<Self> {
        let client = redis::Client::open(url)?;
        let (said, saying) = mpsc::channel(WAITING);
        let (channel, own) = (format!("{prefix}:presence"), Uuid::new_v4().to_string());
        let near = broadcast::Sender::new(WAITING);
        let far = Far { client: client.clone(), prefix: channel.clone(), said, asks: tokio::sync::Mutex::default() };
        tokio::spawn(say(client.clone(), channel.clone(), own.clone(), saying));
        tokio::spawn(hear(client, channel, own, near.clone()));
        Ok(Self { near, far: Some(Arc::new(far)) })
    }

    /// Says it.
    pub fn say(&self, said: Said) {
        _ = self.near.send(said.text.clone()); // nobody may listen
        if let Some(far) = &self.far {
            _ = far.said.try_send(said); // with so much waiting, Redis has been away for long
        }
    }

    /// What is said from now on, by this process and the others.
    #[must_use]
    pub fn hear(&self) -> broadcast::Receiver<String> {
        self.near.subscribe()
    }

    /// What is kept under a key; nothing when Redis is away. Without one, nothing is: whoever heard it has it.
    pub async fn kept(&self, key: &str) -> Vec<String> {
        let Some(far) = &self.far else { return Vec::new() };
        let ask = async {
            let mut asks = far.asks.lock().await;
            let mut redis = match asks.take() {
                Some(redis) => redis,
                None => far.client.get_multiplexed_async_connection().await?,
            };
            let kept = redis::cmd("HVALS").arg(format!("{}:{key}", far.prefix)).query_async::<Vec<String>>(&mut redis).await?;
            *asks = Some(redis); // one that failed isn't used again
            Ok::<_, redis::RedisError>(kept)
        };
        match tokio::time::timeout(Duration::from_secs(1), ask).await {
            Ok(Ok(kept)) => kept,
            _ => Vec::new(),
        }
    }
}

/// Says what has gathered while the last was under way.
async fn say(client: redis::Client, channel: String, own: String, mut saying: mpsc::Receiver<Said>) {
    let mut connection = None;
    let mut gathered = Vec::new();
    while saying.recv_many(&mut gathered, 256).await > 0 {
        if connection.is_none() {
            let patience = redis::AsyncConnectionConfig::new().set_connection_timeout(Some(Duration::from_secs(1)));
            connection = client.get_multiplexed_async_connection_with_config(&patience).await.ok();
        }
        let all = std::mem::take(&mut gathered);
        let Some(redis) = &mut connection else { continue };
        let mut pipe = redis::pipe();
        for Said { text, key, field, seconds } in all {
            let key = format!("{channel}:{key}");
            match seconds {
                Some(seconds) => {
                    pipe.hset(&key, field, &text).ignore().expire(&key, seconds).ignore();
                }
                None => {
                    pipe.hdel(&key, field).ignore();
                }
            }
            pipe.publish(&channel, format!("{own} {text}")).ignore();
        }
        if pipe.query_async::<()>(redis).await.is_err() {
            connection = None;
        }
    }
}

/// Hears what others say; what this process said it has heard already.
async fn hear(client: redis::Client, channel: String, own: String, near: broadcast::Sender<String>) {
    while near.strong_count() > 1 {
        if let Ok(mut redis) = client.get_async_pubsub().await
            && redis.subscribe(&channel).await.is_ok()
        {
            let mut messages = redis.on_message();
            while let Some(message) = messages.next().await {
                if let Ok(text) = message.get_payload::<String>()
                    && let Some((from, text)) = text.split_once(' ')
                    && from != own
                {
                    _ = near.send(text.to_owned()); // nobody may listen
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
