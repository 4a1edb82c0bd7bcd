//! A record's whole life, told of every resource.

use domain::{
    entities::Role,
    resource::{Action, Resource, registry},
};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    app::{Answer, Person, TestApp, app},
    on_both_databases,
    records::{Maker, path},
};

/// What is in `wanted` is in `found`, as it is.
#[track_caller]
fn holds(found: &Value, wanted: &Value) {
    for (name, value) in wanted.as_object().unwrap() {
        match (name.as_str(), value) {
            ("tags", Value::Array(tags)) => assert_eq!(found[name].as_array().map(Vec::len), Some(tags.len()), "{name}"),
            _ if name.ends_with("_at") && value.is_string() => {
                let at = |value: &Value| chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap();
                assert_eq!(at(&found[name]), at(value), "{name}");
            }
            _ => assert_eq!(&found[name], value, "{name} of {found}"),
        }
    }
}

async fn tagged(app: &TestApp, who: &Person, method: Method, path: &str, tag: &str, body: Value) -> Answer {
    let header = if method == Method::GET { "if-none-match" } else { "if-match" };
    app.send(app.request(method, path).bearer_auth(&who.token).header(header, tag).json(&body)).await
}

async fn life(app: &TestApp, ana: &Person, resource: &'static Resource) {
    let mut maker = Maker::new(app, ana);
    let all = path(resource);
    if resource.topic == "brands" {
        // The first one is the default, which can't be deleted.
        maker.some("brands").await;
    }
    let body = maker.body(resource, 0, true).await;
    let made = app.post(ana, &all, body.clone()).await.is(201);
    holds(&made.json, &body);
    let (id, one) = (made.id(), format!("{all}/{}", made.id()));
    assert_eq!(made.header("etag"), "\"1\"");

    // Read.
    let read = app.get(ana, &one).await.is(200);
    assert_eq!(read.json, made.json, "{}: what is read is what was answered", resource.topic);
    assert!(tagged(app, ana, Method::GET, &one, "\"1\"", json!({})).await.status == 304);
    let listed = app.get(ana, &format!("{all}?count=exact")).await.is(200);
    assert!(listed.json["data"].as_array().unwrap().contains(&read.json));
    assert!(listed.json["page"]["total"].as_u64().unwrap() >= 1);
    let shape: Vec<_> = app.get(ana, &format!("{all}/fields")).await.is(200).json["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| field["name"].clone())
        .collect();
    assert_eq!(shape, resource.fields.iter().map(|field| json!(field.name)).collect::<Vec<_>>());

    // Change: each field by itself, to another value and to none.
    let mut version = 1;
    for field in resource.writable(Action::Update) {
        let mut value = maker.value(resource, field, 1).await;
        if resource.topic == "deals" && field.name == "status" {
            value = json!("lost"); // what is only for lost deals comes later
        }
        let answer = app.patch(ana, &one, json!({ field.name: value })).await.is(200);
        holds(&answer.json, &json!({ field.name: value }));
        let now = answer.json["version"].as_i64().unwrap();
        assert!(now == version || now == version + 1);
        version = now;
        let cleared = app.patch(ana, &one, json!({ field.name: null })).await;
        // Something is chosen in the kinds that the maker gives.
        match field.required || (resource.topic, field.name) == ("custom_fields", "options") {
            true => cleared.faults(&[(&format!("/{}", field.name), "required")]),
            false => {
                let cleared = cleared.is(200);
                assert!([Value::Null, json!([]), json!({})].contains(&cleared.json[field.name]), "{}", field.name);
                version = cleared.json["version"].as_i64().unwrap();
            }
        }
    }
    let read = app.get(ana, &one).await.is(200);
    assert_eq!(read.json["version"], json!(version));
    assert_eq!(app.patch(ana, &one, json!({})).await.is(200).json["version"], json!(version), "a change of nothing is none");
    let some = resource.writable(Action::Update).next().unwrap();
    let other = maker.value(resource, some, 2).await;
    tagged(app, ana, Method::PATCH, &one, "\"0\"", json!({ some.name: other })).await.fails(412, "changed");
    assert_eq!(app.get(ana, &one).await.json, read.json, "nothing was overwritten");
    let _ = tagged(app, ana, Method::PATCH, &one, read.header("etag"), json!({ some.name: other })).await.is(200);
    app.patch(ana, &one, json!({ "nonsense": 1 })).await.faults(&[("/nonsense", "unknown_field")]);
    app.post(ana, &all, json!({ "id": id })).await.fails(422, "invalid");

    // What only one may have, nobody else gets.
    if let Some(field) = resource.fields.iter().find(|field| field.unique && field.is_column()) {
        let value = maker.value(resource, field, 0).await;
        let _ = app.patch(ana, &one, json!({ field.name: value })).await.is(200);
        let mut twin = maker.body(resource, 1, false).await;
        twin[field.name] = value.clone();
        app.post(ana, &all, twin.clone()).await.faults(&[(&format!("/{}", field.name), "taken")]);
        let by = format!("{all}/by/{}/{}", field.name, value.as_str().unwrap().replace(' ', "%20"));
        let put = app.send(app.request(Method::PUT, &by).bearer_auth(&ana.token).json(&json!({}))).await.is(200);
        assert_eq!(put.id(), id);
    }

    // Events.
    let timeline = app.get(ana, &format!("{one}/timeline?limit=200")).await.is(200);
    let events = timeline.json["data"].as_array().unwrap();
    assert_eq!(events.last().unwrap()["action"], "created");
    assert!(events.len() > 1 && events[..events.len() - 1].iter().all(|event| event["action"] == "updated"));
    assert!(events.iter().all(|event| event["actor_kind"] == "token"));

    // Another one of it.
    let copy = app.ask(ana, &format!("{one}/clone")).await;
    // The key of a custom field is unique among those of its topic.
    match resource.topic == "custom_fields" || resource.writable(Action::Create).any(|field| field.unique && field.required) {
        true => copy.fails(422, "invalid"),
        false => assert_ne!(copy.is(201).id(), id),
    }

    // The trash, and out of it.
    assert_eq!(app.delete(ana, &one).await.status, 204);
    assert_eq!(app.delete(ana, &one).await.status, 204, "it is there already");
    assert!(app.get(ana, &one).await.is(200).json["deleted_at"].is_string());
    let ids = async |query: &str| -> Vec<Value> {
        let page = app.get(ana, &format!("{all}?limit=200{query}")).await.is(200);
        page.json["data"].as_array().unwrap().iter().map(|record| record["id"].clone()).collect()
    };
    assert!(
        !ids("").await.contains(&json!(id)) && ids("&trashed=only").await == [json!(id)] && ids("&trashed=with").await.contains(&json!(id))
    );
    app.patch(ana, &one, json!({ some.name: other })).await.fails(409, "in_trash");
    assert_eq!(app.ask(ana, &format!("{one}/restore")).await.is(200).json["deleted_at"], Value::Null);
    assert!(ids("").await.contains(&json!(id)));

    // For good.
    let _ = app.delete(ana, &format!("{one}?force=true")).await;
    app.get(ana, &one).await.fails(404, "not_found");
}

async fn strangers(app: &TestApp, ana: &Person, maker: &mut Maker<'_>, resource: &'static Resource) {
    let (eva, vera) = (app.person("outra", Role::Admin).await, app.person("loja", Role::Viewer).await);
    let all = path(resource);
    let body = maker.body(resource, 3, false).await;
    let id = app.post(ana, &all, body.clone()).await.is(201).id();
    let one = format!("{all}/{id}");

    // With whole records of what it refers to.
    let names: Vec<&str> = resource.relations().map(|(name, ..)| name).collect();
    let full = maker.body(resource, 4, true).await;
    let full = app.post(ana, &all, full).await.is(201).id();
    let whole = app.get(ana, &format!("{all}/{full}?include={}", names.join(","))).await.is(200);
    for (name, field, _) in resource.relations() {
        match &whole.json[field.name] {
            Value::Array(ids) => assert_eq!(whole.json[name].as_array().unwrap().len(), ids.len(), "{} with {name}", resource.topic),
            id => assert_eq!(whole.json[name]["id"], *id, "{} with {name}", resource.topic),
        }
    }

    // Another tenant: it is not there, by no way.
    app.get(&eva, &one).await.fails(404, "not_found");
    app.get(&eva, &format!("{one}/timeline")).await.fails(404, "not_found");
    app.patch(&eva, &one, json!({})).await.fails(404, "not_found");
    app.delete(&eva, &one).await.fails(404, "not_found");
    app.delete(&eva, &format!("{one}?force=true")).await.fails(404, "not_found");
    app.ask(&eva, &format!("{one}/restore")).await.fails(404, "not_found");
    app.ask(&eva, &format!("{one}/clone")).await.fails(404, "not_found");
    let found = app.get(&eva, &format!("{all}?trashed=with&limit=200")).await.is(200);
    assert!(!found.text.contains(&id));
    // What it refers to of another tenant is not there either.
    for (_, field, _) in resource.relations().filter(|(_, field, _)| resource.writable(Action::Create).any(|one| one.name == field.name)) {
        let mut foreign = maker.body(resource, 5, false).await;
        let several = matches!(field.kind, domain::resource::field::Kind::References { .. });
        let theirs = if field.leads_to() == Some("users") { json!(eva.id) } else { json!(uuid::Uuid::now_v7()) };
        foreign[field.name] = if several { json!([theirs]) } else { theirs };
        let refused = app.post(ana, &all, foreign).await;
        refused.fails(422, "invalid");
        // A deal's pipeline that is not there has no such stage.
        let at = if resource.topic == "deals" && field.name == "pipeline_id" { "stage_id" } else { field.name };
        assert_eq!(refused.json["errors"][0]["pointer"], json!(format!("/{at}{}", if several { "/0" } else { "" })));
    }

    // A lower role looks, and no more.
    let _ = app.get(&vera, &one).await.is(200);
    app.post(&vera, &all, body).await.fails(403, "forbidden");
    app.patch(&vera, &one, json!({})).await.fails(403, "forbidden");
    app.delete(&vera, &one).await.fails(403, "forbidden");
    app.ask(&vera, &format!("{one}/restore")).await.fails(403, "forbidden");
    app.ask(&vera, &format!("{one}/clone")).await.fails(403, "forbidden");
    let blind = Person { token: app.token(&vera.email, &["queues:write"]).await, ..vera };
    app.get(&blind, &all).await.fails(403, "forbidden");
    app.get(&blind, &one).await.fails(403, "forbidden");

    // Nobody.
    for (method, path) in [(Method::GET, &all), (Method::POST, &all), (Method::GET, &one), (Method::PATCH, &one), (Method::DELETE, &one)] {
        assert_eq!(app.send(app.request(method, path)).await.status, 401);
    }
}

on_both_databases! {
    async fn people_are_not_made_or_deleted_as_records(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let one = format!("/api/users/{}", ana.id);
        app.post(&ana, "/api/users", json!({ "name": "Eva" })).await.fails(405, "method_not_allowed");
        app.delete(&ana, &one).await.fails(405, "method_not_allowed");
        app.ask(&ana, &format!("{one}/clone")).await.fails(404, "not_found");
        app.send(app.request(Method::PUT, "/api/users/by/email/a@b.de").bearer_auth(&ana.token).json(&json!({}))).await.fails(404, "not_found");
        app.patch(&ana, &one, json!({ "email": "other@example.com" })).await.faults(&[("/email", "unknown_field")]);
        assert_eq!(app.patch(&ana, &one, json!({ "name": "Ana" })).await.is(200).json["name"], "Ana");
        assert!(!app.get(&ana, &one).await.is(200).text.contains("password"));
        app.finish().await;
    }

    async fn every_resource_lives_as_it_should(kind: Kind) {
        let app = app(kind).await;
        for resource in registry::all().iter().filter(|resource| resource.made) {
            let ana = app.person(resource.topic, Role::Admin).await;
            life(&app, &ana, resource).await;
        }
        app.finish().await;
    }

    async fn strangers_and_lower_roles_get_nowhere(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let mut maker = Maker::new(&app, &ana);
        for resource in registry::all().iter().filter(|resource| resource.made) {
            strangers(&app, &ana, &mut maker, resource).await;
        }
        app.finish().await;
    }
}
