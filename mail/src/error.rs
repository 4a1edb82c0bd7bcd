//! Which failures are worth another try.

use lettre::transport::smtp::Error;

/// Why a mail didn't go. The texts are for the job board: never a password, and nothing of the mail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// It may go later: the server is away or busy, or refuses us until somebody corrects the settings.
    #[error("{0}")]
    Retry(String),
    /// It will never go: the server refuses this mail or this recipient.
    #[error("{0}")]
    Permanent(String),
}

/// 5xx replies that are about us, not about the mail (RFC 4954, RFC 3207): once the settings are right, it goes.
const LOGIN_REFUSED: [u16; 4] = [530, 534, 535, 538];

impl MailError {
    /// `ascii`: whether the recipient's address is plain ASCII, which every server can take.
    pub(crate) fn of(error: &Error, ascii: bool) -> Self {
        if let Some(code) = error.status().map(u16::from) {
            return if LOGIN_REFUSED.contains(&code) {
                Self::Retry(format!("the mail server refuses the login of SOMO_SMTP_URL ({code})"))
            } else if error.is_permanent() {
                Self::Permanent(format!("the mail server refuses it: {code} {}", reply(error)))
            } else {
                Self::Retry(format!("the mail server puts it off: {code} {}", reply(error)))
            };
        }
        if error.is_client() && !ascii {
            return Self::Permanent("the mail server takes no addresses with letters beyond ASCII".to_owned());
        }
        Self::Retry(if error.is_client() {
            // Only what the connection needs is left: STARTTLS or a way to sign in that the server doesn't offer.
            format!("the mail server doesn't offer what SOMO_SMTP_URL asks for: {}", reply(error))
        } else if error.is_timeout() {
            "the mail server doesn't answer in time".to_owned()
        } else if error.is_tls() {
            format!("no secure connection to the mail server: {}", reply(error))
        } else {
            format!("no connection to the mail server: {}", reply(error))
        })
    }
}

/// What the server or the network said, on one line of at most 200 characters.
fn reply(error: &Error) -> String {
    let text = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}
