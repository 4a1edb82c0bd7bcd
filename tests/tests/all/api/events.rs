//! The event stream: a reader that comes back misses nothing and sees nothing twice.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use db::{Db, PoolSizes};
use domain::{
    Scope,
    engine::{Event, Write},
    entities::{TenantId, event, tenant},
    events,
    scope::Actor,
};
use jobs::{Ledger, Wake};
use sea_orm::{ActiveValue::Set, EntityTrait};
use serde_json::json;
use tests::{database, on_both_databases};
use uuid::Uuid;

const WRITERS: usize = 8;
const EACH: usize = 60;
const RECONNECTS: usize = 50;

/// Writes one event, and commits at some time after.
async fn write(ledger: &Ledger, scope: &Scope) {
    let write = Write::begin(ledger, scope).await.unwrap();
    write.record(Event { topic: "tests", subject_id: Uuid::now_v7(), action: "happened", data: json!({}) }).await.unwrap();
    let delay = rand::random_range(0..15);
    tokio::time::sleep(Duration::from_millis(delay)).await;
    // Some never happen: their numbers stay empty.
    if rand::random_range(0..10) > 0 {
        write.commit(()).await.unwrap();
    }
}

on_both_databases! {
    async fn no_event_is_missed_and_none_comes_twice(kind: Kind) {
        let database = database::fresh(kind).await;
        let ledger = Ledger::new(database.db.clone(), Wake::local());
        let tenants = [TenantId::new(), TenantId::new()];
        for (n, id) in tenants.into_iter().enumerate() {
            let row = tenant::ActiveModel { id: Set(id), name: Set(n.to_string()), slug: Set(n.to_string()), ..Default::default() };
            tenant::Entity::insert(row).exec_without_returning(&database.db.write).await.unwrap();
        }
        // Two processes that place, as there may be.
        let placers = [tokio::spawn(events::run(ledger.clone())), tokio::spawn(events::run(ledger.clone()))];
        let writing = Arc::new(AtomicUsize::new(WRITERS));
        for writer in 0..WRITERS {
            let (ledger, writing, tenant) = (ledger.clone(), writing.clone(), tenants[writer % 2]);
            tokio::spawn(async move {
                let scope = Scope::system(tenant, Actor::System);
                for _ in 0..EACH {
                    write(&ledger, &scope).await;
                }
                writing.fetch_sub(1, Relaxed);
            });
        }

        let (mut seen, mut cursor, mut connections) = (Vec::new(), None, 0);
        loop {
            let over = writing.load(Relaxed) == 0 && events::place(&database.db).await.unwrap() == 0;
            let db = Db::open_with(&database.url, PoolSizes { write: 1, quick: 1, read: 1 }).await.unwrap();
            connections += 1;
            let mut got = 0;
            for _ in 0..3 {
                let page = events::read_after(&db, tenants[0], cursor, 7).await.unwrap();
                got += page.len();
                seen.extend(page.iter().map(|event| event.id));
                cursor = seen.last().copied();
            }
            db.write.close().await.unwrap();
            db.quick.close().await.unwrap();
            db.read.close().await.unwrap();
            if over && got == 0 && connections >= RECONNECTS {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        placers.iter().for_each(tokio::task::JoinHandle::abort);

        let rows = event::Entity::find().all(&database.db.write).await.unwrap();
        let written: BTreeSet<_> = rows.iter().filter(|row| row.tenant_id == tenants[0]).map(|row| row.id).collect();
        assert!(written.len() > WRITERS * EACH / 4, "{} were written", written.len());
        assert_eq!(seen.len(), seen.iter().collect::<BTreeSet<_>>().len(), "none twice");
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), written, "none missed");
        let positions: BTreeSet<_> = rows.iter().filter_map(|row| row.position).collect();
        assert_eq!(positions.len(), rows.len(), "each has a place of its own");
    }

    async fn a_reader_resumes_only_after_an_event_of_its_tenant(kind: Kind) {
        let database = database::fresh(kind).await;
        let ledger = Ledger::new(database.db.clone(), Wake::local());
        let (mine, other) = (TenantId::new(), TenantId::new());
        for (slug, id) in [("mine", mine), ("other", other)] {
            let row = tenant::ActiveModel { id: Set(id), name: Set(slug.into()), slug: Set(slug.into()), ..Default::default() };
            tenant::Entity::insert(row).exec_without_returning(&database.db.write).await.unwrap();
            let scope = Scope::system(id, Actor::System);
            let write = Write::begin(&ledger, &scope).await.unwrap();
            write.record(Event { topic: "tests", subject_id: Uuid::now_v7(), action: "happened", data: json!({}) }).await.unwrap();
            write.commit(()).await.unwrap();
        }
        assert_eq!(events::read_after(&database.db, mine, None, 10).await.unwrap(), [], "not yet placed");
        assert_eq!(events::place(&database.db).await.unwrap(), 2);
        let theirs = events::read_after(&database.db, other, None, 10).await.unwrap();
        assert_eq!(theirs.len(), 1);
        for stranger in [theirs[0].id, Uuid::now_v7()] {
            assert!(matches!(events::read_after(&database.db, mine, Some(stranger), 10).await, Err(domain::Error::NotFound("event"))));
        }
    }
}
