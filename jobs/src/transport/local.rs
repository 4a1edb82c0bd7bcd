//! Delivery inside one process: a channel per lane.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use futures::{FutureExt, future::BoxFuture};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Pull;
use crate::Lane;

type Receiver = Arc<tokio::sync::Mutex<UnboundedReceiver<i64>>>;

/// Channels by lane; bounded by the relay's window.
#[derive(Clone, Debug, Default)]
pub struct Local(Arc<Mutex<HashMap<Lane, Ends>>>);

type Ends = (UnboundedSender<i64>, Receiver);

impl Local {
    fn channel(&self, lane: &Lane) -> (UnboundedSender<i64>, Receiver) {
        let mut lanes = self.0.lock().expect("nothing panics while holding it");
        let fresh = || {
            let (tx, rx) = unbounded_channel();
            (tx, Arc::new(tokio::sync::Mutex::new(rx)))
        };
        lanes.entry(lane.clone()).or_insert_with(fresh).clone()
    }

    pub(super) fn push(&self, lane: &Lane, seqs: &[i64]) {
        let (tx, _) = self.channel(lane);
        for seq in seqs {
            _ = tx.send(*seq); // the receiver lives in the map
        }
    }

    pub(super) fn source(self, lane: &Lane) -> impl Pull + use<> {
        self.channel(lane).1
    }
}

impl Pull for Receiver {
    fn pull(&mut self, max: usize) -> BoxFuture<'_, Vec<i64>> {
        async move {
            let mut seqs = Vec::new();
            self.lock().await.recv_many(&mut seqs, max).await;
            seqs
        }
        .boxed()
    }
}
