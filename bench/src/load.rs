//! A small load generator: keep-alive connections, each with one request under way at a time.
//!
//! It runs in a process of its own, the same for both sides of a comparison. With a secret, each body is signed as Meta
//! signs its webhooks.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use anyhow::{Context, ensure};
use hmac::{Hmac, Mac};
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tokio::{net::TcpStream, task::JoinSet};

use crate::{clock::now, somo::tell, stats::percentile};

/// What to send.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Load {
    /// `127.0.0.1:8080`.
    pub(crate) address: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    /// `{n}` becomes the request's number, so that no two are alike.
    pub(crate) body: String,
    /// Signs the body into `X-Hub-Signature-256`.
    pub(crate) secret: Option<String>,
    pub(crate) connections: u32,
    /// Sent, but not counted.
    pub(crate) warm_up: u64,
    pub(crate) requests: u64,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Loaded {
    pub(crate) per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// Sends what `load`, given as JSON, asks for, and prints a [`Loaded`]. Every answer must be a 2xx.
pub(crate) async fn run(load: &str) -> anyhow::Result<()> {
    let load: Arc<Load> = Arc::new(serde_json::from_str(load).context("the load is not one")?);
    let next = Arc::new(AtomicU64::new(0));
    part(&load, &next, load.warm_up).await?;
    let started = now();
    let mut times = part(&load, &next, load.warm_up + load.requests).await?;
    let seconds = (now() - started) / 1e3;
    let p50 = percentile(&mut times, 0.5).context("nothing was sent")?;
    let p99 = percentile(&mut times, 0.99).context("nothing was sent")?;
    tell("loaded", &Loaded { per_second: times.len() as f64 / seconds, p50, p99 })
}

async fn part(load: &Arc<Load>, next: &Arc<AtomicU64>, until: u64) -> anyhow::Result<Vec<f64>> {
    let mut connections = JoinSet::new();
    for _ in 0..load.connections {
        connections.spawn(connection(load.clone(), next.clone(), until));
    }
    let mut times = Vec::new();
    while let Some(done) = connections.join_next().await {
        times.extend(done??);
    }
    next.store(until, Relaxed);
    Ok(times)
}

async fn connection(load: Arc<Load>, next: Arc<AtomicU64>, until: u64) -> anyhow::Result<Vec<f64>> {
    let stream = TcpStream::connect(&load.address).await.with_context(|| format!("nobody listens at {}", load.address))?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let mut times = Vec::new();
    loop {
        let n = next.fetch_add(1, Relaxed);
        if n >= until {
            driver.abort();
            return Ok(times);
        }
        let request = request(&load, n)?;
        let sent = now();
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        times.push(now() - sent);
    }
}

fn request(load: &Load, n: u64) -> anyhow::Result<Request<Full<Bytes>>> {
    let body = load.body.replace("{n}", &n.to_string());
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
