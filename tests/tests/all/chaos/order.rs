//! Order where it matters, and none where it doesn't.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    check::{calm, check},
    load::Said,
    town::{Plan, Town, customer},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn forty_messages_to_one_customer_arrive_in_order_while_a_hundred_others_are_served() {
    let (mut town, desk) = Town::build(Plan { transport: Some("redis"), apis: 2, workers: 2, schedulers: 0 }).await;
    let desk = Arc::new(desk);
    let mut said = Said::default();
    for n in 0..=100 {
        let text = format!("in {n:03} 00000");
        desk.hear(&customer(n), &text).await;
        said.by_customers.push(text);
    }
    calm(&mut town, &desk, Duration::from_secs(120)).await;

    // The hundred are written to in between, by somebody else each; whoever writes to the one goes from API to API.
    let others: Vec<_> = (1..=100)
        .map(|n| {
            let desk = desk.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(20 * u64::try_from(n).unwrap())).await;
                let text = format!("out {n:03} 00000");
                (desk.say(&customer(n), &text).await, text)
            })
        })
        .collect();
    for n in 0..40 {
        let text = format!("out 000 {n:05}");
        said.by_team.insert(text.clone(), desk.say(&customer(0), &text).await);
    }
    for other in others {
        let (id, text) = other.await.unwrap();
        said.by_team.insert(text, id);
    }
    calm(&mut town, &desk, Duration::from_secs(120)).await;
    let outcome = check(&town, &desk, &said).await; // in order, each
    assert_eq!((outcome.sent, outcome.unknown), (140, 0));

    let taken = desk.taken().await;
    let of_one: Vec<_> = taken.iter().filter(|(to, ..)| *to == customer(0)).collect();
    assert_eq!(of_one.len(), 40);
    let first = taken.iter().position(|(to, ..)| *to == customer(0)).unwrap();
    let last = taken.iter().rposition(|(to, ..)| *to == customer(0)).unwrap();
    let between: BTreeSet<_> = taken[first..last].iter().map(|(to, ..)| to).collect();
    assert!(between.len() > 10, "others were served meanwhile: {}", between.len());
    assert_eq!(workers(&town).await, 2, "both worker processes sent");
}

/// How many processes have sent messages.
async fn workers(town: &Town) -> i64 {
    let db = town.db().await;
    super::check::count(&db, "select count(distinct worker) as n from jobs where kind = 'whatsapp.send_message'").await
}
