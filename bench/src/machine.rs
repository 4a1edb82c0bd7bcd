//! What a run ran on.

use std::{fmt::Write, path::Path, process::Command};

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DbBackend, Statement};

use crate::contender::{Contender, Env};

/// Machine, versions and date, as a Markdown table.
pub(crate) async fn about(env: &Env, rounds: u32, quick: bool) -> anyhow::Result<String> {
    let mut page = String::from("| | |\n|---|---|\n");
    let mut row = |name: &str, value: String| _ = writeln!(page, "| {name} | {value} |");
    row("date", chrono::Utc::now().format("%Y-%m-%d %H:%M UTC").to_string());
    row("rounds", if quick { format!("{rounds}, quick: smaller counts, for trying it out only") } else { rounds.to_string() });
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    row("machine", format!("{cores} cores, {}, {} GB; everything shares them", cpu(), memory()));
    row("system", said("uname", &["-sr"]));
    let build = if cfg!(debug_assertions) { "debug build" } else { "release build" };
    row("SOMO", format!("{}, {build}, {}", env!("CARGO_PKG_VERSION"), said("rustc", &["--version"])));
    row(
        "jobs at once (a, c)",
        format!(
            "SOMO {}, graphile-worker {} (batched: fetches 500), BullMQ {}; 24 for all in b",
            Contender::DEFAULT.concurrency(),
            Contender::GRAPHILE.concurrency(),
            Contender::BULLMQ.concurrency()
        ),
    );
    let settings = "select concat('PostgreSQL ', current_setting('server_version'), ', fsync ', current_setting('fsync'),
        ', synchronous_commit ', current_setting('synchronous_commit'), ', shared_buffers ', current_setting('shared_buffers'),
        ', max_wal_size ', current_setting('max_wal_size')) as settings";
    let mut options = ConnectOptions::new(env.server());
    options.max_connections(1).sqlx_logging(false);
    let postgres = Database::connect(options).await?;
    let settings = postgres.query_one_raw(Statement::from_string(DbBackend::Postgres, settings)).await?;
    row("PostgreSQL", settings.map_or_else(String::new, |row| row.try_get("", "settings").unwrap_or_default()));
    let mut redis = redis::Client::open(env.redis())?.get_multiplexed_async_connection().await?;
    let info: String = redis::cmd("INFO").arg("server").query_async(&mut redis).await?;
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("?");
    row("Redis", format!("{version}, no persistence"));
    row("Node", said(&env.node().display().to_string(), &["--version"]));
    for package in ["graphile-worker", "bullmq", "ioredis", "pg"] {
        row(package, version_of(env.scripts(), package));
    }
    Ok(page)
}

fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output.map_or_else(|_| "?".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find(|line| line.starts_with(name))?.split_once(':').map(|(_, value)| value.trim())
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    field(&info, "model name").unwrap_or("?").to_owned()
}

fn memory() -> String {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes = field(&info, "MemTotal").and_then(|value| value.split_once(' ')?.0.parse::<f64>().ok());
    kilobytes.map_or_else(|| "?".to_owned(), |kilobytes| format!("{:.0}", kilobytes / 1024.0 / 1024.0))
}

fn version_of(scripts: &Path, package: &str) -> String {
    let read = || -> anyhow::Result<String> {
        let text = std::fs::read_to_string(scripts.join("node_modules").join(package).join("package.json"))?;
        let value: serde_json::Value = serde_json::from_str(&text)?;
        Ok(value["version"].as_str().unwrap_or("?").to_owned())
    };
    read().unwrap_or_else(|_| "?".to_owned())
}
