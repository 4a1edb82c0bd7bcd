//! Notices by mail, through a real SMTP server.

use std::path::PathBuf;

use chrono::Utc;
use domain::{
    auth::{
        invitations::{self, InvitationAccept, InvitationCreate},
        recovery,
    },
    engine::Write,
    entities::{DeviceStatus, Role},
    payloads::{Notice, SendMail},
    whatsapp::devices,
};
use jobs::{Job, NewJob, queue::MAIL_SEND};
use tests::{
    database::Kind,
    on_both_databases,
    whatsapp::{Wanted, World, world, world_with},
};
use uuid::Uuid;

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("run the tests with script/test: {name} is not set"))
}

/// A world whose admin has this local part and a domain of their own, and that address.
pub(super) async fn with_mail(kind: Kind, local: &str) -> (World, String) {
    let address = format!("{local}@{}.example.com", Uuid::now_v7().simple());
    let mailer = mail::Mailer::new(&variable("SOMO_TEST_SMTP_URL"), "SOMO <somo@example.com>").unwrap();
    let world = world_with(kind, Wanted { mailer: Some(mailer), ..Wanted::default() }).await;
    world.execute(&format!("update users set email = '{address}'")).await;
    (world, address)
}

/// The mails that the server has stored for an address.
pub(super) fn received(address: &str) -> Vec<String> {
    let folder = PathBuf::from(variable("SOMO_TEST_MAIL_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mails = files.into_iter().filter(|path| path.extension().is_some_and(|name| name == "eml"));
    mails.map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()).filter(|mail| mail.contains(address)).collect()
}

/// What stands after `#` in the link of the one mail.
fn link(mails: &[String], page: &str) -> String {
    let [mail] = mails else { panic!("{mails:#?}") };
    let mail = mail.replace("=\r\n", "").replace("=\n", ""); // long lines are wrapped
    let (_, token) = mail.split_once(&format!("/{page}#")).unwrap_or_else(|| panic!("{mail}"));
    token.split_whitespace().next().unwrap().to_owned()
}

async fn down(world: &World) {
    let write = Write::begin(&world.ledger, &world.scope).await.unwrap();
    devices::set_status(&write, world.device, DeviceStatus::Stopped, Some("a payment is due")).await.unwrap();
    write.commit(()).await.unwrap();
}

on_both_databases! {
    async fn a_device_that_stops_is_a_mail_to_the_admin(kind: Kind) {
        let (world, address) = with_mail(kind, "ana").await;
        down(&world).await;
        assert_eq!(world.run(MAIL_SEND).await, 1);
        let job = world.job(SendMail::KIND).await;
        assert_eq!((job.state.as_str(), job.last_error), ("done", None));
        let mails = received(&address);
        let [mail] = mails.as_slice() else { panic!("{mails:#?}") };
        assert!(mail.contains(&format!("Message-ID: <{}@somo>", job.id)), "{mail}");
        assert!(mail.contains("Subject: WhatsApp parado: Vendas"), "{mail}");
        assert!(mail.contains("a payment is due"), "{mail}");
    }

    async fn a_login_is_a_mail_in_the_users_language(kind: Kind) {
        let (world, address) = with_mail(kind, "ana").await;
        world.execute("update users set locale = 'en'").await;
        let notice = Notice::Login { at: Utc::now(), address: Some("203.0.113.7".into()), user_agent: Some("Firefox".into()) };
        let tx = world.ledger.begin().await.unwrap();
        tx.enqueue(NewJob::new(world.tenant.0, &SendMail { user_id: world.admin, notice })).await.unwrap();
        tx.commit().await.unwrap();
        world.run(MAIL_SEND).await;
        let mails = received(&address);
        assert_eq!(mails.len(), 1);
        assert!(mails[0].contains("Subject: New sign-in to your account") && mails[0].contains("203.0.113.7"), "{}", mails[0]);
    }

    async fn links_come_by_mail(kind: Kind) {
        let (world, address) = with_mail(kind, "ana").await;
        world.execute("update users set locale = 'en'").await;
        world.execute("update tenants set locale = 'en'").await;
        recovery::forgotten(&world.ledger, &address).await.unwrap();
        let new = format!("novo@{}.example.com", Uuid::now_v7().simple());
        invitations::create(&world.ledger, &world.scope, InvitationCreate { email: new.clone(), role: Role::Agent }).await.unwrap();
        assert_eq!(world.run(MAIL_SEND).await, 2);
        let token = link(&received(&address), "reset-password");
        recovery::reset(&world.ledger, &token, "another horse").await.unwrap();
        let token = link(&received(&new), "invitation");
        let who = InvitationAccept { token, name: "Novo".into(), password: "another horse".into() };
        invitations::accept(&world.ledger, who).await.unwrap();
        // They are told of the new password.
        assert_eq!(world.run(MAIL_SEND).await, 1);
        assert!(received(&address).iter().any(|mail| mail.contains("Subject: Your password was changed")));
    }

    async fn a_busy_server_is_tried_again_and_a_refusal_is_not(kind: Kind) {
        let (world, _) = with_mail(kind, "busy").await;
        down(&world).await;
        world.run(MAIL_SEND).await;
        let job = world.job(SendMail::KIND).await;
        assert_eq!((job.state.as_str(), job.attempts), ("pending", 1));
        assert!(job.last_error.unwrap().contains("451"));
        world.execute("update users set email = 'unknown@example.com'").await;
        world.hurry().await;
        world.run(MAIL_SEND).await;
        let job = world.job(SendMail::KIND).await;
        assert_eq!(job.state, "dead");
        assert!(job.last_error.unwrap().contains("550"));
    }

    async fn what_is_true_no_more_is_not_sent(kind: Kind) {
        let (world, address) = with_mail(kind, "ana").await;
        down(&world).await;
        world.execute("update whatsapp_devices set status = 'connected'").await;
        world.run(MAIL_SEND).await;
        assert_eq!(world.job(SendMail::KIND).await.state, "done");
        assert!(received(&address).is_empty());
    }

    async fn without_a_mail_server_the_job_says_so(kind: Kind) {
        let world = world(kind).await;
        down(&world).await;
        world.run(MAIL_SEND).await;
        let job = world.job(SendMail::KIND).await;
        assert_eq!((job.state.as_str(), job.last_error.as_deref()), ("dead", Some("SOMO_SMTP_URL is not set: mail can't be sent")));
    }
}
