//! Outgoing webhooks, with a receiver that checks signatures as the specification's own library does.

use std::collections::{BTreeMap, BTreeSet};

use domain::{entities::Role, payloads::DeliverWebhook};
use jobs::{Job, queue::WEBHOOKS, testing};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tests::{
    app::{Answer, Person, TestApp, app},
    database::Kind,
    on_both_databases,
    receiver::{Arrival, Receiver},
};

/// An app with an admin, and a receiver that is told these topics; the webhook as it was made.
async fn told(kind: Kind, topics: &[&str]) -> (TestApp, Person, Receiver, Answer) {
    let app = app(kind).await;
    let ana = app.person("loja", Role::Admin).await;
    let receiver = Receiver::at("127.0.0.1").await;
    let hook = made(&app, &ana, &receiver, json!({ "topics": topics })).await;
    (app, ana, receiver, hook)
}

async fn made(app: &TestApp, who: &Person, receiver: &Receiver, mut body: Value) -> Answer {
    body["name"] = json!("Loja");
    body["url"] = json!(receiver.url);
    app.post(who, "/api/webhooks", body).await.is(201)
}

async fn contact(app: &TestApp, who: &Person, name: &str) -> String {
    app.post(who, "/api/contacts", json!({ "first_name": name })).await.is(201).id()
}

/// Works everything off as if its time had come.
async fn later(app: &TestApp) {
    for _ in 0..40 {
        app.execute("update jobs set run_at = '2001-01-01T00:00:00+00:00' where state = 'pending'").await;
        app.work(WEBHOOKS).await;
        if testing::unfinished(&app.ledger, DeliverWebhook::KIND).await.unwrap().is_empty() {
            return;
        }
    }
}

fn path(hook: &Answer) -> String {
    format!("/api/webhooks/{}", hook.id())
}

async fn log(app: &TestApp, who: &Person, hook: &Answer) -> Vec<Value> {
    let page = app.get(who, &format!("{}/deliveries?limit=200", path(hook))).await.is(200);
    page.json["data"].as_array().unwrap().clone()
}

fn signed(arrival: &Arrival, secret: &str) -> bool {
    Webhook::new(secret).unwrap().verify(arrival.text.as_bytes(), &arrival.headers).is_ok()
}

on_both_databases! {
    async fn a_webhook_is_told_what_happens_signed_and_in_order(kind: Kind) {
        let (app, ana, receiver, hook) = told(kind, &["contacts.*"]).await;
        let secret = hook.json["secret"].as_str().unwrap();
        assert!(secret.starts_with("whsec_"));
        assert_eq!(app.get(&ana, &path(&hook)).await.is(200).json["secret"], Value::Null, "it is shown once");
        let id = contact(&app, &ana, "Bia").await;
        let of = format!("/api/contacts/{id}");
        let _ = app.patch(&ana, &of, json!({ "city": "Recife" })).await.is(200);
        let _ = app.patch(&ana, &of, json!({ "city": "Olinda" })).await.is(200);
        let _ = app.delete(&ana, &of).await.is(204);
        let _ = app.delete(&ana, &format!("{of}?force=true")).await.is(204);
        let _ = app.post(&ana, "/api/companies", json!({ "name": "Acme" })).await.is(201);
        assert_eq!(app.work(WEBHOOKS).await, 5);

        let arrivals = receiver.arrivals();
        let what: Vec<_> = arrivals.iter().map(Arrival::what).collect();
        assert_eq!(what, ["contacts.created", "contacts.updated", "contacts.updated", "contacts.deleted", "contacts.purged"]);
        for arrival in &arrivals {
            assert!(signed(arrival, secret) && !signed(arrival, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
            assert_eq!(arrival.json["data"]["subject_id"], json!(id));
            assert_eq!(arrival.json["data"]["record"]["first_name"], json!("Bia"));
            assert_eq!(arrival.header("content-type"), "application/json");
        }
        assert_eq!(arrivals[1].json["data"]["changes"]["city"], json!({ "from": null, "to": "Recife" }));
        assert_eq!(arrivals[1].json["data"]["record"]["city"], json!("Recife"), "as it was then");
        let ids: BTreeSet<_> = arrivals.iter().map(|arrival| arrival.header("webhook-id").to_owned()).collect();
        assert_eq!(ids.len(), 5);

        let log = log(&app, &ana, &hook).await;
        assert!(log.iter().all(|one| one["state"] == "delivered" && one["attempts"] == 1), "{log:#?}");
        assert!(log.iter().all(|one| ids.contains(one["message_id"].as_str().unwrap())));
        let one = app.get(&ana, &format!("{}/deliveries/{}", path(&hook), log[0]["id"].as_str().unwrap())).await.is(200);
        let tries = one.json["attempts"].as_array().unwrap();
        assert_eq!((tries.len(), tries[0]["status"].as_i64()), (1, Some(200)));
        assert!(tries[0]["response"].as_str().is_some_and(|text| text.starts_with("answer") && text.len() <= 1030));
        assert!(!one.text.contains("whsec_") && !one.text.contains("Recife"), "the log has no data and no secrets");
        app.finish().await;
    }

    async fn only_what_was_asked_for_is_told(kind: Kind) {
        let (app, ana, receiver, _) = told(kind, &["deals.created"]).await;
        let eva = app.person("outra", Role::Admin).await;
        let other = Receiver::at("127.0.0.1").await;
        let filter = json!({ "field": "first_name", "op": "starts_with", "value": "b" });
        let hook = made(&app, &ana, &other, json!({ "topics": ["contacts.created"], "filter": filter })).await;
        for who in [&ana, &eva] {
            for name in ["Bia", "Rui"] {
                contact(&app, who, name).await;
            }
        }
        assert_eq!(app.work(WEBHOOKS).await, 1, "nothing is enqueued for who asked for something else");
        let arrivals = other.arrivals();
        assert_eq!((arrivals.len(), &arrivals[0].json["data"]["record"]["first_name"]), (1, &json!("Bia")));
        assert!(receiver.arrivals().is_empty());

        // What is changed counts from the next event on; what is off hears nothing.
        let _ = app.patch(&ana, &path(&hook), json!({ "filter": null })).await.is(200);
        contact(&app, &ana, "Rui").await;
        let _ = app.patch(&ana, &path(&hook), json!({ "enabled": false })).await.is(200);
        contact(&app, &ana, "Bia").await;
        assert_eq!(app.work(WEBHOOKS).await, 1);
        let log = log(&app, &ana, &hook).await;
        assert_eq!((log[0]["state"].as_str(), log.len()), (Some("cancelled"), 2), "it was turned off meanwhile");
        assert!(other.arrivals().is_empty());
        for refused in [app.get(&eva, &path(&hook)).await, app.ask(&eva, &format!("{}/test", path(&hook))).await] {
            refused.fails(404, "not_found");
        }
        app.finish().await;
    }

    async fn what_fails_is_tried_again_and_each_arrives_once_in_the_order_of_its_record(kind: Kind) {
        let (app, ana, receiver, hook) = told(kind, &["contacts.*"]).await;
        receiver.will_answer([500, 200, 302, 429, 200, 404, 503, 500, 500, 200, 400]);
        let mut expected = BTreeMap::new();
        for name in ["Bia", "Rui", "Eva"] {
            let id = contact(&app, &ana, name).await;
            for city in ["Recife", "Olinda", "Natal"] {
                let _ = app.patch(&ana, &format!("/api/contacts/{id}"), json!({ "city": city })).await.is(200);
            }
            expected.insert(id, vec![Value::Null, json!("Recife"), json!("Olinda"), json!("Natal")]);
        }
        later(&app).await;
        let arrivals = receiver.arrivals();
        let mut got: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for arrival in &arrivals {
            assert!(signed(arrival, hook.json["secret"].as_str().unwrap()), "at every try");
            if arrival.status == 200 {
                assert!(ids.insert(arrival.header("webhook-id").to_owned()), "none twice");
                let data = &arrival.json["data"];
                got.entry(data["subject_id"].as_str().unwrap().into()).or_default().push(data["record"]["city"].clone());
            }
        }
        assert_eq!(got, expected);
        assert_eq!(arrivals.len(), 12 + 8, "no redirect was followed");
        assert_eq!(app.get(&ana, &path(&hook)).await.is(200).json["state"], "active");
        app.finish().await;
    }

    async fn after_twelve_tries_it_is_given_up_and_can_be_told_again(kind: Kind) {
        let (app, ana, receiver, hook) = told(kind, &["contacts.created"]).await;
        receiver.will_answer([500; 12]);
        contact(&app, &ana, "Bia").await;
        app.work(WEBHOOKS).await;
        assert_eq!(app.get(&ana, &path(&hook)).await.is(200).json["state"], "failing");
        let waits = &log(&app, &ana, &hook).await[0];
        let replay = format!("{}/deliveries/{}/replay", path(&hook), waits["id"].as_str().unwrap());
        app.ask(&ana, &replay).await.fails(409, "pending");
        later(&app).await;
        let first = receiver.arrivals();
        assert_eq!(first.len(), 12);
        let failed = &log(&app, &ana, &hook).await[0];
        assert_eq!((failed["state"].as_str(), failed["attempts"].as_i64()), (Some("failed"), Some(12)), "{failed}");
        assert_eq!(failed["state_reason"], "the receiver answered 500");

        let _ = app.ask(&ana, &replay).await.is(202);
        later(&app).await;
        let again = receiver.arrivals();
        assert_eq!((again.len(), again[0].header("webhook-id")), (1, first[0].header("webhook-id")), "receivers know it by its id");
        let done = &log(&app, &ana, &hook).await[0];
        assert_eq!((done["state"].as_str(), done["attempts"].as_i64()), (Some("delivered"), Some(13)));

        let since = json!({ "since": "2020-01-01T00:00:00Z" });
        let all = format!("{}/replay", path(&hook));
        assert_eq!(app.post(&ana, &all, since).await.is(202).json["count"], 0, "nothing failed");
        let since = json!({ "since": "2020-01-01T00:00:00Z", "failed_only": false });
        assert_eq!(app.post(&ana, &all, since).await.is(202).json["count"], 1);
        later(&app).await;
        assert_eq!(receiver.arrivals().len(), 1);
        app.finish().await;
    }

    async fn a_receiver_that_is_gone_or_fails_for_days_is_told_nothing_any_more(kind: Kind) {
        let (app, ana, receiver, hook) = told(kind, &["contacts.created"]).await;
        receiver.will_answer([410]);
        contact(&app, &ana, "Bia").await;
        contact(&app, &ana, "Rui").await;
        later(&app).await;
        assert_eq!(receiver.arrivals().len(), 1);
        let ended = app.get(&ana, &path(&hook)).await.is(200);
        assert_eq!((ended.json["state"].as_str(), ended.json["enabled"].as_bool()), (Some("ended"), Some(false)));
        let states: Vec<_> = log(&app, &ana, &hook).await.iter().map(|one| one["state"].as_str().unwrap().to_owned()).collect();
        assert_eq!(states, ["cancelled", "failed"]);
        app.post(&ana, &format!("{}/replay", path(&hook)), json!({ "since": "2020-01-01T00:00:00Z" })).await.fails(409, "webhook_off");

        let _ = app.patch(&ana, &path(&hook), json!({ "enabled": true })).await.is(200);
        receiver.will_answer([500; 12]);
        contact(&app, &ana, "Eva").await;
        app.work(WEBHOOKS).await;
        app.execute("update webhooks set state_at = '2020-01-01T00:00:00+00:00'").await;
        later(&app).await;
        assert!(receiver.arrivals().len() <= 3, "it was paused at the next try");
        let paused = app.get(&ana, &path(&hook)).await.is(200);
        assert_eq!(paused.json["state"], "paused");
        let told = app.get(&ana, "/api/notifications").await.is(200);
        let kinds: Vec<_> = told.json["data"].as_array().unwrap().iter().map(|one| (&one["kind"], &one["subject_id"])).collect();
        assert_eq!(kinds, vec![(&json!("webhook_paused"), &json!(hook.id())); 2]);
        app.finish().await;
    }

    async fn a_secret_that_was_renewed_signs_along_for_a_day(kind: Kind) {
        let (app, ana, receiver, hook) = told(kind, &["contacts.created"]).await;
        let renewed = app.ask(&ana, &format!("{}/rotate-secret", path(&hook))).await.is(200);
        let (old, new) = (hook.json["secret"].as_str().unwrap(), renewed.json["secret"].as_str().unwrap());
        assert_ne!(old, new);
        contact(&app, &ana, "Bia").await;
        app.work(WEBHOOKS).await;
        app.execute("update webhooks set old_secret_until = '2020-01-01T00:00:00+00:00'").await;
        contact(&app, &ana, "Rui").await;
        app.work(WEBHOOKS).await;
        let arrivals = receiver.arrivals();
        assert_eq!(arrivals[0].header("webhook-signature").split(' ').count(), 2);
        assert!(signed(&arrivals[0], old) && signed(&arrivals[0], new));
        assert!(!signed(&arrivals[1], old) && signed(&arrivals[1], new));
        app.finish().await;
    }

    async fn a_webhook_sees_with_the_eyes_of_its_owner(kind: Kind) {
        let app = app(kind).await;
        let (ana, rui) = (app.person("loja", Role::Admin).await, app.person("loja", Role::Member).await);
        let grants = json!({ "contacts": { "view": "own" }, "webhooks": { "read": "all", "write": "all" } });
        let role = json!({ "name": "Hooks", "grants": grants, "hidden": { "contacts": ["city"] }, "user_ids": [rui.id] });
        let role = app.post(&ana, "/api/roles", role).await.is(201);
        let receiver = Receiver::at("127.0.0.1").await;
        let hook = made(&app, &rui, &receiver, json!({ "topics": ["*"] })).await;
        let own = app.post(&ana, "/api/contacts", json!({ "first_name": "Own", "owner_id": rui.id, "city": "Recife" })).await.is(201);
        let _ = app.patch(&ana, &format!("/api/contacts/{}", own.id()), json!({ "city": "Olinda", "state": "PE" })).await.is(200);
        let _ = app.post(&ana, "/api/contacts", json!({ "first_name": "Other", "owner_id": ana.id })).await.is(201);
        let _ = app.post(&ana, "/api/companies", json!({ "name": "Acme" })).await.is(201);
        app.work(WEBHOOKS).await;
        let arrivals = receiver.arrivals();
        assert_eq!(arrivals.iter().map(Arrival::what).collect::<Vec<_>>(), ["contacts.created", "contacts.updated"]);
        assert!(arrivals.iter().all(|arrival| !arrival.text.contains("Recife") && !arrival.text.contains("Olinda")), "{arrivals:#?}");
        assert_eq!(arrivals[1].json["data"]["changes"], json!({ "state": { "from": null, "to": "PE" } }));

        // What they don't get to see, they can't ask for; and what they may no longer see isn't told, not even of before.
        let body = |topics: Value, filter: Value| json!({ "name": "x", "url": "https://example.com", "topics": topics, "filter": filter });
        app.post(&rui, "/api/webhooks", body(json!(["deals.*"]), Value::Null)).await.faults(&[("/topics/0", "forbidden")]);
        let by_city = json!({ "field": "city", "op": "eq", "value": "Recife" });
        app.post(&rui, "/api/webhooks", body(json!(["contacts.*"]), by_city)).await.faults(&[("/filter/field", "forbidden")]);
        let _ = app.patch(&ana, &format!("/api/contacts/{}", own.id()), json!({ "state": "RN" })).await.is(200);
        let _ = app.delete(&ana, &format!("/api/roles/{}", role.id())).await.is(204);
        later(&app).await;
        assert!(receiver.arrivals().is_empty());
        assert_eq!(log(&app, &ana, &hook).await[0]["state"], "cancelled");

        // A token that is limited doesn't get more by a webhook.
        let token = app.token(&ana.email, &["webhooks:*", "contacts:view"]).await;
        let limited = Person { token, ..ana.clone() };
        app.post(&limited, "/api/webhooks", body(json!(["*"]), Value::Null)).await.faults(&[("/topics/0", "forbidden")]);
        let _ = app.post(&limited, "/api/webhooks", body(json!(["contacts.*"]), Value::Null)).await.is(201);
        // Whoever says where it goes answers for what goes there.
        let changed = app.patch(&ana, &path(&hook), json!({ "url": receiver.url })).await.is(200);
        assert_eq!(changed.json["owner_id"], json!(ana.id));
        app.finish().await;
    }

    async fn no_webhook_gets_behind_the_wall(kind: Kind) {
        let (app, ana) = { let app = app(kind).await; let ana = app.person("loja", Role::Admin).await; (app, ana) };
        let inside = Receiver::at("127.0.0.2").await; // not among the networks that this installation lets be called
        let port = inside.url.split(':').nth(2).unwrap().to_owned();
        for host in ["127.0.0.2", "2130706434", "0x7f.0.0.2", "[::ffff:127.0.0.2]"] {
            let body = json!({ "name": host, "url": format!("http://{host}:{port}"), "topics": ["*"] });
            let hook = app.post(&ana, "/api/webhooks", body).await.is(201);
            let test = app.ask(&ana, &format!("{}/test", path(&hook))).await.is(202);
            app.work(WEBHOOKS).await;
            let one = app.get(&ana, &format!("{}/deliveries/{}", path(&hook), test.id())).await.is(200);
            assert_eq!(one.json["attempts"][0]["error"], "the address is not called: it leads to an address that is not public");
            let _ = app.delete(&ana, &path(&hook)).await.is(204);
        }
        assert!(inside.arrivals().is_empty());
        later(&app).await;
        app.finish().await;
    }

    async fn a_test_arrives_even_while_the_webhook_is_off(kind: Kind) {
        let (app, ana, receiver, hook) = told(kind, &["contacts.created"]).await;
        let _ = app.patch(&ana, &path(&hook), json!({ "enabled": false })).await.is(200);
        let _ = app.ask(&ana, &format!("{}/test", path(&hook))).await.is(202);
        app.work(WEBHOOKS).await;
        let arrivals = receiver.arrivals();
        assert_eq!(arrivals.iter().map(Arrival::what).collect::<Vec<_>>(), ["webhooks.test"]);
        assert!(signed(&arrivals[0], hook.json["secret"].as_str().unwrap()));
        app.finish().await;
    }

    async fn what_no_webhook_can_be_is_refused_with_its_place(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let good = json!({ "name": "x", "url": "https://example.com/a", "topics": ["contacts.created"] });
        for (field, value, fault) in [
            ("url", json!("ftp://example.com"), ("/url", "invalid")),
            ("url", json!("https://ana:secret@example.com"), ("/url", "invalid")),
            ("url", json!("https://"), ("/url", "invalid")),
            ("name", json!("  "), ("/name", "required")),
            ("topics", json!(["contacts"]), ("/topics/0", "invalid")),
            ("topics", json!(["contacts.created", "nothing.*"]), ("/topics/1", "invalid")),
            ("topics", json!(["contacts.; drop"]), ("/topics/0", "invalid")),
            ("filter", json!({ "field": "nothing", "op": "eq", "value": 1 }), ("/filter/field", "unknown_field")),
            ("filter", json!({ "field": "owner.name", "op": "eq", "value": "Ana" }), ("/filter", "invalid")),
            ("filter", json!("first_name"), ("/filter", "wrong_type")),
        ] {
            let mut body = good.clone();
            body[field] = value;
            app.post(&ana, "/api/webhooks", body).await.faults(&[fault]);
        }
        let mut mixed = good.clone();
        mixed["topics"] = json!(["contacts.*", "deals.*"]);
        mixed["filter"] = json!({ "field": "created_at", "op": "not_null" });
        app.post(&ana, "/api/webhooks", mixed).await.faults(&[("/filter", "invalid")]);
        app.finish().await;
    }
}
