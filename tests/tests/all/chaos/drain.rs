//! SIGTERM: what runs is done, what doesn't is given back at once.

use std::{sync::Arc, time::Duration};

use sea_orm::{ConnectionTrait, Statement};

use super::{
    check::{calm, check},
    load::Load,
    town::{Plan, Role, Town},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_told_to_stop_under_load_leave_nothing_behind() {
    for transport in ["redis", "apalis-redis"] {
        let (mut town, desk) = Town::build(Plan { transport: Some(transport), apis: 2, workers: 2, schedulers: 1 }).await;
        let desk = Arc::new(desk);
        let load = Load::start(&desk, 12, Duration::from_millis(200));
        let db = town.db().await;
        for round in 0..3 {
            tokio::time::sleep(Duration::from_secs(2)).await;
            for role in [Role::Worker, Role::Api, Role::Scheduler] {
                let places = town.places(role);
                let at = places[round % places.len()];
                town.terminate(at);
                if role == Role::Worker {
                    let mine = town.process_id(at);
                    eprintln!("{}", town.warnings(at)); // shown when the test fails
                    assert_eq!(running(&db, mine).await, "", "{transport}: a job is left running");
                }
                town.kill(at); // started again
            }
        }
        let said = load.stop().await;
        calm(&mut town, &desk, Duration::from_secs(150)).await;
        let outcome = check(&town, &desk, &said).await;
        assert_eq!((outcome.unknown, outcome.again), (0, 0), "{transport}: every job ran once: {outcome:?}");
        assert_eq!(outcome.sent, said.by_team.len());
    }
}

/// The jobs that a process left behind, whole but for their payloads.
async fn running(db: &db::Db, process: u32) -> String {
    let left = format!(
        "select coalesce(string_agg((to_jsonb(j) - 'payload' || jsonb_build_object('now', clock_timestamp()))::text, E'\\n'), '') as left
         from jobs j where state = 'running' and worker like '{process}-%'"
    );
    let row = db.read.query_one_raw(Statement::from_string(db.backend(), left)).await.unwrap();
    row.unwrap().try_get("", "left").unwrap()
}
