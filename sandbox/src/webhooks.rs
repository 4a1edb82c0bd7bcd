//! Deliveries: signed, in order for each number, repeated until they are answered with 200.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};
use whatsapp::cloud::signature::sign;

use crate::state::World;

/// Meta gathers what happens at once into one delivery.
const BATCH: usize = 25;
/// How long news that is to come late waits for other news to overtake it.
const OVERTAKEN_WITHIN: Duration = Duration::from_secs(1);
/// How long after its time lost news comes.
const LOST_FOR: Duration = Duration::from_millis(500);

/// What happened at once: the values of webhook changes, and what goes wrong in telling them.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) values: Vec<Value>,
    /// Not before.
    pub(crate) due: Instant,
    /// After the next.
    pub(crate) late: bool,
    pub(crate) twice: bool,
    pub(crate) lost: bool,
}

/// Where the deliveries of a number go.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) number: String,
    pub(crate) account: String,
    pub(crate) secret: String,
    pub(crate) url: String,
}

/// Tells what comes through `outbox`, until nobody can put anything there any more.
pub(crate) async fn deliver(world: Arc<World>, way: Way, mut outbox: mpsc::UnboundedReceiver<News>) {
    let mut held = None;
    loop {
        let mut arrived = Vec::new();
        let arriving = outbox.recv_many(&mut arrived, BATCH);
        let count = if held.is_none() { arriving.await } else { timeout(OVERTAKEN_WITHIN, arriving).await.unwrap_or(0) };
        if count == 0 && held.is_none() {
            return;
        }
        let mut waiting = overtaken(&mut held, arrived).into_iter().peekable();
        while let Some(first) = waiting.next() {
            sleep_until(first.due).await;
            let now = Instant::now();
            let mut batch = vec![first];
            while let Some(next) = waiting.next_if(|next| next.due <= now) {
                batch.push(next);
            }
            tell(&world, &way, batch).await;
        }
    }
}

/// What is told now: late news stands behind the next, or comes alone when nothing else arrives.
fn overtaken(held: &mut Option<News>, arrived: Vec<News>) -> Vec<News> {
    let mut now = Vec::with_capacity(arrived.len() + 1);
    if arrived.is_empty() {
        now.extend(held.take());
    }
    for news in arrived {
        if news.late && held.is_none() {
            *held = Some(news);
        } else {
            now.push(news);
            now.extend(held.take());
        }
    }
    now
}

async fn tell(world: &Arc<World>, way: &Way, batch: Vec<News>) {
    let mut told = Vec::new();
    let mut again = Vec::new();
    for News { values, twice, lost, .. } in batch {
        if twice {
            again.extend(values.iter().cloned());
            world.stats.outstanding.fetch_add(values.len() as u64, Relaxed);
        }
        if lost {
            let (late_world, way) = (world.clone(), way.clone());
            world.spawn(async move {
                sleep(LOST_FOR).await;
                post(&late_world, &way, values).await;
            });
        } else {
            told.extend(values);
        }
    }
    post(world, way, told).await;
    post(world, way, again).await;
}

fn delivery(way: &Way, values: Vec<Value>) -> Value {
    let change = |mut value: Value| {
        value["messaging_product"] = json!("whatsapp");
        value["metadata"] = json!({ "display_phone_number": way.number, "phone_number_id": way.number });
        json!({ "field": "messages", "value": value })
    };
    let changes: Vec<_> = values.into_iter().map(change).collect();
    json!({ "object": "whatsapp_business_account", "entry": [{ "id": way.account, "changes": changes }] })
}

/// Until it is taken; Meta tries for a week, this for some minutes.
async fn post(world: &World, way: &Way, values: Vec<Value>) {
    if values.is_empty() {
        return;
    }
    let count = values.len() as u64;
    let body = bytes::Bytes::from(delivery(way, values).to_string());
    let signature = sign(way.secret.as_bytes(), &body);
    let mut pause = Duration::from_millis(100);
    for _ in 0..200 {
        let request = world.http.post(&way.url).header("content-type", "application/json").header("x-hub-signature-256", &signature);
        if request.body(body.clone()).send().await.is_ok_and(|answer| answer.status() == 200) {
            world.stats.webhooks_sent.fetch_add(1, Relaxed);
            world.stats.outstanding.fetch_sub(count, Relaxed);
            return;
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
    world.stats.outstanding.fetch_sub(count, Relaxed);
    tracing::warn!("a webhook was never taken");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(name: u64, late: bool) -> News {
        News { values: vec![json!(name)], due: Instant::now(), late, twice: false, lost: false }
    }

    fn names(news: Vec<News>) -> Vec<u64> {
        news.iter().filter_map(|news| news.values[0].as_u64()).collect()
    }

    #[test]
    fn late_news_comes_after_the_next_or_alone() {
        let mut held = None;
        assert_eq!(names(overtaken(&mut held, vec![news(1, true), news(2, false), news(3, true)])), [2, 1]);
        assert_eq!(names(overtaken(&mut held, vec![news(4, true)])), [4, 3], "two late ones change places");
        assert_eq!(names(overtaken(&mut held, vec![news(5, true)])), [0; 0]);
        assert_eq!(names(overtaken(&mut held, Vec::new())), [5]);
    }
}
