//! Somebody else's server that webhooks are told things at: it keeps what arrives, and answers as it is told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use poem::{
    Endpoint, IntoResponse, Request, Response, Server,
    http::{HeaderMap, StatusCode, header},
    listener::{Acceptor, Listener, TcpListener},
};
use serde_json::Value;
use tokio::task::JoinHandle;

/// Something that arrived.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// With which headers.
    pub headers: HeaderMap,
    /// The body, as it came.
    pub text: String,
    /// The body.
    pub json: Value,
    /// What was answered.
    pub status: u16,
}

impl Arrival {
    /// A header.
    ///
    /// # Panics
    /// When it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("{name} is missing")).to_str().expect("a text")
    }

    /// What it is of: `contacts.created`.
    #[must_use]
    pub fn what(&self) -> &str {
        self.json["type"].as_str().unwrap_or_default()
    }
}

/// The server.
pub struct Receiver {
    /// Its address.
    pub url: String,
    state: Arc<State>,
    server: JoinHandle<()>,
}

struct State {
    arrivals: Mutex<Vec<Arrival>>,
    script: Mutex<VecDeque<u16>>,
}

impl Endpoint for Receiving {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let text = request.take_body().into_string().await?;
        let status = self.0.script.lock().expect("a script").pop_front().unwrap_or(200);
        let json = serde_json::from_str(&text).unwrap_or_default();
        self.0.arrivals.lock().expect("arrivals").push(Arrival { headers: request.headers().clone(), text, json, status });
        let status = StatusCode::from_u16(status).expect("a status");
        let long = format!("answer\0{}", "x".repeat(5000));
        let response = Response::builder().status(status);
        Ok(if status.is_redirection() { response.header(header::LOCATION, "/elsewhere") } else { response }.body(long).into_response())
    }
}

struct Receiving(Arc<State>);

impl Receiver {
    /// One at this address of the computer, such as 127.0.0.1.
    ///
    /// # Panics
    /// When it can't be started.
    pub async fn at(host: &str) -> Self {
        let acceptor = TcpListener::bind(format!("{host}:0")).into_acceptor().await.expect("a port");
        let port = acceptor.local_addr()[0].as_socket_addr().expect("an address").port();
        let state = Arc::new(State { arrivals: Mutex::default(), script: Mutex::default() });
        let receiving = Receiving(state.clone());
        let server = tokio::spawn(async move {
            Server::new_with_acceptor(acceptor).run(receiving).await.expect("it serves");
        });
        Self { url: format!("http://{host}:{port}/hook"), state, server }
    }

    /// Answers so, one after the other; then 200.
    ///
    /// # Panics
    /// Never.
    pub fn will_answer(&self, statuses: impl IntoIterator<Item = u16>) {
        *self.state.script.lock().expect("a script") = statuses.into_iter().collect();
    }

    /// What has arrived since this was asked last.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        std::mem::take(&mut *self.state.arrivals.lock().expect("arrivals"))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}
