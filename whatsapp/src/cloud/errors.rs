//! What Meta's error codes ask for.
//!
//! From <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>. An error body says that WhatsApp does
//! not have the message, so what isn't permanent may be sent again; only silence is ambiguous.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use crate::channel::{ChannelError, DeviceTrouble, ProviderError, Sent};

/// What to do about a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Again, after a pause that doubles.
    Retry,
    /// Again, after 4, 16, 64 … seconds: too many messages to one customer.
    PairLimit,
    /// Only a template may be sent.
    NeedsTemplate,
    /// The message is not sent, and the device should send less.
    SlowDown,
    /// The device may send nothing.
    Stop,
    /// Never.
    Permanent,
    /// The token is refused.
    Unauthorized,
}

/// The table; a range is closed on both ends.
const TABLE: &[(std::ops::RangeInclusive<i64>, Action)] = &[
    (0..=0, Action::Unauthorized),            // the token has expired or was revoked
    (1..=2, Action::Retry),                   // unknown, or the service is down
    (3..=3, Action::Unauthorized),            // the app lacks the capability or permission
    (4..=4, Action::Retry),                   // the app calls too often
    (10..=10, Action::Unauthorized),          // the permission was not granted
    (100..=100, Action::Permanent),           // a parameter is wrong
    (190..=190, Action::Unauthorized),        // the token has expired
    (200..=299, Action::Unauthorized),        // a permission is missing
    (368..=368, Action::Stop),                // blocked for a time, for a violation of policy
    (80007..=80007, Action::Retry),           // the account calls too often
    (130429..=130429, Action::Retry),         // too many messages a second
    (130472..=130472, Action::SlowDown),      // the recipient is part of an experiment
    (131000..=131000, Action::Retry),         // something went wrong
    (131005..=131005, Action::Unauthorized),  // access was denied
    (131016..=131016, Action::Retry),         // the service is unavailable
    (131026..=131026, Action::Permanent),     // can't be delivered to this recipient
    (131031..=131031, Action::Stop),          // the account is locked
    (131042..=131042, Action::Stop),          // a payment is due
    (131045..=131045, Action::Permanent),     // the number's registration is faulty
    (131047..=131047, Action::NeedsTemplate), // more than 24 hours since the customer's last message
    (131048..=131048, Action::SlowDown),      // too many were reported as spam
    (131049..=131049, Action::SlowDown),      // held back to keep the recipient engaged
    (131051..=131051, Action::Permanent),     // this type is not supported
    (131053..=131053, Action::Permanent),     // the file can't be used
    (131056..=131056, Action::PairLimit),     // too many to this recipient
    (131057..=131057, Action::Retry),         // the account is under maintenance
    (132000..=132999, Action::Permanent),     // templates
    (133004..=133004, Action::Retry),         // the server is unavailable for a time
    (133010..=133010, Action::Permanent),     // the number is not registered
];

/// What a code asks for. A code that isn't in the table goes by the HTTP status.
#[must_use]
pub fn action(code: Option<i64>, status: Option<u16>) -> Action {
    let known = code.and_then(|code| TABLE.iter().find(|(codes, _)| codes.contains(&code)));
    match (known, status) {
        (Some((_, action)), _) => *action,
        (None, Some(401)) => Action::Unauthorized,
        (None, Some(408 | 425 | 429 | 500..)) => Action::Retry,
        (None, _) => Action::Permanent,
    }
}

/// How a send ended that was answered with `error` on its `attempt`.
#[must_use]
pub fn outcome(error: ProviderError, attempt: u32) -> Sent {
    // Without Meta's body it was somebody on the way, and Meta may have it.
    if error.code.is_none() && error.http_status.is_some_and(|status| status >= 500) {
        return Sent::Ambiguous(error);
    }
    let device = |trouble, error, retry| Sent::Device { trouble, error, retry };
    match action(error.code, error.http_status) {
        Action::Retry => Sent::Retry { after: super::pause(attempt), error },
        Action::PairLimit => Sent::Retry { after: Duration::from_secs(4u64.pow(attempt.clamp(1, 5))), error },
        Action::NeedsTemplate => Sent::NeedsTemplate(error),
        Action::SlowDown => device(DeviceTrouble::Slowed, error, None),
        Action::Stop => device(DeviceTrouble::Stopped, error, None),
        // Somebody renews the token; until then the message waits.
        Action::Unauthorized => device(DeviceTrouble::Unauthorized, error, Some(Duration::from_secs(60))),
        Action::Permanent => Sent::Permanent(error),
    }
}

/// Why a call other than a send was refused.
#[must_use]
pub fn refused(error: ProviderError) -> ChannelError {
    match action(error.code, error.http_status) {
        Action::Retry | Action::PairLimit | Action::SlowDown => ChannelError::Again(error),
        Action::Unauthorized | Action::Stop => ChannelError::Unauthorized(error),
        Action::NeedsTemplate | Action::Permanent => ChannelError::Permanent(error),
    }
}

/// Reads Meta's error body. One that isn't Meta's leaves only the HTTP status.
#[must_use]
pub fn parse(status: StatusCode, bytes: &[u8]) -> ProviderError {
    let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let error = &body["error"];
    let details = error["error_data"]["details"].as_str().or_else(|| error["message"].as_str());
    ProviderError {
        code: whole(&error["code"]),
        subcode: whole(&error["error_subcode"]),
        message: details.map_or_else(|| format!("HTTP {}", status.as_u16()), harmless),
        http_status: Some(status.as_u16()),
        trace_id: error["fbtrace_id"].as_str().filter(|id| id.len() <= 64).map(str::to_owned),
    }
}

/// A number, or one in a text.
pub(super) fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// Meta's texts may repeat a number, an address or a token: what may be one is blotted out before the text is cut. A phone
/// number is seven digits or more, in any script, with whatever stands between groups of them.
pub(super) fn harmless(text: &str) -> String {
    const BLOT: char = '…';
    let mut clean = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let number = number_at(rest);
        let word = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_-.|@+/=%".contains(c))).unwrap_or(rest.len());
        let taken = if number > 0 {
            clean.push(BLOT);
            number
        } else if word > 40 || rest[..word].starts_with("wamid.") || rest[..word].contains('@') {
            // A token, a message id (which holds the number in base64), an address.
            clean.push(BLOT);
            word
        } else if word > 0 && !rest[..word].contains(|c: char| c.is_ascii_digit()) {
            clean.push_str(&rest[..word]);
            word
        } else {
            clean.push(first);
            first.len_utf8()
        };
        rest = &rest[taken..];
    }
    clean.chars().take(300).collect()
}

/// How many bytes of `text` are a phone number at its start; 0 when none is there.
fn number_at(text: &str) -> usize {
    let (mut digits, mut end) = (0, 0);
    for (at, c) in text.char_indices() {
        if c.is_numeric() {
            digits += 1;
            end = at + c.len_utf8();
        } else if !(c.is_whitespace()
            || c == '+' && digits == 0
            || "-./()\u{2010}\u{2011}\u{2012}\u{2013}\u{200e}\u{202a}\u{202c}".contains(c))
            || c.is_whitespace() && digits == 0
        {
            break;
        }
    }
    if digits >= 7 { end } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_table_leads_to_its_action() {
        let retry = [130429, 131057, 4, 80007, 1, 2];
        let slow = [131048, 131049, 130472];
        let stop = [368, 131031, 131042];
        let permanent = [100, 131026, 131051, 131053, 132000, 132001, 132015, 133010];
        let unauthorized = [0, 10, 190, 200, 250, 299];
        let expected = [
            (&retry[..], Action::Retry),
            (&[131056][..], Action::PairLimit),
            (&[131047][..], Action::NeedsTemplate),
            (&slow[..], Action::SlowDown),
            (&stop[..], Action::Stop),
            (&permanent[..], Action::Permanent),
            (&unauthorized[..], Action::Unauthorized),
        ];
        for (codes, expected) in expected {
            for code in codes {
                assert_eq!(action(Some(*code), Some(400)), expected, "{code}");
            }
        }
        assert_eq!(action(Some(999_999), Some(400)), Action::Permanent);
        assert_eq!(action(Some(999_999), Some(500)), Action::Retry);
        assert_eq!(action(None, Some(429)), Action::Retry);
    }

    #[test]
    fn a_gateway_error_is_ambiguous_and_metas_own_is_not() {
        let gateway = parse(StatusCode::BAD_GATEWAY, b"<html>");
        assert!(matches!(outcome(gateway, 1), Sent::Ambiguous(_)));
        let own = parse(StatusCode::INTERNAL_SERVER_ERROR, br#"{"error":{"code":131000,"message":"Something went wrong"}}"#);
        assert!(matches!(outcome(own, 1), Sent::Retry { .. }));
    }

    #[test]
    fn the_pair_limit_waits_four_to_the_n_seconds() {
        let waits = [1, 2, 3].map(|attempt| match outcome(ProviderError { code: Some(131056), ..Default::default() }, attempt) {
            Sent::Retry { after, .. } => after.as_secs(),
            other => panic!("{other:?}"),
        });
        assert_eq!(waits, [4, 16, 64]);
    }

    #[test]
    fn an_error_body_is_read_whatever_its_members_are() {
        let read = |body: &str| parse(StatusCode::BAD_REQUEST, body.as_bytes());
        let error =
            read(r#"{"error":{"code":"131047","error_subcode":2494010,"message":"m","error_data":{"details":"Too late"},"fbtrace_id":7}}"#);
        assert_eq!((error.code, error.subcode, error.message.as_str(), error.trace_id), (Some(131_047), Some(2_494_010), "Too late", None));
        for odd in ["", "[]", r#"{"error":"no"}"#, r#"{"error":{"code":{}}}"#] {
            assert_eq!((read(odd).code, read(odd).message.as_str()), (None, "HTTP 400"), "{odd}");
        }
    }

    #[test]
    fn numbers_and_tokens_are_blotted_out() {
        for (text, expected) in [
            ("Recipient +5511987654321 is not in the list", "Recipient … is not in the list"),
            ("Recipient +55 11 98765-4321 is", "Recipient … is"),
            ("to:+1 (650) 555-1234.", "to:…."),
            ("(650) 555-1234", "…"),
            ("+1 6 5 0 5 5 5 1 2 3 4", "…"),
            ("+1\u{a0}650\u{2011}555\u{2011}1234", "…"),
            ("x5511987654321@s.whatsapp.net", "…"),
            ("x5511987654321y", "x…y"),
            ("id=5511987654321&a", "id=…&a"),
            ("\u{0665}\u{0665}\u{0661}\u{0661}\u{0669}\u{0668}\u{0667}\u{0666}", "…"),
            ("by ana@a.example", "by …"),
            ("wamid.HBgNNTUxMTk4NzY1NDMyMR", "…"),
            ("token EAAGm0PX4ZCpsBAKZCx0ZAZB1ZCpsBAKZCx0ZAZB1ZCpsBAK ends", "token … ends"),
            (
                "(#131056) (Business Account, Consumer Account) pair rate limit hit",
                "(#131056) (Business Account, Consumer Account) pair rate limit hit",
            ),
            ("Param text['body'] must be at most 4096 characters", "Param text['body'] must be at most 4096 characters"),
            (
                "A mensagem não pôde ser entregue porque a conta está em manutenção",
                "A mensagem não pôde ser entregue porque a conta está em manutenção",
            ),
            ("", ""),
        ] {
            assert_eq!(harmless(text), expected, "{text}");
        }
        // Cut in the middle of a number, less than a number would be left of it.
        assert_eq!(
            harmless(&format!("{} 5511987654321", "a b ".repeat(74))),
            format!("{} …", "a b ".repeat(74)).chars().take(300).collect::<String>()
        );
    }

    #[test]
    fn no_spelling_of_a_number_gets_through() {
        let groups = ["55", "11", "98765", "4321"];
        for between in ["", " ", "-", ".", "/", ") ", " (", "\u{a0}", "\u{2009}", "\n", "\t", " - ", "\u{2013}"] {
            for (before, after) in
                [("", ""), ("a ", " b"), ("+", ","), ("'", "'"), ("n\u{ba}", "x"), ("=", "&"), ("2 ", " 3"), ("a-", "-b"), ("tel:", ";")]
            {
                let text = format!("{before}{}{after}", groups.join(between));
                let left = harmless(&text).chars().filter(char::is_ascii_digit).count();
                assert_eq!(left, 0, "{text:?} became {:?}", harmless(&text));
            }
        }
    }
}
