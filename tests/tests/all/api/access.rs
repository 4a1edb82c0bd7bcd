//! Who may do what: every operation of the document that is not of a resource stands in this table, or the test fails. Those of
//! resources are in `resources::matrix`.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    entities::{MediaId, MediaState, Role, whatsapp_conversation, whatsapp_device, whatsapp_media, whatsapp_message},
    payloads::SendMessage,
};
use jobs::testing;
use reqwest::{Method, multipart::Form};
use sea_orm::{ActiveValue::Set, EntityTrait};
use serde_json::{Value, json};
use tests::{
    app::{Answer, Person, TestApp, app, new_device},
    on_both_databases,
};

const NUMBER: &str = "100";
const CUSTOMER: &str = "5511987654321";

/// What an operation is to somebody of another team.
enum Foreign {
    /// Anybody may ask.
    Public,
    /// It names nothing: they get, or make, their own.
    Own,
    /// It names a thing in its path that is not theirs: 404.
    Missing,
    /// It names one in its query: they find nothing.
    Empty,
    /// It names one in its body: 422 with this pointer.
    Fault(&'static str),
    /// It is the operator's: 403.
    Operator,
}

/// Which role an operation wants at least.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wants {
    Viewer,
    Agent,
    Admin,
}

/// A team with one of everything.
struct World {
    device: String,
    conversation: String,
    message: String,
    media: String,
    job: String,
}

/// Operation, how it is asked, what it is to strangers, what role it wants.
type Row = (&'static str, fn(&World) -> (Method, String, Option<Value>), Foreign, Wants);

fn table() -> Vec<Row> {
    use Foreign::{Empty, Fault, Missing, Operator, Own, Public};
    use Wants::{Admin, Agent, Viewer};
    vec![
        ("auth_login", |_| (Method::POST, "/api/auth/login".into(), None), Public, Viewer),
        ("auth_logout", |_| (Method::POST, "/api/auth/logout".into(), None), Public, Viewer),
        ("auth_refresh", |_| (Method::POST, "/api/auth/refresh".into(), None), Public, Viewer),
        ("health_live", |_| (Method::GET, "/api/health/live".into(), None), Public, Viewer),
        ("health_ready", |_| (Method::GET, "/api/health/ready".into(), None), Public, Viewer),
        ("whatsapp_webhook_verify", |_| (Method::GET, "/api/whatsapp/webhook".into(), None), Public, Viewer),
        ("whatsapp_webhook_receive", |_| (Method::POST, "/api/whatsapp/webhook".into(), None), Public, Viewer),
        ("me_update", |_| (Method::PATCH, "/api/me".into(), Some(json!({ "locale": "en" }))), Own, Viewer),
        ("me_get", |_| (Method::GET, "/api/me".into(), None), Own, Viewer),
        ("jobs_list", |_| (Method::GET, "/api/jobs".into(), None), Own, Viewer),
        ("jobs_get", |w| (Method::GET, format!("/api/jobs/{}", w.job), None), Missing, Viewer),
        ("jobs_retry", |w| (Method::POST, format!("/api/jobs/{}/retry", w.job), None), Missing, Admin),
        ("jobs_cancel", |w| (Method::POST, format!("/api/jobs/{}/cancel", w.job), None), Missing, Admin),
        ("queues_list", |_| (Method::GET, "/api/queues".into(), None), Own, Viewer),
        ("queues_pause", |_| (Method::POST, "/api/queues/mail-send/pause".into(), None), Operator, Admin),
        ("queues_resume", |_| (Method::POST, "/api/queues/mail-send/resume".into(), None), Operator, Admin),
        ("whatsapp_devices_list", |_| (Method::GET, "/api/whatsapp/devices".into(), None), Own, Viewer),
        ("whatsapp_devices_create", |_| (Method::POST, "/api/whatsapp/devices".into(), Some(new_device("300"))), Own, Admin),
        ("whatsapp_devices_get", |w| (Method::GET, format!("/api/whatsapp/devices/{}", w.device), None), Missing, Viewer),
        (
            "whatsapp_devices_update",
            |w| (Method::PATCH, format!("/api/whatsapp/devices/{}", w.device), Some(json!({ "name": "mine" }))),
            Missing,
            Admin,
        ),
        ("whatsapp_devices_delete", |w| (Method::DELETE, format!("/api/whatsapp/devices/{}", w.device), None), Missing, Admin),
        (
            "whatsapp_conversations_list",
            |w| (Method::GET, format!("/api/whatsapp/conversations?device_id={}", w.device), None),
            Empty,
            Viewer,
        ),
        ("whatsapp_conversations_get", |w| (Method::GET, format!("/api/whatsapp/conversations/{}", w.conversation), None), Missing, Viewer),
        (
            "whatsapp_conversations_messages",
            |w| (Method::GET, format!("/api/whatsapp/conversations/{}/messages", w.conversation), None),
            Missing,
            Viewer,
        ),
        (
            "whatsapp_conversations_read",
            |w| (Method::POST, format!("/api/whatsapp/conversations/{}/read", w.conversation), None),
            Missing,
            Agent,
        ),
        (
            "whatsapp_conversations_typing",
            |w| (Method::POST, format!("/api/whatsapp/conversations/{}/typing", w.conversation), None),
            Missing,
            Agent,
        ),
        ("whatsapp_messages_get", |w| (Method::GET, format!("/api/whatsapp/messages/{}", w.message), None), Missing, Viewer),
        (
            "whatsapp_messages_send",
            |w| {
                let body = json!({ "device_id": w.device, "to": CUSTOMER, "type": "text", "text": { "body": "x" } });
                (Method::POST, "/api/whatsapp/messages/send".into(), Some(body))
            },
            Fault("/device_id"),
            Agent,
        ),
        ("whatsapp_media_get", |w| (Method::GET, format!("/api/whatsapp/media/{}", w.media), None), Missing, Viewer),
        ("whatsapp_media_create", |w| (Method::POST, "/api/whatsapp/media".into(), Some(json!(w.device))), Fault("/device_id"), Agent),
        (
            "whatsapp_statistics_list",
            |w| (Method::GET, format!("/api/whatsapp/statistics?period=day&device_id={}", w.device), None),
            Empty,
            Viewer,
        ),
    ]
}

async fn world(app: &TestApp, ana: &Person) -> World {
    let device = app.device(ana, NUMBER).await;
    app.customer_writes(NUMBER, CUSTOMER, "Olá").await;
    let body = json!({ "device_id": device, "to": CUSTOMER, "type": "text", "text": { "body": "Bom dia" } });
    let message = app.post(ana, "/api/whatsapp/messages/send", body).await.is(202).json;
    let job = testing::assert_enqueued(&app.ledger, <SendMessage as jobs::Job>::KIND).await.id.to_string();
    let media = MediaId::new();
    let row = whatsapp_media::ActiveModel {
        id: Set(media),
        tenant_id: Set(ana.tenant),
        device_id: Set(device),
        state: Set(MediaState::Pending),
        ..Default::default()
    };
    whatsapp_media::Entity::insert(row).exec_without_returning(&app.database.db.write).await.unwrap();
    World {
        device: device.to_string(),
        conversation: message["conversation_id"].as_str().unwrap().into(),
        message: message["id"].as_str().unwrap().into(),
        media: media.to_string(),
        job,
    }
}

/// Everything that somebody could have changed.
async fn snapshot(app: &TestApp) -> String {
    let db = &app.database.db.write;
    format!(
        "{:?}{:?}{:?}{:?}{:?}",
        whatsapp_device::Entity::find().all(db).await.unwrap(),
        whatsapp_conversation::Entity::find().all(db).await.unwrap(),
        whatsapp_message::Entity::find().all(db).await.unwrap(),
        whatsapp_media::Entity::find().all(db).await.unwrap(),
        testing::leftovers(&app.ledger).await.unwrap(),
    )
}

async fn ask(app: &TestApp, who: Option<&Person>, (method, path, body): (Method, String, Option<Value>)) -> Answer {
    let upload = path == "/api/whatsapp/media";
    let mut request = app.request(method, &path);
    if let Some(who) = who {
        request = request.bearer_auth(&who.token);
    }
    request = match body {
        Some(device) if upload => {
            let file = reqwest::multipart::Part::bytes(b"GIF89a".to_vec()).file_name("a.gif").mime_str("image/gif").unwrap();
            request.multipart(Form::new().text("device_id", device.as_str().unwrap().to_owned()).part("file", file))
        }
        Some(body) => request.json(&body),
        None => request,
    };
    app.send(request).await
}

on_both_databases! {
    async fn every_operation_stands_in_the_table(kind: Kind) {
        let app = app(kind).await;
        let document = app.send(app.request(Method::GET, "/api/openapi.json")).await.is(200).json;
        let mut secured = BTreeMap::new();
        for operation in document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values()) {
            secured.insert(operation["operationId"].as_str().unwrap().to_owned(), operation["security"][0].get("Caller").is_some());
        }
        // Those of resources, and what is read beside them, are in the table that is made from the document.
        let own = |id: &str| ["auth_", "health_", "me_", "jobs_", "queues_", "whatsapp_"].iter().any(|group| id.starts_with(group));
        let listed: BTreeSet<_> = table().into_iter().map(|(id, ..)| id.to_owned()).collect();
        assert_eq!(listed, secured.keys().filter(|id| own(id)).cloned().collect(), "an operation is missing in this table, or is no more");
        for (id, _, foreign, _) in table() {
            assert_eq!(secured[id], !matches!(foreign, Foreign::Public), "{id} wants a token, or says that it doesn't");
        }
        app.finish().await;
    }

    async fn nobody_reaches_into_another_team(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("a", Role::Admin).await;
        let bob = app.person("b", Role::Admin).await;
        let world = world(&app, &ana).await;
        let before = snapshot(&app).await;
        for (id, asked, foreign, _) in table() {
            if matches!(foreign, Foreign::Public) || id == "whatsapp_devices_create" {
                continue;
            }
            let answer = ask(&app, Some(&bob), asked(&world)).await;
            match foreign {
                Foreign::Missing => answer.fails(404, "not_found"),
                Foreign::Fault(pointer) => answer.faults(&[(pointer, "not_found")]),
                Foreign::Operator => answer.fails(403, "forbidden"),
                Foreign::Empty => assert_eq!(answer.is(200).json["data"], json!([]), "{id}"),
                Foreign::Own | Foreign::Public => {
                    let text = answer.is(200).text;
                    for name in [&world.device, &world.conversation, &world.message, &world.job, &ana.email] {
                        assert!(!text.contains(name.as_str()), "{id} shows {name}: {text}");
                    }
                }
            }
            assert_eq!(snapshot(&app).await, before, "{id} changed something");
        }
        app.claim::<SendMessage>().await;
        app.finish().await;
    }

    async fn nobody_comes_in_without_a_token(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("a", Role::Admin).await;
        let world = world(&app, &ana).await;
        let before = snapshot(&app).await;
        for (id, asked, foreign, _) in table() {
            if matches!(foreign, Foreign::Public) {
                continue;
            }
            let answer = ask(&app, None, asked(&world)).await;
            assert_eq!(answer.status, 401, "{id}: {}", answer.text);
            assert_eq!(snapshot(&app).await, before, "{id} changed something");
        }
        app.claim::<SendMessage>().await;
        app.finish().await;
    }

    async fn a_role_does_what_it_may(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("a", Role::Admin).await;
        let people = [(Wants::Viewer, app.person("a", Role::Viewer).await), (Wants::Agent, app.person("a", Role::Agent).await)];
        let world = world(&app, &ana).await;
        for (has, who) in &people {
            let before = snapshot(&app).await;
            for (id, asked, foreign, wants) in table() {
                let may = wants == Wants::Viewer || wants == Wants::Agent && *has == Wants::Agent;
                if matches!(foreign, Foreign::Public) {
                    continue;
                }
                if !may {
                    ask(&app, Some(who), asked(&world)).await.fails(403, "forbidden");
                    assert_eq!(snapshot(&app).await, before, "{id} changed something");
                } else if wants == Wants::Viewer {
                    let status = ask(&app, Some(who), asked(&world)).await.status;
                    // The file is not there yet.
                    assert_eq!(status, if id == "whatsapp_media_get" { 409 } else { 200 }, "{id}");
                }
            }
        }
        let agent = &people[1].1;
        for id in ["whatsapp_messages_send", "whatsapp_conversations_read", "whatsapp_media_create"] {
            let (_, asked, ..) = table().into_iter().find(|(name, ..)| *name == id).unwrap();
            let answer = ask(&app, Some(agent), asked(&world)).await;
            assert!((200..300).contains(&answer.status), "{id}: {}", answer.text);
        }
        assert_eq!(app.claim_all::<SendMessage>().await.len(), 2);
        app.claim_all::<domain::payloads::MarkRead>().await;
        app.finish().await;
    }
}
