//! A local stand-in for Meta's Graph API, with a simulated phone: `somo sandbox`, and the tests' other side.
//!
//! It is a real HTTP server that checks bodies strictly (`schema/`), issues message ids, sends signed webhooks and keeps
//! files. It misbehaves on request. Besides Meta's own paths there are:
//!
//! | path | does |
//! |---|---|
//! | `GET /phone?number=&customer=&name=` | a page to type as the customer |
//! | `POST /sandbox/numbers` | a number with its own token, secret and webhook; unknown numbers get the defaults |
//! | `GET /sandbox/messages?phone_number_id=&to=` | what was accepted, in order |
//! | `GET /sandbox/chats/{number}/{customer}` | a chat as the customer sees it |
//! | `POST /sandbox/customers/{customer}/messages` | the customer writes: any of Meta's inbound kinds |
//! | `POST /sandbox/customers/{customer}/read` | the customer reads what came, where they don't by themselves |
//! | `GET /sandbox/files/{id}` | a file, without a token |
//! | `POST`, `DELETE /sandbox/faults` | [`faults::Faults`] |
//! | `GET /sandbox/stats` | accepted, refused, webhooks taken, and messages and statuses still to be told |
//!
//! Nothing here knows SOMO: another client of Meta's API could be tried against it too.

pub mod faults;
mod graph;
mod media;
mod phone;
mod state;
mod webhooks;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use poem::{
    Endpoint, EndpointExt, Route, Server, get,
    listener::{Acceptor, Listener, TcpListener},
    post,
};
use tokio::sync::oneshot;

use state::World;

/// How a sandbox behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Where the webhooks of numbers go that have none of their own.
    pub webhook: Option<String>,
    /// What signs them.
    pub app_secret: String,
    /// Whether customers read what they get.
    pub auto_read: bool,
    /// Whether customers answer texts.
    pub auto_reply: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { bind: ([127, 0, 0, 1], 0).into(), webhook: None, app_secret: "sandbox".into(), auto_read: true, auto_reply: false }
    }
}

/// A running sandbox. Dropped, it stops, and its connections break.
pub struct Sandbox {
    /// Where it listens.
    pub addr: SocketAddr,
    world: Arc<World>,
    _running: oneshot::Sender<()>,
}

/// Starts one.
///
/// # Errors
/// The address is taken.
///
/// # Panics
/// The process has no TLS provider: install one first, with `rustls::crypto::ring::default_provider().install_default()`.
pub async fn start(options: Options) -> anyhow::Result<Sandbox> {
    let acceptor = TcpListener::bind(options.bind).into_acceptor().await?;
    let addr = *acceptor.local_addr()[0].as_socket_addr().expect("it was bound to a socket address");
    let world = Arc::new(World::new(options, format!("http://{addr}"))?);
    let app = app(world.clone());
    let (running, dropped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let dropped = async move { _ = dropped.await };
        if let Err(error) = Server::new_with_acceptor(acceptor).run_with_graceful_shutdown(app, dropped, Some(Duration::ZERO)).await {
            tracing::error!(%error, "the sandbox ended");
        }
    });
    Ok(Sandbox { addr, world, _running: running })
}

impl Sandbox {
    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.world.stop();
    }
}

fn app(world: Arc<World>) -> impl Endpoint {
    Route::new()
        .at("/phone", get(phone::page))
        .at("/sandbox/numbers", post(phone::add_number))
        .at("/sandbox/messages", get(phone::messages))
        .at("/sandbox/chats/:number/:customer", get(phone::chat))
        .at("/sandbox/customers/:customer/messages", post(phone::write))
        .at("/sandbox/customers/:customer/read", post(phone::read))
        .at("/sandbox/files/:id", get(media::show))
        .at("/sandbox/faults", post(faults::set).delete(faults::clear))
        .at("/sandbox/stats", get(phone::stats))
        .at("/files/:id", get(media::fetch))
        .at("/:version/:id/messages", post(graph::send))
        .at("/:version/:id/media", post(media::upload))
        .at("/:version/:id/message_templates", get(graph::templates))
        .at("/:version/:id", get(graph::node).delete(media::forget))
        .data(world)
}
