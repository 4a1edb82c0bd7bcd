use std::process::{Child, Command};

use sea_orm::{ConnectionTrait, Statement};
use tests::{
    act::{Deed, effects},
    database::Kind,
    ledger::{Setup, Via, redis_url, setup},
};

struct Worker(Child);

impl Worker {
    fn start(setup: &Setup, routes: &[String]) -> Self {
        let mut acts = Command::new(env!("CARGO_BIN_EXE_acts"));
        acts.args([&setup.database.url, &redis_url(), &setup.prefix, setup.transport.name()]).args(routes);
        Self(acts.spawn().unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.kill().unwrap(); // SIGKILL
        self.0.wait().unwrap();
    }
}

/// Who ran what: (route, worker).
async fn runs(setup: &Setup) -> Vec<(String, String)> {
    let sql = "select route, worker from jobs where state = 'done' order by seq";
    let rows = setup.ledger.db().read.query_all_raw(Statement::from_string(setup.ledger.db().backend(), sql)).await.unwrap();
    rows.iter().map(|row| (row.try_get("", "route").unwrap(), row.try_get("", "worker").unwrap())).collect()
}

#[tokio::test]
async fn a_routed_job_runs_only_at_the_owner_of_its_route_and_another_takes_over_when_it_is_killed() {
    for via in [Via::Redis, Via::Apalis] {
        let setup = setup(Kind::Postgres, via).await;
        let routes: Vec<String> = (0..10).map(|n| format!("device-{n}")).collect();
        let job = |n: i64, deed| {
            let route = &routes[usize::try_from(n).unwrap() % 10];
            setup.act(n, deed).route(route).order_key(route)
        };
        let (first, second) = (Worker::start(&setup, &routes[..5]), Worker::start(&setup, &routes[5..]));
        setup.enqueue((0..100).map(|n| job(n, Deed::Effect))).await;
        setup.finished().await;
        let by_route: std::collections::BTreeSet<_> = runs(&setup).await.into_iter().collect();
        assert_eq!(by_route.len(), 10, "each route had one worker: {by_route:?}");
        assert_eq!(by_route.iter().map(|(_, worker)| worker).collect::<std::collections::BTreeSet<_>>().len(), 2);

        // One process is killed with work under way; a third wants all the routes and gets those of the dead one.
        setup.enqueue((100..200).map(|n| job(n, Deed::SlowEffect(20)))).await;
        drop(first);
        let third = Worker::start(&setup, &routes);
        setup.finished().await;
        drop((second, third));
        let done = effects(setup.ledger.db()).await;
        assert_eq!(done.len(), 200);
        for route in 0..10 {
            let own: Vec<_> = done.iter().copied().filter(|n| n % 10 == route).collect();
            assert!(own.is_sorted(), "{via:?}, route {route}: {own:?}");
        }
    }
}
