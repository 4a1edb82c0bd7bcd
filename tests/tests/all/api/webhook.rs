//! Deliveries from Meta.

use domain::{
    entities::{Role, whatsapp_inbox},
    payloads::IngestWebhook,
};
use reqwest::Method;
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::{Value, json};
use tests::{
    app::{TestApp, app, delivery, secret_of},
    on_both_databases,
};

const WEBHOOK: &str = "/api/whatsapp/webhook";
const CUSTOMER: &str = "5511987654321";

fn text(id: &str) -> Value {
    json!({ "messages": [{ "from": CUSTOMER, "id": id, "timestamp": "1790000000", "type": "text", "text": { "body": "Olá" } }] })
}

/// What is kept: device and body.
async fn kept(app: &TestApp) -> Vec<(String, Value)> {
    let rows = whatsapp_inbox::Entity::find().order_by_asc(whatsapp_inbox::Column::Id).all(&app.database.db.write).await.unwrap();
    rows.into_iter().map(|row| (row.device_id.to_string(), row.body)).collect()
}

/// The texts of all conversations that somebody sees.
async fn conversations(app: &TestApp, who: &tests::app::Person) -> usize {
    app.get(who, "/api/whatsapp/conversations").await.is(200).json["data"].as_array().unwrap().len()
}

on_both_databases! {
    async fn meta_verifies_the_address(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let device = app.device(&ana, "100").await;
        let ask = |mode: &str, token: &str, challenge: &str| {
            let query = [("hub.mode", mode), ("hub.verify_token", token), ("hub.challenge", challenge)];
            app.send(app.request(Method::GET, WEBHOOK).query(&query))
        };
        let told = ask("subscribe", "verify 100", "1158201444").await.is(200);
        assert_eq!((told.text.as_str(), told.header("x-content-type-options")), ("1158201444", "nosniff"));
        assert!(told.header("content-type").starts_with("text/plain"));
        ask("subscribe", "verify 101", "1").await.fails(403, "forbidden");
        ask("unsubscribe", "verify 100", "1").await.fails(403, "forbidden");
        ask("subscribe", "verify 100", "<script>").await.faults(&[("/hub.challenge", "invalid")]);
        app.send(app.request(Method::GET, WEBHOOK)).await.faults(&[("/hub.mode", "required")]);
        let _ = app.delete(&ana, &format!("/api/whatsapp/devices/{device}")).await.is(204);
        ask("subscribe", "verify 100", "1").await.fails(403, "forbidden");
        app.finish().await;
    }

    async fn what_nobody_signed_is_not_kept(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        app.device(&ana, "100").await;
        let body = delivery("100", text("wamid.1")).to_string();
        app.deliver("another secret", &body).await.fails(401, "invalid_signature");
        for signature in ["", "sha256=", "sha256=zz", "sha1=00", &"0".repeat(64)] {
            let request = app.request(Method::POST, WEBHOOK).header("x-hub-signature-256", signature).body(body.clone());
            app.send(request).await.fails(401, "invalid_signature");
        }
        app.send(app.request(Method::POST, WEBHOOK).body(body)).await.fails(401, "invalid_signature");
        app.send(app.request(Method::POST, WEBHOOK)).await.fails(401, "invalid_signature");
        assert_eq!(kept(&app).await, []);
        app.finish().await;
    }

    async fn a_signed_delivery_is_kept_with_its_job(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let device = app.device(&ana, "100").await;
        let taken = app.deliver(&secret_of("100"), &delivery("100", text("wamid.1")).to_string()).await.is(200);
        assert_eq!(taken.json, json!({ "received": true }));
        let rows = kept(&app).await;
        assert_eq!((rows.len(), &rows[0].0), (1, &device.to_string()));
        assert_eq!(rows[0].1["entry"][0]["changes"][0]["value"]["messages"][0]["id"], "wamid.1");
        app.take_in().await;
        assert_eq!(conversations(&app, &ana).await, 1);
        app.finish().await;
    }

    async fn one_tenant_cannot_write_to_anothers_number(kind: Kind) {
        let app = app(kind).await;
        let (ana, bob) = (app.person("a", Role::Admin).await, app.person("b", Role::Admin).await);
        let device = app.device(&ana, "100").await;
        app.device(&bob, "200").await;
        // Signed with B's secret: their number alone,
        app.deliver(&secret_of("200"), &delivery("100", text("wamid.1")).to_string()).await.fails(401, "invalid_signature");
        // or both in one delivery, where B's own is taken and A's is not; and the other way round.
        let mut both = delivery("100", text("wamid.2"));
        let bobs = delivery("200", text("wamid.3"))["entry"][0].take();
        both["entry"].as_array_mut().unwrap().push(bobs);
        let _ = app.deliver(&secret_of("100"), &both.to_string()).await.is(200);
        let rows = kept(&app).await;
        assert_eq!((rows.len(), &rows[0].0), (1, &device.to_string()));
        app.take_in().await;
        assert_eq!((conversations(&app, &ana).await, conversations(&app, &bob).await), (1, 0));
        // A's number under B's account is A's number all the same.
        let mut disguised = delivery("100", text("wamid.4"));
        disguised["entry"][0]["id"] = json!("account-200");
        app.deliver(&secret_of("200"), &disguised.to_string()).await.fails(401, "invalid_signature");
        assert_eq!(kept(&app).await.len(), 1);
        app.finish().await;
    }

    async fn what_concerns_an_account_is_kept_with_a_device_of_it(kind: Kind) {
        let app = app(kind).await;
        let (ana, bob) = (app.person("a", Role::Admin).await, app.person("b", Role::Admin).await);
        let device = app.device(&ana, "100").await;
        app.device(&bob, "200").await;
        let change = json!({ "field": "account_update", "value": { "event": "ACCOUNT_RESTRICTION" } });
        let body = json!({ "object": "whatsapp_business_account", "entry": [{ "id": "account-100", "changes": [change] }] }).to_string();
        app.deliver(&secret_of("200"), &body).await.fails(401, "invalid_signature");
        let _ = app.deliver(&secret_of("100"), &body).await.is(200);
        assert_eq!(kept(&app).await[0].0, device.to_string());
        app.take_in().await;
        app.finish().await;
    }

    async fn deliveries_without_a_change_are_taken_when_they_are_signed(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        app.device(&ana, "100").await;
        for body in ["{}", "[]", "null", r#"{"object":"whatsapp_business_account","entry":[]}"#, r#"{"entry":7}"#] {
            let _ = app.deliver(&secret_of("100"), body).await.is(200);
            app.deliver("another secret", body).await.fails(401, "invalid_signature");
        }
        app.deliver(&secret_of("100"), "not JSON").await.faults(&[("", "invalid")]);
        app.deliver("another secret", "not JSON").await.fails(401, "invalid_signature");
        let _ = app.deliver(&secret_of("100"), &delivery("300", text("wamid.1")).to_string()).await.is(200); // no number of ours
        app.deliver(&secret_of("100"), &format!("\"{}\"", "x".repeat(100_000))).await.fails(413, "too_large");
        assert_eq!(kept(&app).await, []);
        app.finish().await;
    }

    async fn what_this_version_does_not_know_is_kept_and_shown(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        app.device(&ana, "100").await;
        let hologram = json!({ "messages": [{ "from": CUSTOMER, "id": "wamid.1", "timestamp": "1790000000", "type": "hologram", "hologram": { "depth": 3, "nul": "a\0b" } }] });
        let _ = app.deliver(&secret_of("100"), &delivery("100", hologram).to_string()).await.is(200);
        let _ = app.deliver(&secret_of("100"), &delivery("100", json!({ "novelty": [1] })).to_string()).await.is(200);
        assert_eq!(kept(&app).await.len(), 2);
        app.take_in().await;
        let conversation = app.get(&ana, "/api/whatsapp/conversations").await.is(200).json["data"][0]["id"].as_str().unwrap().to_owned();
        let messages = app.get(&ana, &format!("/api/whatsapp/conversations/{conversation}/messages")).await.is(200).json;
        assert_eq!(messages["data"][0]["type"], "unsupported");
        app.finish().await;
    }

    async fn many_deliveries_at_once_are_all_kept(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        app.device(&ana, "100").await;
        let (app, secret) = (&app, secret_of("100"));
        let bodies: Vec<_> = (0..300).map(|n| delivery("100", text(&format!("wamid.{n}"))).to_string()).collect();
        let answers = futures::future::join_all(bodies.iter().map(|body| app.deliver(&secret, body))).await;
        assert!(answers.iter().all(|answer| answer.status == 200));
        assert_eq!((kept(app).await.len(), app.claim_all::<IngestWebhook>().await.len()), (300, 300));
    }
}
