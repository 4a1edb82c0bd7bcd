use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::task::JoinHandle;

use super::town::{Desk, customer};

/// The team writes to its customers and they write back, each one message after the other, until they are stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
    team: Vec<JoinHandle<BTreeMap<String, String>>>,
    customers: Vec<JoinHandle<Vec<String>>>,
}

/// What was said, and must be there in the end.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// By the team: text → the message's id, as the API told it.
    pub(crate) by_team: BTreeMap<String, String>,
    /// By the customers.
    pub(crate) by_customers: Vec<String>,
}

impl Load {
    /// So many customers; the team writes to each about once in `pause`.
    pub(crate) fn start(desk: &Arc<Desk>, customers: usize, pause: Duration) -> Self {
        let mut load = Self { stop: Arc::default(), accepted: Arc::default(), team: Vec::new(), customers: Vec::new() };
        for at in 0..customers {
            let (phone, stop) = (desk.clone(), load.stop.clone());
            load.customers.push(tokio::spawn(async move {
                let mut said = Vec::new();
                while !stop.load(Relaxed) {
                    let text = format!("in {at:03} {:05}", said.len());
                    phone.hear(&customer(at), &text).await;
                    said.push(text);
                    tokio::time::sleep(around(pause * 3)).await;
                }
                said
            }));
            let (desk, stop, accepted) = (desk.clone(), load.stop.clone(), load.accepted.clone());
            load.team.push(tokio::spawn(async move {
                let mut said = BTreeMap::new();
                while !stop.load(Relaxed) {
                    let text = format!("out {at:03} {:05}", said.len());
                    let id = desk.say(&customer(at), &text).await;
                    accepted.fetch_add(1, Relaxed);
                    said.insert(text, id);
                    tokio::time::sleep(around(pause)).await;
                }
                said
            }));
        }
        load
    }

    /// Waits until about every customer has been written to.
    pub(crate) async fn is_in_full_swing(&self) {
        while self.accepted() < 3 * self.team.len() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many messages the API has accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Relaxed)
    }

    /// Nobody begins another message; what is being said is said to its end.
    pub(crate) async fn stop(self) -> Said {
        self.stop.store(true, Relaxed);
        let mut said = Said::default();
        for writer in self.customers {
            said.by_customers.extend(writer.await.unwrap());
        }
        for writer in self.team {
            said.by_team.extend(writer.await.unwrap());
        }
        said
    }
}

/// Between half and one and a half of it.
fn around(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + rand::random::<f64>())
}
