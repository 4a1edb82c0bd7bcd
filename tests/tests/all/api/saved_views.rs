//! Saved views: whose they are, what may be in them, and lists by them.

use domain::{entities::Role, resource::filter::MAX_DEPTH};
use serde_json::{Value, json};
use tests::{
    app::{Answer, Person, TestApp, app},
    on_both_databases,
};

async fn view(app: &TestApp, who: &Person, more: Value) -> Answer {
    let mut body = json!({ "topic": "contacts", "name": "View" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.post(who, "/api/saved-views", body).await
}

/// The names of the contacts that an answer lists.
fn names(page: &Answer) -> Vec<&str> {
    page.json["data"].as_array().unwrap().iter().map(|one| one["first_name"].as_str().unwrap()).collect()
}

fn is(field: &str, value: &str) -> Value {
    json!({ "field": field, "op": "eq", "value": value })
}

/// A filter as deep as one may be.
fn deep(leaf: Value) -> Value {
    (1..MAX_DEPTH).fold(leaf, |inner, n| json!({ (if n % 2 == 0 { "and" } else { "or" }): [inner] }))
}

on_both_databases! {
    async fn a_list_is_narrowed_to_a_view(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        for (name, city, state) in [("Ana", "Recife", "PE"), ("Bia", "Recife", "PE"), ("Caio", "Olinda", "PE"), ("Duda", "Natal", "RN")] {
            let _ = app.post(&ana, "/api/contacts", json!({ "first_name": name, "city": city, "state": state })).await.is(201);
        }
        let recife = view(&app, &ana, json!({ "filter": is("city", "Recife"), "sort": "-first_name" })).await.is(201);
        assert_eq!((&recife.json["layout"], &recife.json["visibility"], &recife.json["owner_id"]), (&json!("list"), &json!("private"), &json!(ana.id)));
        let by = format!("/api/contacts?view_id={}", recife.id());
        assert_eq!(names(&app.get(&ana, &by).await.is(200)), ["Bia", "Ana"]);
        assert_eq!(names(&app.get(&ana, &format!("{by}&sort=first_name")).await.is(200)), ["Ana", "Bia"]);
        let first = app.get(&ana, &format!("{by}&limit=1&count=exact")).await.is(200);
        assert_eq!(first.json["page"]["total"], 2);
        let next = first.json["page"]["next_cursor"].as_str().unwrap();
        assert_eq!(names(&app.get(&ana, &format!("{by}&cursor={next}")).await.is(200)), ["Ana"]);
        let both = json!({ "view_id": recife.id(), "filter": is("first_name", "Ana") });
        assert_eq!(names(&app.post(&ana, "/api/contacts/query", both).await.is(200)), ["Ana"]);

        // As deep as both may be.
        let whole = view(&app, &ana, json!({ "filter": deep(is("state", "PE")) })).await.is(201).id();
        let both = json!({ "view_id": whole, "filter": deep(is("city", "Olinda")) });
        assert_eq!(names(&app.post(&ana, "/api/contacts/query", both).await.is(200)), ["Caio"]);
        let empty = view(&app, &ana, json!({})).await.is(201).id();
        assert_eq!(app.get(&ana, &format!("/api/contacts?view_id={empty}")).await.is(200).json["data"].as_array().unwrap().len(), 4);

        // Of another list, in the trash, or nobody's.
        app.get(&ana, &format!("/api/companies?view_id={whole}")).await.faults(&[("/view_id", "not_found")]);
        app.get(&ana, &format!("/api/tags?view_id={whole}")).await.faults(&[("/view_id", "not_found")]);
        app.get(&ana, "/api/contacts?view_id=x").await.faults(&[("/view_id", "invalid")]);
        app.get(&ana, &format!("/api/contacts?view_id={}", ana.id)).await.faults(&[("/view_id", "not_found")]);
        assert_eq!(app.delete(&ana, &format!("/api/saved-views/{whole}")).await.status, 204);
        app.get(&ana, &format!("/api/contacts?view_id={whole}")).await.faults(&[("/view_id", "not_found")]);
        app.finish().await;
    }

    async fn a_view_holds_what_its_list_takes(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        for (body, at, code) in [
            (json!({ "filter": {} }), "/filter/field", "required"),
            (json!({ "filter": { "and": [is("city", "Recife"), is("soul", "x")] } }), "/filter/and/1/field", "unknown_field"),
            (json!({ "filter": deep(json!({ "or": [is("city", "Recife")] })) }), "/filter/and/0/or/0/and/0/or/0/or/0", "too_deep"),
            (json!({ "columns": [{ "field": "first_name" }, { "field": "soul" }] }), "/columns/1/field", "unknown_field"),
            (json!({ "columns": [{ "field": "custom.budget" }] }), "/columns/0/field", "unknown_field"),
            (json!({ "sort": "soul" }), "/sort", "unknown_field"),
            (json!({ "sort": "city,-city" }), "/sort", "invalid"),
            (json!({ "topic": "tags" }), "/topic", "invalid"),
            (json!({ "owner_id": ana.id }), "/owner_id", "unknown_field"),
        ] {
            view(&app, &ana, body).await.faults(&[(at, code)]);
        }
        let field = json!({ "topic": "contacts", "key": "budget", "name": "Budget", "kind": "number" });
        let field = app.post(&ana, "/api/custom-fields", field).await.is(201).id();
        let rich = json!({ "filter": { "field": "custom.budget", "op": "gt", "value": 5 }, "columns": [{ "field": "custom.budget" }], "sort": "-custom.budget" });
        let rich = view(&app, &ana, rich).await.is(201).id();
        let _ = app.post(&ana, "/api/contacts", json!({ "first_name": "Ana", "custom": { "budget": 6 } })).await.is(201);
        let _ = app.post(&ana, "/api/contacts", json!({ "first_name": "Bia", "custom": { "budget": 4 } })).await.is(201);
        assert_eq!(names(&app.get(&ana, &format!("/api/contacts?view_id={rich}")).await.is(200)), ["Ana"]);
        // What it looks at may go: the view says so, and can be called something else all the same.
        assert_eq!(app.delete(&ana, &format!("/api/custom-fields/{field}")).await.status, 204);
        app.get(&ana, &format!("/api/contacts?view_id={rich}")).await.faults(&[("/view_id", "unknown_field")]);
        app.get(&ana, &format!("/api/contacts?sort=id&view_id={rich}")).await.faults(&[("/view_id", "unknown_field")]);
        let _ = app.patch(&ana, &format!("/api/saved-views/{rich}"), json!({ "name": "Rich" })).await.is(200);
        let mended = json!({ "filter": null, "columns": null, "sort": null });
        let _ = app.patch(&ana, &format!("/api/saved-views/{rich}"), mended).await.is(200);
        assert_eq!(app.get(&ana, &format!("/api/contacts?view_id={rich}")).await.is(200).json["data"].as_array().unwrap().len(), 2);
        app.finish().await;
    }

    async fn what_is_private_is_its_owners_alone(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let (bia, caio, rui) = (app.person("loja", Role::Agent).await, app.person("loja", Role::Agent).await, app.person("loja", Role::Member).await);
        let secret = view(&app, &bia, json!({ "name": "Secret" })).await.is(201).id();
        let open = view(&app, &bia, json!({ "name": "Open", "visibility": "shared" })).await.is(201).id();
        let [secret, open] = [secret, open].map(|id| format!("/api/saved-views/{id}"));
        for who in [&ana, &caio] {
            app.get(who, &secret).await.fails(404, "not_found");
            app.get(who, &format!("{secret}/timeline")).await.fails(404, "not_found");
            app.patch(who, &secret, json!({ "visibility": "shared" })).await.fails(404, "not_found");
            app.delete(who, &secret).await.fails(404, "not_found");
            app.ask(who, &format!("{secret}/clone")).await.fails(404, "not_found");
            let listed = app.get(who, "/api/saved-views?trashed=with&count=exact").await.is(200);
            assert_eq!((listed.json["page"]["total"].as_u64(), listed.text.contains("Secret")), (Some(1), false));
            app.get(who, &format!("/api/contacts?view_id={}", secret.rsplit('/').next().unwrap())).await.faults(&[("/view_id", "not_found")]);
            let _ = app.get(who, &open).await.is(200);
        }
        let _ = app.get(&bia, &secret).await.is(200);
        // A shared one is changed by its owner and by admins.
        app.patch(&caio, &open, json!({ "name": "Mine" })).await.fails(403, "forbidden");
        app.delete(&caio, &open).await.fails(403, "forbidden");
        let _ = app.patch(&ana, &open, json!({ "name": "Ours" })).await.is(200);
        let _ = app.patch(&bia, &open, json!({ "name": "Open" })).await.is(200);
        let copy = app.ask(&caio, &format!("{open}/clone")).await.is(201);
        assert_eq!(copy.json["owner_id"], json!(caio.id));
        // Whoever doesn't get to see a field is told that the view needs it; nobody saves one with it either.
        let grants = json!({ "contacts": { "view": "all" }, "saved_views": { "view": "all", "create": "all", "edit": "own" } });
        let role = json!({ "name": "Blind", "grants": grants, "hidden": { "contacts": ["city"] }, "user_ids": [rui.id] });
        let _ = app.post(&ana, "/api/roles", role).await.is(201);
        let by_city = view(&app, &ana, json!({ "visibility": "shared", "filter": is("city", "Recife"), "sort": "city" })).await.is(201).id();
        app.get(&rui, &format!("/api/contacts?view_id={by_city}")).await.faults(&[("/view_id", "forbidden")]);
        view(&app, &rui, json!({ "filter": is("city", "Recife") })).await.faults(&[("/filter/field", "forbidden")]);
        view(&app, &rui, json!({ "sort": "city" })).await.faults(&[("/sort", "forbidden")]);
        view(&app, &rui, json!({ "columns": [{ "field": "city" }] })).await.faults(&[("/columns/0/field", "unknown_field")]);
        let own = view(&app, &rui, json!({ "columns": [{ "field": "first_name" }] })).await.is(201).id();
        let _ = app.patch(&rui, &format!("/api/saved-views/{own}"), json!({ "visibility": "shared" })).await.is(200);
        app.get(&app.person("outra", Role::Admin).await, &open).await.fails(404, "not_found");
        app.finish().await;
    }
}
