//! HTTP: routes, sign-in, errors, webhook intake. No business rule and no SQL: a handler extracts, calls one function of the
//! domain, converts.
//!
//! - [`app`] puts the routes together; one file for each group of them under `routes`.
//! - `edge` is what every request passes, `browsers` what it takes with those, `guard` says who is asking, `problem` is what every failure becomes,
//!   `document` publishes what there is, `operations` holds requests to it.
//!
//! To add a route: a method in its group's file, with a literal operation id; `somo openapi` writes the document anew.

mod address;
mod browsers;
mod document;
mod edge;
mod figures;
mod files;
mod guard;
mod intake;
mod limits;
mod load;
mod operations;
mod places;
mod problem;
mod published;
mod realtime;
mod resource;
mod routes;
mod written;

use std::sync::Arc;

use domain::seal::Sealer;
use jobs::{Ledger, Transport};
use object_store::ObjectStore;
use poem::{
    Endpoint, EndpointExt, IntoResponse, Response,
    endpoint::make_sync,
    http::{StatusCode, header},
};
use poem_openapi::{OpenApiService, Tags};
use serde_json::Value;

pub use figures::Figures;
pub use guard::Guard;
pub use limits::Limits;
pub use realtime::{Realtime, RealtimeLimits};

/// What the app stands on.
#[derive(Clone)]
pub struct Parts {
    /// The ledger, and the database with it.
    pub ledger: Ledger,
    /// How jobs are delivered; asked for its health.
    pub transport: Transport,
    /// Opens the devices' secrets.
    pub sealer: Sealer,
    /// The installation's key.
    pub secret: [u8; 32],
    /// Keys whose access tokens are good, too.
    pub old_secrets: Vec<[u8; 32]>,
    /// Where files lie.
    pub store: Arc<dyn ObjectStore>,
    /// Under which address people reach it.
    pub public_url: String,
    /// Other sites whose pages may read answers.
    pub cors_origins: Vec<String>,
    /// How many proxies requests pass.
    pub proxies: usize,
    /// How often somebody may ask.
    pub limits: Limits,
    /// Over which the processes tell each other how often somebody has asked.
    pub shared: jobs::Bus,
    /// How many requests are answered at once.
    pub room: usize,
    /// The largest JSON body, in bytes.
    pub max_body: usize,
    /// Those who are told what happens.
    pub realtime: Realtime,
    /// The process's figures.
    pub figures: Figures,
}

/// What an operation is about.
#[derive(Tags)]
pub(crate) enum Tag {
    /// Signing in.
    Auth,
    /// Whether it works.
    Health,
    /// WhatsApp numbers.
    Devices,
    /// Messages, either way.
    Messages,
    /// Conversations.
    Conversations,
    /// What Meta calls.
    Webhooks,
    /// Addresses of yours that are told what happens.
    OutgoingWebhooks,
    /// Figures.
    Statistics,
    /// What is done in the background.
    Jobs,
    /// Files whose rows become records.
    Imports,
    /// Records as files.
    Exports,
    /// Records that became one.
    Merges,
    /// What happened.
    Audit,
    /// What you are told.
    Notifications,
    /// Being told what happens while it happens.
    Realtime,
    /// Finding anything.
    Search,
    /// What a company sets.
    Settings,
}

/// Where a list begins and how much of it is wanted.
pub(crate) fn paging(limit: Option<u64>, cursor: Option<String>) -> domain::page::Paging {
    domain::page::Paging { limit: limit.unwrap_or(25).clamp(1, 200), cursor }
}

macro_rules! service {
    ($routes:expr) => {
        OpenApiService::new($routes, "SOMO", env!("CARGO_PKG_VERSION"))
            .description("A WhatsApp-native CRM. Every side effect is a job; every failure is a problem with a stable code (RFC 9457).")
            .server("/")
            .url_prefix("/api")
    };
}

/// The OpenAPI document as it is published at `/api/openapi.json`.
///
/// # Panics
/// Never: the document is made of types.
#[must_use]
pub fn document() -> Value {
    let service = service!(routes::documented());
    document::publish(serde_json::from_str(&service.spec()).expect("poem-openapi writes JSON"))
}

/// The page that shows a document: poem-openapi's, about what is published.
fn docs(document: &str) -> String {
    let service = service!(routes::documented());
    service.swagger_ui_html().replace(&service.spec(), document)
}

/// The whole app. To be called inside a runtime: the webhook intake has tasks of its own, which end with it.
///
/// # Errors
/// The document has a schema that can't be checked against.
pub fn app(parts: Parts) -> anyhow::Result<impl Endpoint<Output = Response> + use<>> {
    let document = document();
    let operations = Arc::new(operations::Operations::of(&document)?);
    let guard = Arc::new(Guard::new(parts.ledger.clone(), &parts.secret, &parts.old_secrets));
    let service = service!(routes::all(&parts, &guard));
    let figures = (parts.figures.clone(), parts.ledger.clone());
    let uploads = places::Places::new(edge::UPLOADS);
    let browsers = browsers::Browsers::new(&parts.public_url, &parts.cors_origins);
    let gate = Arc::new(limits::Gate::new(parts.limits));
    gate.share(parts.shared);
    let load = load::Load::new(parts.room);
    let (ledger, max_body, proxies) = (parts.ledger, parts.max_body, parts.proxies);
    let edge =
        edge::Edge { ledger, sealer: parts.sealer, guard: guard.clone(), operations, browsers, gate, load, proxies, max_body, uploads };
    Ok(published::routes(document, docs)
        .at("/metrics", poem::endpoint::make(move |_| routes::health::metrics(figures.clone())))
        .at("/", make_sync(|_| StatusCode::FOUND.with_header(header::LOCATION, "/docs").into_response()))
        .nest("/api", service)
        .data(guard)
        .with(edge))
}
