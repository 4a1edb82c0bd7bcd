//! SMTP sending. No database.
//!
//! A mail can't be sent exactly once: a connection may break between the server's taking it and saying so. So the caller gives
//! each mail a Message-ID that is the same when it is sent again, by which mailboxes tell a repeat.

mod error;

use std::time::Duration;

use anyhow::Context;
pub use error::MailError;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox,
        header::{ContentType, Header, HeaderName, HeaderValue},
    },
};

/// How long each step of the conversation with the server may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A plain-text mail to one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// `somebody@example.com` or `Somebody <somebody@example.com>`.
    pub to: String,
    /// One line.
    pub subject: String,
    /// The text, in UTF-8; its lines may end in `\n`.
    pub text: String,
    /// `something@domain`, the same each time the same mail is sent.
    pub message_id: String,
}

/// Sends mails through one SMTP server over a pool of connections. Cheap to clone.
#[derive(Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mailer {
    /// `smtp_url` is `smtp://[user:password@]host[:port]`, with `?tls=required` or `?tls=opportunistic` for STARTTLS, or
    /// `smtps://…` for TLS from the start. `from` is who the mails come from. Nothing is sent yet; call it within a Tokio runtime.
    ///
    /// # Errors
    /// `smtp_url` or `from` can't be read. The text doesn't repeat the address, which may hold a password.
    pub fn new(smtp_url: &str, from: &str) -> anyhow::Result<Self> {
        let from = from.parse().ok().context("SOMO_MAIL_FROM must be an address such as SOMO <somo@example.com>")?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(smtp_url)
            .ok()
            .context("SOMO_SMTP_URL must be like smtp://user:password@host:587?tls=required or smtps://user:password@host")?
            .timeout(Some(PATIENCE))
            .build();
        Ok(Self { transport, from })
    }

    /// Hands `mail` to the server. `Ok` means that the server has taken it, not that it has arrived.
    ///
    /// # Errors
    /// Whether it makes sense to send it again, and why it didn't go.
    pub async fn send(&self, mail: Mail) -> Result<(), MailError> {
        let Mail { to, subject, text, message_id } = mail;
        let to: Mailbox = to.parse().map_err(|_| MailError::Permanent("the address of the recipient is not a mail address".to_owned()))?;
        if !is_message_id(&message_id) {
            return Err(MailError::Permanent("the Message-ID is not of the form something@domain".to_owned()));
        }
        let ascii = to.email.to_string().is_ascii();
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(subject)
            .message_id(Some(format!("<{message_id}>")))
            .date_now()
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN)
            .body(text)
            .map_err(|error| MailError::Permanent(format!("the mail can't be written: {error}")))?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) => Err(MailError::of(&error, ascii)),
        }
    }
}

impl std::fmt::Debug for Mailer {
    /// Not the transport: it holds the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailer").field("from", &self.from).finish_non_exhaustive()
    }
}

/// A line break here would begin another header.
fn is_message_id(text: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_graphic() && !"<>@()[]\\,;:\"".contains(c));
    text.len() <= 200 && text.split_once('@').is_some_and(|(left, right)| plain(left) && plain(right))
}

/// `Auto-Submitted: auto-generated` (RFC 3834): nobody's out-of-office answers it.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{Mailer, is_message_id};

    #[test]
    fn a_message_id_is_one_word_with_an_at() {
        for good in ["notice-0190f@somo.example", "a.b+c=d@localhost"] {
            assert!(is_message_id(good), "{good}");
        }
        for bad in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\r\nBcc: x@y", "<a@b>", "ü@b", &format!("{}@b", "a".repeat(200))] {
            assert!(!is_message_id(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn no_text_repeats_the_password() {
        for url in ["smtp//somo:hunter2@host", "mailto:hunter2", "smtp://somo:hunter2@host:port", "smtp://somo:hunter2@host?tls=hunter2"] {
            let text = format!("{:#}", Mailer::new(url, "a@b.c").unwrap_err());
            assert!(text.contains("SOMO_SMTP_URL") && !text.contains("hunter2"), "{text}");
        }
        let text = format!("{:?}", Mailer::new("smtp://somo:hunter2@host", "SOMO <a@b.c>").unwrap());
        assert!(!text.contains("hunter2"), "{text}");
        assert!(Mailer::new("smtp://host", "nobody").unwrap_err().to_string().contains("SOMO_MAIL_FROM"));
    }
}
