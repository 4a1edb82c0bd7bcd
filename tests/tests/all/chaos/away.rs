//! Services that are away when a process starts, or go away while it has nothing to do.

use std::time::Duration;

use tests::processes::Service;
use tokio::task::block_in_place;

use super::{
    check::{calm, check},
    load::Said,
    town::{Plan, Town, customer},
};

const PLAN: Plan = Plan { transport: Some("redis"), apis: 1, workers: 1, schedulers: 1 };

/// One message each way.
async fn a_word_each_way(town: &mut Town, desk: &super::town::Desk, said: &mut Said, n: usize) {
    let (heard, text) = (format!("in 000 {n:05}"), format!("out 000 {n:05}"));
    desk.hear(&customer(0), &heard).await;
    said.by_customers.push(heard);
    let id = desk.say(&customer(0), &text).await;
    said.by_team.insert(text, id);
    calm(town, desk, Duration::from_secs(120)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_start_while_redis_is_away_and_work_once_it_is_back() {
    for transport in ["redis", "apalis-redis"] {
        let mut town = Town::found(Plan { transport: Some(transport), ..PLAN }).await;
        block_in_place(|| town.services.as_ref().unwrap().stop(Service::Redis));
        town.start();
        let desk = town.open().await; // the API answers
        desk.hear(&customer(0), "in 000 00000").await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        block_in_place(|| town.services.as_ref().unwrap().restart(Service::Redis));
        let mut said = Said { by_customers: vec!["in 000 00000".into()], ..Said::default() };
        a_word_each_way(&mut town, &desk, &mut said, 1).await;
        check(&town, &desk, &said).await;
        assert_eq!(town.fallen, 0, "{transport}: nobody gave up");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn idle_processes_come_back_after_postgres_and_redis_were_restarted() {
    let (mut town, desk) = Town::build(PLAN).await;
    let mut said = Said::default();
    for n in 0..3 {
        a_word_each_way(&mut town, &desk, &mut said, n).await;
        block_in_place(|| {
            let services = town.services.as_ref().unwrap();
            match n {
                0 => services.stop(Service::Postgres),
                1 => services.crash(Service::Postgres),
                _ => services.crash(Service::Redis),
            }
        });
        tokio::time::sleep(Duration::from_secs(3)).await; // everybody has noticed
        block_in_place(|| {
            let services = town.services.as_ref().unwrap();
            services.restart(if n < 2 { Service::Postgres } else { Service::Redis });
        });
    }
    a_word_each_way(&mut town, &desk, &mut said, 3).await;
    check(&town, &desk, &said).await;
    assert_eq!(town.fallen, 0, "nobody gave up");
}
