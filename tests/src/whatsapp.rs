//! A tenant with an admin and a WhatsApp number, the sandbox in Meta's place, and the handlers of `workers`.
//!
//! Stories run step by step: [`World::run`] works one queue off, [`World::settle`] everything, until nobody has anything left
//! to say. [`World::work`] starts a whole worker process instead.

mod meta;
mod records;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use domain::{
    Scope,
    entities::{DeviceId, Provider, Role, TenantId, UserId, tenant, user},
    scope::Actor,
    seal::Sealer,
    whatsapp::{
        devices::{self, CloudAccess, DeviceCreate, DeviceSettings},
        webhook,
    },
};
use jobs::{
    Ledger, Transport, Wake, queue,
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
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait};
use tempfile::TempDir;
use workers::{Channels, Context};

use crate::database::{self, Database, Kind};
pub use meta::status_delivery;

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
}

impl Default for Wanted {
    fn default() -> Self {
        Self { settings: DeviceSettings::default(), patience: Duration::from_secs(20), auto_read: true, mailer: None }
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
pub async fn world_with(kind: Kind, Wanted { settings, patience, auto_read, mailer }: Wanted) -> World {
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

    let (tenant, admin) = team(&ledger).await;
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
    let webhooks = crate::app::webhooks(600.0);
    let context = Context { ledger: ledger.clone(), sealer, channels, store, mailer, public_url: "https://crm.example".into(), webhooks };
    let http = whatsapp::cloud::client().expect("a client");
    World { database, ledger, context, sandbox, tenant, admin, scope, device, webhook, http, deliveries, _store: folder }
}

/// A tenant and its admin, who never signs in: hashing a password would take longer than the story.
async fn team(ledger: &Ledger) -> (TenantId, UserId) {
    let (tenant, admin, db) = (TenantId::new(), UserId::new(), &ledger.db().write);
    let row = tenant::ActiveModel { id: Set(tenant), name: Set("Loja".into()), slug: Set("loja".into()), ..Default::default() };
    tenant::Entity::insert(row).exec_without_returning(db).await.expect("a tenant");
    let row = user::ActiveModel {
        id: Set(admin),
        tenant_id: Set(tenant),
        email: Set("ana@example.com".into()),
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
