//! The layers that settings come from, and how one is read: as text, because a password of digits is no number.

use std::{collections::BTreeMap, path::Path, str::FromStr};

use anyhow::{Context, bail};
use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
    value::{Dict, Value},
};

/// All settings by name.
const NAMES: [&str; 30] = [
    "bind",
    "data_dir",
    "database_url",
    "redis_url",
    "queue_transport",
    "secret_key",
    "secret_keys_old",
    "public_url",
    "cors_origins",
    "proxies",
    "user_rate",
    "token_rate",
    "address_rate",
    "bulk_rate",
    "concurrent_requests",
    "smtp_url",
    "mail_from",
    "whatsapp_graph_url",
    "whatsapp_graph_version",
    "log",
    "log_format",
    "admin_email",
    "admin_password",
    "max_body_bytes",
    "egress_allow",
    "webhook_retry_speed",
    "realtime_connections",
    "realtime_connections_per_user",
    "realtime_subscriptions",
    "realtime_frame_bytes",
];

/// What was set, by the file or over it by the environment.
pub(crate) struct Sources {
    values: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    file: String,
}

impl Sources {
    pub(crate) fn read() -> anyhow::Result<Self> {
        let mut environment: BTreeMap<String, String> = Env::prefixed("SOMO_")
            .iter()
            .map(|(name, value)| (name.as_str().to_lowercase(), value.trim().to_owned()))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let named = environment.remove("config");
        environment.retain(|name, _| !name.starts_with("test_"));

        let file = named.clone().unwrap_or_else(|| "somo.toml".to_owned());
        if named.is_some() && !Path::new(&file).is_file() {
            bail!("SOMO_CONFIG names {file}, which is no file")
        }
        let mut layers = Figment::new();
        if Path::new(&file).exists() {
            layers = layers.merge(Toml::file_exact(&file));
        }
        layers = layers.merge(Serialized::defaults(&environment));
        let merged: Dict = layers.extract().map_err(|error| {
            // The text may quote the line, and the line may hold a password.
            let text = error.to_string();
            let place = text.split_once("at line ").map_or("", |(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or(""));
            anyhow::anyhow!(
                "{file} can't be read as TOML{}{place}: write name = \"value\"",
                if place.is_empty() { "" } else { " at line " }
            )
        })?;
        let mut values = BTreeMap::new();
        for (name, value) in merged {
            let text = match value {
                Value::String(_, text) => text,
                Value::Num(_, number) => match (number.to_i128(), number.to_u128()) {
                    (Some(number), _) => number.to_string(),
                    (_, Some(number)) => number.to_string(),
                    _ => bail!("{name} in {file} must be in quotes"),
                },
                Value::Bool(_, value) => value.to_string(),
                _ => bail!("{name} in {file} must be one text in quotes"),
            };
            if !text.trim().is_empty() {
                values.insert(name, text.trim().to_owned());
            }
        }
        Ok(Self { values, environment, file })
    }

    /// A setting, when it is set.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        debug_assert!(NAMES.contains(&name), "{name} is missing in NAMES");
        self.values.get(name).cloned()
    }

    /// A setting or its default.
    pub(crate) fn or(&self, name: &str, default: &str) -> String {
        self.get(name).unwrap_or_else(|| default.to_owned())
    }

    /// What an error calls a setting: the variable, or the line of the file that it was read from.
    pub(crate) fn name(&self, name: &str) -> String {
        if self.values.contains_key(name) && !self.environment.contains_key(name) {
            format!("{name} in {}", self.file)
        } else {
            variable(name)
        }
    }

    /// A setting that can be parsed.
    pub(crate) fn parsed<T: FromStr>(&self, name: &str, default: &str, example: &str) -> anyhow::Result<T> {
        self.or(name, default).parse().ok().with_context(|| format!("{} must be {example}", self.name(name)))
    }

    /// The parts of a setting that are separated by commas.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let text = self.or(name, "");
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    /// An address that begins in one of the ways given. No error repeats it: it may hold a password.
    pub(crate) fn url(&self, name: &str, beginnings: &[&str]) -> anyhow::Result<Option<String>> {
        let Some(url) = self.get(name) else { return Ok(None) };
        if !beginnings.iter().any(|beginning| url.len() > beginning.len() && url.starts_with(beginning)) {
            bail!("{} must be an address that begins with {}", self.name(name), beginnings.join(" or "))
        }
        Ok(Some(url))
    }

    /// A setting that is one of a few words.
    pub(crate) fn one_of<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> anyhow::Result<Option<T>> {
        let Some(word) = self.get(name) else { return Ok(None) };
        match words.iter().find(|(known, _)| *known == word) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let known: Vec<_> = words.iter().map(|(known, _)| *known).collect();
                bail!("{} must be one of {}", self.name(name), known.join(", "))
            }
        }
    }

    /// What was set and is no setting.
    pub(crate) fn unknown(&self) -> Vec<String> {
        let strange = |name: &&String| !NAMES.contains(&name.as_str());
        self.values.keys().filter(strange).map(|name| self.name(name)).collect()
    }
}

fn variable(name: &str) -> String {
    format!("SOMO_{}", name.to_uppercase())
}
