//! Meta's side: the sandbox, its customers and its deliveries.

use std::sync::atomic::Ordering::Relaxed;

use chrono::{DateTime, Utc};
use domain::{entities::MessageId, whatsapp::conversations::Conversation};
use serde_json::{Value, json};
use whatsapp::cloud::signature;

use super::{CUSTOMER, NUMBER, SECRET, TOKEN, World};

impl World {
    /// Reads from the sandbox.
    ///
    /// # Panics
    /// When it doesn't answer.
    pub async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}{path}", self.sandbox.url())).bearer_auth(TOKEN);
        request.send().await.expect("an answer").json().await.expect("JSON")
    }

    /// Tells the sandbox something.
    ///
    /// # Panics
    /// When it refuses.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.sandbox.url())).json(&body);
        let answer = request.send().await.expect("an answer");
        let (status, answer): (_, Value) = (answer.status(), answer.json().await.expect("JSON"));
        assert!(status.is_success(), "{status}: {answer}");
        answer
    }

    /// The sandbox forgets a file.
    ///
    /// # Panics
    /// When it doesn't answer.
    pub async fn forget_file(&self, id: &str) {
        let request = self.http.delete(format!("{}/v23.0/{id}", self.sandbox.url())).bearer_auth(TOKEN);
        assert!(request.send().await.expect("an answer").status().is_success());
    }

    /// A file that the sandbox keeps.
    ///
    /// # Panics
    /// When it has none.
    pub async fn file(&self, id: &str) -> Vec<u8> {
        let answer = self.http.get(format!("{}/sandbox/files/{id}", self.sandbox.url())).send().await.expect("an answer");
        assert!(answer.status().is_success(), "the sandbox has no file {id}");
        answer.bytes().await.expect("bytes").to_vec()
    }

    /// From now on the sandbox misbehaves so.
    pub async fn misbehave(&self, faults: Value) {
        self.post("/sandbox/faults", faults).await;
    }

    /// From now on the sandbox takes only this token from the number.
    pub async fn change_token(&self, token: &str) {
        let number = json!({ "phone_number_id": NUMBER, "access_token": token, "app_secret": SECRET, "webhook": self.webhook });
        self.post("/sandbox/numbers", number).await;
    }

    /// What the sandbox took from the number, in order.
    ///
    /// # Panics
    /// When it doesn't answer.
    pub async fn accepted(&self) -> Vec<Value> {
        self.get(&format!("/sandbox/messages?phone_number_id={NUMBER}")).await["data"].as_array().expect("a list").clone()
    }

    /// A customer writes any of Meta's inbound messages; its id at WhatsApp.
    ///
    /// # Panics
    /// When the sandbox refuses it.
    pub async fn customer_writes(&self, customer: &str, mut message: Value) -> String {
        message["phone_number_id"] = json!(NUMBER);
        let answer = self.post(&format!("/sandbox/customers/{customer}/messages"), message).await;
        answer["id"].as_str().expect("an id").to_owned()
    }

    /// A customer writes a text, and it is ingested: the window is open. Their conversation.
    ///
    /// # Panics
    /// When there is no conversation then.
    pub async fn opened_by(&self, customer: &str) -> Conversation {
        self.customer_writes(customer, json!({ "text": { "body": "Olá" } })).await;
        self.settle().await;
        let conversations = self.conversations().await;
        let chat = whatsapp::phone::canonical(customer).expect("a number");
        conversations.into_iter().find(|one| one.chat == chat).expect("a conversation")
    }

    /// Posts a delivery as Meta would, signed; the HTTP status.
    ///
    /// # Panics
    /// When the webhook doesn't answer.
    pub async fn deliver(&self, delivery: &Value) -> u16 {
        let body = delivery.to_string();
        let request = self.http.post(&self.webhook).header("x-hub-signature-256", signature::sign(SECRET.as_bytes(), body.as_bytes()));
        request.body(body).send().await.expect("an answer").status().as_u16()
    }

    /// How many deliveries were taken.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        self.deliveries.load(Relaxed)
    }
}

/// Meta's delivery about a message of ours.
#[must_use]
pub fn status_delivery(provider_id: &str, status: &str, at: DateTime<Utc>, callback: Option<MessageId>) -> Value {
    let mut update = json!({ "id": provider_id, "status": status, "timestamp": at.timestamp().to_string(), "recipient_id": CUSTOMER });
    if let Some(id) = callback {
        update["biz_opaque_callback_data"] = json!(id);
    }
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": NUMBER, "phone_number_id": NUMBER },
        "statuses": [update],
    });
    json!({ "object": "whatsapp_business_account", "entry": [{ "id": "sandbox-account", "changes": [{ "field": "messages", "value": value }] }] })
}
