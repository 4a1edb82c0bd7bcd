//! (e) The cheapest authenticated call against the cheapest thing that poem can do.

use crate::{
    api::{free_address, listens},
    contender::Env,
    load::{self, Load},
    report::{Column, Table},
};

/// The row it is about.
pub(crate) const SOMO: &str = "SOMO, GET /api/me";
/// The row it is measured against.
pub(crate) const BARE: &str = "bare poem, one text";
/// Requests a second.
pub(crate) const RATE: &str = "requests/s";

/// The table, still empty.
pub(crate) fn table() -> Table {
    Table::new(
        "e",
        "The cheapest authenticated call",
        "`somo api`, asked with a personal access token, against a server of one route that answers one text. 32 keep-alive \
         connections from a load generator of our own, in a process of its own, the same for both.",
        &[Column::new(RATE, 0), Column::new("p50, ms", 2), Column::new("p99, ms", 2)],
    )
}

/// The bare server.
pub(crate) async fn bare(env: &Env, quick: bool, table: &mut Table) -> anyhow::Result<()> {
    let address = free_address()?;
    let server = tokio::process::Command::new(env.me()).args(["hello", &address]).kill_on_drop(true).spawn()?;
    listens(&address).await?;
    let loaded = load::send(env.me(), &get(&address, "/", Vec::new(), quick)).await;
    drop(server);
    loaded?.push(table, BARE, RATE);
    Ok(())
}

/// SOMO.
pub(crate) async fn somo(env: &Env, quick: bool, table: &mut Table) -> anyhow::Result<()> {
    let installation = env.installation().await?;
    let api = installation.serve().await?;
    let token = ("Authorization".to_owned(), format!("Bearer {}", installation.token));
    let loaded = load::send(env.me(), &get(&api.address, "/api/me", vec![token], quick)).await?;
    loaded.push(table, SOMO, RATE);
    Ok(())
}

fn get(address: &str, path: &str, headers: Vec<(String, String)>, quick: bool) -> Load {
    Load {
        address: address.to_owned(),
        method: "GET".into(),
        path: path.to_owned(),
        headers,
        body: String::new(),
        secret: None,
        connections: 32,
        warm_up: 1.0,
        seconds: if quick { 1.0 } else { 5.0 },
    }
}
