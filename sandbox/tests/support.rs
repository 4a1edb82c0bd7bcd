//! A sandbox with a small server that receives its webhooks.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use poem::{
    Body, EndpointExt, Request, Route, Server, handler,
    http::StatusCode,
    listener::{Acceptor, Listener, TcpListener},
    post,
    web::Data,
};
use sandbox::{Options, Sandbox};
use serde_json::{Value, json};
use whatsapp::{
    channel::Outbound,
    cloud::{
        self, CloudChannel, CloudConfig, signature,
        webhook::{self, Change, Event, Inbound, StatusUpdate},
    },
    message::Content,
};

pub(crate) const NUMBER: &str = "100000000000001";
pub(crate) const CUSTOMER: &str = "5511987654321";
const SECRET: &str = "the app's secret";

/// What came to the webhook.
#[derive(Default)]
struct Received {
    deliveries: Mutex<Vec<Value>>,
    /// So many deliveries more are answered with 500.
    refusals: AtomicU64,
    refused: AtomicU64,
}

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    received: Arc<Received>,
    pub(crate) http: reqwest::Client,
}

#[handler]
async fn receive(Data(received): Data<&Arc<Received>>, request: &Request, body: Body) -> StatusCode {
    let bytes = body.into_bytes().await.expect("a body");
    let header = request.header("x-hub-signature-256").expect("a signature");
    assert!(signature::verify(SECRET.as_bytes(), &bytes, header), "the signature is not of this body");
    if received.refusals.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
        received.refused.fetch_add(1, Relaxed);
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    received.deliveries.lock().expect("whole").push(serde_json::from_slice(&bytes).expect("JSON"));
    StatusCode::OK
}

pub(crate) async fn start() -> World {
    start_with(Options::default()).await
}

pub(crate) async fn start_with(options: Options) -> World {
    _ = rustls::crypto::ring::default_provider().install_default(); // another test may have done it
    let received = Arc::new(Received::default());
    let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.expect("a port");
    let port = acceptor.local_addr()[0].as_socket_addr().expect("an address").port();
    let app = Route::new().at("/webhook", post(receive)).data(received.clone());
    tokio::spawn(Server::new_with_acceptor(acceptor).run(app));
    let webhook = Some(format!("http://127.0.0.1:{port}/webhook"));
    let sandbox = sandbox::start(Options { webhook, app_secret: SECRET.into(), ..options }).await.expect("a sandbox");
    World { sandbox, received, http: cloud::client().expect("a client") }
}

impl World {
    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.sandbox.url())).bearer_auth("any").json(&body);
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.http.get(format!("{}{path}", self.sandbox.url())).bearer_auth("any").send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    /// Meta's own call.
    pub(crate) async fn raw(&self, body: Value) -> (u16, Value) {
        self.post(&format!("/v23.0/{NUMBER}/messages"), body).await
    }

    pub(crate) async fn misbehave(&self, faults: Value) {
        let (status, answer) = self.post("/sandbox/faults", faults).await;
        assert_eq!(status, 200, "{answer}");
    }

    pub(crate) async fn accepted(&self) -> Vec<Value> {
        let (_, answer) = self.get(&format!("/sandbox/messages?phone_number_id={NUMBER}")).await;
        answer["data"].as_array().expect("a list").clone()
    }

    pub(crate) async fn write(&self, mut body: Value) -> String {
        body["phone_number_id"] = json!(NUMBER);
        let (status, answer) = self.post(&format!("/sandbox/customers/{CUSTOMER}/messages"), body).await;
        assert_eq!(status, 200, "{answer}");
        answer["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) fn channel(&self) -> CloudChannel {
        self.channel_with("any", Duration::from_secs(30))
    }

    pub(crate) fn channel_with(&self, token: &str, timeout: Duration) -> CloudChannel {
        let config = CloudConfig {
            base_url: self.sandbox.url(),
            version: "v23.0".into(),
            phone_number_id: NUMBER.into(),
            business_account_id: "account".into(),
            access_token: token.into(),
            timeout,
        };
        CloudChannel::new(self.http.clone(), config)
    }

    /// The next deliveries are answered with 500.
    pub(crate) fn refuse_deliveries(&self, count: u64) {
        self.received.refusals.store(count, Relaxed);
    }

    pub(crate) fn refused_deliveries(&self) -> u64 {
        self.received.refused.load(Relaxed)
    }

    /// What was told so far.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let deliveries = self.received.deliveries.lock().expect("whole");
        deliveries.iter().flat_map(webhook::parse).collect()
    }

    /// All that was told, once nothing is left to tell.
    pub(crate) async fn told(&self) -> Vec<Event> {
        for _ in 0..3000 {
            let (_, stats) = self.get("/sandbox/stats").await;
            if stats["outstanding"] == 0 {
                return self.changes().into_iter().map(|change| change.event).collect();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("webhooks are still outstanding");
    }

    pub(crate) async fn told_statuses(&self) -> Vec<StatusUpdate> {
        let status = |event| if let Event::Status(update) = event { Some(update) } else { None };
        self.told().await.into_iter().filter_map(status).collect()
    }

    pub(crate) async fn told_messages(&self) -> Vec<Inbound> {
        let message = |event| if let Event::Message(message) = event { Some(*message) } else { None };
        self.told().await.into_iter().filter_map(message).collect()
    }
}

/// A body of Meta's.
pub(crate) fn text(body: &str) -> Value {
    json!({ "messaging_product": "whatsapp", "to": CUSTOMER, "type": "text", "text": { "body": body } })
}

/// A message of ours.
pub(crate) fn outbound(content: Content) -> Outbound {
    Outbound { to: CUSTOMER.into(), content, reply_to: None, target: None }
}
