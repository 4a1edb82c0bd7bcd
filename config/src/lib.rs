//! Typed settings: defaults, then `somo.toml`, then `SOMO_*` variables; checked at start.
//!
//! Every setting has one name: `database_url` in the file is `SOMO_DATABASE_URL` in the environment. An empty variable counts
//! as unset. An error names the variable and says what to do, and no error, log or `Debug` text holds a secret.
//! To add a setting: a field here, its line in `Settings::from_sources`, and a row in the README.

mod secret_key;
mod sources;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use anyhow::{Context, bail};
use ipnet::IpNet;
pub use secret_key::SecretKey;
use sources::Sources;

/// What an installation is told from outside.
#[derive(Clone)]
pub struct Settings {
    /// Where the API listens. `SOMO_BIND`, 127.0.0.1:8080.
    pub bind: SocketAddr,
    /// The folder for what isn't in the database. `SOMO_DATA_DIR`, ./data.
    pub data_dir: PathBuf,
    /// `postgres://…` or `sqlite://…`. `SOMO_DATABASE_URL`, somo.sqlite in the data folder.
    pub database_url: String,
    /// `redis://…` or `rediss://…`. `SOMO_REDIS_URL`; without it, jobs are delivered in process.
    pub redis_url: Option<String>,
    /// How jobs get to workers. `SOMO_QUEUE_TRANSPORT`: local, redis or apalis-redis; redis when there is a Redis.
    pub queue_transport: QueueTransport,
    /// Seals the secrets in the database and signs access tokens. `SOMO_SECRET_KEY`: 32 bytes in base64; with SQLite, made in
    /// the data folder when unset.
    pub secret_key: SecretKey,
    /// Keys that were the secret key, or will be: what they sealed can be read, and access tokens that they signed are good until
    /// they expire. `SOMO_SECRET_KEYS_OLD`, separated by commas; none.
    pub secret_keys_old: Vec<SecretKey>,
    /// How browsers and WhatsApp reach the API, without a slash at the end. `SOMO_PUBLIC_URL`, http:// and the bind address.
    pub public_url: String,
    /// Other sites whose pages may read what the API answers, such as `https://panel.example.com`. `SOMO_CORS_ORIGINS`, separated
    /// by commas; none.
    pub cors_origins: Vec<String>,
    /// How many proxies requests pass: the address of who asks is the one that the outermost of them saw, in `X-Forwarded-For`.
    /// `SOMO_PROXIES`, 0.
    pub proxies: usize,
    /// How often somebody signed in may ask in a minute; 0: as often as they like. `SOMO_USER_RATE`, 1200.
    pub user_rate: u32,
    /// The same of a program with a personal token. `SOMO_TOKEN_RATE`, 0.
    pub token_rate: u32,
    /// The same of an address from which nobody is signed in. `SOMO_ADDRESS_RATE`, 300.
    pub address_rate: u32,
    /// The same of anybody for work on many records: imports, exports, merges, bulk. `SOMO_BULK_RATE`, 120.
    pub bulk_rate: u32,
    /// How many requests are answered at once, 0: any number; beyond that, work on many records is refused first, then programs, then people, chats
    /// last. `SOMO_CONCURRENT_REQUESTS`, 256.
    pub concurrent_requests: usize,
    /// `smtp://…` or `smtps://…`. `SOMO_SMTP_URL`; without it, no mail is sent.
    pub smtp_url: Option<String>,
    /// Who mails come from. `SOMO_MAIL_FROM`, SOMO <somo@localhost>.
    pub mail_from: String,
    /// Meta's Graph API, without a slash at the end. `SOMO_WHATSAPP_GRAPH_URL`.
    pub whatsapp_graph_url: String,
    /// Its version. `SOMO_WHATSAPP_GRAPH_VERSION`, v23.0.
    pub whatsapp_graph_version: String,
    /// What is logged, as `tracing`'s filters say it. `SOMO_LOG`, info.
    pub log: String,
    /// How it is written. `SOMO_LOG_FORMAT`: text or json.
    pub log_format: LogFormat,
    /// The admin that the first start on an empty database makes. `SOMO_ADMIN_EMAIL`.
    pub admin_email: Option<String>,
    /// And the password. `SOMO_ADMIN_PASSWORD`.
    pub admin_password: Option<String>,
    /// The largest request body that is read, in bytes. `SOMO_MAX_BODY_BYTES`, 5 MiB.
    pub max_body_bytes: usize,
    /// Networks that may be called though they are not public, when others enter addresses in them: webhooks of your own house.
    /// `SOMO_EGRESS_ALLOW`, none: `10.1.0.0/16, 192.168.7.4`.
    pub egress_allow: Vec<IpNet>,
    /// How many times faster than usual a webhook that failed is tried again. `SOMO_WEBHOOK_RETRY_SPEED`, 1; for tests.
    pub webhook_retry_speed: f64,
    /// How many may listen to one API process, by WebSocket or server-sent events. `SOMO_REALTIME_CONNECTIONS`, 10,000.
    pub realtime_connections: usize,
    /// How many of them may be one person. `SOMO_REALTIME_CONNECTIONS_PER_USER`, 50.
    pub realtime_connections_per_user: usize,
    /// To how much one of them may listen. `SOMO_REALTIME_SUBSCRIPTIONS`, 50.
    pub realtime_subscriptions: usize,
    /// The largest frame that is taken of a WebSocket, in bytes. `SOMO_REALTIME_FRAME_BYTES`, 64 KiB.
    pub realtime_frame_bytes: usize,
    /// What was set but is no setting, to be logged as a warning: `SOMO_BINDD`.
    pub unknown: Vec<String>,
}

/// How jobs get to workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueTransport {
    /// A channel in the process.
    Local,
    /// Lists in Redis.
    Redis,
    /// apalis' own queues in Redis.
    ApalisRedis,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Settings {
    /// Reads `somo.toml` of the current folder (or the file that `SOMO_CONFIG` names) and the environment. With SQLite, makes
    /// the data folder and, unless one is given, the secret key in it.
    ///
    /// # Errors
    /// What can't be read or doesn't fit together, and what to do about it.
    pub fn load() -> anyhow::Result<Self> {
        Self::from_sources(&Sources::read()?)
    }

    fn from_sources(from: &Sources) -> anyhow::Result<Self> {
        let bind = from.parsed("bind", "127.0.0.1:8080", "an address and a port such as 127.0.0.1:8080")?;
        let data_dir = PathBuf::from(from.or("data_dir", "./data"));
        let database_url = match from.url("database_url", &["postgres://", "postgresql://", "sqlite:"])? {
            Some(url) => url,
            // A file name may hold what means something in an address.
            None => format!("sqlite://{}/somo.sqlite", data_dir.display().to_string().replace('%', "%25").replace('?', "%3F")),
        };
        let redis_url = from.url("redis_url", &["redis://", "rediss://"])?;
        let transports =
            [("local", QueueTransport::Local), ("redis", QueueTransport::Redis), ("apalis-redis", QueueTransport::ApalisRedis)];
        let queue_transport = match (from.one_of("queue_transport", &transports)?, &redis_url) {
            (None, Some(_)) => QueueTransport::Redis,
            (None, None) => QueueTransport::Local,
            (Some(QueueTransport::Redis | QueueTransport::ApalisRedis), None) => {
                bail!("{} needs a Redis: set SOMO_REDIS_URL to redis://host:6379, or the transport to local", from.name("queue_transport"))
            }
            (Some(transport), _) => transport,
        };
        let (admin_email, admin_password) = (from.get("admin_email"), from.get("admin_password"));
        if admin_email.is_some() != admin_password.is_some() {
            bail!("SOMO_ADMIN_EMAIL and SOMO_ADMIN_PASSWORD belong together: set both or neither")
        }
        let mail_from = from.or("mail_from", "SOMO <somo@localhost>");
        if !mail_from.contains('@') {
            bail!("{} must be an address such as SOMO <somo@example.com>", from.name("mail_from"))
        }
        let http = ["http://", "https://"];
        Ok(Self {
            secret_key: SecretKey::find(from, &data_dir, &database_url)?,
            secret_keys_old: SecretKey::old(from)?,
            cors_origins: origins(from)?,
            user_rate: from.parsed("user_rate", "1200", "a number of requests a minute such as 1200")?,
            token_rate: from.parsed("token_rate", "0", "a number of requests a minute such as 6000")?,
            address_rate: from.parsed("address_rate", "300", "a number of requests a minute such as 300")?,
            bulk_rate: from.parsed("bulk_rate", "120", "a number of requests a minute such as 120")?,
            concurrent_requests: from.parsed("concurrent_requests", "256", "a number of requests such as 256")?,
            proxies: from.parsed("proxies", "0", "a number such as 1")?,
            public_url: from.url("public_url", &http)?.map_or_else(|| format!("http://{bind}"), without_slash),
            smtp_url: from.url("smtp_url", &["smtp://", "smtps://"])?,
            whatsapp_graph_url: from
                .url("whatsapp_graph_url", &http)?
                .map_or_else(|| "https://graph.facebook.com".to_owned(), without_slash),
            whatsapp_graph_version: from.or("whatsapp_graph_version", "v23.0"),
            log: from.or("log", "info"),
            log_format: from.one_of("log_format", &[("text", LogFormat::Text), ("json", LogFormat::Json)])?.unwrap_or(LogFormat::Text),
            max_body_bytes: from.parsed("max_body_bytes", "5242880", "a number of bytes such as 5242880")?,
            egress_allow: networks(from)?,
            webhook_retry_speed: from.parsed::<f64>("webhook_retry_speed", "1", "a number such as 1")?.clamp(0.01, 100_000.0),
            realtime_connections: from.parsed("realtime_connections", "10000", "a number of connections such as 10000")?,
            realtime_connections_per_user: from.parsed("realtime_connections_per_user", "50", "a number of connections such as 50")?,
            realtime_subscriptions: from.parsed("realtime_subscriptions", "50", "a number of subscriptions such as 50")?,
            realtime_frame_bytes: from.parsed("realtime_frame_bytes", "65536", "a number of bytes such as 65536")?,
            unknown: from.unknown(),
            bind,
            data_dir,
            database_url,
            redis_url,
            queue_transport,
            mail_from,
            admin_email,
            admin_password,
        })
    }

    /// Where the files of messages are kept.
    #[must_use]
    pub fn media_dir(&self) -> PathBuf {
        self.data_dir.join("media")
    }
}

/// The networks that may be called, with commas between them.
fn networks(from: &Sources) -> anyhow::Result<Vec<IpNet>> {
    let text = from.or("egress_allow", "");
    let network = |part: &str| part.parse::<IpNet>().or_else(|_| part.parse::<IpAddr>().map(IpNet::from)).ok();
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let networks: Option<Vec<IpNet>> = parts.map(network).collect();
    networks.with_context(|| {
        format!("{} must be networks with commas between them, such as 10.1.0.0/16, 192.168.7.4", from.name("egress_allow"))
    })
}

/// Sites as browsers name them: no path, and letters in lower case.
fn origins(from: &Sources) -> anyhow::Result<Vec<String>> {
    let read = |text: String| {
        let origin = without_slash(text.to_lowercase());
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://")).unwrap_or_default();
        if host.is_empty() || host.contains(['/', '*', '?', '#', '@', ' ']) {
            bail!("{} must be sites such as https://panel.example.com, separated by commas", from.name("cors_origins"))
        }
        Ok(origin)
    };
    from.list("cors_origins").into_iter().map(read).collect()
}

fn without_slash(url: String) -> String {
    url.trim_end_matches('/').to_owned()
}

/// `url` without what may be a password.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    // A password may hold any of / ? # unescaped, so everything up to the last @ goes, and the parameters too.
    let place = rest.rsplit_once('@').map_or_else(|| rest.to_owned(), |(_, place)| format!("***@{place}"));
    format!("{scheme}://{}", place.split('?').next().unwrap_or_default())
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Taken apart whole, so that a new setting can't be forgotten or shown by accident.
        let Self {
            bind,
            data_dir,
            database_url,
            redis_url,
            queue_transport,
            secret_key,
            secret_keys_old,
            public_url,
            cors_origins,
            proxies,
            user_rate,
            token_rate,
            address_rate,
            bulk_rate,
            concurrent_requests,
            smtp_url,
            mail_from,
            whatsapp_graph_url,
            whatsapp_graph_version,
            log,
            log_format,
            admin_email,
            admin_password,
            max_body_bytes,
            egress_allow,
            webhook_retry_speed,
            realtime_connections,
            realtime_connections_per_user,
            realtime_subscriptions,
            realtime_frame_bytes,
            unknown,
        } = self;
        f.debug_struct("Settings")
            .field("bind", bind)
            .field("data_dir", data_dir)
            .field("database_url", &without_password(database_url))
            .field("redis_url", &redis_url.as_deref().map(without_password))
            .field("queue_transport", queue_transport)
            .field("secret_key", secret_key)
            .field("secret_keys_old", secret_keys_old)
            .field("public_url", &without_password(public_url))
            .field("cors_origins", cors_origins)
            .field("proxies", proxies)
            .field("user_rate", user_rate)
            .field("token_rate", token_rate)
            .field("address_rate", address_rate)
            .field("bulk_rate", bulk_rate)
            .field("concurrent_requests", concurrent_requests)
            .field("smtp_url", &smtp_url.as_deref().map(without_password))
            .field("mail_from", mail_from)
            .field("whatsapp_graph_url", &without_password(whatsapp_graph_url))
            .field("whatsapp_graph_version", whatsapp_graph_version)
            .field("log", log)
            .field("log_format", log_format)
            .field("admin_email", admin_email)
            .field("admin_password", &admin_password.as_ref().map(|_| "***"))
            .field("max_body_bytes", max_body_bytes)
            .field("egress_allow", egress_allow)
            .field("webhook_retry_speed", webhook_retry_speed)
            .field("realtime_connections", realtime_connections)
            .field("realtime_connections_per_user", realtime_connections_per_user)
            .field("realtime_subscriptions", realtime_subscriptions)
            .field("realtime_frame_bytes", realtime_frame_bytes)
            .field("unknown", unknown)
            .finish()
    }
}

#[cfg(test)]
mod tests;
