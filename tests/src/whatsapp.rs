//! A tenant with an admin and a WhatsApp number, the sandbox in Meta's place, and the handlers of `workers`.
//!
//! Stories run step by step: [`World::run`] works one queue off, [`World::settle`] everything, until nobody has anything left
//! to say. [`World::work`] starts a whole worker process instead.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use domain::{
    Scope,
    entities::{self, ContactId, DeviceId, MessageId, MessageStatus, Provider, Role, TenantId, UserId, tenant, user},
    page::Paging,
    scope::Actor,
    seal::Sealer,
    whatsapp::{
        conversations::{self, Conversation},
        devices::{self, CloudAccess, Device, DeviceCreate, DeviceSettings},
        messages::{self, Message, MessageSend},
        webhook,
    },
};
use jobs::{
    JobView, Ledger, Transport, Wake, queue,
    relay::Pace,
    runtime::{Options, Runtime},
    testing,
};
use object_store::{ObjectStore, local::LocalFileSystem};
use poem::{
    EndpointExt, Request, Route, Server, handler,
    http::StatusCode,
    listener::{Acceptor, Listener, TcpListener},
    post,
    web::Data,
};
use sandbox::Sandbox;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};
use tempfile::TempDir;
use whatsapp::{cloud::signature, message::Content};
use workers::{Channels, Context};

use crate::database::{self, Database, Kind};

/// The number of the business, as Meta calls it.
pub const NUMBER: &str = "100000000000001";
/// A customer.
pub const CUSTOMER: &str = "5511987654321";
/// What signs the webhooks.
pub const SECRET: &str = "the app's secret";
/// What the business calls the sandbox with.
pub const TOKEN: &str = "the access token";
/// The queues that stories work off by themselves.
const QUEUES: [&str; 4] = [queue::WHATSAPP_RECEIVE, queue::WHATSAPP_SEND, queue::WHATSAPP_MEDIA, queue::CONTACT_SYNC];

/// What a world is made with.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// How fast the number sends.
    pub settings: DeviceSettings,
    /// How long a call to WhatsApp may take.
    pub patience: Duration,
    /// Whether customers read what they get.
    pub auto_read: bool,
    /// Where mail goes.
    pub mailer: Option<mail::Mailer>,
    /// The admin's address.
    pub email: &'static str,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            settings: DeviceSettings::default(),
            patience: Duration::from_secs(20),
            auto_read: true,
            mailer: None,
            email: "ana@example.com",
        }
    }
}

/// A tenant, its number and its customers.
pub struct World {
    /// Where it lives.
    pub database: Database,
    /// Its ledger.
    pub ledger: Ledger,
    /// What its handlers work with.
    pub context: Context,
    /// Meta.
    pub sandbox: Sandbox,
    /// The tenant.
    pub tenant: TenantId,
    /// Its admin.
    pub admin: UserId,
    /// The admin at work.
    pub scope: Scope,
    /// Its number.
    pub device: DeviceId,
    /// Where its webhooks arrive.
    pub webhook: String,
    http: reqwest::Client,
    deliveries: Arc<AtomicU64>,
    _store: TempDir,
}

struct Door {
    ledger: Ledger,
    sealer: Sealer,
    taken: Arc<AtomicU64>,
}

/// As the api does it: check, keep, 200.
#[handler]
async fn receive(Data(door): Data<&Arc<Door>>, request: &Request, body: Vec<u8>) -> StatusCode {
    let delivery = match webhook::check(door.ledger.db(), &door.sealer, &body, request.header("x-hub-signature-256")).await {
        Ok(delivery) => delivery,
        Err(domain::Error::Unauthorized { .. }) => return StatusCode::UNAUTHORIZED,
        Err(_) => return StatusCode::BAD_REQUEST,
    };
    match webhook::keep(&door.ledger, &delivery.arrivals).await {
        Ok(()) => {
            door.taken.fetch_add(1, Relaxed);
            StatusCode::OK
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A world with the defaults.
///
/// # Panics
/// When it can't be made.
pub async fn world(kind: Kind) -> World {
    world_with(kind, Wanted::default()).await
}

/// A world.
///
/// # Panics
/// When it can't be made.
pub async fn world_with(kind: Kind, Wanted { settings, patience, auto_read, mailer, email }: Wanted) -> World {
    _ = rustls::crypto::ring::default_provider().install_default(); // another test of the process may have done it
    let database = database::fresh(kind).await;
    let ledger = Ledger::new(database.db.clone(), Wake::local());
    let sealer = Sealer::new(&[7; 32]);
    let deliveries = Arc::new(AtomicU64::new(0));

    let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.expect("a port");
    let port = acceptor.local_addr()[0].as_socket_addr().expect("an address").port();
    let door = Arc::new(Door { ledger: ledger.clone(), sealer: sealer.clone(), taken: deliveries.clone() });
    tokio::spawn(Server::new_with_acceptor(acceptor).run(Route::new().at("/webhook", post(receive)).data(door)));
    let webhook = format!("http://127.0.0.1:{port}/webhook");
    let options = sandbox::Options { webhook: Some(webhook.clone()), app_secret: SECRET.into(), auto_read, ..sandbox::Options::default() };
    let sandbox = sandbox::start(options).await.expect("a sandbox");

    let (tenant, admin) = team(&ledger, email).await;
    let scope = Scope { role: Role::Admin, ..Scope::system(tenant, Actor::User(admin)) };
    let cloud = CloudAccess {
        phone_number_id: NUMBER.into(),
        business_account_id: "sandbox-account".into(),
        access_token: TOKEN.into(),
        app_secret: SECRET.into(),
        verify_token: "verify".into(),
    };
    let new = DeviceCreate { name: "Vendas".into(), provider: Provider::Cloud, cloud: Some(cloud), settings: Some(settings) };
    let device = devices::create(&ledger, &sealer, &scope, new).await.expect("a device").id;

    let folder = tempfile::tempdir().expect("a temporary folder");
    let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).expect("a folder"));
    let channels = Channels::new(sandbox.url(), "v23.0").expect("a client").patience(patience);
    let context = Context { ledger: ledger.clone(), sealer, channels, store, mailer, public_url: "https://crm.example".into() };
    let http = whatsapp::cloud::client().expect("a client");
    World { database, ledger, context, sandbox, tenant, admin, scope, device, webhook, http, deliveries, _store: folder }
}

/// A tenant and its admin, who never signs in: hashing a password would take longer than the story.
async fn team(ledger: &Ledger, email: &str) -> (TenantId, UserId) {
    let (tenant, admin, db) = (TenantId::new(), UserId::new(), &ledger.db().write);
    let row = tenant::ActiveModel { id: Set(tenant), name: Set("Loja".into()), slug: Set("loja".into()), ..Default::default() };
    tenant::Entity::insert(row).exec_without_returning(db).await.expect("a tenant");
    let row = user::ActiveModel {
        id: Set(admin),
        tenant_id: Set(tenant),
        email: Set(email.into()),
        name: Set("Ana".into()),
        password_hash: Set("none".into()),
        role: Set(Role::Admin),
        ..Default::default()
    };
    user::Entity::insert(row).exec_without_returning(db).await.expect("a user");
    (tenant, admin)
}

impl World {
    /// A worker process that serves these queues.
    #[must_use]
    pub fn work(&self, queues: &[&str], concurrency: usize) -> Runtime {
        let options = Options {
            queues: queues.iter().map(|&name| name.to_owned()).collect(),
            concurrency,
            pace: Pace { poll: Duration::from_millis(20), ..Pace::default() },
            ..Options::default()
        };
        Runtime::start(self.ledger.clone(), workers::handlers(self.context.clone()), Transport::local(), options)
    }

    /// Runs what is due in a queue; how many jobs ran.
    ///
    /// # Panics
    /// When the database doesn't answer.
    pub async fn run(&self, queue: &str) -> usize {
        testing::run_to_empty(&self.ledger, &workers::handlers(self.context.clone()), queue).await.expect("the database answers")
    }

    /// Waits for every webhook and runs every job that is due, until there are none.
    ///
    /// # Panics
    /// When that takes longer than half a minute.
    pub async fn settle(&self) {
        for _ in 0..3000 {
            let told = self.told_all().await;
            let mut ran = 0;
            for queue in QUEUES {
                ran += self.run(queue).await;
            }
            if told && ran == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("webhooks are still outstanding");
    }

    /// Whether the sandbox has told all that it had to tell.
    pub async fn told_all(&self) -> bool {
        self.get("/sandbox/stats").await["outstanding"] == 0
    }

    /// Moves every waiting job's time into the past: nobody waits for a backoff.
    ///
    /// # Panics
    /// When the database doesn't answer.
    pub async fn hurry(&self) {
        self.execute("update jobs set run_at = '2001-01-01T00:00:00+00:00' where state = 'pending'").await;
    }

    /// Changes the database behind everybody's back.
    ///
    /// # Panics
    /// When it doesn't answer.
    pub async fn execute(&self, sql: &str) {
        self.ledger.db().write.execute_unprepared(sql).await.expect("the database answers");
    }

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

    /// Writes a text to a customer.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn say(&self, customer: &str, text: &str) -> MessageId {
        self.send(customer, Content::text(text)).await
    }

    /// Writes a message to a customer.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn send(&self, customer: &str, content: Content) -> MessageId {
        let new = MessageSend { device_id: self.device, to: customer.into(), reply_to: None, content };
        messages::send(&self.ledger, &self.scope, new).await.expect("the message is taken").id
    }

    /// A message with its history.
    ///
    /// # Panics
    /// When it isn't there.
    pub async fn message(&self, id: MessageId) -> Message {
        messages::get(self.ledger.db(), &self.scope, id).await.expect("a message")
    }

    /// The statuses that a message has had, in order.
    ///
    /// # Panics
    /// When it isn't there.
    pub async fn history(&self, id: MessageId) -> Vec<MessageStatus> {
        self.message(id).await.status_history.expect("a history").into_iter().map(|step| step.status).collect()
    }

    /// Waits until a worker process has brought a message there.
    ///
    /// # Panics
    /// When that takes longer than half a minute.
    pub async fn becomes(&self, id: MessageId, status: MessageStatus) -> Message {
        for _ in 0..3000 {
            let message = self.message(id).await;
            if message.status == status {
                return message;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not {status:?}, but {:#?}", self.message(id).await);
    }

    /// All conversations.
    ///
    /// # Panics
    /// When the database doesn't answer.
    pub async fn conversations(&self) -> Vec<Conversation> {
        let paging = Paging { limit: 100, cursor: None };
        conversations::list(self.ledger.db(), &self.scope, conversations::Wanted::default(), paging).await.expect("a list").data
    }

    /// The messages of a conversation, oldest first.
    ///
    /// # Panics
    /// When the database doesn't answer.
    pub async fn said_in(&self, conversation: &Conversation) -> Vec<Message> {
        let paging = Paging { limit: 100, cursor: None };
        let mut page = messages::of_conversation(self.ledger.db(), &self.scope, conversation.id, paging).await.expect("a list");
        page.data.reverse();
        page.data
    }

    /// The number.
    ///
    /// # Panics
    /// When it isn't there.
    pub async fn device(&self) -> Device {
        devices::get(self.ledger.db(), &self.scope, self.device).await.expect("a device")
    }

    /// The contacts, as `(id, first name)`; the identities and the phones of all of them.
    ///
    /// # Panics
    /// When the database doesn't answer.
    pub async fn contacts(&self) -> (Vec<(ContactId, String)>, Vec<String>, Vec<String>) {
        let db = &self.ledger.db().write;
        let contacts = entities::contact::Entity::find().all(db).await.expect("contacts");
        let identities = entities::contact_identity::Entity::find().all(db).await.expect("identities");
        let phones = entities::contact_phone::Entity::find().all(db).await.expect("phones");
        let mut identities: Vec<_> = identities.into_iter().map(|row| format!("{} {}", row.kind, row.value)).collect();
        identities.sort();
        (contacts.into_iter().map(|row| (row.id, row.first_name)).collect(), identities, phones.into_iter().map(|row| row.number).collect())
    }

    /// What happened to records of a topic, oldest first: action, data.
    ///
    /// # Panics
    /// When the database doesn't answer.
    pub async fn events(&self, topic: &str) -> Vec<(String, Value)> {
        let of_topic = entities::event::Column::Topic.eq(topic);
        let rows = entities::event::Entity::find().filter(of_topic).order_by_asc(entities::event::Column::Seq);
        rows.all(&self.ledger.db().write).await.expect("events").into_iter().map(|row| (row.action, row.data)).collect()
    }

    /// The newest job of a kind.
    ///
    /// # Panics
    /// When there is none.
    pub async fn job(&self, kind: &str) -> JobView {
        let wanted = jobs::JobFilter { kind: Some(kind.into()), ..jobs::JobFilter::default() };
        self.ledger.list(self.tenant.0, wanted, 1, None).await.expect("the database answers").pop().expect("a job")
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

/// Makes each `async fn name(kind: Kind)` a test on both databases.
#[macro_export]
macro_rules! on_both_databases {
    ($($(#[$meta:meta])* async fn $name:ident($kind:ident: Kind) $body:block)+) => { $(
        $(#[$meta])*
        mod $name {
            use super::*;
            async fn story($kind: $crate::database::Kind) $body
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                story($crate::database::Kind::Sqlite).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                story($crate::database::Kind::Postgres).await;
            }
        }
    )+ };
}
