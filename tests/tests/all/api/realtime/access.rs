//! Who is told what: by role, reach, hidden fields, team and tenant, and by what they asked.

use domain::entities::Role;
use serde_json::{Value, json};
use tests::{
    app::{Person, TestApp, app},
    listener::Listener,
    on_both_databases,
};

use super::{Placer, contact, happens};

fn subjects(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["subject_id"].as_str().unwrap()).collect()
}

async fn role(app: &TestApp, ana: &Person, who: &Person, grants: Value, hidden: Value) -> String {
    let role = json!({ "name": "Role", "grants": grants, "hidden": hidden, "user_ids": [who.id] });
    app.post(ana, "/api/roles", role).await.is(201).id()
}

on_both_databases! {
    async fn a_record_is_told_of_to_those_who_see_it(kind: Kind) {
        let app = app(kind).await;
        let _placer = Placer::of(&app);
        let (ana, eva) = (app.person("loja", Role::Admin).await, app.person("outra", Role::Admin).await);
        let (rui, bia) = (app.person("loja", Role::Member).await, app.person("loja", Role::Member).await);
        let _ = app.post(&ana, "/api/teams", json!({ "name": "Sul", "member_ids": [rui.id, bia.id] })).await.is(201);
        role(&app, &ana, &bia, json!({ "contacts": { "view": "own" } }), json!({})).await;
        let grants = json!({ "contacts": { "view": "team" } });
        let body = json!({ "name": "Team", "grants": grants, "hidden": { "contacts": ["description", "phones"] }, "user_ids": [rui.id] });
        let _ = app.post(&ana, "/api/roles", body).await.is(201);
        let mut all = Vec::new();
        for who in [&ana, &rui, &bia, &eva] {
            let mut listener = Listener::of(&app.url, &who.token).await;
            assert_eq!(listener.subscribe(&["contacts"], json!({})).await["type"], "subscribed");
            all.push(listener);
        }
        let of = |owner: &Person| json!({ "first_name": "C", "owner_id": owner.id, "description": "Secret", "phones": [{ "number": "+5511987654321" }] });
        let (own, mate, other) = (contact(&app, &ana, of(&rui)).await, contact(&app, &ana, of(&bia)).await, contact(&app, &ana, of(&ana)).await);
        // One that is given to somebody else is theirs from there on; one that is gone for good was somebody's.
        let _ = app.patch(&ana, &format!("/api/contacts/{own}"), json!({ "owner_id": ana.id })).await.is(200);
        let gone = contact(&app, &ana, of(&rui)).await;
        assert_eq!(app.delete(&ana, &format!("/api/contacts/{gone}?force=true")).await.status, 204);
        let theirs = contact(&app, &eva, json!({ "first_name": "Theirs" })).await;
        let marker = contact(&app, &ana, of(&bia)).await;
        let _ = app.patch(&ana, &format!("/api/contacts/{mate}"), json!({ "city": "Recife" })).await.is(200);

        let admin = all[0].before(&marker).await;
        assert_eq!(subjects(&admin), [&own, &mate, &other, &own, &gone, &gone]);
        assert!(admin[0].to_string().contains("Secret") && admin[0].to_string().contains("98765"));
        let mates = all[1].before(&marker).await;
        let told = subjects(&mates);
        assert!(told.contains(&&mate[..]) && told.contains(&&gone[..]) && !told.contains(&&other[..]), "{told:?}");
        for event in &mates {
            assert!(!event.to_string().contains("Secret") && !event.to_string().contains("98765"), "{event}");
        }
        assert_eq!(subjects(&all[2].before(&marker).await), [&mate]);
        assert_eq!(all[3].until("event").await["subject_id"], json!(theirs));
        let marker = contact(&app, &eva, json!({ "first_name": "Marker" })).await;
        assert_eq!(all[3].before(&marker).await, [] as [Value; 0], "another company is told nothing of this one");
        app.finish().await;
    }

    async fn what_somebody_may_not_see_they_can_not_ask_for(kind: Kind) {
        let app = app(kind).await;
        let _placer = Placer::of(&app);
        let (ana, rui) = (app.person("loja", Role::Admin).await, app.person("loja", Role::Member).await);
        let granted = role(&app, &ana, &rui, json!({ "contacts": { "view": "all" } }), json!({ "contacts": ["description"] })).await;
        let mut listener = Listener::of(&app.url, &rui.token).await;
        let fault = |answer: &Value| (answer["code"].clone(), answer["errors"][0]["pointer"].clone(), answer["errors"][0]["code"].clone());
        for (topics, more, pointer, code) in [
            (&["contacts", "deals"][..], json!({}), "/topics/1", "forbidden"),
            (&["conversations"], json!({}), "/topics/0", "forbidden"),
            (&["sessions"], json!({}), "/topics/0", "invalid"),
            (&[], json!({}), "/topics", "invalid"),
            (&["contacts"], json!({ "filter": { "field": "description", "op": "not_null" } }), "/filter/field", "forbidden"),
            (&["contacts"], json!({ "filter": { "field": "owner.name", "op": "not_null" } }), "/filter/field", "forbidden"),
            (&["contacts"], json!({ "view_id": uuid::Uuid::now_v7() }), "/view_id", "not_found"),
            (&["contacts"], json!({ "subscription": "" }), "/subscription", "invalid"),
        ] {
            let answer = listener.subscribe(topics, more.clone()).await;
            assert_eq!(fault(&answer), (json!("invalid"), json!(pointer), json!(code)), "{topics:?} {more}: {answer}");
        }
        for text in ["{", "[]", r#"{"type":"dance"}"#, r#"{"type":"subscribe","topics":["contacts"],"colour":1}"#] {
            listener.say_text(text.into()).await;
            assert_eq!(listener.next().await["code"], "bad_frame", "{text}");
        }
        // A role that is taken away is taken away from who listens, too.
        assert_eq!(listener.subscribe(&["contacts"], json!({ "subscription": "c" })).await["type"], "subscribed");
        let _ = app.patch(&ana, &format!("/api/roles/{granted}"), json!({ "user_ids": [] })).await.is(200);
        assert_eq!(listener.until("unsubscribed").await["subscription"], "c");
        assert_eq!(listener.next().await["errors"][0]["code"], "forbidden");
        app.finish().await;
    }

    async fn what_is_no_record_is_told_of_to_those_who_may_read_it(kind: Kind) {
        let app = app(kind).await;
        let _placer = Placer::of(&app);
        let (ana, vera) = (app.person("loja", Role::Admin).await, app.person("loja", Role::Viewer).await);
        app.device(&ana, "100").await;
        let mut listener = Listener::of(&app.url, &vera.token).await;
        let _ = listener.subscribe(&["conversations", "messages"], json!({})).await;
        app.customer_writes("100", "5511987654321", "Olá").await;
        let mut topics = Vec::new();
        while !(topics.contains(&json!("conversations")) && topics.contains(&json!("messages"))) {
            topics.push(listener.until("event").await["topic"].clone());
        }
        let narrow = app.token(&vera.email, &["contacts:view"]).await;
        let mut narrow = Listener::of(&app.url, &narrow).await;
        assert_eq!(narrow.subscribe(&["conversations"], json!({})).await["errors"][0]["code"], "forbidden");
        app.finish().await;
    }

    async fn a_filter_or_a_saved_view_says_which_records(kind: Kind) {
        let app = app(kind).await;
        let _placer = Placer::of(&app);
        let ana = app.person("loja", Role::Admin).await;
        let city = |city: &str| json!({ "field": "city", "op": "eq", "value": city });
        let view = json!({ "name": "Mine", "topic": "contacts", "filter": { "field": "owner_id", "op": "eq", "value": "@me" } });
        let view = app.post(&ana, "/api/saved-views", view).await.is(201).id();
        let mut listener = Listener::of(&app.url, &ana.token).await;
        let _ = listener.subscribe(&["contacts"], json!({ "filter": city("Recife") })).await;
        let mut mine = Listener::of(&app.url, &ana.token).await;
        let begun = mine.subscribe(&["contacts"], json!({ "filter": city("Recife"), "view_id": view })).await;
        let bob = app.person("loja", Role::Agent).await;
        let own = contact(&app, &ana, json!({ "first_name": "A", "city": "Recife" })).await;
        contact(&app, &ana, json!({ "first_name": "B", "city": "Olinda" })).await;
        let other = contact(&app, &ana, json!({ "first_name": "C", "city": "Recife", "owner_id": bob.id })).await;
        let marker = contact(&app, &ana, json!({ "first_name": "Marker", "city": "Recife" })).await;
        assert_eq!(subjects(&listener.before(&marker).await), [&own, &other]);
        assert_eq!(subjects(&mine.before(&marker).await), [&own]);
        // The past is held to the same.
        let mut again = Listener::of(&app.url, &ana.token).await;
        let begun = again.subscribe(&["contacts"], json!({ "filter": city("Recife"), "view_id": view, "after": begun["after"] })).await;
        assert_eq!(begun["type"], "subscribed", "{begun}");
        assert_eq!(subjects(&again.before(&marker).await), [&own]);
        let around = json!({ "filter": { "field": "owner.name", "op": "not_null" } });
        assert_eq!(again.subscribe(&["contacts"], around).await["errors"][0]["pointer"], "/filter");
        assert_eq!(again.subscribe(&["contacts", "deals"], json!({ "filter": city("x") })).await["errors"][0]["pointer"], "/filter");
        // A record that nobody keeps is nobody's to be told of.
        happens(&app, ana.tenant, "contacts", json!({})).await;
        app.finish().await;
    }
}
