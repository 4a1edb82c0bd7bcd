//! A small load generator: keep-alive connections, each with one request under way at a time.
//!
//! It runs in a process of its own, the same for both sides of a comparison. With a secret, each body is signed as Meta
//! signs its webhooks.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use anyhow::{Context, ensure};
use hmac::{Hmac, Mac};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tokio::{
    net::TcpStream,
    task::{JoinHandle, JoinSet},
};

use crate::{child::Child, clock::now, report::Table, somo::tell, stats::percentile};

/// What to send.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Load {
    /// `127.0.0.1:8080`.
    pub(crate) address: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    /// `{n}` becomes the request's number in eight digits, so that no two are alike.
    pub(crate) body: String,
    /// Signs the body into `X-Hub-Signature-256`.
    pub(crate) secret: Option<String>,
    pub(crate) connections: u32,
    /// So many seconds long it is sent, but not measured.
    pub(crate) warm_up: f64,
    /// So many seconds long it is measured.
    pub(crate) seconds: f64,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Loaded {
    pub(crate) per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// How many were sent and answered, the warm-up's with them.
    pub(crate) answered: u64,
}

impl Loaded {
    /// A row's figures; `rate` is how the first is called.
    pub(crate) fn push(&self, table: &mut Table, row: &str, rate: &'static str) {
        table.push(row, rate, self.per_second);
        table.push(row, "p50, ms", self.p50);
        table.push(row, "p99, ms", self.p99);
    }
}

/// Runs `load` in a process of its own, which is `program` again.
pub(crate) async fn send(program: &Path, load: &Load) -> anyhow::Result<Loaded> {
    let mut generator = Child::spawn(program, &["load"], load)?;
    let loaded = generator.answer("loaded").await?;
    generator.stop().await?;
    Ok(loaded)
}

/// Sends what `load`, given as JSON, asks for, and prints a [`Loaded`]. Every answer must be a success.
pub(crate) async fn run(load: &str) -> anyhow::Result<()> {
    let load: Arc<Load> = Arc::new(serde_json::from_str(load).context("the load is not one")?);
    let next = Arc::new(AtomicU64::new(0));
    let warm_up = part(&load, &next, load.warm_up).await?;
    let started = now();
    let mut times = part(&load, &next, load.seconds).await?;
    let seconds = (now() - started) / 1e3;
    let p50 = percentile(&mut times, 0.5).context("nothing was sent")?;
    let p99 = percentile(&mut times, 0.99).context("nothing was sent")?;
    let answered = u64::try_from(warm_up.len() + times.len())?;
    tell("loaded", &Loaded { per_second: times.len() as f64 / seconds, p50, p99, answered })
}

/// How long each request took.
async fn part(load: &Arc<Load>, next: &Arc<AtomicU64>, seconds: f64) -> anyhow::Result<Vec<f64>> {
    let until = now() + seconds * 1e3;
    let mut connections = JoinSet::new();
    for _ in 0..load.connections {
        connections.spawn(connection(load.clone(), next.clone(), until));
    }
    let mut times = Vec::new();
    while let Some(done) = connections.join_next().await {
        times.extend(done??);
    }
    Ok(times)
}

/// One connection to `address`, and the task that drives it.
pub(crate) async fn connect(address: &str) -> anyhow::Result<(SendRequest<Full<Bytes>>, JoinHandle<hyper::Result<()>>)> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("nobody listens at {address}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    Ok((sender, tokio::spawn(connection)))
}

async fn connection(load: Arc<Load>, next: Arc<AtomicU64>, until: f64) -> anyhow::Result<Vec<f64>> {
    let (mut sender, driver) = connect(&load.address).await?;
    let mut times = Vec::new();
    while now() < until {
        let n = next.fetch_add(1, Relaxed);
        let sent = now();
        ask(&mut sender, &load, n).await?;
        times.push(now() - sent);
    }
    driver.abort();
    Ok(times)
}

/// Sends `load`'s request number `n`; the answer must be a success.
pub(crate) async fn ask(sender: &mut SendRequest<Full<Bytes>>, load: &Load, n: u64) -> anyhow::Result<()> {
    sender.ready().await?;
    let response = sender.send_request(request(load, n)?).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
    Ok(())
}

fn request(load: &Load, n: u64) -> anyhow::Result<Request<Full<Bytes>>> {
    let body = load.body.replace("{n}", &format!("{n:08}"));
    let mut request = Request::builder().method(load.method.as_str()).uri(&load.path).header(header::HOST, &load.address);
    for (name, value) in &load.headers {
        request = request.header(name, value);
    }
    if let Some(secret) = &load.secret {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).context("any length will do")?;
        mac.update(body.as_bytes());
        request = request.header("X-Hub-Signature-256", format!("sha256={}", hex::encode(mac.finalize().into_bytes())));
    }
    Ok(request.body(Full::new(Bytes::from(body)))?)
}
