//! Secrets at rest: AES-256-GCM under the installation's key. What was sealed with one of its other keys can be read, too.

use std::sync::Arc;

use aes_gcm::{Aes256Gcm, KeyInit, aead::Aead};
use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use sha2::{Digest, Sha256};

/// Seals and opens secrets. Cheap to clone.
#[derive(Clone)]
pub struct Sealer {
    /// The first one seals, all of them open.
    keys: Arc<[Key]>,
}

struct Key {
    id: String,
    cipher: Aes256Gcm,
}

impl Key {
    fn of(key: &[u8; 32]) -> Self {
        Self { id: hex::encode(&Sha256::digest(key)[..4]), cipher: Aes256Gcm::new(key.into()) }
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").field("kid", &self.own().id).finish_non_exhaustive()
    }
}

impl Sealer {
    /// Under this key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self::with_old(key, [])
    }

    /// Under this key, opening what was sealed under others, too.
    #[must_use]
    pub fn with_old<'a>(key: &'a [u8; 32], old: impl IntoIterator<Item = &'a [u8; 32]>) -> Self {
        Self { keys: std::iter::once(key).chain(old).map(Key::of).collect() }
    }

    fn own(&self) -> &Key {
        &self.keys[0]
    }

    /// What everything begins with that it seals.
    pub(crate) fn mark(&self) -> String {
        format!("v1.{}.", self.own().id)
    }

    /// `v1.{key id}.{nonce and ciphertext}`.
    ///
    /// # Panics
    /// Never for secrets below 64 GiB.
    #[must_use]
    pub fn seal(&self, secret: &[u8]) -> String {
        let nonce: [u8; 12] = rand::random();
        let Key { id, cipher } = self.own();
        let sealed = cipher.encrypt(&nonce.into(), secret).expect("a secret is short");
        format!("v1.{id}.{}", BASE64.encode([&nonce[..], &sealed].concat()))
    }

    /// What was sealed.
    ///
    /// # Errors
    /// It was sealed with another key, or changed since.
    pub fn open(&self, sealed: &str) -> anyhow::Result<Vec<u8>> {
        let mut parts = sealed.splitn(3, '.');
        let (Some("v1"), Some(kid), Some(data)) = (parts.next(), parts.next(), parts.next()) else { bail!("not a sealed secret") };
        let Some(key) = self.keys.iter().find(|key| key.id == kid) else {
            bail!("the secret was sealed with key {kid}, SOMO_SECRET_KEY is key {}", self.own().id);
        };
        let data = BASE64.decode(data).context("not a sealed secret")?;
        let (nonce, sealed) = data.split_first_chunk::<12>().context("not a sealed secret")?;
        key.cipher.decrypt(&(*nonce).into(), sealed).map_err(|_| anyhow::anyhow!("the sealed secret was changed"))
    }
}

#[cfg(test)]
mod tests {
    use super::Sealer;

    #[test]
    fn only_the_same_key_opens_what_was_not_changed() {
        let sealer = Sealer::new(&[1; 32]);
        let sealed = sealer.seal(b"token");
        assert_eq!(sealer.open(&sealed).expect("opens"), b"token");
        assert_ne!(sealed, sealer.seal(b"token"));
        assert!(Sealer::new(&[2; 32]).open(&sealed).is_err());
        assert!(sealer.open(&sealed.replace(&sealed[15..16], "_")).is_err());
        assert!(sealer.open("").is_err());
        let rolled = Sealer::with_old(&[2; 32], [&[1; 32]]);
        assert_eq!(rolled.open(&sealed).expect("opens"), b"token");
        assert!(sealer.open(&rolled.seal(b"token")).is_err());
    }
}
