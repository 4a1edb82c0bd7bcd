use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use domain::entities::{Direction, MessageStatus, whatsapp_message, whatsapp_message_event};
use sea_orm::{ConnectionTrait, EntityTrait, QueryOrder, Statement};

use super::{
    load::Said,
    town::{Desk, Town},
};

/// What is left when everything has calmed down.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) sent: usize,
    pub(crate) received: usize,
    /// Messages of which nobody knows whether WhatsApp has them: never sent again.
    pub(crate) unknown: usize,
    /// Those of them that WhatsApp's status has settled since.
    pub(crate) settled: usize,
    /// Jobs that took more than one attempt.
    pub(crate) again: i64,
}

/// Waits until nothing is left to be done, of its own accord.
pub(crate) async fn calm(town: &mut Town, desk: &Desk, patience: Duration) {
    let db = town.db().await;
    let since = Instant::now();
    let (mut quiet, mut told) = (0, 0);
    loop {
        town.tend();
        let left = count(&db, "select count(*) as n from jobs where state in ('pending', 'held', 'dispatched', 'running')").await
            + count(&db, "select count(*) as n from events where position is null").await;
        let outstanding = desk.outstanding().await;
        quiet = if left == 0 && outstanding == 0 { quiet + 1 } else { 0 };
        if quiet == 3 {
            return;
        }
        if since.elapsed().as_secs() / 10 > told {
            told = since.elapsed().as_secs() / 10;
            eprintln!("after {} s of calm, {left} jobs and events and {outstanding} webhooks are left", since.elapsed().as_secs());
        }
        if since.elapsed() > patience {
            let sql = "select kind || ' ' || state || ', attempt ' || attempts || ' by ' || coalesce(worker, 'nobody') as job from jobs
                       where state in ('pending', 'held', 'dispatched', 'running') limit 5";
            let rows = db.read.query_all_raw(Statement::from_string(db.backend(), sql)).await.unwrap();
            let rows: Vec<String> = rows.iter().map(|row| row.try_get("", "job").unwrap()).collect();
            panic!("{left} jobs and events and {outstanding} webhooks are left after {patience:?}: {rows:#?}");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

pub(crate) async fn count(db: &db::Db, sql: &str) -> i64 {
    let row = db.read.query_one_raw(Statement::from_string(db.backend(), sql)).await.unwrap();
    row.unwrap().try_get("", "n").unwrap()
}

/// Nothing lost, nothing twice, everything in its order.
pub(crate) async fn check(town: &Town, desk: &Desk, said: &Said) -> Outcome {
    let db = town.db().await;
    let rows = whatsapp_message::Entity::find()
        .order_by_asc(whatsapp_message::Column::CreatedAt)
        .order_by_asc(whatsapp_message::Column::Id)
        .all(&db.read)
        .await
        .unwrap();
    let text = |row: &whatsapp_message::Model| row.content["text"]["body"].as_str().unwrap().to_owned();

    // What was accepted is there, once, under the id that the API told.
    let (out, inbound): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.direction == Direction::Out);
    let ids: BTreeMap<String, String> = out.iter().map(|row| (text(row), row.id.to_string())).collect();
    assert_eq!(out.len(), ids.len(), "a message was written twice");
    assert_eq!(ids, said.by_team, "what is there is what was accepted");

    // What customers wrote is there, once, in its order.
    let heard: Vec<String> = inbound.iter().map(text).collect();
    let mut expected = said.by_customers.clone();
    expected.sort_unstable();
    let mut sorted = heard.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected, "what customers wrote is there once");
    in_order(heard.iter().map(|text| (&text[..6], text.as_str())));

    // WhatsApp got nothing twice, and each customer theirs in order.
    let taken = desk.taken().await;
    let at_whatsapp: BTreeSet<&str> = taken.iter().map(|(_, _, id)| id.as_str()).collect();
    assert_eq!(taken.len(), at_whatsapp.len(), "sent twice: {:?}", twice(taken.iter().map(|(_, _, id)| id)));
    in_order(taken.iter().map(|(to, text, _)| (to.as_str(), text.as_str())));

    // Every message is where it belongs, and came there in sane steps.
    let mut steps = BTreeMap::<String, Vec<MessageStatus>>::new();
    for step in whatsapp_message_event::Entity::find().all(&db.read).await.unwrap() {
        steps.entry(step.message_id.to_string()).or_default().push(step.status);
    }
    let mut outcome = Outcome { sent: taken.len(), received: heard.len(), ..Outcome::default() };
    for row in &out {
        let steps = &steps[&row.id.to_string()];
        let times = |status| steps.iter().filter(|step| **step == status).count();
        let parked = times(MessageStatus::Unknown);
        match at_whatsapp.contains(row.id.to_string().as_str()) {
            true => assert_eq!(row.status, MessageStatus::Read, "{} {steps:?}", text(row)),
            false => assert_eq!(row.status, MessageStatus::Unknown, "{} {steps:?}: {:?}", text(row), row.error),
        }
        outcome.unknown += parked;
        outcome.settled += usize::from(parked > 0 && row.status != MessageStatus::Unknown);
        assert!(steps.iter().all(|step| times(*step) == 1), "a step twice: {} {steps:?}", text(row));
    }
    for row in &inbound {
        assert_eq!(steps[&row.id.to_string()], [MessageStatus::Received]);
    }

    // One event for each message; each event in one place of the stream; no job given up.
    let created = "select count(*) as n from events where topic = 'messages' and action = 'created'";
    assert_eq!(count(&db, created).await, i64::try_from(out.len() + inbound.len()).unwrap());
    assert_eq!(count(&db, "select count(*) - count(distinct position) as n from events").await, 0);
    assert_eq!(count(&db, "select count(*) as n from jobs where state in ('dead', 'cancelled')").await, 0);
    outcome.again = count(&db, "select count(*) as n from jobs where attempts > 1").await;
    outcome
}

/// Panics unless each key's texts ascend.
fn in_order<'a>(texts: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut last = BTreeMap::new();
    for (key, text) in texts {
        let before = last.insert(key, text);
        assert!(before.is_none_or(|before| before < text), "{text} came after {before:?}");
    }
}

fn twice<'a>(ids: impl Iterator<Item = &'a String>) -> Vec<&'a String> {
    let mut seen = BTreeSet::new();
    ids.filter(|id| !seen.insert(*id)).collect()
}
