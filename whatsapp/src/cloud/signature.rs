//! `X-Hub-Signature-256`: HMAC-SHA-256 over the raw bytes of a delivery, with the app's secret.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The header's value for `body`.
#[must_use]
pub fn sign(secret: &[u8], body: &[u8]) -> String {
    format!("sha256={}", hex::encode(mac(secret, body).finalize().into_bytes()))
}

/// Whether `header` is the signature of `body`. Takes as long for a wrong one as for a right one.
#[must_use]
pub fn verify(secret: &[u8], body: &[u8], header: &str) -> bool {
    let given = header.strip_prefix("sha256=").and_then(|hex| hex::decode(hex).ok());
    given.is_some_and(|given| mac(secret, body).verify_slice(&given).is_ok())
}

fn mac(secret: &[u8], body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_bytes_under_the_same_secret_verify() {
        let header = sign(b"secret", b"body");
        assert!(verify(b"secret", b"body", &header));
        assert!(!verify(b"other", b"body", &header));
        assert!(!verify(b"secret", b"body ", &header));
        for bad in ["", "sha256=", "sha256=zz", "sha1=00", &header[..20]] {
            assert!(!verify(b"secret", b"body", bad), "{bad}");
        }
    }
}
