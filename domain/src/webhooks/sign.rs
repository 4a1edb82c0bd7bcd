//! Secrets and signatures, as Standard Webhooks has them: `v1,` and the HMAC-SHA256 of `{id}.{timestamp}.{body}` in base64.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// What secrets begin with, so that scanners of leaked secrets know them.
const PREFIX: &str = "whsec_";

/// A new secret.
pub(super) fn secret() -> String {
    format!("{PREFIX}{}", BASE64.encode(rand::random::<[u8; 32]>()))
}

/// The signature of a delivery under each of these secrets, with spaces between them.
///
/// # Panics
/// Never: HMAC takes a key of any length.
#[must_use]
pub fn signatures(secrets: &[String], id: &str, timestamp: i64, body: &str) -> String {
    let keys = secrets.iter().filter_map(|secret| BASE64.decode(secret.strip_prefix(PREFIX)?).ok());
    let signature = |key: Vec<u8>| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
    };
    keys.map(signature).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_specification() {
        // From the specification's own libraries.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        let (id, timestamp, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signatures(std::slice::from_ref(&secret), id, timestamp, body), expected);
        let two = signatures(&[super::secret(), secret], id, timestamp, body);
        assert!(two.ends_with(&format!(" {expected}")), "{two}");
    }
}
