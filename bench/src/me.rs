//! (e) The cheapest authenticated call against the cheapest thing that poem can do.

use crate::{
    child::Child,
    contender::Env,
    load::{Load, Loaded},
    report::{Column, Table},
};

/// The row it is measured against.
pub(crate) const BARE: &str = "bare poem, one text";
/// Requests a second.
pub(crate) const RATE: &str = "requests/s";

/// The table, still empty.
pub(crate) fn table() -> Table {
    Table::new(
        "e",
        "The cheapest authenticated call",
        "32 keep-alive connections from a load generator of our own, in a process of its own, the same for both.",
        &[Column::new(RATE, 0), Column::new("p50, ms", 2), Column::new("p99, ms", 2)],
    )
}

/// The bare server.
pub(crate) async fn bare(env: &Env, quick: bool, table: &mut Table) -> anyhow::Result<()> {
    let address = free_address()?;
    let server = tokio::process::Command::new(env.me()).args(["hello", &address]).kill_on_drop(true).spawn()?;
    let loaded = load(env, &Load { path: "/".into(), ..get(address, quick) }).await;
    drop(server);
    push(table, BARE, &loaded?);
    Ok(())
}

/// A GET of nothing yet.
fn get(address: String, quick: bool) -> Load {
    Load {
        address,
        method: "GET".into(),
        path: String::new(),
        headers: Vec::new(),
        body: String::new(),
        secret: None,
        connections: 32,
        warm_up: 1_000,
        requests: if quick { 5_000 } else { 50_000 },
    }
}

/// Waits for the server, then runs the load in a process of its own.
pub(crate) async fn load(env: &Env, load: &Load) -> anyhow::Result<Loaded> {
    for _ in 0..100 {
        if tokio::net::TcpStream::connect(&load.address).await.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let mut generator = Child::spawn(env.me(), &["load"], load)?;
    generator.answer("loaded").await
}

fn push(table: &mut Table, row: &str, loaded: &Loaded) {
    table.push(row, RATE, loaded.per_second);
    table.push(row, "p50, ms", loaded.p50);
    table.push(row, "p99, ms", loaded.p99);
}

/// A port that was free a moment ago.
pub(crate) fn free_address() -> anyhow::Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
