//! The installation's key: given, or made once beside the SQLite file.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use rand::{TryRngCore, rngs::OsRng};

use crate::sources::Sources;

/// 32 random bytes that seal secrets and sign tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey([u8; 32]);

/// How to make one, for errors.
const ADVICE: &str = "make one with `openssl rand -base64 32` and keep it: what it sealed can't be read without it";

impl SecretKey {
    /// A key of these bytes, which must be random.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key itself.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key that was given, or the one in the data folder of a SQLite installation.
    pub(crate) fn find(from: &Sources, data_dir: &Path, database_url: &str) -> anyhow::Result<Self> {
        let sqlite = database_url.starts_with("sqlite:");
        if sqlite {
            fs::create_dir_all(data_dir).with_context(|| {
                format!("the folder {} can't be made: set SOMO_DATA_DIR to one that can be written", data_dir.display())
            })?;
        }
        if let Some(text) = from.get("secret_key") {
            return Self::parse(&text).with_context(|| format!("{} must be 32 bytes in base64: {ADVICE}", from.name("secret_key")));
        }
        if !sqlite {
            bail!("SOMO_SECRET_KEY is not set: {ADVICE}. All processes of an installation need the same")
        }
        let path = data_dir.join("secret.key");
        Self::read(&path).transpose().unwrap_or_else(|| Self::make(&path))
    }

    /// The other keys that were given.
    pub(crate) fn old(from: &Sources) -> anyhow::Result<Vec<Self>> {
        let cannot = || format!("{} must be keys of 32 bytes in base64, separated by commas", from.name("secret_keys_old"));
        from.list("secret_keys_old").iter().map(|text| Self::parse(text).with_context(cannot)).collect()
    }

    fn parse(text: &str) -> Option<Self> {
        BASE64_STANDARD.decode(text.trim()).ok()?.try_into().ok().map(Self)
    }

    fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("{} can't be read", path.display())),
        };
        let key = Self::parse(&text)
            .with_context(|| format!("{} is not 32 bytes in base64: restore it from a backup, or set SOMO_SECRET_KEY", path.display()))?;
        Ok(Some(key))
    }

    /// Of several processes that start at once, one makes the key and the others read it.
    fn make(path: &Path) -> anyhow::Result<Self> {
        let mut bytes = [0; 32];
        OsRng.try_fill_bytes(&mut bytes).context("the system gives no random bytes")?;
        let cannot = || format!("{} can't be written: set SOMO_DATA_DIR to a folder that can be, or SOMO_SECRET_KEY", path.display());
        let part = path.with_extension(format!("{:016x}.part", rand::random::<u64>()));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part).with_context(cannot)?;
        writeln!(file, "{}", BASE64_STANDARD.encode(bytes)).and_then(|()| file.sync_all()).with_context(cannot)?;
        // A link never replaces a key that is there, and nobody reads half a key.
        let linked = fs::hard_link(&part, path);
        fs::remove_file(&part).with_context(cannot)?;
        match linked {
            Ok(()) => Ok(Self(bytes)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Self::read(path)?.with_context(cannot),
            Err(error) => Err(error).with_context(cannot),
        }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(***)")
    }
}
