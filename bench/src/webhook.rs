//! (d) How many of Meta's deliveries a second `somo api` takes: signature checked, delivery and job on disk, then answered.

use anyhow::ensure;
use serde_json::json;

use crate::{
    api::{APP_SECRET, NUMBER},
    contender::Env,
    load::{self, Load},
    report::{Column, Table},
};

/// The row.
pub(crate) const SOMO: &str = "SOMO, POST /api/whatsapp/webhook";
/// Deliveries a second.
pub(crate) const RATE: &str = "deliveries/s";

/// The table, still empty.
pub(crate) fn table() -> Table {
    Table::new(
        "d",
        "Webhook intake",
        "`somo api`, a process of its own, gets signed deliveries of one message each, every message with another id from \
         another customer, over 64 keep-alive connections from a load generator in a process of its own. Each is answered with \
         200 after its row in the inbox and its job were committed; after each round SQL must count exactly as many of both as \
         there were 200s. No worker runs.",
        &[Column::new(RATE, 0), Column::new("p50, ms", 2), Column::new("p99, ms", 2)],
    )
}

/// One measurement.
pub(crate) async fn measure(env: &Env, quick: bool, table: &mut Table) -> anyhow::Result<()> {
    let installation = env.installation().await?;
    installation.reset().await?;
    let api = installation.serve().await?;
    let delivery = json!({ "object": "whatsapp_business_account", "entry": [{ "id": "1", "changes": [{ "field": "messages", "value": {
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": NUMBER, "phone_number_id": NUMBER },
        "contacts": [{ "profile": { "name": "Ana {n}" }, "wa_id": "55119{n}" }],
        "messages": [{ "from": "55119{n}", "id": "wamid.{n}", "timestamp": chrono::Utc::now().timestamp().to_string(), "type": "text",
            "text": { "body": "Bom dia! O pedido {n} já saiu?" } }],
    } }] }] });
    let load = Load {
        address: api.address.clone(),
        method: "POST".into(),
        path: "/api/whatsapp/webhook".into(),
        headers: vec![("Content-Type".into(), "application/json".into())],
        body: delivery.to_string(),
        secret: Some(APP_SECRET.into()),
        connections: 64,
        warm_up: 1.0,
        seconds: if quick { 2.0 } else { 10.0 },
    };
    let loaded = load::send(env.me(), &load).await?;
    drop(api);
    let (answered, (pairs, rows)) = (i64::try_from(loaded.answered)?, installation.kept().await?);
    ensure!(
        (pairs, rows) == (answered, 2 * answered),
        "{answered} were answered with 200, {pairs} kept with their job, {rows} rows in all"
    );
    loaded.push(table, SOMO, RATE);
    Ok(())
}
