//! Sends to the mail server that script/test starts (script/smtp_sink.py).
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use std::fs;

use mail::{Mail, MailError, Mailer};
use uuid::Uuid;

#[expect(clippy::disallowed_methods, reason = "script/test names its services in the environment")]
fn test_variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("run the tests with script/test: {name} is not set"))
}

fn mailer() -> Mailer {
    Mailer::new(&test_variable("SOMO_TEST_SMTP_URL"), "SOMO <somo@example.com>").unwrap()
}

fn mail(to: &str) -> Mail {
    Mail {
        to: to.to_owned(),
        subject: "Dispositivo fora do ar".to_owned(),
        text: "Olá, Zoë.\n.\nO dispositivo não responde.\n".to_owned(),
        message_id: format!("notice-{}@somo.example", Uuid::new_v4()),
    }
}

/// The mails that the server has stored with this Message-ID.
fn stored(message_id: &str) -> Vec<String> {
    let files = fs::read_dir(test_variable("SOMO_TEST_MAIL_DIR")).unwrap().map(|file| file.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .map(|path| fs::read_to_string(path).unwrap())
        .filter(|text| text.contains(&format!("Message-ID: <{message_id}>")))
        .collect()
}

#[tokio::test]
async fn a_mail_arrives_with_its_headers() {
    let mail = mail("Zoë Ñandú <zoe@example.com>");
    mailer().send(mail.clone()).await.unwrap();
    let [text] = &stored(&mail.message_id)[..] else { panic!("one mail") };
    for line in [
        "X-Envelope-From: somo@example.com",
        "X-Envelope-To: zoe@example.com",
        "From: SOMO <somo@example.com>",
        "Subject: Dispositivo fora do ar",
        "Auto-Submitted: auto-generated",
        "Content-Type: text/plain; charset=utf-8",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in:\n{text}");
    }
    assert!(text.lines().any(|line| line.starts_with("Date: ")), "{text}");
    assert!(text.contains("Ol=C3=A1, Zo=C3=AB."), "{text}");
    assert!(text.trim_end().ends_with("O dispositivo n=C3=A3o responde."), "the line with a lone dot doesn't end it:\n{text}");
}

#[tokio::test]
async fn a_repeat_has_the_same_message_id() {
    let (mailer, mail) = (mailer(), mail("zoe@example.com"));
    mailer.send(mail.clone()).await.unwrap();
    mailer.send(mail.clone()).await.unwrap();
    assert_eq!(stored(&mail.message_id).len(), 2);
}

#[tokio::test]
async fn a_subject_cannot_add_a_header() {
    let mail = Mail { subject: "Hello\r\nBcc: eve@example.com".to_owned(), ..mail("zoe@example.com") };
    mailer().send(mail.clone()).await.unwrap();
    let [text] = &stored(&mail.message_id)[..] else { panic!("one mail") };
    assert!(!text.lines().any(|line| line.to_lowercase().starts_with("bcc:")), "{text}");
    assert!(text.contains("X-Envelope-To: zoe@example.com\r\n"), "{text}");
}

#[tokio::test]
async fn a_busy_server_is_asked_again() {
    let error = mailer().send(mail("busy@example.com")).await.unwrap_err();
    assert_eq!(error, MailError::Retry("the mail server puts it off: 451 4.3.0 Try again later".to_owned()));
}

#[tokio::test]
async fn an_unknown_mailbox_is_not_tried_again() {
    let error = mailer().send(mail("unknown@example.com")).await.unwrap_err();
    assert_eq!(error, MailError::Permanent("the mail server refuses it: 550 5.1.1 No such mailbox".to_owned()));
    let error = mailer().send(mail("full@example.com")).await.unwrap_err();
    assert_eq!(error, MailError::Permanent("the mail server refuses it: 552 5.2.2 Mailbox full".to_owned()));
}

#[tokio::test]
async fn a_mail_that_was_refused_leaves_the_connection_usable() {
    let mailer = mailer();
    for to in ["unknown@example.com", "full@example.com", "busy@example.com"] {
        mailer.send(mail(to)).await.unwrap_err();
    }
    let good = mail("zoe@example.com");
    mailer.send(good.clone()).await.unwrap();
    assert_eq!(stored(&good.message_id).len(), 1);
}

#[tokio::test]
async fn nonsense_for_an_address_is_not_tried_again() {
    for to in ["", "nobody", "zoe@example.com\r\nBcc: eve@example.com"] {
        let error = mailer().send(mail(to)).await.unwrap_err();
        assert!(matches!(error, MailError::Permanent(_)), "{to}: {error:?}");
    }
    let error = mailer().send(Mail { message_id: "a\r\nb@c".to_owned(), ..mail("zoe@example.com") }).await.unwrap_err();
    assert!(matches!(error, MailError::Permanent(_)), "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_away_is_asked_again() {
    // A port that was just free: nobody listens there.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mailer = Mailer::new(&format!("smtp://somo:hunter2@{address}"), "somo@example.com").unwrap();
    let error = mailer.send(mail("zoe@example.com")).await.unwrap_err();
    assert!(matches!(&error, MailError::Retry(text) if text.contains("no connection") && !text.contains("hunter2")), "{error:?}");
}

#[tokio::test]
async fn a_server_without_the_login_or_encryption_asked_for_is_asked_again() {
    let place = test_variable("SOMO_TEST_SMTP_URL").replace("smtp://", "");
    for url in [format!("smtp://somo:hunter2@{place}"), format!("smtp://{place}?tls=required")] {
        let mailer = Mailer::new(&url, "somo@example.com").unwrap();
        let error = mailer.send(mail("zoe@example.com")).await.unwrap_err();
        assert!(matches!(&error, MailError::Retry(text) if text.contains("SOMO_SMTP_URL") && !text.contains("hunter2")), "{error:?}");
    }
}
