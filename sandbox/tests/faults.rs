//! Every fault, as the product's client and a webhook receiver meet it.

use std::time::Duration;

use sandbox::Options;
use serde_json::json;
use whatsapp::{
    channel::{Channel, Sent},
    message::Content,
};

use crate::support::{CUSTOMER, World, outbound, start, start_with, text};

async fn send(world: &World, body: &str) -> Sent {
    world.channel().send(&outbound(Content::text(body)), body, 1).await
}

/// The order of what was told: `body status` for each status.
async fn order(world: &World) -> Vec<String> {
    world.told_statuses().await.into_iter().map(|update| format!("{} {}", update.callback.expect("ours"), update.status)).collect()
}

#[tokio::test]
async fn an_error_comes_as_often_as_asked() {
    let world = start().await;
    world.misbehave(json!({ "error": { "code": 130_429, "http_status": 429, "times": 2 } })).await;
    for expected in [false, false, true] {
        let sent = send(&world, "x").await;
        match expected {
            true => assert!(matches!(sent, Sent::Accepted { .. }), "{sent:?}"),
            false => assert!(
                matches!(&sent, Sent::Retry { error, .. } if (error.code, error.http_status) == (Some(130_429), Some(429))),
                "{sent:?}"
            ),
        }
    }
    assert_eq!(world.accepted().await.len(), 1);
}

#[tokio::test]
async fn a_rate_with_a_seed_strikes_the_same_messages_each_time() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let world = start().await;
        world.misbehave(json!({ "error": { "code": 1, "rate": 0.5 }, "seed": 42 })).await;
        let mut run = Vec::new();
        for _ in 0..40 {
            run.push(world.raw(text("x")).await.0);
        }
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].contains(&200) && runs[0].contains(&400));
}

#[tokio::test]
async fn accepted_but_never_answered_is_ambiguous_and_the_status_settles_it() {
    let world = start().await;
    world.misbehave(json!({ "accept_then_timeout": { "times": 1 } })).await;
    let channel = world.channel_with("any", Duration::from_secs(2));
    let sent = channel.send(&outbound(Content::text("x")), "ours", 1).await;
    assert!(matches!(sent, Sent::Ambiguous(_)), "{sent:?}");
    let accepted = world.accepted().await;
    assert_eq!((accepted.len(), &accepted[0]["callback"]), (1, &json!("ours")));
    let update = world.told_statuses().await.remove(0);
    assert_eq!((update.callback.as_deref(), json!(update.provider_id)), (Some("ours"), accepted[0]["id"].clone()));
    assert!(matches!(send(&world, "again").await, Sent::Accepted { .. }));
}

#[tokio::test]
async fn a_gateways_error_is_ambiguous_whether_or_not_the_message_was_taken() {
    let world = start().await;
    for (accepted, count) in [(false, 0), (true, 1)] {
        world.misbehave(json!({ "http_error": { "status": 503, "accepted": accepted, "times": 1 } })).await;
        let sent = send(&world, "x").await;
        assert!(matches!(&sent, Sent::Ambiguous(error) if (error.code, error.http_status) == (None, Some(503))), "{sent:?}");
        assert_eq!(world.accepted().await.len(), count);
    }
    assert!(matches!(send(&world, "x").await, Sent::Accepted { .. }));
}

#[tokio::test]
async fn a_slow_answer_outlasts_an_impatient_client() {
    let world = start().await;
    world.misbehave(json!({ "delay_answer_ms": 60_000 })).await;
    let impatient = world.channel_with("any", Duration::from_secs(2));
    assert!(matches!(impatient.send(&outbound(Content::text("x")), "ours", 1).await, Sent::Ambiguous(_)));
    assert_eq!(world.accepted().await.len(), 1, "it was taken before the answer");
    world.misbehave(json!({ "delay_answer_ms": 50 })).await;
    assert!(matches!(send(&world, "x").await, Sent::Accepted { .. }));
}

#[tokio::test]
async fn a_failure_may_come_by_webhook_only() {
    let world = start().await;
    world.misbehave(json!({ "fail_later": { "code": 131_047, "times": 1 } })).await;
    assert!(matches!(send(&world, "x").await, Sent::Accepted { .. }));
    let [update] = <[_; 1]>::try_from(world.told_statuses().await).expect("one status");
    assert_eq!((update.status.as_str(), update.callback.as_deref(), update.errors[0].code), ("failed", Some("x"), Some(131_047)));
}

#[tokio::test]
async fn the_pair_limit_is_for_each_customer() {
    let world = start().await;
    world.misbehave(json!({ "pair_per_second": 0.0001, "pair_burst": 3 })).await;
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(send(&world, "x").await);
    }
    assert!(answers[..3].iter().all(|sent| matches!(sent, Sent::Accepted { .. })), "{answers:?}");
    let fourth = &answers[3];
    assert!(matches!(fourth, Sent::Retry { error, .. } if error.code == Some(131_056)), "{fourth:?}");
    let mut other = text("x");
    other["to"] = json!("16505551234");
    assert_eq!(world.raw(other).await.0, 200);
    world.misbehave(json!({})).await;
    assert!(matches!(send(&world, "x").await, Sent::Accepted { .. }));
}

#[tokio::test]
async fn duplicates_are_told_twice() {
    let world = start().await;
    world.misbehave(json!({ "duplicate": 1.0 })).await;
    let id = world.write(json!({ "type": "text", "text": { "body": "oi" } })).await;
    let ids: Vec<_> = world.told_messages().await.into_iter().map(|message| message.provider_id).collect();
    assert_eq!(ids, [id.clone(), id]);
}

#[tokio::test]
async fn reordered_statuses_are_all_there_in_another_order() {
    let world = start().await;
    world.misbehave(json!({ "reorder": 1.0, "seed": 1 })).await;
    send(&world, "a").await;
    let mut told = order(&world).await;
    assert_ne!(told, ["a sent", "a delivered", "a read"]);
    told.sort();
    assert_eq!(told, ["a delivered", "a read", "a sent"]);
}

#[tokio::test]
async fn a_reordered_message_comes_after_the_next_or_alone() {
    let world = start().await;
    world.misbehave(json!({ "reorder": 1.0 })).await;
    for body in ["a", "b", "c"] {
        world.write(json!({ "type": "text", "text": { "body": body } })).await;
    }
    let bodies: Vec<_> = world.told_messages().await.into_iter().map(|message| message.content["body"].clone()).collect();
    assert_eq!(bodies, ["b", "a", "c"]);
}

#[tokio::test]
async fn what_was_lost_comes_later_and_once() {
    let world = start_with(Options { auto_read: false, ..Options::default() }).await;
    world.misbehave(json!({ "drop_webhooks": 1.0 })).await;
    send(&world, "lost").await;
    world.misbehave(json!({})).await;
    send(&world, "next").await;
    assert_eq!(order(&world).await, ["next sent", "next delivered", "lost sent", "lost delivered"]);
}

#[tokio::test]
async fn delayed_webhooks_come_after_the_answer_and_in_order() {
    let world = start().await;
    world.misbehave(json!({ "delay_ms": 400 })).await;
    for body in ["a", "b"] {
        send(&world, body).await;
    }
    let (_, stats) = world.get("/sandbox/stats").await;
    assert_eq!(stats["accepted"], 2);
    assert_eq!(order(&world).await, ["a sent", "a delivered", "a read", "b sent", "b delivered", "b read"]);
}

#[tokio::test]
async fn an_unknown_fault_is_refused() {
    let world = start().await;
    let client = world.http.clone();
    for faults in [json!({ "duplicates": 1 }), json!({ "error": { "code": 1, "time": 2 } })] {
        let answer = client.post(format!("{}/sandbox/faults", world.sandbox.url())).json(&faults).send().await.expect("an answer");
        assert_eq!(answer.status(), 400, "{faults}");
    }
    let cleared = client.delete(format!("{}/sandbox/faults", world.sandbox.url())).send().await.expect("an answer");
    assert_eq!(cleared.status(), 200);
    assert_eq!(world.raw(text(CUSTOMER)).await.0, 200);
}
