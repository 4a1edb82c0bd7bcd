//! A request that stalls until its Idempotency-Key has run out, and comes to its end after all.

use domain::{
    Error, Scope,
    engine::{Event, Write},
    entities::{Role, event, idempotency_key},
    idempotency::{self, Begun},
    scope::Actor,
    seal::Sealer,
    users::{self, NewUser},
};
use jobs::{Ledger, Wake};
use sea_orm::{ConnectionTrait, EntityTrait};
use serde_json::json;
use tests::{database::fresh, on_both_databases};

on_both_databases! {
    async fn of_two_requests_with_one_key_only_one_is_done(kind: Kind) {
        let database = fresh(kind).await;
        let ledger = Ledger::new(database.db.clone(), Wake::local());
        let new = NewUser { email: "ana@example.com", password: "correct horse battery", name: "Ana", role: Role::Admin, tenant: "Loja" };
        let (tenant, user) = users::create(&ledger, new).await.unwrap();
        let before = event::Entity::find().all(&database.db.write).await.unwrap().len();
        let claimed = async || match idempotency::begin(&ledger, &Sealer::new(&[7; 32]), tenant, user.0, "key", "the same").await.unwrap() {
            Begun::Fresh(claim) => Scope { idempotency: Some(claim), ..Scope::system(tenant, Actor::User(user)) },
            other => panic!("{other:?}"),
        };
        let slow = claimed().await;
        database.db.write.execute_unprepared("update idempotency_keys set locked_until = '2001-01-01T00:00:00+00:00'").await.unwrap();
        let quick = claimed().await;
        let work = async |scope: &Scope, answer: &str| {
            let write = Write::begin(&ledger, scope).await?;
            write.record(Event { topic: "tests", subject_id: user.0, action: "done", data: json!({}) }).await?;
            write.commit(json!(answer)).await
        };
        assert_eq!(work(&quick, "quick").await.unwrap(), json!("quick"));
        let refused = work(&slow, "slow").await.unwrap_err();
        assert!(matches!(refused, Error::Conflict { code: "request_in_flight", .. }), "{refused}");
        assert_eq!(event::Entity::find().all(&database.db.write).await.unwrap().len(), before + 1);
        let kept = idempotency_key::Entity::find().one(&database.db.write).await.unwrap().unwrap();
        assert_eq!(kept.response, Some(json!("quick")));
    }
}
