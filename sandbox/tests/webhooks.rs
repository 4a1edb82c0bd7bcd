//! What a business is told.

use std::time::Duration;

use futures::future::join_all;
use sandbox::Options;
use serde_json::json;

use crate::support::{CUSTOMER, NUMBER, World, start, start_with, text};

async fn statuses(world: &World) -> Vec<String> {
    world.told_statuses().await.into_iter().map(|update| update.status).collect()
}

#[tokio::test]
async fn a_message_is_sent_then_delivered_then_read() {
    let world = start().await;
    let (_, answer) = world.raw(text("x")).await;
    assert_eq!(statuses(&world).await, ["sent", "delivered", "read"]);
    assert!(
        world
            .told_statuses()
            .await
            .iter()
            .all(|update| update.recipient == CUSTOMER && json!(update.provider_id) == answer["messages"][0]["id"])
    );
}

#[tokio::test]
async fn a_customer_who_reads_when_they_like() {
    let world = start_with(Options { auto_read: false, ..Options::default() }).await;
    world.raw(text("a")).await;
    world.raw(text("b")).await;
    assert_eq!(statuses(&world).await, ["sent", "delivered", "sent", "delivered"]);
    for count in [2, 0] {
        let (_, answer) = world.post(&format!("/sandbox/customers/{CUSTOMER}/read"), json!({ "phone_number_id": NUMBER })).await;
        assert_eq!(answer, json!({ "read": count }));
    }
    assert_eq!(statuses(&world).await[4..], ["read", "read"]);
}

#[tokio::test]
async fn every_inbound_kind_arrives() {
    let world = start().await;
    let file = json!({ "data": "aGVsbG8=", "mime_type": "application/pdf", "filename": "a.pdf" });
    let context = json!({ "from": NUMBER, "id": "wamid.before" });
    let kinds = [
        ("text", json!({ "body": "oi" }), "text"),
        ("image", file.clone(), "image"),
        ("video", file.clone(), "video"),
        ("audio", file.clone(), "audio"),
        ("document", file.clone(), "document"),
        ("sticker", file, "sticker"),
        ("location", json!({ "latitude": 1, "longitude": 2 }), "location"),
        ("contacts", json!([{ "name": { "formatted_name": "B" } }]), "contacts"),
        ("button", json!({ "payload": "p", "text": "Sim" }), "button"),
        ("interactive", json!({ "type": "button_reply", "button_reply": { "id": "1", "title": "Sim" } }), "button_reply"),
        ("interactive", json!({ "type": "list_reply", "list_reply": { "id": "1", "title": "R" } }), "list_reply"),
        ("interactive", json!({ "type": "nfm_reply", "nfm_reply": { "response_json": "{}" } }), "flow_reply"),
        ("order", json!({ "catalog_id": "C", "product_items": [] }), "order"),
        ("reaction", json!({ "message_id": "wamid.before", "emoji": "👍" }), "reaction"),
        ("edit", json!({ "original_message_id": "wamid.before", "message": { "type": "text", "text": { "body": "novo" } } }), "edit"),
        ("revoke", json!({ "original_message_id": "wamid.before" }), "revoke"),
        ("system", json!({ "body": "changed", "type": "user_changed_number" }), "system"),
        ("unsupported", json!({ "type": "poll" }), "unsupported"),
        ("hologram", json!({ "x": 1 }), "unsupported"),
    ];
    let mut ids = Vec::new();
    for (kind, body, _) in &kinds {
        let mut message = json!({ "name": "Ana", "type": kind, "context": context });
        message[kind] = body.clone();
        ids.push(world.write(message).await);
    }
    let told = world.told_messages().await;
    assert_eq!(told.iter().map(|message| message.provider_id.clone()).collect::<Vec<_>>(), ids);
    for (message, (kind, body, expected)) in told.iter().zip(&kinds) {
        assert_eq!((message.kind.as_str(), message.from.as_str()), (*expected, CUSTOMER));
        assert_eq!((message.context.as_deref(), message.profile_name.as_deref()), (Some("wamid.before"), Some("Ana")), "{kind}");
        let media = body["data"].is_string();
        assert_eq!(message.media.is_some(), media, "{kind}");
        if media {
            assert!(message.content["data"].is_null() && message.content["sha256"].is_string(), "{kind}");
        } else if kind == expected && *kind != "unsupported" {
            assert_eq!(message.content, *body);
        }
    }
}

#[tokio::test]
async fn a_message_may_be_repeated_by_its_id() {
    let world = start().await;
    let body = json!({ "type": "text", "text": { "body": "oi" }, "id": "wamid.same", "timestamp": "1700000000" });
    for _ in 0..2 {
        assert_eq!(world.write(body.clone()).await, "wamid.same");
    }
    let told: Vec<_> = world.told_messages().await.into_iter().map(|message| (message.provider_id, message.at.timestamp())).collect();
    assert_eq!(told, vec![("wamid.same".to_owned(), 1_700_000_000); 2]);
}

#[tokio::test]
async fn what_the_customer_cant_write_is_refused() {
    let world = start().await;
    for body in [json!({}), json!([]), json!({ "phone_number_id": NUMBER, "type": "image", "image": { "data": "?" } })] {
        assert_eq!(world.post(&format!("/sandbox/customers/{CUSTOMER}/messages"), body.clone()).await.0, 400, "{body}");
    }
    assert!(world.told().await.is_empty());
}

#[tokio::test]
async fn customers_answer_by_themselves_when_asked() {
    let world = start_with(Options { auto_reply: true, ..Options::default() }).await;
    world.raw(text("Bom dia")).await;
    let [reply] = <[_; 1]>::try_from(world.told_messages().await).expect("one reply");
    assert_eq!((reply.from.as_str(), reply.content["body"].as_str()), (CUSTOMER, Some("Recebi: Bom dia")));
}

#[tokio::test]
async fn a_delivery_is_repeated_until_it_is_taken_and_the_order_stays() {
    let world = start().await;
    world.refuse_deliveries(3);
    let mut ids = Vec::new();
    for at in 0..60 {
        ids.push(world.write(json!({ "type": "text", "text": { "body": at.to_string() } })).await);
    }
    let told: Vec<_> = world.told_messages().await.into_iter().map(|message| message.provider_id).collect();
    assert_eq!(told, ids);
    assert_eq!(world.refused_deliveries(), 3);
}

#[tokio::test]
async fn five_hundred_at_once_all_arrive_each_in_order() {
    let world = start().await;
    let numbered = |at: usize| {
        let mut body = text("x");
        body["biz_opaque_callback_data"] = json!(at.to_string());
        body
    };
    let answers = join_all((0..500).map(|at| world.raw(numbered(at)))).await;
    assert!(answers.iter().all(|(status, _)| *status == 200));
    let told = world.told_statuses().await;
    assert_eq!(told.len(), 1500);
    for at in 0..500 {
        let ours = Some(at.to_string());
        let statuses: Vec<_> = told.iter().filter(|update| update.callback == ours).map(|update| update.status.as_str()).collect();
        assert_eq!(statuses, ["sent", "delivered", "read"]);
    }
}

#[tokio::test]
async fn a_webhook_that_nobody_takes_holds_no_other_number_up() {
    let world = start().await;
    world.post("/sandbox/numbers", json!({ "phone_number_id": "2", "webhook": "http://127.0.0.1:9/nobody" })).await;
    world.post("/v23.0/2/messages", text("x")).await;
    world.raw(text("x")).await;
    for _ in 0..3000 {
        if world.changes().len() == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(world.changes().iter().all(|change| change.phone_number_id.as_deref() == Some(NUMBER)));
    let (_, stats) = world.get("/sandbox/stats").await;
    assert_eq!((world.changes().len(), &stats["accepted"]), (3, &json!(2)));
    assert_ne!(stats["outstanding"], 0);
}

#[tokio::test]
async fn a_number_told_anew_goes_on_under_its_new_account() {
    let world = start().await;
    world.write(json!({ "type": "text", "text": { "body": "oi" } })).await;
    world.told().await;
    let (status, answer) = world.post("/sandbox/numbers", json!({ "phone_number_id": NUMBER, "business_account_id": "waba" })).await;
    assert_eq!((status, answer), (200, json!({ "phone_number_id": NUMBER })));
    world.write(json!({ "type": "text", "text": { "body": "oi" } })).await;
    world.told().await;
    let accounts: Vec<_> = world.changes().into_iter().filter_map(|change| change.business_account_id).collect();
    assert_eq!(accounts, ["sandbox-account", "waba"]);
}
