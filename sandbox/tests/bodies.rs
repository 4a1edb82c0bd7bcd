//! What is taken and what is refused.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::{CUSTOMER, NUMBER, start, text};

#[tokio::test]
async fn every_official_example_is_taken() {
    let world = start().await;
    let examples: BTreeMap<String, Value> = serde_json::from_str(include_str!("../schema/outgoing.examples.json")).expect("examples");
    let mut ids = BTreeSet::new();
    for (name, body) in &examples {
        let (status, answer) = world.raw(body.clone()).await;
        assert_eq!(status, 200, "{name}: {answer}");
        if body["status"] == "read" {
            assert_eq!(answer, json!({ "success": true }), "{name}");
            continue;
        }
        assert_eq!(answer["contacts"][0]["input"], body["to"], "{name}");
        let id = answer["messages"][0]["id"].as_str().expect("an id").to_owned();
        assert!(id.starts_with("wamid.") && ids.insert(id), "{name}");
    }
    assert_eq!((examples.len(), ids.len()), (50, 49));
    let kept: Vec<Value> = world.accepted().await.iter().map(|message| message["body"].clone()).collect();
    let sent: Vec<Value> = examples.into_values().filter(|body| body["status"].is_null()).collect();
    assert_eq!(kept, sent);
}

fn interactive(interactive: Value) -> Value {
    json!({ "messaging_product": "whatsapp", "to": CUSTOMER, "type": "interactive", "interactive": interactive })
}

fn buttons(ids: [&str; 2], titles: [&str; 2]) -> Value {
    let replies: Vec<_> =
        ids.iter().zip(titles).map(|(id, title)| json!({ "type": "reply", "reply": { "id": id, "title": title } })).collect();
    interactive(json!({ "type": "button", "body": { "text": "?" }, "action": { "buttons": replies } }))
}

fn products(per_section: &[usize]) -> Value {
    let section = |(at, count): (usize, &usize)| {
        let items: Vec<_> = (0..*count).map(|item| json!({ "product_retailer_id": format!("{at}-{item}") })).collect();
        json!({ "title": format!("S{at}"), "product_items": items })
    };
    let sections: Vec<_> = per_section.iter().enumerate().map(section).collect();
    interactive(
        json!({ "type": "product_list", "header": { "type": "text", "text": "H" }, "body": { "text": "B" }, "action": { "catalog_id": "1", "sections": sections } }),
    )
}

#[tokio::test]
async fn wrong_bodies_are_refused_in_metas_words() {
    let world = start().await;
    let rows = |second: &str| {
        let sections =
            json!([{ "title": "A", "rows": [{ "id": "1", "title": "R" }] }, { "title": "B", "rows": [{ "id": second, "title": "R" }] }]);
        interactive(json!({ "type": "list", "body": { "text": "?" }, "action": { "button": "Ver", "sections": sections } }))
    };
    for good in [text("x"), text(&"é".repeat(4096)), buttons(["1", "2"], ["A", "B"]), rows("2"), products(&[10, 10, 10])] {
        let (status, answer) = world.raw(good).await;
        assert_eq!(status, 200, "{answer}");
    }
    let before = world.accepted().await.len();
    let wrong = [
        ("no product", json!({ "to": CUSTOMER, "type": "text", "text": { "body": "x" } })),
        ("no recipient", json!({ "messaging_product": "whatsapp", "type": "text", "text": { "body": "x" } })),
        ("no member", json!({ "messaging_product": "whatsapp", "to": CUSTOMER, "type": "text" })),
        ("too long", text(&"é".repeat(4097))),
        (
            "unknown member",
            json!({ "messaging_product": "whatsapp", "to": CUSTOMER, "type": "text", "text": { "body": "x" }, "priority": 1 }),
        ),
        ("unknown type", json!({ "messaging_product": "whatsapp", "to": CUSTOMER, "type": "hologram", "hologram": {} })),
        (
            "id and link",
            json!({ "messaging_product": "whatsapp", "to": CUSTOMER, "type": "image", "image": { "id": "1", "link": "https://a.example" } }),
        ),
        ("same button ids", buttons(["1", "1"], ["A", "B"])),
        ("same button titles", buttons(["1", "2"], ["A", "A"])),
        ("same row ids", rows("1")),
        ("31 products", products(&[10, 10, 11])),
        ("not an object", json!([1])),
    ];
    let count = wrong.len();
    for (what, body) in wrong {
        let (status, answer) = world.raw(body).await;
        let error = &answer["error"];
        assert_eq!((status, &error["code"], &error["type"]), (400, &json!(100), &json!("OAuthException")), "{what}: {answer}");
        assert!(error["message"].as_str().is_some_and(|message| message.starts_with("(#100) ")), "{what}: {answer}");
        assert!(error["error_data"]["details"].is_string() && error["fbtrace_id"].is_string(), "{what}: {answer}");
    }
    assert_eq!(world.accepted().await.len(), before);
    let (_, stats) = world.get("/sandbox/stats").await;
    assert_eq!((&stats["accepted"], &stats["refused"]), (&json!(before), &json!(count)));
}

#[tokio::test]
async fn accepted_messages_are_found_by_number_and_customer() {
    let world = start().await;
    world.raw(text("a")).await;
    let mut other = text("b");
    other["to"] = json!("+1 (650) 555-1234");
    world.post("/v23.0/2/messages", other).await;
    for (query, bodies) in [("", vec!["a", "b"]), ("phone_number_id=2", vec!["b"]), ("to=16505551234", vec!["b"]), ("to=1", vec![])] {
        let (_, answer) = world.get(&format!("/sandbox/messages?{query}")).await;
        let found: Vec<_> = answer["data"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|message| message["body"]["text"]["body"].as_str().expect("a text"))
            .collect();
        assert_eq!(found, bodies, "{query}");
    }
    let (_, chat) = world.get(&format!("/sandbox/chats/{NUMBER}/{CUSTOMER}")).await;
    assert_eq!((&chat["data"][0]["body"], &chat["data"][0]["mine"]), (&text("a"), &json!(false)));
}
