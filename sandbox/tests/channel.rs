//! The product's own client against the sandbox.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use whatsapp::{
    channel::{Channel, ChannelError, DeviceTrouble, Outbound, Sent, Upload},
    cloud::CAPS,
    message::Content,
};

use crate::support::{CUSTOMER, NUMBER, outbound, start, text};

/// A message of each type as our API takes it, and Meta's member and type for it.
fn examples(file: &str) -> Vec<(Value, &'static str)> {
    vec![
        (json!({ "type": "text", "text": { "body": "Olá https://somo.example", "preview_url": true } }), "text"),
        (json!({ "type": "image", "image": { "id": file, "caption": "A" } }), "image"),
        (json!({ "type": "video", "video": { "link": "https://a.example/x.mp4" } }), "video"),
        (json!({ "type": "audio", "audio": { "id": file, "voice": true } }), "audio"),
        (json!({ "type": "document", "document": { "id": file, "filename": "a.pdf" } }), "document"),
        (json!({ "type": "sticker", "sticker": { "id": file } }), "sticker"),
        (json!({ "type": "location", "location": { "latitude": -23.55, "longitude": -46.63, "name": "Sé" } }), "location"),
        (json!({ "type": "contacts", "contacts": [{ "name": { "formatted_name": "A B", "first_name": "A" } }] }), "contacts"),
        (json!({ "type": "buttons", "buttons": { "body": "B", "buttons": [{ "id": "1", "title": "Sim" }] } }), "interactive"),
        (
            json!({ "type": "list", "list": { "body": "B", "button": "Ver", "sections": [{ "rows": [{ "id": "1", "title": "R" }] }] } }),
            "interactive",
        ),
        (json!({ "type": "cta_url", "cta_url": { "body": "B", "label": "Ver", "url": "https://a.example" } }), "interactive"),
        (json!({ "type": "flow", "flow": { "body": "B", "flow_id": "1", "label": "Ver" } }), "interactive"),
        (json!({ "type": "template", "template": { "name": "ola", "language": "pt_BR" } }), "template"),
        (json!({ "type": "reaction", "reaction": { "message_id": "0198c0de-0000-7000-8000-000000000000", "emoji": "👍" } }), "reaction"),
    ]
}

#[tokio::test]
async fn every_type_that_the_channel_claims_arrives() {
    let world = start().await;
    let channel = world.channel();
    let examples = examples("1013859600285441");
    let mut types = Vec::new();
    for (at, (example, _)) in examples.iter().enumerate() {
        let content: Content = serde_json::from_value(example.clone()).expect("a message");
        content.check().expect("within the limits");
        types.push(content.kind);
        let message = Outbound { reply_to: Some("wamid.reply".into()), target: Some("wamid.target".into()), ..outbound(content) };
        let sent = channel.send(&message, &format!("ours-{at}"), 1).await;
        let kept = world.accepted().await.pop().expect("one");
        assert_eq!(sent, Sent::Accepted { provider_id: kept["id"].as_str().expect("an id").into() }, "{example}");
    }
    assert_eq!(types, CAPS.types);
    for (at, (kept, (example, kind))) in world.accepted().await.iter().zip(&examples).enumerate() {
        let body = &kept["body"];
        assert_eq!((&kept["to"], &kept["callback"]), (&json!(CUSTOMER), &json!(format!("ours-{at}"))));
        assert_eq!((&body["type"], &body["context"]), (&json!(kind), &json!({ "message_id": "wamid.reply" })));
        match example["type"].as_str().expect("a type") {
            "reaction" => assert_eq!(body["reaction"], json!({ "message_id": "wamid.target", "emoji": "👍" })),
            "template" => assert_eq!(body["template"], json!({ "name": "ola", "language": { "code": "pt_BR" } })),
            ours if *kind == "interactive" => assert_eq!(body["interactive"]["type"], if ours == "buttons" { "button" } else { ours }),
            ours => assert_eq!(body[ours], example[ours]),
        }
    }
}

fn png(bytes: &'static [u8]) -> Upload {
    Upload { file_name: "a \"b\".png".into(), mime_type: "image/png".into(), bytes: Bytes::from_static(bytes) }
}

#[tokio::test]
async fn a_file_goes_up_and_comes_down() {
    let world = start().await;
    let channel = world.channel();
    let id = channel.upload(png(b"\x89PNG and more")).await.expect("an id");
    let download = channel.download(&id, 13).await.expect("the file");
    assert_eq!((&download.bytes[..], download.mime_type.as_str()), (&b"\x89PNG and more"[..], "image/png"));
    let (_, located) = world.get(&format!("/v23.0/{id}")).await;
    assert_eq!((&located["sha256"], &located["file_size"]), (&json!(download.sha256), &json!(13)));

    assert!(matches!(channel.download(&id, 12).await, Err(ChannelError::Permanent(error)) if error.message.contains("12 bytes")));
    assert!(matches!(channel.download("1", 12).await, Err(ChannelError::Permanent(error)) if error.code == Some(100)));
    let program = Upload { mime_type: "application/x-msdownload".into(), ..png(b"MZ") };
    assert!(matches!(channel.upload(program).await, Err(ChannelError::Permanent(error)) if error.code == Some(100)));

    let client = &world.http;
    let fetch = |path: String| client.get(format!("{}{path}", world.sandbox.url())).send();
    assert_eq!(fetch(format!("/files/{id}")).await.expect("an answer").status(), 401);
    assert_eq!(fetch(format!("/sandbox/files/{id}")).await.expect("an answer").bytes().await.expect("bytes"), &b"\x89PNG and more"[..]);
    let delete = client.delete(format!("{}/v23.0/{id}", world.sandbox.url())).bearer_auth("any").send().await.expect("an answer");
    assert_eq!(delete.status(), 200);
    assert!(matches!(channel.download(&id, 13).await, Err(ChannelError::Permanent(_))));
}

#[tokio::test]
async fn a_file_of_the_customer_can_be_fetched() {
    let world = start().await;
    world.write(json!({ "type": "image", "image": { "data": "aGVsbG8=", "mime_type": "image/jpeg" } })).await;
    let message = world.told_messages().await.remove(0);
    let media = message.media.expect("a file");
    assert_eq!(message.content["sha256"], "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
    let download = world.channel().download(&media.provider_media_id, 100).await.expect("the file");
    assert_eq!((&download.bytes[..], download.mime_type.as_str()), (&b"hello"[..], "image/jpeg"));
}

#[tokio::test]
async fn templates_come_over_two_pages() {
    let world = start().await;
    let templates = world.channel().templates().await.expect("templates");
    let names: Vec<_> = templates.iter().map(|template| template.name.as_str()).collect();
    assert_eq!(names, ["boas_vindas", "lembrete", "pesquisa"]);
    assert!(templates.iter().all(|template| template.status == "APPROVED" && template.language == "pt_BR"));
}

#[tokio::test]
async fn the_customer_sees_what_was_read_and_that_somebody_types() {
    let world = start().await;
    let channel = world.channel();
    let first = world.write(json!({ "type": "text", "text": { "body": "1" } })).await;
    let second = world.write(json!({ "type": "text", "text": { "body": "2" } })).await;
    world.write(json!({ "type": "text", "text": { "body": "3" } })).await;
    let seen = async || {
        let (_, chat) = world.get(&format!("/sandbox/chats/{NUMBER}/{CUSTOMER}")).await;
        let statuses: Vec<_> =
            chat["data"].as_array().expect("lines").iter().map(|line| line["status"].as_str().expect("a status").to_owned()).collect();
        (statuses.join(" "), chat["typing"].as_bool().expect("a flag"))
    };
    channel.mark_read(&first, false).await.expect("marked");
    assert_eq!(seen().await, ("read delivered delivered".into(), false));
    channel.mark_read(&second, true).await.expect("marked");
    assert_eq!(seen().await, ("read read delivered".into(), true));
    channel.send(&outbound(Content::text("4")), "ours", 1).await;
    assert!(!seen().await.1, "the answer ends the typing");
}

#[tokio::test]
async fn health_names_the_number_and_a_wrong_token_is_refused_everywhere() {
    let world = start().await;
    let health = world.channel().health().await.expect("health");
    assert_eq!((health.display_phone_number.as_str(), health.quality_rating.as_str()), (NUMBER, "GREEN"));

    world.post("/sandbox/numbers", json!({ "phone_number_id": NUMBER, "access_token": "right" })).await;
    let right = world.channel_with("right", Duration::from_secs(30));
    assert!(right.health().await.is_ok());
    let wrong = world.channel();
    let sent = wrong.send(&outbound(Content::text("x")), "ours", 1).await;
    assert!(
        matches!(&sent, Sent::Device { trouble: DeviceTrouble::Unauthorized, error, retry: Some(_) } if error.code == Some(190)),
        "{sent:?}"
    );
    assert!(matches!(wrong.health().await, Err(ChannelError::Unauthorized(_))));
    assert!(matches!(wrong.upload(png(b"x")).await, Err(ChannelError::Unauthorized(_))));
    assert!(matches!(wrong.mark_read("wamid.x", false).await, Err(ChannelError::Unauthorized(_))));
    assert!(world.accepted().await.is_empty());
}

#[tokio::test]
async fn a_sandbox_that_was_dropped_breaks_its_connections() {
    let world = start().await;
    let channel = world.channel();
    assert!(channel.health().await.is_ok());
    let (url, http) = (world.sandbox.url(), world.http.clone());
    drop(world);
    // The connections of before are gone too: they would answer still.
    let ended = async {
        while http.post(format!("{url}/v23.0/1/messages")).json(&text("x")).send().await.is_ok() {
            tokio::task::yield_now().await;
        }
        while channel.health().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it ends");
}
