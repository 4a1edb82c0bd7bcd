//! A real installation of SOMO: a database of its own, a user with a token, a WhatsApp number, and `somo api` as a process.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, ensure};
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes, client::conn::http1::SendRequest, header, http::request::Builder};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::{
    contender::{connect, database},
    load,
};

/// The installation's own secret; its database lives as long as the run. `openssl rand -base64 32` made it.
const SECRET_KEY: &str = "U/KvUbDXVpjoT6g5728we4VJMhEYnJIbiqEgxkwZuB4=";
const DATABASE: &str = "bench_api";
const EMAIL: &str = "ana@example.com";
/// What signs deliveries to the number.
pub(crate) const APP_SECRET: &str = "the secret of the app";
/// The number's id at Meta.
pub(crate) const NUMBER: &str = "100000000000001";

/// What `somo` is started with.
pub(crate) struct Installation {
    somo: PathBuf,
    folder: PathBuf,
    address: String,
    redis: String,
    /// One connection to its database, to look into it.
    database: DatabaseConnection,
    /// A personal access token.
    pub(crate) token: String,
}

/// `somo api`, listening. Dropped, it is killed.
pub(crate) struct Api {
    /// `127.0.0.1:8080`.
    pub(crate) address: String,
    /// Only held.
    _process: Child,
}

impl Api {
    /// One that listens there.
    pub(crate) fn at(address: &str, process: Child) -> Self {
        Self { address: address.to_owned(), _process: process }
    }
}

impl Installation {
    /// Makes it with the program `somo`, as an administrator would. `folder` is for its files.
    pub(crate) async fn make(somo: &Path, folder: &Path, server: &str, redis: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
        let admin = connect(server).await?;
        admin.execute_unprepared(&format!("drop database if exists {DATABASE}")).await?;
        admin.execute_unprepared(&format!("create database {DATABASE}")).await?;
        let address = database(server, DATABASE);
        let mut made = Self {
            somo: somo.to_owned(),
            folder: folder.to_owned(),
            database: connect(&address).await?,
            address,
            redis: redis.to_owned(),
            token: String::new(),
        };
        made.run(&["migrate", "up"]).await?;
        made.run(&["user", "create", "--email", EMAIL, "--password", "correct horse", "--tenant", "Loja", "--role", "admin"]).await?;
        made.token = made.run(&["token", "create", "--email", EMAIL]).await?;
        let api = made.serve().await?;
        let device = json!({ "name": "Vendas", "provider": "cloud", "cloud": {
            "phone_number_id": NUMBER, "business_account_id": "1", "access_token": "x", "app_secret": APP_SECRET, "verify_token": "verify",
        } });
        Client::new(&api, &made.token).await?.post("/api/whatsapp/devices", device.to_string()).await?;
        Ok(made)
    }

    /// Starts the API, logging as one would in production.
    pub(crate) async fn serve(&self) -> anyhow::Result<Api> {
        let address = free_address()?;
        let process = self.command(&["api"]).env("SOMO_BIND", &address).kill_on_drop(true).spawn();
        let process = process.with_context(|| format!("{} does not start", self.somo.display()))?;
        listens(&address).await?;
        Ok(Api { address, _process: process })
    }

    /// Empties the inbox and the ledger, and lets no measurement pay for the writes of the one before.
    pub(crate) async fn reset(&self) -> anyhow::Result<()> {
        self.database.execute_unprepared("truncate whatsapp_inbox, jobs").await?;
        self.database.execute_unprepared("checkpoint").await?;
        Ok(())
    }

    /// How many deliveries are in the inbox with a job, and how many rows there are in both together.
    pub(crate) async fn kept(&self) -> anyhow::Result<(i64, i64)> {
        let count =
            "select (select count(*) from whatsapp_inbox join jobs on jobs.payload->>'inbox_id' = whatsapp_inbox.id::text) as pairs,
            (select count(*) from whatsapp_inbox) + (select count(*) from jobs) as rows";
        let row = self.database.query_one_raw(Statement::from_string(DbBackend::Postgres, count)).await?.context("a row of counts")?;
        Ok((row.try_get("", "pairs")?, row.try_get("", "rows")?))
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.somo);
        // Neither a somo.toml nor a variable of whoever runs this has a say.
        command.args(args).current_dir(&self.folder).env_clear().stdin(Stdio::null()).envs([
            ("SOMO_DATABASE_URL", self.address.as_str()),
            ("SOMO_REDIS_URL", &self.redis),
            ("SOMO_SECRET_KEY", SECRET_KEY),
            ("SOMO_LOG", "warn"),
            ("SOMO_REALTIME_CONNECTIONS_PER_USER", "100000"),
        ]);
        command
    }

    async fn run(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = self.command(args).stderr(Stdio::inherit()).output().await;
        let output = output.with_context(|| format!("{} does not start", self.somo.display()))?;
        ensure!(output.status.success(), "somo {}: {}", args.join(" "), output.status);
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// One connection to its database, to look into it.
    pub(crate) fn database(&self) -> &DatabaseConnection {
        &self.database
    }

    /// The address of its database.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

/// One connection to the API, signed in.
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    address: String,
    token: String,
}

impl Client {
    pub(crate) async fn new(api: &Api, token: &str) -> anyhow::Result<Self> {
        let (sender, _connection) = load::connect(&api.address).await?; // its task goes on
        Ok(Self { sender, address: api.address.clone(), token: token.to_owned() })
    }

    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<Value> {
        self.ask(Request::get(path), path, String::new()).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: String) -> anyhow::Result<Value> {
        self.ask(Request::post(path).header(header::CONTENT_TYPE, "application/json"), path, body).await
    }

    async fn ask(&mut self, request: Builder, path: &str, body: String) -> anyhow::Result<Value> {
        let request = request
            .header(header::HOST, &self.address)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Full::new(Bytes::from(body)))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{path}: {status}: {}", String::from_utf8_lossy(&body));
        Ok(serde_json::from_slice(&body)?)
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_address() -> anyhow::Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// Waits until somebody listens there.
pub(crate) async fn listens(address: &str) -> anyhow::Result<()> {
    for _ in 0..200 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("nobody listens at {address} after 10 s; what the server said is above")
}
