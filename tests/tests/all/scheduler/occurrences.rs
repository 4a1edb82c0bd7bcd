use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use domain::{
    entities::{CatchUp, ScheduleId, schedule},
    schedules,
};
use rand::Rng;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, Statement};
use serde_json::json;
use tests::{
    database::{Kind, fresh},
    processes::Program,
};
use uuid::Uuid;

const CRON: &str = "* * * * *";

/// Every job of a schedule: which, for which occurrence.
async fn jobs(db: &db::Db) -> Vec<(Uuid, DateTime<Utc>)> {
    let sql = "select cause_id, run_at from jobs where kind = 'statistics.roll_up' and cause_id is not null";
    let rows = db.write.query_all_raw(Statement::from_string(db.backend(), sql)).await.unwrap();
    rows.iter().map(|row| (row.try_get("", "cause_id").unwrap(), row.try_get("", "run_at").unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_occurrences_three_schedulers_take_each_once_though_one_is_killed() {
    let database = fresh(Kind::Postgres).await;
    let db = &database.db;
    // A hundred schedules that nobody has looked after for ten minutes.
    let first = Utc::now().with_second(0).unwrap().with_nanosecond(0).unwrap() - TimeDelta::minutes(10);
    let rows: Vec<_> = (0..100)
        .map(|n| schedule::ActiveModel {
            id: Set(ScheduleId::new()),
            name: Set(format!("minutely {n}")),
            kind: Set("statistics.roll_up".into()),
            payload: Set(json!({ "hours": 1 })),
            cron: Set(CRON.into()),
            time_zone: Set("UTC".into()),
            catch_up: Set(CatchUp::All),
            next_at: Set(first),
            enabled: Set(true),
            created_at: Set(first),
            ..Default::default()
        })
        .collect();
    let ids: Vec<_> = rows.iter().map(|row| row.id.clone().unwrap().0).collect();
    schedule::Entity::insert_many(rows).exec_without_returning(&db.write).await.unwrap();

    let settings = [("SOMO_DATABASE_URL", database.url.as_str()), ("SOMO_SECRET_KEY", "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=")];
    let program = Program::new(env!("CARGO_BIN_EXE_somo_under_test"), &settings);
    let mut schedulers: Vec<_> = (0..3).map(|n| program.spawn(&format!("scheduler-{n}"), &["scheduler"], &[])).collect();

    // One dies somewhere on the way.
    let (some, victim) = {
        let mut dice = rand::rng();
        (dice.random_range(50..700), dice.random_range(0..3))
    };
    while jobs(db).await.len() < some {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    schedulers[victim].kill();

    // The others take what is left.
    let due = || async {
        let late = schedule::Column::NextAt.lte(Utc::now()).and(schedule::Column::Enabled.eq(true));
        schedule::Entity::find().filter(late).all(&db.write).await.unwrap().len()
    };
    while due().await > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    schedulers.iter_mut().for_each(|scheduler| scheduler.kill());

    let mut taken = BTreeMap::<Uuid, Vec<DateTime<Utc>>>::new();
    for (schedule, at) in jobs(db).await {
        if ids.contains(&schedule) {
            taken.entry(schedule).or_default().push(at);
        }
    }
    for row in schedule::Entity::find().filter(schedule::Column::Id.is_in(ids.iter().copied())).all(&db.write).await.unwrap() {
        let mut expected = Vec::new();
        let mut at = first;
        while at < row.next_at {
            expected.push(at);
            at = schedules::next(CRON, "UTC", at).unwrap();
        }
        let mine = taken.get_mut(&row.id.0).unwrap();
        mine.sort_unstable();
        assert_eq!(*mine, expected, "{}", row.name);
    }
    assert!(taken.values().map(Vec::len).sum::<usize>() >= 1000);
}
