//! Records and the audit log as files: what is in them is what whoever asked may see, and an import takes it back.

use domain::{entities::Role, payloads::RunExport};
use futures::StreamExt;
use jobs::queue::{EXPORTS, IMPORTS, MAINTENANCE};
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};
use tests::{
    app::{Answer, Person, TestApp, app},
    on_both_databases,
};

/// Takes records out, and lets the workers write the file.
async fn export(app: &TestApp, who: &Person, topic: &str, body: Value) -> Answer {
    let asked = app.post(who, &format!("/api/{topic}/export"), body).await.is(202);
    assert_eq!(app.work(EXPORTS).await, 1);
    let done = app.get(who, &format!("/api/exports/{}", asked.id())).await.is(200);
    assert_eq!(done.json["state"], "done", "{}", done.json);
    done
}

async fn content(app: &TestApp, who: &Person, export: &Answer) -> Vec<u8> {
    let path = format!("/api/exports/{}/content", export.id());
    let response = app.request(Method::GET, &path).bearer_auth(&who.token).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
    let bytes = response.bytes().await.unwrap().to_vec();
    assert_eq!(bytes.len() as u64, export.json["size"].as_u64().unwrap());
    bytes
}

on_both_databases! {
    async fn what_was_taken_out_can_be_taken_in(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let _ = app.post(&ana, "/api/custom-fields", json!({ "topic": "contacts", "key": "budget", "name": "Budget", "kind": "decimal" })).await.is(201);
        let acme = app.post(&ana, "/api/companies", json!({ "name": "Silva; Souza & Cia" })).await.is(201).id();
        let full = json!({
            "first_name": "=1+1", "last_name": "Ação \"quoted\"", "tags": ["vip", "novo"], "company_ids": [acme], "birthday": "1990-05-17",
            "emails": [{ "email": "a@example.com" }, { "email": "b@example.com", "kind": "home" }], "phones": [{ "number": "+5511987654321" }],
            "description": "two\nlines", "country": "BR", "custom": { "budget": "1.5" },
        });
        let _ = app.post(&ana, "/api/contacts", full).await.is(201);
        for n in 0..1_100 {
            let _ = app.post(&ana, "/api/contacts", json!({ "first_name": format!("Contact {n}"), "city": "Recife" })).await.is(201);
        }
        for format in ["csv", "xlsx"] {
            let done = export(&app, &ana, "contacts", json!({ "format": format })).await;
            assert_eq!(done.json["rows"], 1_101);
            let bytes = content(&app, &ana, &done).await;
            if format == "csv" {
                let text = String::from_utf8(bytes.clone()).unwrap();
                assert!(text.contains(",'=1+1,") && text.contains("Silva; Souza & Cia"), "{}", text.lines().nth(1).unwrap());
            }
            // All of it again: every record is found, and none is another one.
            let file = Part::bytes(bytes).file_name("contacts").mime_str("text/csv").unwrap();
            let request = app.request(Method::POST, "/api/contacts/import").bearer_auth(&ana.token).multipart(Form::new().part("file", file));
            let import = app.send(request).await.is(201);
            let _ = app.post(&ana, &format!("/api/imports/{}/start", import.id()), import.json["options"].clone()).await.is(202);
            assert_eq!(app.work(IMPORTS).await, 1);
            let taken = app.get(&ana, &format!("/api/imports/{}", import.id())).await.is(200).json;
            assert_eq!((&taken["unchanged"], &taken["failed"]), (&json!(1_101), &json!(0)), "{taken}");
        }
        let json = content(&app, &ana, &export(&app, &ana, "contacts", json!({ "format": "json" })).await).await;
        let records: Vec<Value> = serde_json::from_slice(&json).unwrap();
        assert_eq!((&records[0]["emails"][1]["kind"], &records[0]["custom.budget"]), (&json!("home"), &json!("1.5000")));
        assert_eq!(records[0]["company_ids.label"], json!(["Silva; Souza & Cia"]));
        app.finish().await;
    }

    async fn a_file_has_what_whoever_asked_may_see(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        for (name, city) in [("Ana", "Recife"), ("Bia", "Natal")] {
            let _ = app.post(&ana, "/api/contacts", json!({ "first_name": name, "city": city, "job_title": "secret" })).await.is(201);
        }
        let filter = json!({ "field": "city", "op": "eq", "value": "Recife" });
        let some = export(&app, &ana, "contacts", json!({ "filter": filter, "fields": ["city", "first_name"] })).await;
        assert_eq!(String::from_utf8(content(&app, &ana, &some).await).unwrap(), "\u{feff}city,first_name\r\nRecife,Ana\r\n");
        let view = json!({ "topic": "contacts", "name": "Natal", "filter": { "field": "city", "op": "eq", "value": "Natal" } });
        let view = app.post(&ana, "/api/saved-views", view).await.is(201).id();
        let viewed = export(&app, &ana, "contacts", json!({ "view_id": view, "fields": ["first_name"] })).await;
        assert_eq!(String::from_utf8(content(&app, &ana, &viewed).await).unwrap(), "\u{feff}first_name\r\nBia\r\n");
        let nobody = json!({ "view_id": uuid::Uuid::now_v7() });
        app.post(&ana, "/api/contacts/export", nobody).await.faults(&[("/view_id", "not_found")]);
        app.post(&ana, "/api/contacts/export", json!({ "fields": ["city", "nickname", "city"] })).await.faults(&[("/fields/1", "unknown_field"), ("/fields/2", "unknown_field")]);
        app.post(&ana, "/api/contacts/export", json!({ "filter": { "field": "nickname", "op": "eq", "value": 1 } })).await.fails(422, "invalid");

        // A role that sees its own, and not the title.
        let caio = app.person("loja", Role::Member).await;
        let role = json!({ "name": "Own", "grants": { "contacts": { "view": "own", "create": "own" } }, "hidden": { "contacts": ["job_title"] }, "user_ids": [caio.id] });
        let _ = app.post(&ana, "/api/roles", role).await.is(201);
        let owned = json!({ "first_name": "Caio's", "owner_id": caio.id, "job_title": "secret" });
        let _ = app.post(&ana, "/api/contacts", owned).await.is(201);
        let asked = export(&app, &caio, "contacts", json!({})).await;
        let text = String::from_utf8(content(&app, &caio, &asked).await).unwrap();
        assert!(asked.json["rows"] == 1 && text.contains("Caio's") && !text.contains("secret") && !text.contains("job_title"), "{text}");
        app.post(&caio, "/api/contacts/export", json!({ "fields": ["job_title"] })).await.faults(&[("/fields/0", "unknown_field")]);
        // Who may not see them any more doesn't get the file either.
        let roles = app.get(&ana, "/api/roles").await.is(200).json["data"].clone();
        let role = roles.as_array().unwrap().iter().find(|role| role["name"] == "Own").unwrap()["id"].as_str().unwrap().to_owned();
        let file = serde_json::from_value(asked.json["id"].clone()).unwrap();
        for (roles, may) in [(json!([caio.id]), true), (json!([]), false)] {
            let _ = app.patch(&ana, &format!("/api/roles/{role}"), json!({ "user_ids": roles })).await.is(200);
            let scope = domain::auth::scope_of(app.ledger.db(), caio.tenant, caio.id).await.unwrap().unwrap();
            assert_eq!(domain::export::get(&app.ledger, &scope, file).await.is_ok(), may);
            assert_eq!(domain::export::list(&app.ledger, &scope, domain::page::Paging { limit: 5, cursor: None }).await.unwrap().data.len(), usize::from(may));
        }
        // One's own alone, admins or not.
        app.get(&ana, &format!("/api/exports/{}", asked.id())).await.fails(404, "not_found");
        app.get(&ana, &format!("/api/exports/{}/content", asked.id())).await.fails(404, "not_found");
        let stranger = app.person("outra", Role::Admin).await;
        app.get(&stranger, &format!("/api/exports/{}", some.id())).await.fails(404, "not_found");
        app.finish().await;
    }

    async fn the_audit_log_is_taken_out_and_that_is_in_it(kind: Kind) {
        let app = app(kind).await;
        let (ana, bia) = (app.person("loja", Role::Admin).await, app.person("loja", Role::Agent).await);
        for n in 0..3 {
            let _ = app.post(&ana, "/api/companies", json!({ "name": format!("Company {n}") })).await.is(201);
        }
        app.post(&bia, "/api/audit/export", json!({})).await.fails(403, "forbidden");
        let asked = app.post(&ana, "/api/audit/export", json!({ "format": "json", "topic": "companies" })).await.is(202);
        app.get(&ana, &format!("/api/exports/{}/content", asked.id())).await.fails(409, "not_done");
        app.delete(&ana, &format!("/api/exports/{}", asked.id())).await.fails(409, "running");
        assert_eq!(app.work(EXPORTS).await, 1);
        let done = app.get(&ana, &format!("/api/exports/{}", asked.id())).await.is(200);
        let events: Vec<Value> = serde_json::from_slice(&content(&app, &ana, &done).await).unwrap();
        assert_eq!(events.len(), 3);
        assert_eq!((&events[0]["action"], &events[0]["data"]["changes"]["name"]["to"]), (&json!("created"), &json!("Company 2")));
        let noted = app.get(&ana, "/api/audit?topic=exports").await.is(200);
        assert_eq!((&noted.json["data"][0]["action"], &noted.json["data"][0]["data"]["topic"]), (&json!("started"), &json!("audit")));

        // Deleted with its file, by hand or when its time is over.
        assert_eq!(app.delete(&ana, &format!("/api/exports/{}", asked.id())).await.status, 204);
        assert_eq!((app.work(MAINTENANCE).await, app.store.list(None).count().await), (1, 0));
        let old = export(&app, &ana, "companies", json!({})).await;
        domain::export::forget_old(&app.ledger, chrono::Utc::now() + domain::export::KEPT).await.unwrap();
        app.get(&ana, &format!("/api/exports/{}", old.id())).await.fails(404, "not_found");
        assert_eq!((app.work(MAINTENANCE).await, app.store.list(None).count().await), (1, 0));
        app.finish().await;
    }

    async fn a_cancelled_export_is_none(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let asked = app.post(&ana, "/api/companies/export", json!({})).await.is(202);
        let job = asked.json["job_id"].as_str().unwrap().to_owned();
        assert_eq!(app.ask(&ana, &format!("/api/jobs/{job}/cancel")).await.status / 100, 2);
        assert_eq!(app.work(EXPORTS).await, 0);
        assert_eq!(app.get(&ana, &format!("/api/exports/{}", asked.id())).await.is(200).json["state"], "cancelled");
        assert!(app.claim_all::<RunExport>().await.is_empty());
        app.finish().await;
    }
}
