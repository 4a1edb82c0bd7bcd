//! A team to try SOMO with: an admin, a device that points at a sandbox, a customer who has just written, and a company that
//! has been at work for a while.
//!
//! - `company` and `dealings` make its records, in one language or the other; `dice` is their chance.
//! - `words` says which languages there are; what they say is in `portuguese` and `english`.
//!
//! It is made once: what the data folder's `demo.json` speaks of is there. Nothing here may write past the kernel of resources.
#![expect(clippy::print_stdout, reason = "this is the command's answer")]

mod company;
mod dealings;
mod dice;
mod english;
mod portuguese;
pub(crate) mod words;

use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use config::Settings;
use domain::{
    Scope,
    auth::tokens,
    entities::{DeviceId, Provider, Role, TenantId},
    scope::Actor,
    seal::Sealer,
    users::{self, NewUser},
    whatsapp::devices::{self, CloudAccess, DeviceCreate},
};
use jobs::Ledger;
use sandbox::{Options, Sandbox};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{accounts, open};
use company::{Chat, Founder};
use words::Locale;

/// The name of the tenant.
const TEAM: &str = "Demo";
const EMAIL: &str = "demo@somo.localhost";
const NUMBER: &str = "100000000000001";
const ACCOUNT: &str = "200000000000001";
const CUSTOMER: &str = "5511987654321";
const CUSTOMER_NAME: &str = "Ana Souza";

/// What the demo's first start made. Kept in the data folder, readable by its owner only.
#[derive(Serialize, Deserialize)]
pub(crate) struct Demo {
    email: String,
    password: String,
    token: String,
    tenant: TenantId,
    device: DeviceId,
    access_token: String,
    app_secret: String,
    #[serde(default)]
    locale: Locale,
    #[serde(default)]
    agents: Vec<String>,
    /// What else customers write; nothing when it was there already.
    #[serde(skip)]
    chats: Vec<Chat>,
}

/// A sandbox for this process, whose customers answer.
pub(crate) async fn sandbox() -> anyhow::Result<Sandbox> {
    let options = |port| Options { bind: ([127, 0, 0, 1], port).into(), auto_reply: true, ..Options::default() };
    match sandbox::start(options(8090)).await {
        Ok(sandbox) => Ok(sandbox),
        Err(_taken) => sandbox::start(options(0)).await,
    }
}

/// `somo demo`.
pub(crate) async fn run(settings: &Settings, sandbox: &str, locale: Locale) -> anyhow::Result<()> {
    let opened = open::all(settings, true).await?;
    let demo = Demo::seed(settings, &opened.ledger, &opened.sealer, locale).await?;
    demo.connect(sandbox, &settings.public_url).await?;
    demo.introduce(sandbox, settings);
    println!("Start SOMO with SOMO_WHATSAPP_GRAPH_URL={sandbox}; the customer's message arrives as soon as it listens.");
    Ok(())
}

impl Demo {
    /// Makes it, or finds what an earlier start has made.
    pub(crate) async fn seed(settings: &Settings, ledger: &Ledger, sealer: &Sealer, locale: Locale) -> anyhow::Result<Self> {
        let path = settings.data_dir.join("demo.json");
        if let Some(demo) = Self::kept(&path)? {
            accounts::must_exist(ledger.db(), &demo.email)
                .await
                .with_context(|| format!("{} is of another database; delete it", path.display()))?;
            return Ok(demo);
        }
        if users::by_email(ledger.db(), EMAIL).await?.is_some() {
            bail!("the database has a demo already, but {} with its password is gone: start on an empty database", path.display());
        }
        let password = tokens::secret("")[..16].to_owned();
        let new = NewUser { email: EMAIL, password: &password, name: "Demo", role: Role::Admin, tenant: TEAM };
        let (tenant, admin) = users::create(ledger, new).await.map_err(accounts::plain)?;
        let token = tokens::create(ledger, EMAIL, "demo", vec!["*".into()]).await.map_err(accounts::plain)?;
        let (access_token, app_secret) = (tokens::secret("demo_"), tokens::secret(""));
        let cloud = CloudAccess {
            phone_number_id: NUMBER.into(),
            business_account_id: ACCOUNT.into(),
            access_token: access_token.clone(),
            app_secret: app_secret.clone(),
            verify_token: tokens::secret(""),
        };
        let new = DeviceCreate { name: "Demo".into(), provider: Provider::Cloud, cloud: Some(cloud), settings: None };
        let device = devices::create(ledger, sealer, &Scope::system(tenant, Actor::System), new).await.map_err(accounts::plain)?.id;
        let founder = Founder { tenant, admin, password: &password, customer: (CUSTOMER_NAME, CUSTOMER) };
        let filled = company::fill(ledger, founder, locale).await.context("the demo's company could not be filled in")?;
        let (agents, chats) = (filled.agents, filled.chats);
        let demo = Self { email: EMAIL.into(), password, token, tenant, device, access_token, app_secret, locale, agents, chats };
        demo.keep(&path)?;
        Ok(demo)
    }

    fn kept(path: &PathBuf) -> anyhow::Result<Option<Self>> {
        match fs::read(path) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).with_context(|| format!("{} can't be read; delete it", path.display()))?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{} can't be read", path.display())),
        }
    }

    fn keep(&self, path: &PathBuf) -> anyhow::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        Ok(())
    }

    /// Tells the sandbox of the number and lets the customer write; the others too, when the demo is new.
    pub(crate) async fn connect(&self, sandbox: &str, public_url: &str) -> anyhow::Result<()> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        let number = json!({
            "phone_number_id": NUMBER, "business_account_id": ACCOUNT, "access_token": self.access_token, "app_secret": self.app_secret,
            "webhook": format!("{public_url}/api/whatsapp/webhook"),
        });
        let post = async |path: &str, body: &serde_json::Value| {
            let answer = http.post(format!("{sandbox}{path}")).json(body).send().await;
            let answer = answer.with_context(|| format!("no sandbox answers at {sandbox}: run `somo sandbox` first"))?;
            answer.error_for_status().context("the sandbox refused the demo").map(|_| ())
        };
        post("/sandbox/numbers", &number).await?;
        let others = self.chats.iter().flat_map(|chat| chat.texts.iter().map(|&text| (chat.number.as_str(), chat.name.as_str(), text)));
        for (customer, name, text) in others.chain([(CUSTOMER, CUSTOMER_NAME, self.locale.words().question)]) {
            let message = json!({ "phone_number_id": NUMBER, "name": name, "type": "text", "text": { "body": text } });
            post(&format!("/sandbox/customers/{customer}/messages"), &message).await?;
        }
        Ok(())
    }

    /// Prints where everything is.
    pub(crate) fn introduce(&self, sandbox: &str, settings: &Settings) {
        let Self { email, password, token, device, agents, .. } = self;
        let answer = self.locale.words().answer;
        // One that an earlier version made has none.
        let agents = if agents.is_empty() { String::new() } else { format!("Agents    {} (the same password)\n", agents.join(", ")) };
        let url = &settings.public_url;
        println!(
            "
SOMO      {url}
Swagger   {url}/docs
Sign in   {email}
Password  {password}
{agents}Phone     {sandbox}/phone?number={NUMBER}&customer={CUSTOMER}&name=Ana%20Souza

Write to the demo's customer, then look at the conversation:

curl -s {url}/api/whatsapp/messages/send -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' \\
  -d '{{\"device_id\":\"{device}\",\"to\":\"+{CUSTOMER}\",\"type\":\"text\",\"text\":{{\"body\":\"{answer}\"}}}}'
curl -s {url}/api/whatsapp/conversations -H 'Authorization: Bearer {token}'
"
        );
    }
}
