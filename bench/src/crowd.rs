//! (g) A thousand connections, each with one request a second, whether or not the one before is answered: what a team's browsers
//! and integrations do all day, together.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::{
    child::Child,
    clock::now,
    contender::Env,
    load::{self, Load},
    report::{Column, Table},
    somo::tell,
    stats::percentile,
};

/// The row.
pub(crate) const SOMO: &str = "SOMO, 80 % reads, 20 % writes";
/// The figures.
pub(crate) const RATE: &str = "answers/s";
pub(crate) const ERRORS: &str = "errors";
pub(crate) const P95: &str = "p95, ms";

/// The table, still empty.
pub(crate) fn table() -> Table {
    Table::new(
        "g",
        "A thousand connections",
        "1,000 keep-alive connections from a process of its own, each with one request a second for two minutes, on the million \
         contacts: of ten, four ask for a list of 25, two for a contact, two for a timeline, one changes a contact and one makes one. A request's \
         time counts from when it was due, whether or not the one before it on its connection was through. An error is whatever is not a success.",
        &[Column::new(RATE, 0), Column::new(ERRORS, 0), Column::new("p50, ms", 2), Column::new(P95, 2), Column::new("p99, ms", 2)],
    )
}

/// What to send; `{n}` in it becomes the request's number, `{id}` one of `ids`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Crowd {
    address: String,
    token: String,
    connections: u32,
    seconds: u32,
    /// Method, path, body; each connection goes through them in turn, each beginning with another.
    asks: Vec<(String, String, String)>,
    ids: Vec<String>,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
struct Crowded {
    per_second: f64,
    errors: u32,
    p50: f64,
    p95: f64,
    p99: f64,
}

/// One measurement.
pub(crate) async fn measure(env: &Env, quick: bool, table: &mut Table) -> anyhow::Result<()> {
    let (installation, million) = (env.installation().await?, env.million(quick).await?);
    let api = installation.serve().await?;
    let get = |path: &str| ("GET".to_owned(), path.to_owned(), String::new());
    let asks = vec![
        get("/api/contacts?limit=25"),
        get("/api/contacts/{id}"),
        get("/api/contacts?limit=25&sort=-created_at"),
        ("PATCH".to_owned(), "/api/contacts/{id}".to_owned(), r#"{"job_title":"Buyer {n}"}"#.to_owned()),
        get("/api/contacts/{id}/timeline"),
        get("/api/contacts?limit=25"),
        get("/api/contacts/{id}"),
        get("/api/contacts?limit=25&sort=-created_at"),
        ("POST".to_owned(), "/api/contacts".to_owned(), r#"{"first_name":"Bia {n}","phones":[{"number":"+55219{n}"}]}"#.to_owned()),
        get("/api/contacts/{id}/timeline"),
    ];
    let crowd = Crowd {
        address: api.address.clone(),
        token: installation.token.clone(),
        connections: 1000,
        seconds: if quick { 5 } else { 120 },
        asks,
        ids: million.some.clone(),
    };
    let mut generator = Child::spawn(env.me(), &["crowd"], &crowd)?;
    let crowded: Crowded = generator.answer("crowded").await?;
    generator.stop().await?;
    table.push(SOMO, RATE, crowded.per_second);
    table.push(SOMO, ERRORS, crowded.errors.into());
    for (column, value) in [("p50, ms", crowded.p50), (P95, crowded.p95), ("p99, ms", crowded.p99)] {
        table.push(SOMO, column, value);
    }
    Ok(())
}

/// Sends what `crowd`, given as JSON, asks for, and prints what came of it.
pub(crate) async fn run(crowd: &str) -> anyhow::Result<()> {
    let crowd: Arc<Crowd> = Arc::new(serde_json::from_str(crowd).context("the crowd is not one")?);
    let began = now() + 2e3; // all of them are there by then
    let mut connections = JoinSet::new();
    for at in 0..crowd.connections {
        connections.spawn(connection(crowd.clone(), at, began));
    }
    let (mut times, mut errors) = (Vec::new(), 0);
    while let Some(done) = connections.join_next().await {
        let (some, wrong) = done??;
        times.extend(some);
        errors += wrong;
    }
    let per_second = times.len() as f64 / ((now() - began) / 1e3);
    let mut part = |part| percentile(&mut times, part).context("nothing was answered");
    let (p50, p95, p99) = (part(0.5)?, part(0.95)?, part(0.99)?);
    tell("crowded", &Crowded { per_second, errors, p50, p95, p99 })
}

async fn connection(crowd: Arc<Crowd>, at: u32, began: f64) -> anyhow::Result<(Vec<f64>, u32)> {
    let (mut sender, _driver) = load::connect(&crowd.address).await?;
    let (mut times, mut errors) = (Vec::new(), 0);
    for turn in 0..crowd.seconds {
        // Spread over the second.
        let due = began + 1e3 * f64::from(turn) + 1e3 * f64::from(at) / f64::from(crowd.connections);
        tokio::time::sleep(Duration::from_secs_f64(((due - now()) / 1e3).max(0.0))).await;
        let n = turn * crowd.connections + at;
        let (method, path, body) = &crowd.asks[(at + turn) as usize % crowd.asks.len()];
        // Neighbours in time ask for different ones.
        let id = &crowd.ids[(n as usize).wrapping_mul(7919) % crowd.ids.len()];
        let mut headers = vec![("Authorization".to_owned(), format!("Bearer {}", crowd.token))];
        if !body.is_empty() {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        let load = Load {
            address: crowd.address.clone(),
            method: method.clone(),
            path: path.replace("{id}", id),
            headers,
            body: body.clone(),
            secret: None,
            connections: 1,
            warm_up: 0.0,
            seconds: 0.0,
        };
        if let Err(error) = load::ask(&mut sender, &load, n.into()).await {
            errors += 1;
            if errors == 1 {
                eprintln!("{method} {}: {error:#}", load.path);
            }
            if sender.is_closed() {
                sender = load::connect(&crowd.address).await?.0;
            }
        }
        times.push(now() - due);
    }
    Ok((times, errors))
}
