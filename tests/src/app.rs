//! The API as a real HTTP server over a database of its own, and people who ask it.
//!
//! Every answer that is not a success is looked at: a problem with a code and the request's id, and nothing in it that is
//! nobody's business. A test ends with [`TestApp::finish`], which fails when jobs are left over that it did not claim.

use std::sync::Arc;

use api::{Figures, Parts};
use domain::{
    auth::tokens,
    entities::{DeviceId, Role, TenantId, UserId, tenant, user},
    seal::Sealer,
};
use jobs::{Job, JobView, Ledger, Transport, Wake, queue, testing};
use object_store::{ObjectStore, local::LocalFileSystem};
use poem::{
    Server,
    listener::{Acceptor, Listener, TcpListener},
};
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use uuid::Uuid;
use whatsapp::cloud::signature;
use workers::{Channels, Context, Webhooks};

use crate::database::{self, Database, Kind};

/// What signs the webhooks of a device, made of its number.
#[must_use]
pub fn secret_of(number: &str) -> String {
    format!("the app's secret of {number}")
}

/// The API of an installation.
pub struct TestApp {
    /// Where it lives.
    pub database: Database,
    /// Its ledger.
    pub ledger: Ledger,
    /// Where its files lie.
    pub store: Arc<dyn ObjectStore>,
    /// Where it answers, without a slash at the end.
    pub url: String,
    /// Asks it.
    pub http: reqwest::Client,
    sealer: Sealer,
    servers: Vec<JoinHandle<()>>,
    _files: TempDir,
}

/// Somebody with a token.
#[derive(Clone, Debug)]
pub struct Person {
    /// Of which tenant.
    pub tenant: TenantId,
    /// Who.
    pub id: UserId,
    /// Their address.
    pub email: String,
    /// Their token, with every ability of their role.
    pub token: String,
}

/// What the API said.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as it came.
    pub text: String,
    /// The body as JSON; null when it isn't.
    pub json: Value,
}

impl Answer {
    /// A success with this status.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    #[must_use]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// A problem with this status and code.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn fails(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.json["code"].as_str()), (status, Some(code)), "{}", self.text);
    }

    /// A 422 whose faults are these, each a pointer and a code.
    ///
    /// # Panics
    /// When it is something else.
    #[track_caller]
    pub fn faults(&self, expected: &[(&str, &str)]) {
        self.fails(422, "invalid");
        let text = |fault: &Value, name: &str| fault[name].as_str().unwrap_or_default().to_owned();
        let found: Vec<_> =
            self.json["errors"].as_array().into_iter().flatten().map(|one| (text(one, "pointer"), text(one, "code"))).collect();
        let expected: Vec<_> = expected.iter().map(|&(pointer, code)| (pointer.to_owned(), code.to_owned())).collect();
        assert_eq!(found, expected, "{}", self.text);
    }

    /// A header, or nothing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The `id` of what it shows.
    ///
    /// # Panics
    /// When it shows nothing.
    #[must_use]
    pub fn id(&self) -> String {
        self.json["id"].as_str().unwrap_or_else(|| panic!("no id in {}", self.text)).to_owned()
    }
}

/// An app with the defaults.
///
/// # Panics
/// When it can't be made.
pub async fn app(kind: Kind) -> TestApp {
    app_with(kind, Transport::local()).await
}

/// An app that delivers jobs so.
///
/// # Panics
/// When it can't be made.
pub async fn app_with(kind: Kind, transport: Transport) -> TestApp {
    _ = rustls::crypto::ring::default_provider().install_default(); // another test of the process may have done it
    let database = database::fresh(kind).await;
    let ledger = Ledger::new(database.db.clone(), Wake::local());
    let files = tempfile::tempdir().expect("a temporary folder");
    let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(files.path()).expect("a folder"));
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let sealer = Sealer::new(&[7; 32]);
    let mut app = TestApp { database, ledger, store, url: String::new(), http, sealer, servers: Vec::new(), _files: files };
    app.url = app.twin(transport).await;
    app
}

impl TestApp {
    /// Another process of the same installation; its address.
    ///
    /// # Panics
    /// When it can't be started.
    pub async fn twin(&mut self, transport: Transport) -> String {
        self.process(|parts| parts.transport = transport).await
    }

    /// Another process, which is told something else; its address.
    ///
    /// # Panics
    /// When it can't be started.
    pub async fn process(&mut self, change: impl FnOnce(&mut Parts)) -> String {
        let ledger = Ledger::new(self.database.db.clone(), Wake::local());
        let mut parts = Parts {
            realtime: api::Realtime::start(&ledger, jobs::Bus::local(), api::RealtimeLimits::default()),
            ledger,
            transport: Transport::local(),
            sealer: self.sealer.clone(),
            secret: [7; 32],
            old_secrets: Vec::new(),
            store: self.store.clone(),
            public_url: "https://crm.example".into(),
            cors_origins: vec!["https://panel.example".into()],
            proxies: 1,
            limits: api::Limits::default(),
            shared: jobs::Bus::local(),
            room: 256,
            max_body: 100_000,
            figures: Figures::install().expect("figures"),
        };
        change(&mut parts);
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.expect("a port");
        let port = acceptor.local_addr()[0].as_socket_addr().expect("an address").port();
        let served = api::app(parts).expect("an app");
        self.servers.push(tokio::spawn(async move {
            Server::new_with_acceptor(acceptor).run(served).await.expect("it serves");
        }));
        format!("http://127.0.0.1:{port}")
    }

    /// Somebody of a team, which is made when it is new. They have a token and no password: hashing one would take longer
    /// than most stories.
    ///
    /// # Panics
    /// When the database doesn't answer.
    pub async fn person(&self, team: &str, role: Role) -> Person {
        let db = &self.database.db.write;
        let found = tenant::Entity::find().filter(tenant::Column::Slug.eq(team)).one(db).await.expect("the database answers");
        let tenant = match found {
            Some(row) => row.id,
            None => {
                let id = TenantId::new();
                let row = tenant::ActiveModel { id: Set(id), name: Set(team.into()), slug: Set(team.into()), ..Default::default() };
                tenant::Entity::insert(row).exec_without_returning(db).await.expect("a tenant");
                id
            }
        };
        let id = UserId::new();
        let email = format!("{id}@example.com");
        let row = user::ActiveModel {
            id: Set(id),
            tenant_id: Set(tenant),
            email: Set(email.clone()),
            name: Set(format!("{} of {team}", role.as_str())),
            password_hash: Set("none".into()),
            role: Set(role),
            ..Default::default()
        };
        user::Entity::insert(row).exec_without_returning(db).await.expect("a user");
        let token = self.token(&email, &["*"]).await;
        Person { tenant, id, email, token }
    }

    /// A personal token with these abilities.
    ///
    /// # Panics
    /// When it can't be made.
    pub async fn token(&self, email: &str, abilities: &[&str]) -> String {
        let abilities = abilities.iter().map(|&one| one.to_owned()).collect();
        tokens::create(&self.ledger, email, "a test's", abilities).await.expect("a token")
    }

    /// A request, not yet sent.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// Sends a request.
    ///
    /// # Panics
    /// When there is no answer, or a failure that is not a problem as it should be.
    #[track_caller]
    pub fn send(&self, request: RequestBuilder) -> impl Future<Output = Answer> + use<> {
        async {
            let response = request.send().await.expect("an answer");
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let text = String::from_utf8_lossy(&response.bytes().await.expect("a body")).into_owned();
            let json = serde_json::from_str(&text).unwrap_or(Value::Null);
            let answer = Answer { status, headers, text, json };
            let (id, kind) = (answer.header("x-request-id"), answer.header("content-type"));
            assert!(!id.is_empty(), "an answer names its request");
            if status >= 400 && kind != "application/json; charset=utf-8" {
                assert_eq!(kind, "application/problem+json", "{}", answer.text);
                assert_eq!((answer.json["status"].as_u64(), answer.json["request_id"].as_str()), (Some(status.into()), Some(id)));
                assert!(answer.json["code"].as_str().is_some_and(|code| !code.is_empty()), "{}", answer.text);
                harmless(&answer.text);
            }
            answer
        }
    }

    /// `GET`, as somebody.
    pub async fn get(&self, who: &Person, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).bearer_auth(&who.token)).await
    }

    /// `POST` of JSON, as somebody.
    pub async fn post(&self, who: &Person, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).bearer_auth(&who.token).json(&body)).await
    }

    /// `POST` without a body, as somebody.
    pub async fn ask(&self, who: &Person, path: &str) -> Answer {
        self.send(self.request(Method::POST, path).bearer_auth(&who.token)).await
    }

    /// `PATCH`, as somebody.
    pub async fn patch(&self, who: &Person, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PATCH, path).bearer_auth(&who.token).json(&body)).await
    }

    /// `DELETE`, as somebody.
    pub async fn delete(&self, who: &Person, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path).bearer_auth(&who.token)).await
    }

    /// Connects a number; the device's id.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn device(&self, who: &Person, number: &str) -> DeviceId {
        let device = self.post(who, "/api/whatsapp/devices", new_device(number)).await.is(201);
        DeviceId(device.id().parse().expect("an id"))
    }

    /// Meta delivers something, signed with `secret`.
    pub async fn deliver(&self, secret: &str, body: &str) -> Answer {
        let signature = signature::sign(secret.as_bytes(), body.as_bytes());
        let request = self.request(Method::POST, "/api/whatsapp/webhook").header("x-hub-signature-256", signature);
        self.send(request.header("content-type", "application/json").body(body.to_owned())).await
    }

    /// A customer writes to a number, and it is taken in: the window is open. The message's id at WhatsApp.
    ///
    /// # Panics
    /// When the delivery is refused.
    pub async fn customer_writes(&self, number: &str, customer: &str, text: &str) -> String {
        let id = format!("wamid.{}", Uuid::now_v7().simple());
        let now = chrono::Utc::now().timestamp().to_string();
        let message = json!({ "from": customer, "id": id, "timestamp": now, "type": "text", "text": { "body": text } });
        let _ = self.deliver(&secret_of(number), &delivery(number, json!({ "messages": [message] })).to_string()).await.is(200);
        self.take_in().await;
        id
    }

    /// Runs what has arrived, and what follows from it for contacts.
    ///
    /// # Panics
    /// When the database doesn't answer.
    pub async fn take_in(&self) {
        for queue in [queue::WHATSAPP_RECEIVE, queue::CONTACT_SYNC] {
            self.work(queue).await;
        }
    }

    /// Runs what a queue has; how many jobs it was.
    ///
    /// # Panics
    /// When the database doesn't answer.
    pub async fn work(&self, queue: &'static str) -> usize {
        let channels = Channels::new("http://127.0.0.1:9", "v23.0").expect("a client");
        let (ledger, sealer, store) = (self.ledger.clone(), self.sealer.clone(), self.store.clone());
        let webhooks = webhooks(600.0);
        let context = Context { ledger, sealer, channels, store, mailer: None, public_url: "https://crm.example".into(), webhooks };
        let handlers = workers::handlers(context);
        testing::run_to_empty(&self.ledger, &handlers, queue).await.expect("the database answers")
    }

    /// The one unfinished job of a kind, which the test expected: it is no leftover any more.
    ///
    /// # Panics
    /// When there is none, or more than one.
    pub async fn claim<J: Job>(&self) -> JobView {
        let job = testing::assert_enqueued(&self.ledger, J::KIND).await;
        self.ledger.cancel(job.tenant_id, job.id).await.expect("it ends");
        job
    }

    /// All unfinished jobs of a kind, as [`TestApp::claim`].
    ///
    /// # Panics
    /// When the database doesn't answer.
    pub async fn claim_all<J: Job>(&self) -> Vec<JobView> {
        let jobs = testing::unfinished(&self.ledger, J::KIND).await.expect("the database answers");
        for job in &jobs {
            self.ledger.cancel(job.tenant_id, job.id).await.expect("it ends");
        }
        jobs
    }

    /// Changes the database behind everybody's back.
    ///
    /// # Panics
    /// When it doesn't answer.
    pub async fn execute(&self, sql: &str) {
        self.database.db.write.execute_unprepared(sql).await.expect("the database answers");
    }

    /// The end: nothing is left that the story did not speak of.
    ///
    /// # Panics
    /// When jobs are left over.
    pub async fn finish(self) {
        let left = testing::leftovers(&self.ledger).await.expect("the database answers");
        assert!(left.is_empty(), "jobs are left over: {left:#?}");
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

/// Calls webhooks of this computer, too; what failed is tried again so many times faster than usual.
///
/// # Panics
/// When TLS can't be set up.
#[must_use]
pub fn webhooks(retry_speed: f64) -> Webhooks {
    let allowed = vec!["127.0.0.1/32".parse().expect("a network")];
    let client = egress::Client::new(egress::Options { allowed, ..egress::Options::default() }).expect("a client");
    Webhooks { client, retry_speed }
}

/// The body that connects a number.
#[must_use]
pub fn new_device(number: &str) -> Value {
    json!({
        "name": "Vendas",
        "provider": "cloud",
        "cloud": {
            "phone_number_id": number,
            "business_account_id": format!("account-{number}"),
            "access_token": "the access token",
            "app_secret": secret_of(number),
            "verify_token": format!("verify {number}"),
        },
    })
}

/// A delivery of Meta about a number.
#[must_use]
pub fn delivery(number: &str, mut value: Value) -> Value {
    value["messaging_product"] = json!("whatsapp");
    value["metadata"] = json!({ "display_phone_number": number, "phone_number_id": number });
    let change = json!({ "field": "messages", "value": value });
    json!({ "object": "whatsapp_business_account", "entry": [{ "id": format!("account-{number}"), "changes": [change] }] })
}

/// Nothing of the inside is in what strangers get to read.
fn harmless(text: &str) {
    let text = text.to_lowercase();
    for trace in [
        "select ",
        "insert into",
        "update ",
        "sqlx",
        "sea_orm",
        "error returned",
        "constraint",
        ".rs",
        "panicked",
        "/root",
        "/home",
        "/tmp",
        "/var",
    ] {
        assert!(!text.contains(trace), "{trace:?} is in an error: {text}");
    }
    for secret in ["the access token", "the app's secret", "somo_pat_", "somo_rt_", "$argon2"] {
        assert!(!text.contains(secret), "{secret:?} is in an error: {text}");
    }
}
