//! Secrets at rest: AES-256-GCM under the installation's key.

use aes_gcm::{Aes256Gcm, KeyInit, aead::Aead};
use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use sha2::{Digest, Sha256};

/// Seals and opens secrets. Cheap to clone.
#[derive(Clone)]
pub struct Sealer {
    cipher: Aes256Gcm,
    kid: String,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl Sealer {
    /// Under this key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        let kid = hex::encode(&Sha256::digest(key)[..4]);
        Self { cipher: Aes256Gcm::new(key.into()), kid }
    }

    /// `v1.{key id}.{nonce and ciphertext}`.
    ///
    /// # Panics
    /// Never for secrets below 64 GiB.
    #[must_use]
    pub fn seal(&self, secret: &[u8]) -> String {
        let nonce: [u8; 12] = rand::random();
        let sealed = self.cipher.encrypt(&nonce.into(), secret).expect("a secret is short");
        format!("v1.{}.{}", self.kid, BASE64.encode([&nonce[..], &sealed].concat()))
    }

    /// What was sealed.
    ///
    /// # Errors
    /// It was sealed with another key, or changed since.
    pub fn open(&self, sealed: &str) -> anyhow::Result<Vec<u8>> {
        let mut parts = sealed.splitn(3, '.');
        let (Some("v1"), Some(kid), Some(data)) = (parts.next(), parts.next(), parts.next()) else { bail!("not a sealed secret") };
        if kid != self.kid {
            bail!("the secret was sealed with key {kid}, SOMO_SECRET_KEY is key {}", self.kid);
        }
        let data = BASE64.decode(data).context("not a sealed secret")?;
        let (nonce, sealed) = data.split_first_chunk::<12>().context("not a sealed secret")?;
        self.cipher.decrypt(&(*nonce).into(), sealed).map_err(|_| anyhow::anyhow!("the sealed secret was changed"))
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
    }
}
