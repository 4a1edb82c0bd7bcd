//! Codes of authenticators: RFC 6238 with its defaults, which all of them take – SHA-1, six digits, thirty seconds.

use chrono::{DateTime, Utc};
use data_encoding::BASE32_NOPAD as BASE32;
use hmac::{Hmac, Mac};
use sha1::Sha1;

/// How long a code is shown, in seconds.
pub const PERIOD: i64 = 30;

/// What codes are made of: as many random bytes as SHA-1 has.
pub(super) fn secret() -> [u8; 20] {
    rand::random()
}

/// The secret as people type it.
pub(super) fn spelled(secret: &[u8]) -> String {
    BASE32.encode(secret)
}

/// The address that a QR code shows to an authenticator.
pub(super) fn uri(secret: &[u8], account: &str) -> String {
    let account: String = account.bytes().map(escaped).collect();
    format!("otpauth://totp/SOMO:{account}?secret={}&issuer=SOMO&algorithm=SHA1&digits=6&period={PERIOD}", spelled(secret))
}

fn escaped(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
}

/// The time step that `code` belongs to: the one of `now`, or one beside it, for clocks that differ and people who are slow.
/// None before `after`, so that each is taken once.
pub(super) fn step_of(secret: &[u8], code: &str, now: DateTime<Utc>, after: i64) -> Option<i64> {
    let current = now.timestamp() / PERIOD;
    (current - 1..=current + 1).find(|&step| step > after && self::code(secret, step) == code)
}

/// The code of a time step: the seconds since 1970, divided by [`PERIOD`].
///
/// # Panics
/// Never: HMAC takes a key of any length.
#[must_use]
pub fn code(secret: &[u8], step: i64) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let at = usize::from(hash[19] & 15);
    let number = u32::from_be_bytes([hash[at], hash[at + 1], hash[at + 2], hash[at + 3]]) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (time, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(SECRET, time / PERIOD), expected);
        }
    }

    #[test]
    fn a_code_is_good_for_its_step_and_those_beside_it_and_not_twice() {
        let at = |seconds: i64| DateTime::from_timestamp(seconds, 0).expect("a time");
        let shown = code(SECRET, 100);
        for (time, good) in [(2969, false), (2970, true), (3000, true), (3059, true), (3060, false)] {
            let step = step_of(SECRET, &shown, at(time), 0);
            assert_eq!(step, good.then_some(100), "{time}");
        }
        assert_eq!(step_of(SECRET, &shown, at(3000), 100), None);
        assert_eq!(step_of(SECRET, &shown, at(3000), 99), Some(100));
    }

    #[test]
    fn an_authenticator_reads_the_address() {
        assert_eq!(
            uri(SECRET, "ana+crm@example.com"),
            "otpauth://totp/SOMO:ana%2Bcrm%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=SOMO&algorithm=SHA1&digits=6&period=30"
        );
    }
}
