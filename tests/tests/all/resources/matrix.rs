//! Every operation of the document, asked by those who may not: made from the document, so that none is missing.

use std::collections::BTreeMap;

use domain::{
    collaboration::TOPICS,
    entities::Role,
    payloads::{DeliverWebhook, SendMessage},
    resource::registry,
};
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};
use tests::{
    app::{Answer, Person, TestApp, app},
    on_both_databases,
    records::{Maker, path},
};

/// Whoever is signed in may do these, whatever else they may.
const FOR_ALL: [&str; 40] = [
    // Everybody is told what they may see, and refused what they may not; `api::realtime` tells of it.
    "events_stream",
    "me_get",
    "auth_logout",
    "permissions_list",
    "auth_refresh",
    "notifications_list",
    "notifications_unread",
    "notifications_read",
    "notifications_read_all",
    "settings_get",
    // Everybody has only their own; `resources::bulk` tells of it.
    "bulk_get",
    "bulk_errors",
    // The same; `resources::imports` tells of it.
    "exports_list",
    "exports_get",
    "exports_content",
    "exports_delete",
    "imports_list",
    "imports_get",
    "imports_preview",
    "imports_start",
    "imports_revert",
    "imports_errors",
    "imports_errors_content",
    "imports_delete",
    // The same; `resources::merge` tells of it.
    "merges_list",
    "merges_get",
    "merges_undo",
    // Whoever sees activities; `api::calendar` tells of it.
    "calendar_feed_get",
    "calendar_feed_create",
    "calendar_feed_delete",
    // One's own; `api::sessions` tells of them.
    "sessions_list",
    "sessions_end",
    "sessions_end_others",
    // `api::second_factor` tells of these.
    "totp_get",
    "totp_begin",
    "totp_confirm",
    "totp_recovery_codes",
    "totp_disable",
    // And `api::accounts` of these.
    "me_update",
    "password_change",
];
/// Whoever sees the record may do these.
const FOR_SEEING: [&str; 5] = ["_comments_create", "_comments_react", "_comments_unreact", "_duplicates", "_export"];
/// Nobody has to be signed in for these.
const OPEN: [&str; 11] = [
    // Who somebody is, its first frame says.
    "realtime_connect",
    "auth_login",
    "auth_refresh",
    "auth_logout",
    "password_forgotten",
    "password_reset",
    "invitations_accept",
    "health_live",
    "health_ready",
    "whatsapp_webhook",
    "calendar_ics",
];

struct Operation {
    id: String,
    method: Method,
    path: String,
    body: Option<Value>,
    form: bool,
    secured: bool,
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let content = &operation["requestBody"]["content"];
            let schema = content["application/json"]["schema"]["$ref"].as_str().and_then(|name| name.rsplit('/').next());
            let example = schema.map(|name| document["components"]["schemas"][name]["example"].clone());
            all.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                body: example,
                form: content.get("multipart/form-data").is_some(),
                secured: operation["security"][0].get("Caller").is_some(),
            });
        }
    }
    all
}

/// A body that the document takes, where its example is missing.
fn body(operation: &Operation, known: &BTreeMap<String, String>) -> Option<Value> {
    let given = operation.body.clone()?;
    if !given.is_null() {
        return Some(given);
    }
    Some(match operation.id.as_str() {
        "whatsapp_devices_create" => tests::app::new_device("900"),
        "whatsapp_messages_send" => {
            json!({ "device_id": known["/api/whatsapp/devices"], "to": "5511987654321", "type": "text", "text": { "body": "Oi" } })
        }
        "webhooks_create" => json!({ "name": "Loja", "url": "https://example.com/somo", "topics": ["contacts.*"] }),
        "webhooks_replay" => json!({ "since": "2026-12-01T12:00:00Z" }),
        "invitations_create" => json!({ "email": "nova@example.com", "role": "agent" }),
        id if id.ends_with("_duplicates") => json!({ "by": "name" }),
        id if id.ends_with("_duplicates_dismiss") => json!({ "ids": [uuid::Uuid::now_v7(), uuid::Uuid::now_v7()] }),
        id if id.ends_with("_merge") => json!({ "into_id": uuid::Uuid::now_v7(), "ids": [uuid::Uuid::now_v7()] }),
        "deals_move" => json!({ "stage_id": known["/api/stages"] }),
        _ => json!({}),
    })
}

/// The path with a real id of the tenant's for each parameter.
fn filled(operation: &Operation, known: &BTreeMap<String, String>) -> String {
    let base = operation.path.split("/{").next().unwrap();
    let mut path = operation.path.clone();
    let id = |base: &str| known.get(base).unwrap_or_else(|| panic!("{}: no record is made for {base}", operation.path)).clone();
    for (name, value) in
        [("{field}", "name"), ("{value}", "nobody"), ("{relation}", "contact_ids"), ("{name}", "whatsapp-send"), ("{emoji}", "👍")]
    {
        path = path.replace(name, value);
    }
    if path.contains("{comment_id}") {
        path = path.replace("{comment_id}", &id(&format!("{base}/comments")));
    }
    if path.contains("{attachment_id}") {
        path = path.replace("{attachment_id}", &id(&format!("{base}/attachments")));
    }
    if path.contains("{delivery_id}") {
        path = path.replace("{delivery_id}", &id("/api/webhooks/deliveries"));
    }
    if path.contains("{user_id}") {
        path = path.replace("{user_id}", &id("/api/users"));
    }
    if path.contains("{other}") {
        path = path.replace("{other}", &id("/api/contacts"));
    }
    if path.contains("{stage_id}") {
        path = path.replace("{stage_id}", &id("/api/stages"));
    }
    if path.contains("{id}") {
        path = path.replace("{id}", &id(base));
    }
    match operation.id.as_str() {
        "whatsapp_statistics_list" => path.push_str("?period=hour"),
        "search" => path.push_str("?q=e"),
        _ => {}
    }
    if operation.id == "activities_calendar" {
        path.push_str("?from=2026-12-01&to=2026-12-08");
    }
    assert!(!path.contains('{'), "{path} has a parameter that this table doesn't know");
    path
}

async fn ask(app: &TestApp, who: Option<&Person>, operation: &Operation, known: &BTreeMap<String, String>) -> Answer {
    let mut request = app.request(operation.method.clone(), &filled(operation, known));
    if let Some(who) = who {
        request = request.bearer_auth(&who.token);
    }
    if let Some(body) = body(operation, known) {
        request = request.json(&body);
    }
    if operation.form {
        let file = Part::bytes(b"GIF89a".to_vec()).file_name("a.gif").mime_str("image/gif").unwrap();
        request = request.multipart(Form::new().part("file", file).text("device_id", known["/api/whatsapp/devices"].clone()));
    }
    app.send(request).await
}

on_both_databases! {
    async fn nobody_gets_where_they_may_not(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let (eva, rui, vera) = (app.person("outra", Role::Admin).await, app.person("loja", Role::Member).await, app.person("loja", Role::Viewer).await);

        // One of everything.
        let mut known = BTreeMap::new();
        let mut maker = Maker::new(&app, &ana);
        for resource in registry::all() {
            let id = maker.some(resource.topic).await;
            if TOPICS.contains(&resource.topic) {
                let comments = format!("{}/{id}/comments", path(resource));
                let comment = app.post(&ana, &comments, json!({ "body": "Well" })).await.is(201);
                known.insert(format!("{}/comments", path(resource)), comment.id());
                let file = Part::bytes(b"GIF89a".to_vec()).file_name("a.gif");
                let request = app.request(Method::POST, &format!("{}/{id}/attachments", path(resource))).bearer_auth(&ana.token);
                let file = app.send(request.multipart(Form::new().part("file", file))).await.is(201);
                known.insert(format!("{}/attachments", path(resource)), file.id());
            }
            known.insert(path(resource), id);
        }
        let device = app.device(&ana, "100").await;
        app.customer_writes("100", "5511987654321", "Olá").await;
        let send = json!({ "device_id": device, "to": "5511987654321", "type": "text", "text": { "body": "Bom dia" } });
        let message = app.post(&ana, "/api/whatsapp/messages/send", send).await.is(202);
        known.insert("/api/whatsapp/devices".into(), device.to_string());
        known.insert("/api/whatsapp/messages".into(), message.id());
        known.insert("/api/whatsapp/media".into(), message.id());
        known.insert("/api/whatsapp/conversations".into(), message.json["conversation_id"].as_str().unwrap().into());
        known.insert("/api/notifications".into(), uuid::Uuid::now_v7().to_string()); // everybody has only their own
        known.insert("/api/bulk".into(), uuid::Uuid::now_v7().to_string()); // everybody has only their own
        known.insert("/api/exports".into(), uuid::Uuid::now_v7().to_string()); // everybody has only their own
        known.insert("/api/merges".into(), uuid::Uuid::now_v7().to_string()); // everybody has only their own
        known.insert("/api/imports".into(), uuid::Uuid::now_v7().to_string()); // everybody has only their own
        let invited = app.post(&ana, "/api/invitations", json!({ "email": "novo@example.com", "role": "agent" })).await.is(201);
        known.insert("/api/invitations".into(), invited.id());
        known.insert("/api/auth/sessions".into(), uuid::Uuid::now_v7().to_string());
        domain::schedules::seed(&app.ledger).await.unwrap();
        let schedules = app.get(&ana, "/api/schedules").await.is(200);
        known.insert("/api/schedules".into(), schedules.json["data"][0]["id"].as_str().unwrap().into());
        known.insert("/api/jobs".into(), app.claim::<SendMessage>().await.id.to_string());

        let hook = json!({ "name": "Loja", "url": "https://example.com/somo", "topics": ["stages.*"] });
        let hook = app.post(&ana, "/api/webhooks", hook).await.is(201);
        known.insert("/api/webhooks/deliveries".into(), app.ask(&ana, &format!("/api/webhooks/{}/test", hook.id())).await.is(202).id());
        known.insert("/api/webhooks".into(), hook.id());
        app.claim::<DeliverWebhook>().await;

        let document = api::document();
        let mut leaks = Vec::new();
        for operation in operations(&document) {
            let open = OPEN.iter().any(|id| operation.id.starts_with(id));
            assert!(open || operation.secured, "{} is open to strangers and not on the list", operation.id);
            if open {
                continue;
            }
            let mut expect = |who: &str, answer: &Answer, good: &[u16]| {
                if !good.contains(&answer.status) {
                    leaks.push(format!("{} by {who}: {} instead of {good:?}: {}", operation.id, answer.status, answer.text));
                }
            };
            expect("nobody", &ask(&app, None, &operation, &known).await, &[401]);
            if FOR_ALL.contains(&operation.id.as_str()) {
                continue;
            }
            expect("a member without roles", &ask(&app, Some(&rui), &operation, &known).await, &[403]);
            let looks = operation.method == Method::GET || operation.id.ends_with("_query");
            let changes = !looks && FOR_SEEING.iter().all(|id| !operation.id.ends_with(id));
            if changes {
                expect("a viewer", &ask(&app, Some(&vera), &operation, &known).await, &[403]);
            }
            let answer = ask(&app, Some(&eva), &operation, &known).await;
            if operation.path.contains("{id}") || operation.path.contains("{stage_id}") {
                // Schedules are the installation's: what others may not is no secret.
                expect("another tenant", &answer, if operation.id.starts_with("schedules_") { &[403] } else { &[404] });
            }
            for (what, id) in &known {
                assert!(!answer.text.contains(id.as_str()) || filled(&operation, &known).contains(id.as_str()), "{} tells another tenant of {what}", operation.id);
            }
        }
        assert!(leaks.is_empty(), "{}", leaks.join("\n"));
        app.claim_all::<SendMessage>().await;
    }
}
