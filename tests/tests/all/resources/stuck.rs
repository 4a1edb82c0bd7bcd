//! Two transactions in each other's way: PostgreSQL gives one up, and it is done again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use domain::{
    engine::{Write, again},
    entities::Role,
    scope::{Actor, Scope},
};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;
use tests::{app::app, database::Kind};
use tokio::sync::Barrier;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_is_nobodys_error() {
    let app = app(Kind::Postgres).await;
    let ana = app.person("loja", Role::Admin).await;
    let ids = [
        app.post(&ana, "/api/products", json!({ "name": "Chair" })).await.is(201).id(),
        app.post(&ana, "/api/products", json!({ "name": "Table" })).await.is(201).id(),
    ];
    let both = Arc::new(Barrier::new(2));
    let tries = Arc::new(AtomicUsize::new(0));
    let one = |order: [String; 2], name: &'static str| {
        let (ledger, both, tries) = (app.ledger.clone(), both.clone(), tries.clone());
        let scope = Scope::system(ana.tenant, Actor::System);
        tokio::spawn(async move {
            let (ledger, both, tries, scope, order) = (&ledger, &both, &tries, &scope, &order);
            again(|| async move {
                let write = Write::begin(ledger, scope).await?;
                for (at, id) in order.iter().enumerate() {
                    let update = "update products set name = name || $1 where id = $2::uuid";
                    write
                        .execute_raw(Statement::from_sql_and_values(write.get_database_backend(), update, [name.into(), id.into()]))
                        .await?;
                    // Each holds one before either wants the other's.
                    if at == 0 && tries.fetch_add(1, SeqCst) < 2 {
                        both.wait().await;
                    }
                }
                write.commit(()).await
            })
            .await
        })
    };
    let (a, b) = (one(ids.clone(), " A"), one([ids[1].clone(), ids[0].clone()], " B"));
    tokio::time::timeout(Duration::from_secs(20), async {
        a.await.unwrap().unwrap();
        b.await.unwrap().unwrap();
    })
    .await
    .unwrap();
    assert_eq!(tries.load(SeqCst), 3, "one of them was done twice");
    for id in &ids {
        let name = app.get(&ana, &format!("/api/products/{id}")).await.is(200).json["name"].as_str().unwrap().to_owned();
        assert!(name.contains(" A") && name.contains(" B"), "{name}");
    }
    app.finish().await;
}
