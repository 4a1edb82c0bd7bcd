//! The way of a message out, and who may die on it when.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use domain::{
    engine::Write,
    entities::MessageStatus::{Accepted, Delivered, Failed, Handed, Queued, Read, Sent, Unknown},
    whatsapp::delivery::{self, Handing},
};
use jobs::queue::{WHATSAPP_RECEIVE, WHATSAPP_SEND};
use serde_json::json;
use tests::{
    on_both_databases,
    whatsapp::{CUSTOMER, Wanted, status_delivery, world, world_with},
};

on_both_databases! {
    async fn a_text_goes_out_and_is_read(kind: Kind) {
        let world = world(kind).await;
        world.opened_by(CUSTOMER).await;
        let id = world.say(CUSTOMER, "Bom dia").await;
        assert_eq!(world.history(id).await, [Queued]);
        world.settle().await;

        assert_eq!(world.history(id).await, [Queued, Handed, Accepted, Sent, Delivered, Read]);
        let message = world.message(id).await;
        let accepted = world.accepted().await;
        assert_eq!(accepted.len(), 1);
        assert_eq!(message.provider_id.as_deref(), accepted[0]["id"].as_str());
        assert_eq!(accepted[0]["body"]["text"]["body"], "Bom dia");
        assert_eq!(accepted[0]["callback"], json!(id));
        assert_eq!(world.job("whatsapp.send_message").await.state, "done");
        assert!(jobs::testing::leftovers(&world.ledger).await.unwrap().is_empty());
    }

    async fn a_status_that_comes_late_changes_nothing_but_the_history(kind: Kind) {
        let world = world_with(kind, Wanted { auto_read: false, ..Wanted::default() }).await;
        world.opened_by(CUSTOMER).await;
        world.misbehave(json!({ "delay_ms": 600_000 })).await;
        let id = world.say(CUSTOMER, "Bom dia").await;
        world.run(WHATSAPP_SEND).await;
        let provider_id = world.message(id).await.provider_id.unwrap();

        for (at, status) in [(3, "read"), (1, "sent"), (2, "delivered"), (4, "failed"), (1, "sent")] {
            let told = status_delivery(&provider_id, status, Utc::now() + TimeDelta::seconds(at), None);
            assert_eq!(world.deliver(&told).await, 200);
            world.run(WHATSAPP_RECEIVE).await;
            assert_eq!(world.message(id).await.status, Read, "after {status}");
        }
        assert_eq!(world.history(id).await, [Queued, Handed, Accepted, Read, Sent, Delivered, Failed]);
    }

    async fn statuses_in_any_order_never_lead_back(kind: Kind) {
        let world = world(kind).await;
        world.opened_by(CUSTOMER).await;
        world.misbehave(json!({ "reorder": 1.0, "duplicate": 0.5, "seed": 5 })).await;
        let mut ids = Vec::new();
        for n in 0..6 {
            ids.push(world.say(CUSTOMER, &format!("{n}")).await);
        }
        world.settle().await;
        for id in ids {
            assert_eq!(world.message(id).await.status, Read);
        }
        let ranks = ["queued", "handed", "accepted", "sent", "delivered", "read"];
        let rank = |value: &serde_json::Value| ranks.iter().position(|name| value == name).unwrap();
        let changes: Vec<_> = world.events("messages").await.into_iter().filter(|(action, _)| action == "status_changed").collect();
        assert!(changes.len() >= 6 * 3, "{} changes", changes.len());
        for (_, data) in changes {
            assert!(rank(&data["status"][0]) < rank(&data["status"][1]), "{data}");
        }
    }

    async fn a_send_that_nobody_answered_is_settled_by_its_status(kind: Kind) {
        let world = world_with(kind, Wanted { patience: Duration::from_millis(500), ..Wanted::default() }).await;
        world.opened_by(CUSTOMER).await;
        world.misbehave(json!({ "accept_then_timeout": { "times": 1 } })).await;
        let id = world.say(CUSTOMER, "Bom dia").await;
        world.run(WHATSAPP_SEND).await;
        let message = world.message(id).await;
        assert_eq!((message.status, message.provider_id), (Unknown, None));

        world.settle().await;
        assert_eq!(world.history(id).await, [Queued, Handed, Unknown, Sent, Delivered, Read]);
        let accepted = world.accepted().await;
        assert_eq!(accepted.len(), 1, "it was sent once");
        assert_eq!(world.message(id).await.provider_id.as_deref(), accepted[0]["id"].as_str());
    }

    async fn a_gateways_error_is_no_reason_to_send_again(kind: Kind) {
        let world = world(kind).await;
        world.opened_by(CUSTOMER).await;
        world.misbehave(json!({ "http_error": { "status": 502, "accepted": true, "times": 1 } })).await;
        let id = world.say(CUSTOMER, "Bom dia").await;
        world.run(WHATSAPP_SEND).await;
        assert_eq!(world.message(id).await.status, Unknown);
        world.settle().await;
        assert_eq!((world.message(id).await.status, world.accepted().await.len()), (Read, 1));
    }

    async fn a_worker_that_died_after_handing_over_leaves_an_unknown_message(kind: Kind) {
        let world = world(kind).await;
        world.opened_by(CUSTOMER).await;
        let id = world.say(CUSTOMER, "Bom dia").await;
        let write = Write::begin(&world.ledger, &world.scope).await.unwrap();
        assert!(matches!(delivery::hand(&write, id).await.unwrap(), Handing::Now { .. }));
        write.commit(()).await.unwrap();

        world.settle().await;
        assert_eq!(world.history(id).await, [Queued, Handed, Unknown]);
        assert_eq!(world.accepted().await.len(), 0, "nobody knows, so it isn't sent again");
        assert_eq!(world.job("whatsapp.send_message").await.state, "done");

        // WhatsApp had it after all.
        assert_eq!(world.deliver(&status_delivery("wamid.LATE", "delivered", Utc::now(), Some(id))).await, 200);
        world.settle().await;
        let message = world.message(id).await;
        assert_eq!((message.status, message.provider_id.as_deref()), (Delivered, Some("wamid.LATE")));
    }

    async fn what_whatsapp_said_is_kept_when_the_job_was_taken_away(kind: Kind) {
        let world = world(kind).await;
        world.opened_by(CUSTOMER).await;
        world.misbehave(json!({ "delay_answer_ms": 1500, "delay_ms": 600_000 })).await;
        let id = world.say(CUSTOMER, "Bom dia").await;
        let runtime = world.work(&[WHATSAPP_SEND], 2);
        world.becomes(id, Handed).await;
        let job = world.job("whatsapp.send_message").await;
        world.ledger.cancel(world.tenant.0, job.id).await.unwrap();
        let message = world.becomes(id, Accepted).await;
        assert!(message.provider_id.is_some());
        drop(runtime);
        assert_eq!(world.job("whatsapp.send_message").await.state, "cancelled");
        assert_eq!(world.accepted().await.len(), 1);
    }

    async fn a_refusal_of_a_parked_message_fails_it(kind: Kind) {
        let world = world(kind).await;
        world.opened_by(CUSTOMER).await;
        let id = world.say(CUSTOMER, "Bom dia").await;
        for _ in 0..2 {
            // A first attempt hands it over; a second one, thinking the first dead, parks it.
            let write = Write::begin(&world.ledger, &world.scope).await.unwrap();
            delivery::hand(&write, id).await.unwrap();
            write.commit(()).await.unwrap();
        }
        let write = Write::begin(&world.ledger, &world.scope).await.unwrap();
        let refused = whatsapp::channel::Sent::Retry { after: Duration::from_secs(1), error: Default::default() };
        assert_eq!(delivery::settle(&write, id, refused, false).await.unwrap(), None, "no job would send it");
        write.commit(()).await.unwrap();
        assert_eq!(world.history(id).await, [Queued, Handed, Unknown, Failed]);
    }

    async fn a_message_past_its_deadline_fails_without_a_call(kind: Kind) {
        let world = world(kind).await;
        world.opened_by(CUSTOMER).await;
        let (late, given_up) = (world.say(CUSTOMER, "tarde").await, world.say(CUSTOMER, "tarde demais").await);
        world.execute("update whatsapp_messages set deadline_at = '2001-01-01T00:00:00+00:00' where status = 'queued'").await;
        let job = world.job("whatsapp.send_message").await;
        world.ledger.cancel(world.tenant.0, job.id).await.unwrap();
        world.settle().await;
        assert_eq!(world.history(late).await, [Queued, Failed]);
        assert_eq!(world.history(given_up).await, [Queued], "its job was cancelled");
        assert_eq!(delivery::give_up(&world.ledger).await.unwrap(), 1);
        assert_eq!(world.history(given_up).await, [Queued, Failed]);
        assert_eq!(world.accepted().await.len(), 0);
    }
}
