//! Requests that are sent again.

use domain::{
    entities::{Role, idempotency_key},
    payloads::SendMessage,
};
use jobs::{Job, testing};
use reqwest::Method;
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use tests::{
    app::{Answer, Person, TestApp, app},
    on_both_databases,
};

const NUMBER: &str = "100";
const CUSTOMER: &str = "5511987654321";

/// Somebody whose customer has just written, and the message they send.
async fn begun(kind: tests::database::Kind) -> (TestApp, Person, Value) {
    let app = app(kind).await;
    let ana = app.person("loja", Role::Admin).await;
    let device = app.device(&ana, NUMBER).await;
    app.customer_writes(NUMBER, CUSTOMER, "Olá").await;
    let message = json!({ "device_id": device, "to": CUSTOMER, "type": "text", "text": { "body": "Bom dia" } });
    (app, ana, message)
}

fn send(app: &TestApp, who: &Person, key: &str, body: &Value) -> impl Future<Output = Answer> + use<> {
    app.send(app.request(Method::POST, "/api/whatsapp/messages/send").bearer_auth(&who.token).header("idempotency-key", key).json(body))
}

async fn queued(app: &TestApp) -> usize {
    testing::unfinished(&app.ledger, SendMessage::KIND).await.unwrap().len()
}

on_both_databases! {
    async fn the_same_request_gets_the_same_answer(kind: Kind) {
        let (app, ana, message) = begun(kind).await;
        let first = send(&app, &ana, "k", &message).await.is(202);
        let again = send(&app, &ana, "k", &message).await.is(202);
        assert_eq!(first.json, again.json);
        assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
        assert_eq!(queued(&app).await, 1);
        // Somebody else's key is their own; so is one of another path.
        let bob = app.person("loja", Role::Agent).await;
        let other = send(&app, &bob, "k", &message).await.is(202);
        assert_ne!(first.id(), other.id());
        let elsewhere = app.request(Method::POST, "/api/queues/mail-send/pause").bearer_auth(&ana.token).header("idempotency-key", "k");
        app.send(elsewhere).await.fails(422, "idempotency_key_reused");
        assert_eq!(app.claim_all::<SendMessage>().await.len(), 2);
        app.finish().await;
    }

    async fn a_secret_that_is_shown_once_is_kept_sealed(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let hook = json!({ "name": "Loja", "url": "https://example.com/hook", "topics": ["contacts.*"] });
        let make = async || {
            let request = app.request(Method::POST, "/api/webhooks").bearer_auth(&ana.token).header("idempotency-key", "h");
            app.send(request.json(&hook)).await.is(201)
        };
        let (first, again) = (make().await, make().await);
        assert_eq!((&first.json, again.header("idempotency-replayed")), (&again.json, "true"));
        let secret = first.json["secret"].as_str().unwrap();
        let kept = idempotency_key::Entity::find().one(&app.ledger.db().write).await.unwrap().unwrap();
        assert!(!kept.response.unwrap().to_string().contains(secret));
        app.finish().await;
    }

    async fn an_answer_without_a_body_is_kept_too(kind: Kind) {
        let (app, ana, _) = begun(kind).await;
        let conversation = app.get(&ana, "/api/whatsapp/conversations").await.is(200).json["data"][0]["id"].as_str().unwrap().to_owned();
        let typing = async || {
            let request = app.request(Method::POST, &format!("/api/whatsapp/conversations/{conversation}/typing"));
            app.send(request.bearer_auth(&ana.token).header("idempotency-key", "t")).await.is(202)
        };
        assert_eq!(typing().await.header("idempotency-replayed"), "");
        let again = typing().await;
        assert_eq!((again.header("idempotency-replayed"), again.text.as_str()), ("true", ""));
        app.claim::<domain::payloads::MarkRead>().await;
        app.finish().await;
    }

    async fn a_key_is_for_one_request(kind: Kind) {
        let (app, ana, message) = begun(kind).await;
        let _ = send(&app, &ana, "k", &message).await.is(202);
        let mut other = message.clone();
        other["text"]["body"] = json!("Boa noite");
        send(&app, &ana, "k", &other).await.fails(422, "idempotency_key_reused");
        send(&app, &ana, "", &message).await.fails(422, "invalid_idempotency_key");
        send(&app, &ana, &"k".repeat(256), &message).await.fails(422, "invalid_idempotency_key");
        send(&app, &ana, "a\tb", &message).await.fails(422, "invalid_idempotency_key");
        send(&app, &ana, "ключ", &message).await.fails(422, "invalid_idempotency_key");
        app.claim::<SendMessage>().await;
        app.finish().await;
    }

    async fn a_refusal_frees_the_key(kind: Kind) {
        let (app, ana, message) = begun(kind).await;
        let mut bad = message.clone();
        bad["to"] = json!("nobody");
        send(&app, &ana, "k", &bad).await.faults(&[("/to", "invalid")]);
        let sent = send(&app, &ana, "k", &message).await.is(202);
        assert_eq!(sent.header("idempotency-replayed"), "");
        app.claim::<SendMessage>().await;
        app.finish().await;
    }

    async fn one_under_way_is_not_begun_again(kind: Kind) {
        let (app, ana, message) = begun(kind).await;
        let first = send(&app, &ana, "k", &message).await.is(202);
        // As if it were still at it,
        app.execute("update idempotency_keys set response = null, status = null, locked_until = '2999-01-01T00:00:00+00:00'").await;
        let busy = send(&app, &ana, "k", &message).await;
        busy.fails(409, "request_in_flight");
        assert_eq!(busy.header("retry-after"), "1");
        // and as if it had died before its commit.
        app.execute("update idempotency_keys set locked_until = '2020-01-01T00:00:00+00:00'").await;
        let second = send(&app, &ana, "k", &message).await.is(202);
        assert_ne!(first.id(), second.id());
        // If it dies after the commit, its answer stands, with the status it would have had.
        app.execute("update idempotency_keys set status = null").await;
        assert_eq!(send(&app, &ana, "k", &message).await.is(202).id(), second.id());
        assert_eq!(app.claim_all::<SendMessage>().await.len(), 2);
        app.finish().await;
    }

    async fn two_at_once_make_one_message(kind: Kind) {
        let (app, ana, message) = begun(kind).await;
        for round in 0..10 {
            let key = format!("k{round}");
            let (a, b) = tokio::join!(send(&app, &ana, &key, &message), send(&app, &ana, &key, &message));
            for answer in [&a, &b] {
                if answer.status != 202 {
                    answer.fails(409, "request_in_flight");
                }
            }
            assert!(a.status == 202 || b.status == 202);
            assert_eq!(app.claim_all::<SendMessage>().await.len(), 1);
        }
        app.finish().await;
    }
}
