//! Who looks at a record right now, and who types.

use std::time::Duration;

use api::{Realtime, RealtimeLimits};
use domain::{entities::Role, realtime::Lasting};
use jobs::Bus;
use serde_json::{Value, json};
use tests::{
    app::{Person, TestApp, app},
    ledger::redis_url,
    listener::Listener,
    on_both_databases,
};
use uuid::Uuid;

use super::contact;

/// Longer than any of this takes.
const LONG: Lasting = Lasting { viewing: Duration::from_secs(300), typing: Duration::from_secs(300) };

/// Two processes that hear each other over Redis, in which what somebody says holds as long.
async fn processes(app: &mut TestApp, lasting: Lasting) -> (String, String) {
    let (prefix, ledger) = (format!("t_{}", Uuid::now_v7().simple()), app.ledger.clone());
    let limits = RealtimeLimits { lasting, ..RealtimeLimits::default() };
    let mut urls = Vec::new();
    for _ in 0..2 {
        let bus = Bus::redis(&redis_url(), &prefix).unwrap();
        urls.push(app.process(|parts| parts.realtime = Realtime::start(&ledger, bus, limits)).await);
    }
    (urls[0].clone(), urls[1].clone())
}

fn at(id: &str, state: &str) -> Value {
    json!({ "type": "presence", "topic": "contacts", "subject_id": id, "state": state })
}

fn told(id: &str, who: &Person, name: &str, state: &str) -> Value {
    json!({ "type": "presence", "topic": "contacts", "subject_id": id, "user": { "id": who.id, "name": name }, "state": state })
}

async fn watch(listener: &mut Listener, id: &str) -> Value {
    listener.say(json!({ "type": "subscribe", "presence": { "topic": "contacts", "subject_id": id } })).await;
    listener.next().await
}

on_both_databases! {
    async fn people_see_each_other_in_whatever_process_they_are(kind: Kind) {
        let mut app = app(kind).await;
        let (ana, bob) = (app.person("loja", Role::Admin).await, app.person("loja", Role::Agent).await);
        let id = contact(&app, &ana, json!({ "first_name": "Rui" })).await;
        let (here, there) = processes(&mut app, LONG).await;
        let (mut one, mut other) = (Listener::of(&here, &ana.token).await, Listener::of(&there, &bob.token).await);
        let answer = watch(&mut one, &id).await;
        assert_eq!((&answer["type"], &answer["present"]), (&json!("subscribed"), &json!([])), "{answer}");
        // Until the two processes hear each other; what is said before is lost, as it may be.
        let first = loop {
            other.say(at(&id, "viewing")).await;
            one.say(json!({ "type": "ping" })).await;
            let frame = one.next().await;
            if frame["type"] == "presence" {
                break frame;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert_eq!(first, told(&id, &bob, "agent of loja", "viewing"));
        other.say(at(&id, "typing")).await;
        assert_eq!(one.until("presence").await, told(&id, &bob, "agent of loja", "typing"));
        // Who comes later is told who is there, in a process that came later, too.
        let mut late = Listener::of(&there, &ana.token).await;
        let there_is = json!([{ "user": { "id": bob.id, "name": "agent of loja" }, "state": "typing" }]);
        assert_eq!(watch(&mut late, &id).await["present"], there_is);
        let (elsewhere, _) = processes(&mut app, LONG).await;
        let mut elsewhere = Listener::of(&elsewhere, &ana.token).await;
        assert_eq!(watch(&mut elsewhere, &id).await["present"], json!([]), "another installation is another one");
        // A second connection of the same person: they are there until the last one has left.
        let mut second = Listener::of(&there, &bob.token).await;
        second.say(at(&id, "viewing")).await;
        second.say(json!({ "type": "ping" })).await;
        assert_eq!(second.until("pong").await["type"], "pong");
        other.say(at(&id, "gone")).await;
        assert_eq!(one.until("presence").await, told(&id, &bob, "agent of loja", "viewing"));
        drop(second);
        assert_eq!(one.until("presence").await, told(&id, &bob, "agent of loja", "gone"));
        assert_eq!(late.until("presence").await["state"], "viewing");
        assert_eq!(late.until("presence").await["state"], "gone");
        app.finish().await;
    }

    async fn what_somebody_does_ends_by_itself(kind: Kind) {
        let mut app = app(kind).await;
        let (ana, bob) = (app.person("loja", Role::Admin).await, app.person("loja", Role::Agent).await);
        let id = contact(&app, &ana, json!({ "first_name": "Rui" })).await;
        let ledger = app.ledger.clone();
        let lasting = Lasting { viewing: Duration::from_secs(5), typing: Duration::from_secs(1) };
        let limits = RealtimeLimits { lasting, ..RealtimeLimits::default() };
        let url = app.process(|parts| parts.realtime = Realtime::start(&ledger, Bus::local(), limits)).await;
        let (mut one, mut other) = (Listener::of(&url, &ana.token).await, Listener::of(&url, &bob.token).await);
        let _ = watch(&mut one, &id).await;
        other.say(at(&id, "typing")).await;
        for state in ["typing", "viewing", "gone"] {
            assert_eq!(one.until("presence").await, told(&id, &bob, "agent of loja", state));
        }
        one.say(json!({ "type": "unsubscribe", "subscription": "1" })).await;
        assert_eq!(one.next().await["type"], "unsubscribed");
        other.say(at(&id, "viewing")).await;
        other.say(json!({ "type": "ping" })).await;
        assert_eq!(other.until("pong").await["type"], "pong");
        one.say(json!({ "type": "ping" })).await;
        assert_eq!(one.next().await["type"], "pong", "who doesn't watch any more is told no more");
        app.finish().await;
    }

    async fn only_who_sees_a_record_is_there_and_sees_who_is(kind: Kind) {
        let app = app(kind).await;
        let (ana, eva) = (app.person("loja", Role::Admin).await, app.person("outra", Role::Admin).await);
        let (rui, id) = (app.person("loja", Role::Member).await, contact(&app, &ana, json!({ "first_name": "Rui" })).await);
        let role = json!({ "name": "Own", "grants": { "contacts": { "view": "own" } }, "user_ids": [rui.id] });
        let _ = app.post(&ana, "/api/roles", role).await.is(201);
        for who in [&eva, &rui] {
            let mut listener = Listener::of(&app.url, &who.token).await;
            assert_eq!(watch(&mut listener, &id).await["code"], "not_found");
            listener.say(at(&id, "viewing")).await;
            assert_eq!(listener.next().await["code"], "not_found");
        }
        let mut listener = Listener::of(&app.url, &ana.token).await;
        assert_eq!(watch(&mut listener, &id).await["present"], json!([]));
        listener.say(json!({ "type": "presence", "topic": "nothing", "subject_id": id, "state": "viewing" })).await;
        assert_eq!(listener.next().await["errors"][0]["pointer"], "/topic");
        listener.say(json!({ "type": "presence", "topic": "conversations", "subject_id": id, "state": "viewing" })).await;
        assert_eq!(listener.next().await["code"], "not_found");
        listener.say(at(&id, "viewing")).await;
        assert_eq!(listener.next().await["state"], "viewing");
        app.finish().await;
    }
}
