//! What keeps the installation well: health checks, figures, purging.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use domain::{
    engine::Write,
    entities::{DeviceId, DeviceStatus, whatsapp_device},
    payloads::{CheckDevices, Purge, RollUpStatistics, SendMail},
    resource::{registry, write},
    scope::{Actor, Scope},
    whatsapp::statistics::{self, Period},
};
use jobs::{
    Job, NewJob,
    queue::{MAINTENANCE, STATISTICS},
    testing,
};
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, Statement};
use serde_json::json;
use tests::{
    on_both_databases,
    whatsapp::{CUSTOMER, TOKEN, World, world},
};
use uuid::Uuid;

async fn ask<J: Job>(world: &World, job: &J) {
    let tx = world.ledger.begin().await.unwrap();
    tx.enqueue(NewJob::new(Uuid::nil(), job)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(world.run(J::QUEUE).await, 1);
    assert!(testing::unfinished(&world.ledger, J::KIND).await.unwrap().is_empty());
}

async fn count(world: &World, table: &str) -> i64 {
    let sql = format!("select count(*) as n from {table}");
    let row = world.ledger.db().write.query_one_raw(Statement::from_string(world.ledger.db().backend(), sql)).await.unwrap();
    row.unwrap().try_get("", "n").unwrap()
}

on_both_databases! {
    async fn a_health_check_tells_how_each_device_is(kind: Kind) {
        let world = world(kind).await;
        assert_eq!(world.device().await.status, DeviceStatus::Connecting);
        ask(&world, &CheckDevices {}).await;
        assert_eq!(world.device().await.status, DeviceStatus::Connected);

        // Twenty more whose secrets nobody can open: the one that works is still found.
        let mut ids = Vec::new();
        for n in 0..20 {
            let id = DeviceId::new();
            ids.push(id);
            let row = whatsapp_device::ActiveModel {
                id: Set(id),
                tenant_id: Set(world.tenant),
                name: Set(format!("{n}")),
                provider: Set(domain::entities::Provider::Cloud),
                phone_number_id: Set(Some(format!("2{n:014}"))),
                secrets: Set(Some("v1.none.AAAA".into())),
                settings: Set(json!({})),
                ..Default::default()
            };
            whatsapp_device::Entity::insert(row).exec_without_returning(&world.ledger.db().write).await.unwrap();
        }
        world.execute("update whatsapp_devices set status = 'disconnected' where name = 'Vendas'").await;
        ask(&world, &CheckDevices {}).await;
        assert_eq!(world.device().await.status, DeviceStatus::Connected);
        for id in ids {
            let device = domain::whatsapp::devices::get(world.ledger.db(), &world.scope, id).await.unwrap();
            assert_eq!(device.status, DeviceStatus::Unauthorized);
        }
    }

    async fn a_refused_token_shows_and_tells_the_admin_once(kind: Kind) {
        let world = world(kind).await;
        ask(&world, &CheckDevices {}).await;
        world.change_token("another").await;
        ask(&world, &CheckDevices {}).await;
        ask(&world, &CheckDevices {}).await;
        let device = world.device().await;
        assert_eq!(device.status, DeviceStatus::Unauthorized);
        assert!(device.status_reason.is_some());
        testing::assert_enqueued(&world.ledger, SendMail::KIND).await;
        world.change_token(TOKEN).await;
        ask(&world, &CheckDevices {}).await;
        let device = world.device().await;
        assert_eq!((device.status, device.status_reason), (DeviceStatus::Connected, None));
    }

    async fn a_network_that_is_away_says_nothing_about_a_device(kind: Kind) {
        let mut world = world(kind).await;
        ask(&world, &CheckDevices {}).await;
        world.context.channels = workers::Channels::new("http://127.0.0.1:1", "v23.0").unwrap();
        ask(&world, &CheckDevices {}).await;
        assert_eq!(world.device().await.status, DeviceStatus::Connected);
    }

    async fn a_stopped_device_is_believed_to_be_well_only_after_an_hour(kind: Kind) {
        let world = world(kind).await;
        let stop = |since: TimeDelta| format!("update whatsapp_devices set status = 'stopped', status_at = '{}'", (Utc::now() - since).to_rfc3339());
        world.execute(&stop(TimeDelta::minutes(30))).await;
        ask(&world, &CheckDevices {}).await;
        assert_eq!(world.device().await.status, DeviceStatus::Stopped);
        world.execute(&stop(TimeDelta::minutes(90))).await;
        ask(&world, &CheckDevices {}).await;
        assert_eq!(world.device().await.status, DeviceStatus::Connected);
    }

    async fn statistics_computed_twice_are_the_counts(kind: Kind) {
        let world = world(kind).await;
        world.opened_by(CUSTOMER).await;
        world.opened_by("5521987654321").await;
        for (customer, text) in [(CUSTOMER, "um"), (CUSTOMER, "dois"), ("5521987654321", "um")] {
            world.say(customer, text).await;
        }
        world.settle().await;
        world.misbehave(json!({ "error": { "code": 100, "times": 1 } })).await;
        world.say(CUSTOMER, "falha").await;
        world.settle().await;

        let figures = async |period| {
            let (from, to) = (Utc::now() - TimeDelta::days(2), Utc::now() + TimeDelta::days(1));
            let mut rows = statistics::list(world.ledger.db(), &world.scope, period, Some(world.device), from, to).await.unwrap();
            // A run at the turn of an hour or a day has two of them.
            let mut total = rows.pop().unwrap();
            for row in rows {
                total.received += row.received;
                total.sent += row.sent;
                total.delivered += row.delivered;
                total.read += row.read;
                total.failed += row.failed;
                total.first_replies += row.first_replies;
            }
            [total.received, total.sent, total.delivered, total.read, total.failed, total.first_replies]
        };
        ask(&world, &RollUpStatistics { hours: 2 }).await;
        for period in [Period::Hour, Period::Day] {
            assert_eq!(figures(period).await, [2, 3, 3, 3, 1, 2], "{period:?}");
        }
        ask(&world, &RollUpStatistics { hours: 2 }).await;
        for period in [Period::Hour, Period::Day] {
            assert_eq!(figures(period).await, [2, 3, 3, 3, 1, 2], "{period:?}, again");
        }
        assert_eq!(world.run(STATISTICS).await, 0);
    }

    async fn a_purge_deletes_what_is_over_and_nothing_else(kind: Kind) {
        let world = world(kind).await;
        world.opened_by(CUSTOMER).await;
        world.opened_by(CUSTOMER).await;
        let old = "2001-01-01T00:00:00+00:00";
        world.execute(&format!("update whatsapp_inbox set processed_at = '{old}' where id = (select id from whatsapp_inbox order by id limit 1)")).await;
        let first = literal(&world, uuid::Builder::from_unix_timestamp_millis(978_307_200_000, &[0; 10]).into_uuid());
        world.execute(&format!("update jobs set id = {first}, finished_at = '{old}' where seq = (select min(seq) from jobs)")).await;
        let (tenant, user) = (literal(&world, world.tenant.0), literal(&world, world.admin.0));
        for (at, name) in [(old.to_owned(), "old"), (Utc::now().to_rfc3339(), "new")] {
            let id = literal(&world, Uuid::now_v7());
            world.execute(&format!("insert into sessions (id, tenant_id, user_id, refresh_hash, expires_at) values ({id}, {tenant}, {user}, '{name}', '{at}')")).await;
            world.execute(&format!("insert into idempotency_keys (tenant_id, actor_id, key, fingerprint, locked_until, created_at) values ({tenant}, {user}, '{name}', 'f', '{at}', '{at}')")).await;
        }
        // In the trash for long, and not so long; and one that another record needs.
        let scope = Scope::system(world.tenant, Actor::System);
        let write = Write::begin(&world.ledger, &scope).await.unwrap();
        let mut ids = Vec::new();
        for (topic, body) in [
            ("sources", json!({ "name": "Gone" })),
            ("sources", json!({ "name": "Going" })),
            ("sources", json!({ "name": "Needed" })),
        ] {
            let record = write::create(&write, registry::named(topic), body.as_object().unwrap()).await.unwrap();
            ids.push(record["id"].as_str().unwrap().parse::<Uuid>().unwrap());
        }
        let company = json!({ "name": "Acme", "source_id": ids[2] });
        write::create(&write, registry::named("companies"), company.as_object().unwrap()).await.unwrap();
        for id in &ids {
            write::trash(&write, registry::named("sources"), *id, None).await.unwrap();
        }
        write.commit(()).await.unwrap();
        for id in [ids[0], ids[2]] {
            world.execute(&format!("update sources set deleted_at = '{old}' where id = {}", literal(&world, id))).await;
        }
        let before = (count(&world, "jobs").await, count(&world, "whatsapp_inbox").await);
        ask(&world, &Purge {}).await;
        assert_eq!((count(&world, "jobs").await, count(&world, "whatsapp_inbox").await), (before.0 - 1 + 1, before.1 - 1), "the purge itself is a job");
        assert_eq!((count(&world, "sources where name = 'Gone'").await, count(&world, "sources").await), (0, 2));
        assert_eq!((count(&world, "sessions where refresh_hash = 'new'").await, count(&world, "sessions").await), (1, 1));
        assert_eq!((count(&world, "idempotency_keys where key = 'new'").await, count(&world, "idempotency_keys").await), (1, 1));
        assert_eq!(world.run(MAINTENANCE).await, 0);
        tokio::time::timeout(Duration::from_secs(30), world.settle()).await.unwrap();
    }
}

/// An id as each database writes it.
fn literal(world: &World, id: Uuid) -> String {
    if world.ledger.db().is_sqlite() { format!("x'{}'", id.simple()) } else { format!("'{id}'") }
}
