//! People are reminded of activities, through a real SMTP server.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use domain::{
    payloads::{RemindActivity, SendMail},
    resource::{Record, registry, transact},
};
use jobs::{
    Job,
    queue::{MAIL_SEND, NOTIFICATIONS},
    testing,
};
use serde_json::{Value, json};
use tests::{
    on_both_databases,
    whatsapp::{World, world},
};
use uuid::Uuid;

use super::mail::{received, with_mail};

fn record(value: Value) -> Record {
    let Value::Object(record) = value else { panic!("{value} is no object") };
    record
}

async fn made(world: &World, body: Value) -> Uuid {
    let activities = registry::named("activities");
    let activity = transact::create(&world.ledger, &world.scope, activities, &record(body)).await.unwrap();
    activity["id"].as_str().unwrap().parse().unwrap()
}

async fn changed(world: &World, id: Uuid, body: Value) {
    transact::update(&world.ledger, &world.scope, registry::named("activities"), id, &record(body), None).await.unwrap();
}

/// When jobs wait to remind somebody.
async fn waiting(world: &World) -> Vec<DateTime<Utc>> {
    testing::unfinished(&world.ledger, RemindActivity::KIND).await.unwrap().iter().map(|job| job.run_at).collect()
}

/// Runs everything as if its time had come; how many mails were asked for.
async fn later(world: &World) -> usize {
    world.hurry().await;
    world.run(NOTIFICATIONS).await;
    world.hurry().await;
    world.run(MAIL_SEND).await
}

fn in_an_hour() -> DateTime<Utc> {
    (Utc::now() + TimeDelta::hours(1)).trunc_subsecs(0)
}

on_both_databases! {
    async fn whoever_does_it_is_reminded_before_it_is_due(kind: Kind) {
        let (world, address) = with_mail(kind, "ana").await;
        let due = in_an_hour();
        made(&world, json!({ "title": "Visita", "due_at": due, "reminder_minutes": 30, "guest_ids": [world.admin] })).await;
        assert_eq!(waiting(&world).await, [due - TimeDelta::minutes(30)]);
        assert_eq!(world.run(NOTIFICATIONS).await, 0, "it is too early");
        assert_eq!(later(&world).await, 1, "once, though they are also a guest");
        let mails = received(&address);
        let [mail] = mails.as_slice() else { panic!("{mails:#?}") };
        assert!(mail.contains("Subject: Lembrete: Visita"), "{mail}");
        let local = due.with_timezone(&chrono_tz::America::Sao_Paulo).format("Quando: %d/%m/%Y %H:%M");
        assert!(mail.contains(&local.to_string()), "{mail}");
        assert_eq!(later(&world).await, 0);
    }

    async fn nobody_is_reminded_of_what_moved_or_is_done(kind: Kind) {
        let (world, address) = with_mail(kind, "ana").await;
        let due = in_an_hour();
        let with_reminder = |minutes: i64| json!({ "title": "Visita", "due_at": due, "reminder_minutes": minutes });
        // Done, moved into the past, in the trash, without a reminder, or too late for one.
        for change in [json!({ "completed": true }), json!({ "due_at": "2020-01-01T00:00:00Z" }), json!({ "reminder_minutes": null }), json!({ "due_at": null })] {
            let id = made(&world, with_reminder(10)).await;
            changed(&world, id, change).await;
        }
        let gone = made(&world, with_reminder(10)).await;
        transact::delete(&world.ledger, &world.scope, registry::named("activities"), gone, false, None).await.unwrap();
        assert_eq!(waiting(&world).await.len(), 5);
        made(&world, with_reminder(90)).await;
        assert_eq!(waiting(&world).await.len(), 5, "its time has passed already");
        assert_eq!(later(&world).await, 0);

        // One that moves has another time.
        let id = made(&world, with_reminder(10)).await;
        changed(&world, id, json!({ "due_at": due + TimeDelta::hours(1) })).await;
        changed(&world, id, json!({ "title": "Outra visita" })).await;
        let mut times = waiting(&world).await;
        times.sort_unstable();
        assert_eq!(times, [due - TimeDelta::minutes(10), due + TimeDelta::minutes(50)]);
        assert_eq!(later(&world).await, 1);
        let mails = received(&address);
        assert!(mails.len() == 1 && mails[0].contains("Subject: Lembrete: Outra visita"), "{mails:#?}");
    }

    async fn what_changes_before_the_mail_goes_out_is_not_sent(kind: Kind) {
        let (world, address) = with_mail(kind, "ana").await;
        let id = made(&world, json!({ "title": "Visita", "due_at": in_an_hour(), "reminder_minutes": 5 })).await;
        world.hurry().await;
        assert_eq!(world.run(NOTIFICATIONS).await, 1);
        changed(&world, id, json!({ "completed": true })).await;
        assert_eq!(world.run(MAIL_SEND).await, 1);
        assert_eq!(world.job(SendMail::KIND).await.state, "done");
        assert!(received(&address).is_empty());
    }

    async fn without_a_mail_server_nobody_is_reminded_and_nothing_is_dead(kind: Kind) {
        let world = world(kind).await;
        made(&world, json!({ "title": "Visita", "due_at": in_an_hour(), "reminder_minutes": 5 })).await;
        assert_eq!(later(&world).await, 0);
        let job = world.job(RemindActivity::KIND).await;
        assert_eq!((job.state.as_str(), job.last_error), ("done", None));
    }
}
