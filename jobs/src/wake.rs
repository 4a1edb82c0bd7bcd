//! Tells relays that a lane has new jobs: in process, and to other processes over Redis pub/sub.
//!
//! A wake-up is only a hint. Losing one costs a poll interval, so nothing here waits or fails.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt;
use tokio::sync::{Notify, mpsc};

use crate::Lane;

/// Whom to tell. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    relays: Mutex<HashMap<Lane, Arc<Notify>>>,
    far: Option<mpsc::UnboundedSender<Lane>>,
}

impl Wake {
    /// For one process that does everything, or for tests.
    #[must_use]
    pub fn local() -> Self {
        Self::default()
    }

    /// Also tells the other processes, on the channel `{prefix}:wake` of the Redis at `url`.
    ///
    /// # Errors
    /// `url` isn't a Redis address. A Redis that is away is no error: it is asked again.
    pub fn redis(url: &str, prefix: &str) -> anyhow::Result<Self> {
        let client = redis::Client::open(url)?;
        let channel = format!("{prefix}:wake");
        let (far, lanes) = mpsc::unbounded_channel();
        let wake = Self(Arc::new(Inner { relays: Mutex::default(), far: Some(far) }));
        tokio::spawn(publish(client.clone(), channel.clone(), lanes));
        tokio::spawn(subscribe(client, channel, Arc::downgrade(&wake.0)));
        Ok(wake)
    }

    /// A relay of this process signs on for a lane.
    pub(crate) fn relay(&self, lane: &Lane) -> Arc<Notify> {
        self.0.relays.lock().expect("nothing panics while holding it").entry(lane.clone()).or_default().clone()
    }

    /// And off again, unless another relay of this process still listens to the same bell.
    pub(crate) fn forget(&self, lane: &Lane, bell: &Arc<Notify>) {
        let mut relays = self.0.relays.lock().expect("nothing panics while holding it");
        if Arc::strong_count(bell) <= 2 {
            relays.remove(lane);
        }
    }

    /// What rings in this process when somebody is told of `lane` by [`Wake::everywhere`].
    #[must_use]
    pub fn bell(&self, lane: &Lane) -> Arc<Notify> {
        self.relay(lane)
    }

    /// Tells this process and all others, for what each of them does for itself.
    pub fn everywhere(&self, lane: Lane) {
        self.0.near(&lane);
        if let Some(far) = &self.0.far {
            _ = far.send(lane); // the receiver ends with the runtime only
        }
    }

    /// These lanes have jobs. A relay of this process is enough; else the other processes are told.
    pub fn lanes(&self, lanes: impl IntoIterator<Item = Lane>) {
        for lane in lanes {
            if !self.0.near(&lane)
                && let Some(far) = &self.0.far
            {
                // The receiver ends with the runtime only.
                _ = far.send(lane);
            }
        }
    }
}

impl Inner {
    fn near(&self, lane: &Lane) -> bool {
        let relays = self.relays.lock().expect("nothing panics while holding it");
        relays.get(lane).inspect(|relay| relay.notify_one()).is_some()
    }
}

/// Publishes what has gathered while the last message was under way, each lane once.
async fn publish(client: redis::Client, channel: String, mut lanes: mpsc::UnboundedReceiver<Lane>) {
    let mut connection = None;
    let mut gathered = Vec::new();
    while lanes.recv_many(&mut gathered, 1024).await > 0 {
        let lanes: BTreeSet<Lane> = gathered.drain(..).collect();
        if connection.is_none() {
            let patience = redis::AsyncConnectionConfig::new().set_connection_timeout(Some(Duration::from_secs(1)));
            connection = client.get_multiplexed_async_connection_with_config(&patience).await.ok();
        }
        let Some(redis) = &mut connection else { continue };
        let mut pipe = redis::pipe();
        for lane in lanes {
            pipe.publish(&channel, lane.to_string()).ignore();
        }
        if pipe.query_async::<()>(redis).await.is_err() {
            connection = None; // the relays' poll does without
        }
    }
}

async fn subscribe(client: redis::Client, channel: String, wake: std::sync::Weak<Inner>) {
    while wake.strong_count() > 0 {
        if let Ok(mut redis) = client.get_async_pubsub().await
            && redis.subscribe(&channel).await.is_ok()
        {
            let mut messages = redis.on_message();
            while let Some(message) = messages.next().await {
                let Some(wake) = wake.upgrade() else { return };
                if let Ok(lane) = message.get_payload::<String>() {
                    wake.near(&Lane::from(lane.as_str()));
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
