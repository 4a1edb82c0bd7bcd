//! In order, and across connections: nothing is lost, nothing comes twice.

use std::collections::BTreeSet;

use domain::{entities::Role, realtime::Room};
use serde_json::{Value, json};
use tests::{
    app::{Person, TestApp, app},
    listener::Listener,
    on_both_databases,
};
use uuid::Uuid;

use super::{Placer, after, contact, happens};

/// Writers that make contacts at the same time.
fn write(app: &TestApp, who: &Person, writers: usize, each: usize) -> Vec<tokio::task::JoinHandle<()>> {
    let writer = |n: usize| {
        let (http, url, token) = (app.http.clone(), format!("{}/api/contacts", app.url), who.token.clone());
        tokio::spawn(async move {
            for at in 0..each {
                let body = json!({ "first_name": format!("{n}-{at}") });
                let answer = http.post(&url).bearer_auth(&token).json(&body).send().await.unwrap();
                assert_eq!(answer.status().as_u16(), 201);
            }
        })
    };
    (0..writers).map(writer).collect()
}

on_both_databases! {
    async fn what_happens_is_told_in_its_order(kind: Kind) {
        let app = app(kind).await;
        let _placer = Placer::of(&app);
        let ana = app.person("loja", Role::Admin).await;
        let before = contact(&app, &ana, json!({ "first_name": "Before" })).await;
        let mut listener = Listener::of(&app.url, &ana.token).await;
        // An event that has its place before is the past.
        let audit = format!("/api/audit?subject_id={before}");
        let first = app.get(&ana, &audit).await.is(200).json["data"][0].clone();
        let told = listener.subscribe(&["contacts"], json!({ "after": first["id"], "subscription": "list" })).await;
        assert_eq!(told, json!({ "type": "subscribed", "subscription": "list", "topics": ["contacts"], "after": first["id"] }));

        let id = contact(&app, &ana, json!({ "first_name": "Rui" })).await;
        let one = format!("/api/contacts/{id}");
        let _ = app.post(&ana, "/api/pipelines", json!({ "name": "Another topic" })).await.is(201);
        let _ = app.patch(&ana, &one, json!({ "city": "Recife" })).await.is(200);
        assert_eq!(app.delete(&ana, &one).await.status, 204);
        for (action, changes) in [("created", Some("first_name")), ("updated", Some("city")), ("deleted", None)] {
            let event = listener.next().await;
            assert_eq!((&event["type"], &event["topic"], &event["action"], &event["subject_id"]), (&json!("event"), &json!("contacts"), &json!(action), &json!(id)), "{event}");
            assert_eq!(event["data"]["changes"].as_object().unwrap().keys().any(|field| Some(&field[..]) == changes), changes.is_some(), "{event}");
        }
        listener.say(json!({ "type": "ping" })).await;
        assert_eq!(listener.next().await, json!({ "type": "pong" }));
        listener.say(json!({ "type": "unsubscribe", "subscription": "list" })).await;
        assert_eq!(listener.next().await, json!({ "type": "unsubscribed", "subscription": "list" }));
        listener.say(json!({ "type": "unsubscribe", "subscription": "list" })).await;
        assert_eq!(listener.next().await["code"], "not_found");
        app.finish().await;
    }

    async fn whoever_comes_back_again_and_again_misses_nothing_and_is_told_nothing_twice(kind: Kind) {
        let mut app = app(kind).await;
        let _placer = Placer::of(&app);
        let ana = app.person("loja", Role::Admin).await;
        let twin = app.process(|_| {}).await;
        let mut listener = Listener::of(&app.url, &ana.token).await;
        // Somebody who has seen nothing yet is told from where to go on.
        let mut last = listener.subscribe(&["contacts", "companies"], json!({})).await["after"].clone();
        let (writers, each, connections) = (4, 30, 25);
        let writing = write(&app, &ana, writers, each);
        let (mut seen, mut at) = (Vec::new(), 0);
        while seen.len() < writers * each {
            // Cut off, sometimes in the middle of what they have missed; back with this process or the other one.
            drop(listener);
            at += 1;
            listener = Listener::of(if at % 2 == 0 { &app.url } else { &twin }, &ana.token).await;
            let begun = listener.subscribe(&["contacts", "companies"], json!({ "after": last })).await;
            assert_eq!(begun["type"], "subscribed", "{begun}");
            let some = if at < connections { rand::random_range(1..=5) } else { writers * each };
            for _ in 0..some.min(writers * each - seen.len()) {
                let event = listener.until("event").await;
                last = event["id"].clone();
                seen.push(event["subject_id"].as_str().unwrap().to_owned());
            }
        }
        for writer in writing {
            writer.await.unwrap();
        }
        assert!(at >= connections, "{at} connections");
        // And the end of it: what is told next is what happens next.
        let marker = contact(&app, &ana, json!({ "first_name": "Marker" })).await;
        assert_eq!(listener.before(&marker).await, [] as [Value; 0]);
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len(), "none twice");
        app.finish().await;
    }

    async fn two_subscriptions_of_one_connection_tell_everything_once(kind: Kind) {
        let app = app(kind).await;
        let _placer = Placer::of(&app);
        let ana = app.person("loja", Role::Admin).await;
        let mut listener = Listener::of(&app.url, &ana.token).await;
        let begun = listener.subscribe(&["contacts"], json!({})).await;
        let ids = [contact(&app, &ana, json!({ "first_name": "A" })).await, contact(&app, &ana, json!({ "first_name": "B" })).await];
        let first = listener.until("event").await;
        assert_eq!(first["subject_id"], json!(ids[0]));
        // What the first one tells of live is left out of what the second one has missed.
        let more = listener.subscribe(&["contacts", "companies"], after(&first)).await;
        assert_eq!((&begun["subscription"], &more["subscription"]), (&json!("1"), &json!("2")));
        let company = app.post(&ana, "/api/companies", json!({ "name": "Loja" })).await.is(201).id();
        let marker = contact(&app, &ana, json!({ "first_name": "Marker" })).await;
        let told: Vec<_> = listener.before(&marker).await.iter().map(|event| event["subject_id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(told.iter().filter(|id| **id == company).count(), 1);
        assert!(told.iter().filter(|id| **id == ids[1]).count() <= 1, "{told:?}");
        app.finish().await;
    }

    async fn an_event_that_is_not_kept_is_too_old(kind: Kind) {
        let app = app(kind).await;
        let _placer = Placer::of(&app);
        let (ana, eva) = (app.person("loja", Role::Admin).await, app.person("outra", Role::Admin).await);
        let mut theirs = Listener::of(&app.url, &eva.token).await;
        let _ = theirs.subscribe(&["contacts"], json!({})).await;
        contact(&app, &eva, json!({ "first_name": "Theirs" })).await;
        let foreign = theirs.until("event").await;
        let mut listener = Listener::of(&app.url, &ana.token).await;
        for id in [json!(Uuid::now_v7()), foreign["id"].clone()] {
            let answer = listener.subscribe(&["contacts"], json!({ "after": id, "subscription": "a" })).await;
            assert_eq!((&answer["type"], &answer["code"], &answer["subscription"]), (&json!("error"), &json!("too_old"), &json!("a")));
        }
        let answer = listener.subscribe(&["contacts"], json!({ "after": "yesterday" })).await;
        assert_eq!((&answer["code"], &answer["errors"][0]["pointer"]), (&json!("invalid"), &json!("/after")));
        // They go on as they are.
        assert_eq!(listener.subscribe(&["contacts"], json!({})).await["type"], "subscribed");
        app.finish().await;
    }

    async fn whoever_does_not_read_is_let_go_and_holds_nobody_up(kind: Kind) {
        const EVENTS: usize = 80;
        let mut app = app(kind).await;
        let _placer = Placer::of(&app);
        let ana = app.person("loja", Role::Admin).await;
        let ledger = app.ledger.clone();
        let limits = api::RealtimeLimits { room: Room { frames: 1000, bytes: 2_000_000 }, ..api::RealtimeLimits::default() };
        let url = app.process(|parts| parts.realtime = api::Realtime::start(&ledger, jobs::Bus::local(), limits)).await;
        let (mut slow, mut quick) = (Listener::of(&url, &ana.token).await, Listener::of(&url, &ana.token).await);
        let mut last = slow.subscribe(&["contacts"], json!({})).await["after"].clone();
        let _ = quick.subscribe(&["companies"], json!({})).await;
        // More than a connection holds by itself and what may wait for it.
        let large = json!({ "note": "x".repeat(500_000) });
        let mut written = Vec::new();
        for _ in 0..EVENTS {
            written.push(happens(&app, ana.tenant, "contacts", large.clone()).await);
        }
        let marker = happens(&app, ana.tenant, "companies", json!({})).await;
        assert_eq!(quick.before(&marker).await, [] as [Value; 0], "who reads is told all the same");
        let mut seen = Vec::new();
        let why = loop {
            let frame = slow.next().await;
            match frame["type"].as_str() {
                Some("event") => {
                    last = frame["id"].clone();
                    seen.push(frame["subject_id"].as_str().unwrap().to_owned());
                }
                Some("closing") => break frame["reason"].clone(),
                _ => break json!("cut off"),
            }
        };
        assert!(seen.len() < EVENTS, "it was let go before the end");
        assert!(["slow_reader", "cut off"].contains(&why.as_str().unwrap()), "{why}");
        // And comes back where it was.
        let mut again = Listener::of(&url, &ana.token).await;
        let _ = again.subscribe(&["contacts"], json!({ "after": last })).await;
        while seen.len() < EVENTS {
            seen.push(again.until("event").await["subject_id"].as_str().unwrap().to_owned());
        }
        assert_eq!(seen, written);
        app.finish().await;
    }
}
