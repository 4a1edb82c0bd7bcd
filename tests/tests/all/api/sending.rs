//! Messages out, up to the queue.

use domain::{entities::Role, payloads::SendMessage};
use jobs::testing;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    app::{Answer, Person, TestApp, app},
    on_both_databases,
};
use uuid::Uuid;

const NUMBER: &str = "100";
const CUSTOMER: &str = "5511987654321";

/// Somebody with a number and a customer who has written.
async fn begun(kind: tests::database::Kind) -> (TestApp, Person, Value) {
    let app = app(kind).await;
    let ana = app.person("loja", Role::Admin).await;
    let device = app.device(&ana, NUMBER).await;
    app.customer_writes(NUMBER, CUSTOMER, "Olá").await;
    (app, ana, json!({ "device_id": device, "to": CUSTOMER }))
}

/// Sends `content`, which may change where to.
async fn send(app: &TestApp, who: &Person, to: &Value, content: Value) -> Answer {
    let mut body = to.clone();
    body.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
    app.post(who, "/api/whatsapp/messages/send", body).await
}

fn text(body: &str) -> Value {
    json!({ "type": "text", "text": { "body": body } })
}

async fn nothing_is_queued(app: &TestApp) {
    assert_eq!(testing::leftovers(&app.ledger).await.unwrap(), []);
}

on_both_databases! {
    async fn a_message_is_queued_with_its_job(kind: Kind) {
        let (app, ana, to) = begun(kind).await;
        let sent = send(&app, &ana, &to, text("Bom dia")).await.is(202);
        assert_eq!((&sent.json["status"], &sent.json["direction"], &sent.json["type"]), (&json!("queued"), &json!("out"), &json!("text")));
        assert_eq!((&sent.json["content"], &sent.json["attendant_id"]), (&json!({ "text": { "body": "Bom dia" } }), &json!(ana.id)));
        let shown = app.get(&ana, &format!("/api/whatsapp/messages/{}", sent.id())).await.is(200).json;
        assert_eq!((shown["status_history"].as_array().unwrap().len(), &shown["status_history"][0]["status"]), (1, &json!("queued")));
        let job = app.claim::<SendMessage>().await;
        assert_eq!((job.payload, job.tenant_id), (json!({ "message_id": sent.id() }), ana.tenant.0));
        app.finish().await;
    }

    async fn every_type_is_taken(kind: Kind) {
        let (app, ana, to) = begun(kind).await;
        let conversation = app.get(&ana, "/api/whatsapp/conversations").await.json["data"][0]["id"].as_str().unwrap().to_owned();
        let messages = app.get(&ana, &format!("/api/whatsapp/conversations/{conversation}/messages")).await;
        let received = messages.json["data"][0]["id"].as_str().unwrap().to_owned();
        let link = "https://files.example/a";
        let good = json!({
            "text": { "body": "Veja https://loja.example", "preview_url": true },
            "image": { "link": link, "caption": "Foto" },
            "video": { "id": "123" },
            "audio": { "link": link, "voice": true },
            "document": { "link": link, "filename": "nota.pdf" },
            "sticker": { "id": "123" },
            "location": { "latitude": -23.5, "longitude": -46.6, "name": "Loja", "address": "Rua A, 1" },
            "contacts": [{ "name": { "formatted_name": "Bia Souza", "first_name": "Bia" }, "phones": [{ "phone": "+5511912345678" }] }],
            "buttons": { "body": "Confirma?", "buttons": [{ "id": "yes", "title": "Sim" }, { "id": "no", "title": "Não" }] },
            "list": { "body": "Escolha", "button": "Ver", "sections": [{ "title": "A", "rows": [{ "id": "1", "title": "Um" }] }] },
            "cta_url": { "body": "Visite", "label": "Abrir", "url": "https://loja.example" },
            "flow": { "body": "Preencha", "label": "Abrir", "flow_id": "1" },
            "template": { "name": "boas_vindas", "language": "pt_BR", "components": [{ "type": "body", "parameters": [] }] },
            "reaction": { "message_id": received, "emoji": "👍" },
        });
        let document = app.send(app.request(Method::GET, "/api/openapi.json")).await.json;
        let types = document["components"]["schemas"]["MessageType"]["enum"].as_array().unwrap();
        for kind in types.iter().map(|kind| kind.as_str().unwrap()).filter(|kind| *kind != "poll") {
            let sent = send(&app, &ana, &to, json!({ "type": kind, kind: good[kind] })).await.is(202);
            assert_eq!(sent.json["content"], json!({ kind: good[kind] }), "{kind}");
        }
        send(&app, &ana, &to, json!({ "type": "poll", "poll": { "question": "Qual?", "options": ["a", "b"] } })).await.faults(&[("/type", "unsupported")]);
        assert_eq!(app.claim_all::<SendMessage>().await.len(), types.len() - 1);
        app.finish().await;
    }

    async fn what_cannot_be_sent_is_refused_and_nothing_is_queued(kind: Kind) {
        let (app, ana, to) = begun(kind).await;
        let with = |name: &str, value: Value| {
            let mut to = to.clone();
            to[name] = value;
            to
        };
        send(&app, &ana, &with("device_id", json!(Uuid::now_v7())), text("x")).await.faults(&[("/device_id", "not_found")]);
        send(&app, &ana, &with("device_id", json!("x")), text("x")).await.faults(&[("/device_id", "invalid")]);
        for number in ["", "123", "not a number", "+55 (11) ????-????", "00000000000"] {
            send(&app, &ana, &with("to", json!(number)), text("x")).await.faults(&[("/to", "invalid")]);
        }
        send(&app, &ana, &to, text(&"x".repeat(4097))).await.faults(&[("/text/body", "too_long")]);
        send(&app, &ana, &to, text("")).await.faults(&[("/text/body", "too_short")]);
        send(&app, &ana, &to, text("a\0b")).await.faults(&[("/text/body", "invalid")]);
        send(&app, &ana, &to, json!({ "type": "text" })).await.faults(&[("/text", "required")]);
        send(&app, &ana, &to, json!({ "type": "text", "text": { "body": "x", "bold": true } })).await.faults(&[("/text/bold", "unknown_field")]);
        send(&app, &ana, &to, json!({ "type": "hologram" })).await.faults(&[("/type", "invalid")]);
        send(&app, &ana, &to, json!({ "type": "text", "text": { "body": "x" }, "location": { "latitude": 1, "longitude": 2 } })).await.faults(&[("/location", "unexpected")]);
        send(&app, &ana, &with("reply_to", json!(Uuid::now_v7())), text("x")).await.faults(&[("/reply_to", "not_found")]);
        let buttons = json!({ "type": "buttons", "buttons": { "body": "x", "buttons": [{ "id": "a", "title": "x".repeat(21) }] } });
        send(&app, &ana, &to, buttons).await.faults(&[("/buttons/buttons/0/title", "too_long")]);
        nothing_is_queued(&app).await;
        app.finish().await;
    }

    async fn outside_the_window_only_templates_are_queued(kind: Kind) {
        let (app, ana, to) = begun(kind).await;
        let template = json!({ "type": "template", "template": { "name": "boas_vindas", "language": "pt_BR" } });
        // Somebody who has never written,
        let mut stranger = to.clone();
        stranger["to"] = json!("+55 11 91234-5678");
        send(&app, &ana, &stranger, text("x")).await.fails(409, "window_closed");
        nothing_is_queued(&app).await;
        assert_eq!(app.get(&ana, "/api/whatsapp/conversations").await.json["data"].as_array().unwrap().len(), 1, "no conversation was begun");
        let _ = send(&app, &ana, &stranger, template.clone()).await.is(202);
        app.claim::<SendMessage>().await;
        app.claim_all::<domain::payloads::SyncContact>().await;
        // and somebody who wrote a day ago.
        app.execute("update whatsapp_conversations set window_until = '2020-01-01T00:00:00+00:00'").await;
        send(&app, &ana, &to, text("x")).await.fails(409, "window_closed");
        nothing_is_queued(&app).await;
        let _ = send(&app, &ana, &to, template).await.is(202);
        app.claim::<SendMessage>().await;
        app.finish().await;
    }

    async fn a_device_that_does_not_work_takes_nothing(kind: Kind) {
        let (app, ana, to) = begun(kind).await;
        app.execute("update whatsapp_devices set status = 'unauthorized', status_reason = 'the token is refused'").await;
        send(&app, &ana, &to, text("x")).await.fails(409, "device_unavailable");
        let path = format!("/api/whatsapp/devices/{}", to["device_id"].as_str().unwrap());
        let _ = app.delete(&ana, &path).await.is(204);
        send(&app, &ana, &to, text("x")).await.faults(&[("/device_id", "not_found")]);
        nothing_is_queued(&app).await;
        app.finish().await;
    }
}
