//! How fast messages go.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use domain::{
    engine::Write,
    entities::MessageStatus,
    whatsapp::{
        delivery::{self, Handing},
        devices::DeviceSettings,
    },
};
use jobs::queue::{CONTACT_SYNC, WHATSAPP_RECEIVE, WHATSAPP_SEND};
use serde_json::json;
use tests::{
    on_both_databases,
    whatsapp::{CUSTOMER, Wanted, world_with},
};
use whatsapp::channel::Sent;

on_both_databases! {
    async fn forty_messages_to_one_customer_arrive_in_order_within_the_pair_limit(kind: Kind) {
        let settings = DeviceSettings { pair_per_second: 20.0, pair_burst: 5, ..DeviceSettings::default() };
        let world = world_with(kind, Wanted { settings, ..Wanted::default() }).await;
        world.opened_by(CUSTOMER).await;
        world.misbehave(json!({ "pair_per_second": 20.0, "pair_burst": 5.0 })).await;
        let runtime = world.work(&[WHATSAPP_SEND, WHATSAPP_RECEIVE, CONTACT_SYNC], 16);
        let mut ids = Vec::new();
        for n in 0..40 {
            ids.push(world.say(CUSTOMER, &n.to_string()).await);
        }
        for id in ids {
            world.becomes(id, MessageStatus::Read).await;
        }
        drop(runtime);
        let order: Vec<_> = world.accepted().await.iter().map(|one| one["body"]["text"]["body"].as_str().unwrap().to_owned()).collect();
        assert_eq!(order, (0..40).map(|n| n.to_string()).collect::<Vec<_>>());
        assert_eq!(world.get("/sandbox/stats").await["refused"], 0, "the bucket here is the bucket there");
    }

    async fn the_pace_counts_from_the_arrival(kind: Kind) {
        let settings = DeviceSettings { pair_per_second: 1.0, pair_burst: 1, ..DeviceSettings::default() };
        let world = world_with(kind, Wanted { settings, ..Wanted::default() }).await;
        world.opened_by(CUSTOMER).await;
        let (first, second) = (world.say(CUSTOMER, "um").await, world.say(CUSTOMER, "dois").await);
        let write = Write::begin(&world.ledger, &world.scope).await.unwrap();
        assert!(matches!(delivery::hand(&write, first).await.unwrap(), Handing::Now { .. }));
        write.commit(()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(600)).await; // a slow network: it may arrive only now
        let arrived = Utc::now();
        let write = Write::begin(&world.ledger, &world.scope).await.unwrap();
        let sent = Sent::Accepted { provider_id: "wamid.1".into() };
        delivery::settle(&write, first, sent, false).await.unwrap();
        write.commit(()).await.unwrap();
        let write = Write::begin(&world.ledger, &world.scope).await.unwrap();
        let Handing::Later(wait) = delivery::hand(&write, second).await.unwrap() else { panic!("it goes at once") };
        write.commit(()).await.unwrap();
        assert!(Utc::now() + wait >= arrived + TimeDelta::seconds(1), "waits {wait}, arrived {arrived}");
    }

    async fn many_customers_are_served_beside_one_who_has_to_wait(kind: Kind) {
        // One message in a hundred seconds, after the first.
        let settings = DeviceSettings { pair_per_second: 0.01, pair_burst: 1, ..DeviceSettings::default() };
        let world = world_with(kind, Wanted { settings, ..Wanted::default() }).await;
        let customers: Vec<String> = (0..12).map(|n| format!("55119876543{n:02}")).collect();
        for customer in &customers {
            world.customer_writes(customer, json!({ "text": { "body": "Olá" } })).await;
        }
        world.settle().await;
        let first = world.say(&customers[0], "um").await;
        let waits = world.say(&customers[0], "dois").await;
        let runtime = world.work(&[WHATSAPP_SEND, WHATSAPP_RECEIVE], 16);
        let mut others = vec![first];
        for customer in &customers[1..] {
            others.push(world.say(customer, "um").await);
        }
        for id in others {
            world.becomes(id, MessageStatus::Read).await;
        }
        drop(runtime);
        assert_eq!(world.history(waits).await, [MessageStatus::Queued]);
        let job = jobs::testing::assert_enqueued(&world.ledger, "whatsapp.send_message").await;
        assert_eq!(job.attempts, 0, "waiting for its slot is no failed attempt");
    }
}
