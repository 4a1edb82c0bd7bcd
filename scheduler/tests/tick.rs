//! What `tick` does to the rows, on SQLite.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use chrono::{DateTime, TimeDelta, Utc};
use db::Db;
use domain::payloads::{CheckDevices, Purge};
use entities::{CatchUp, ScheduleId, schedule};
use jobs::{Job, Ledger, Wake, testing};
use sea_orm::{ActiveValue::Set, EntityTrait};
use tempfile::TempDir;

struct Setup {
    ledger: Ledger,
    now: DateTime<Utc>,
    _folder: TempDir,
}

impl Setup {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&format!("sqlite://{}/somo.sqlite", folder.path().display())).await.unwrap();
        migration::up(&db).await.unwrap();
        Self { ledger: Ledger::new(db, Wake::local()), now: "2026-11-24T10:17:00Z".parse().unwrap(), _folder: folder }
    }

    /// Of every five minutes, due since 17 minutes.
    async fn schedule(&self, name: &str, kind: &str, cron: &str, catch_up: CatchUp) -> ScheduleId {
        let id = ScheduleId::new();
        let row = schedule::ActiveModel {
            id: Set(id),
            tenant_id: Set(None),
            name: Set(name.to_owned()),
            kind: Set(kind.to_owned()),
            payload: Set(serde_json::json!({})),
            cron: Set(cron.to_owned()),
            time_zone: Set("UTC".to_owned()),
            catch_up: Set(catch_up),
            next_at: Set(self.now - TimeDelta::minutes(17)),
            last_at: Set(None),
            enabled: Set(true),
            created_at: Set(self.now),
        };
        schedule::Entity::insert(row).exec_without_returning(&self.ledger.db().write).await.unwrap();
        id
    }

    async fn read(&self, id: ScheduleId) -> schedule::Model {
        schedule::Entity::find_by_id(id).one(&self.ledger.db().write).await.unwrap().unwrap()
    }

    async fn tick(&self) -> usize {
        scheduler::tick(&self.ledger, self.now).await.unwrap()
    }

    async fn jobs(&self, kind: &str) -> usize {
        testing::unfinished(&self.ledger, kind).await.unwrap().len()
    }
}

#[tokio::test]
async fn each_policy_writes_its_jobs_and_moves_on() {
    for (catch_up, jobs, last) in [(CatchUp::All, 4, 15), (CatchUp::Latest, 1, 0), (CatchUp::Skip, 0, 0)] {
        let setup = Setup::new().await;
        let id = setup.schedule("purge", Purge::KIND, "*/5 * * * *", catch_up).await;
        assert_eq!(setup.tick().await, jobs, "{catch_up:?}");
        assert_eq!(setup.tick().await, 0, "nothing is due any more");
        assert_eq!(setup.jobs(Purge::KIND).await, jobs, "{catch_up:?}");
        let row = setup.read(id).await;
        let hour: DateTime<Utc> = "2026-11-24T10:00:00Z".parse().unwrap();
        assert_eq!(row.next_at, hour + TimeDelta::minutes(20), "{catch_up:?}");
        assert_eq!(row.last_at, Some(hour + TimeDelta::minutes(last)), "{catch_up:?}");
    }
}

#[tokio::test]
async fn a_schedule_that_cannot_work_is_disabled_and_stops_no_other() {
    let setup = Setup::new().await;
    let unreadable = setup.schedule("unreadable", Purge::KIND, "nonsense", CatchUp::All).await;
    let unknown = setup.schedule("unknown", "nobody.knows", "*/5 * * * *", CatchUp::All).await;
    let good = setup.schedule("good", CheckDevices::KIND, "*/5 * * * *", CatchUp::Latest).await;
    assert_eq!(setup.tick().await, 1);
    assert!(!setup.read(unreadable).await.enabled);
    assert!(!setup.read(unknown).await.enabled);
    assert!(setup.read(good).await.enabled);
    assert_eq!(setup.jobs(CheckDevices::KIND).await, 1);
    assert_eq!(testing::leftovers(&setup.ledger).await.unwrap().len(), 1);
}

#[tokio::test]
async fn of_several_schedulers_one_takes_an_occurrence() {
    let setup = Setup::new().await;
    setup.schedule("purge", Purge::KIND, "*/10 * * * * *", CatchUp::All).await;
    setup.schedule("devices", CheckDevices::KIND, "*/5 * * * *", CatchUp::All).await;
    let counts = futures::future::join_all((0..4).map(|_| setup.tick())).await;
    let rest = setup.tick().await;
    assert_eq!(counts.iter().sum::<usize>() + rest, 103 + 4);
    assert_eq!(setup.jobs(Purge::KIND).await, 103, "every ten seconds from 10:00:00 to 10:17:00");
    assert_eq!(setup.jobs(CheckDevices::KIND).await, 4);
}

#[tokio::test]
async fn a_disabled_schedule_stays_as_it_is() {
    let setup = Setup::new().await;
    let id = setup.schedule("purge", Purge::KIND, "*/5 * * * *", CatchUp::All).await;
    let disabled = schedule::ActiveModel { id: Set(id), enabled: Set(false), ..Default::default() };
    schedule::Entity::update(disabled).exec(&setup.ledger.db().write).await.unwrap();
    assert_eq!(setup.tick().await, 0);
    assert_eq!(setup.read(id).await.last_at, None);
}
