//! What Meta's errors do to the message, the device and the people.

use chrono::Utc;
use domain::{
    entities::{
        DeviceStatus,
        MessageStatus::{Accepted, Failed, Handed, Queued, Read, Sent},
    },
    payloads::{Notice, SendMail},
    whatsapp::messages::{self, MessageSend},
};
use jobs::{Job, queue::WHATSAPP_SEND, testing};
use serde_json::json;
use tests::{
    database::Kind,
    on_both_databases,
    whatsapp::{CUSTOMER, World, world},
};
use whatsapp::message::Content;

/// A world whose next send is refused with `code`, and what became of it.
async fn refused(kind: Kind, code: i64, http_status: u16) -> (World, domain::whatsapp::messages::Message) {
    let world = world(kind).await;
    world.opened_by(CUSTOMER).await;
    world.misbehave(json!({ "error": { "code": code, "http_status": http_status, "times": 1 } })).await;
    let id = world.say(CUSTOMER, "Bom dia").await;
    world.run(WHATSAPP_SEND).await;
    let message = world.message(id).await;
    (world, message)
}

/// It waits, its job for so many seconds; then it is sent.
async fn goes_out_later(kind: Kind, code: i64, http_status: u16, seconds: std::ops::Range<i64>) {
    let (world, message) = refused(kind, code, http_status).await;
    assert_eq!(world.history(message.id).await, [Queued, Handed, Queued]);
    assert_eq!(message.error.unwrap()["code"], code);
    let job = testing::assert_enqueued(&world.ledger, "whatsapp.send_message").await;
    let wait = (job.run_at - Utc::now()).num_milliseconds();
    // What the run itself took has passed already.
    assert!(wait <= seconds.end * 1000 && wait > seconds.start * 1000 - 20_000, "{wait} ms");
    assert!(job.last_error.unwrap().contains(&code.to_string()));
    assert_eq!(world.accepted().await.len(), 0);
    world.hurry().await;
    world.settle().await;
    assert_eq!(world.message(message.id).await.status, Read);
    assert_eq!(world.accepted().await.len(), 1);
}

on_both_databases! {
    async fn too_fast_for_one_customer_waits_four_seconds(kind: Kind) {
        goes_out_later(kind, 131_056, 400, 4..5).await;
    }

    async fn too_fast_for_the_number_waits_a_second(kind: Kind) {
        goes_out_later(kind, 130_429, 429, 1..2).await;
    }

    async fn a_closed_window_fails_the_message_and_is_remembered(kind: Kind) {
        let (world, message) = refused(kind, 131_047, 400).await;
        assert_eq!(message.status, Failed);
        assert!(world.conversations().await[0].window_until.unwrap() <= Utc::now());
        let new = MessageSend { device_id: world.device, to: CUSTOMER.into(), reply_to: None, content: Content::text("De novo") };
        let refusal = messages::send(&world.ledger, &world.scope, new).await.unwrap_err();
        assert!(matches!(refusal, domain::Error::Conflict { code: "window_closed", .. }), "{refusal:?}");
        // They write: it is open again.
        world.opened_by(CUSTOMER).await;
        world.say(CUSTOMER, "De novo").await;
    }

    async fn a_refused_token_stops_the_device_and_tells_the_admin(kind: Kind) {
        let world = world(kind).await;
        world.opened_by(CUSTOMER).await;
        let (first, second) = (world.say(CUSTOMER, "um").await, world.say(CUSTOMER, "dois").await);
        world.change_token("another").await;
        world.run(WHATSAPP_SEND).await;

        assert_eq!(world.device().await.status, DeviceStatus::Unauthorized);
        assert_eq!((world.message(first).await.status, world.message(second).await.status), (Queued, Queued));
        let mail = testing::assert_enqueued(&world.ledger, SendMail::KIND).await;
        let expected = SendMail { user_id: world.admin, notice: Notice::DeviceDown { device_id: world.device } };
        assert_eq!(mail.payload, json!(expected));

        let new = MessageSend { device_id: world.device, to: CUSTOMER.into(), reply_to: None, content: Content::text("três") };
        let refusal = messages::send(&world.ledger, &world.scope, new).await.unwrap_err();
        assert!(matches!(refusal, domain::Error::Conflict { code: "device_unavailable", .. }), "{refusal:?}");

        // Refused once more: nobody is told twice.
        world.hurry().await;
        world.run(WHATSAPP_SEND).await;
        testing::assert_enqueued(&world.ledger, SendMail::KIND).await;

        world.change_token(tests::whatsapp::TOKEN).await;
        world.hurry().await;
        world.settle().await;
        assert_eq!((world.message(first).await.status, world.message(second).await.status), (Read, Read));
        assert_eq!(world.device().await.status, DeviceStatus::Connected, "what sends, works");
        let order: Vec<_> = world.accepted().await.iter().map(|one| one["body"]["text"]["body"].clone()).collect();
        assert_eq!(order, ["um", "dois"]);
    }

    async fn a_locked_account_stops_the_device(kind: Kind) {
        let (world, message) = refused(kind, 131_031, 403).await;
        assert_eq!((message.status, world.device().await.status), (Failed, DeviceStatus::Stopped));
        testing::assert_enqueued(&world.ledger, SendMail::KIND).await;
    }

    async fn spam_slows_the_device_and_it_still_sends(kind: Kind) {
        let (world, message) = refused(kind, 131_048, 400).await;
        assert_eq!((message.status, world.device().await.status), (Failed, DeviceStatus::Slowed));
        assert!(testing::unfinished(&world.ledger, SendMail::KIND).await.unwrap().is_empty(), "it is not down");
        let next = world.say(CUSTOMER, "De novo").await;
        world.settle().await;
        assert_eq!(world.message(next).await.status, Read);
        assert_eq!(world.device().await.status, DeviceStatus::Slowed, "one message that went well proves nothing");
    }

    async fn what_fails_only_later_fails(kind: Kind) {
        let world = world(kind).await;
        world.opened_by(CUSTOMER).await;
        world.misbehave(json!({ "fail_later": { "code": 131_026, "times": 1 } })).await;
        let id = world.say(CUSTOMER, "Bom dia").await;
        world.settle().await;
        assert_eq!(world.history(id).await, [Queued, Handed, Accepted, Failed]);
        assert_eq!(world.message(id).await.error.unwrap()["code"], 131_026);
    }

    async fn a_message_that_meta_calls_wrong_fails_at_once(kind: Kind) {
        let (world, message) = refused(kind, 100, 400).await;
        assert_eq!(message.status, Failed);
        assert_eq!(world.job("whatsapp.send_message").await.state, "done");
        assert_eq!(world.device().await.status, DeviceStatus::Connecting);
    }

    async fn a_network_that_is_away_sends_nothing_and_tries_again(kind: Kind) {
        let mut world = world(kind).await;
        world.opened_by(CUSTOMER).await;
        let there = world.context.channels.clone();
        // Nobody listens on port 1.
        world.context.channels = workers::Channels::new("http://127.0.0.1:1", "v23.0").unwrap();
        let id = world.say(CUSTOMER, "Bom dia").await;
        world.run(WHATSAPP_SEND).await;
        assert_eq!(world.history(id).await, [Queued, Handed, Queued]);
        world.context.channels = there;
        world.hurry().await;
        world.settle().await;
        assert_eq!(world.message(id).await.status, Read);
        assert!(world.history(id).await.contains(&Sent));
    }

    async fn secrets_of_another_key_are_told_apart_from_a_refused_token(kind: Kind) {
        let mut world = world(kind).await;
        world.opened_by(CUSTOMER).await;
        world.context.sealer = domain::seal::Sealer::new(&[8; 32]);
        let id = world.say(CUSTOMER, "Bom dia").await;
        world.run(WHATSAPP_SEND).await;
        assert_eq!(world.message(id).await.status, Queued);
        let device = world.device().await;
        assert_eq!(device.status, DeviceStatus::Unauthorized);
        assert!(device.status_reason.unwrap().contains("SOMO_SECRET_KEY"));
    }
}
