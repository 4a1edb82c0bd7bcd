//! The installation's schedules, for its operators.

use chrono::{DateTime, Utc};
use domain::{entities::Role, payloads::Purge, schedules};
use jobs::Job;
use serde_json::{Value, json};
use tests::{app::app, on_both_databases};

on_both_databases! {
    async fn operators_pause_resume_and_run_schedules(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let (eva, bia) = (app.person("outra", Role::Admin).await, app.person("loja", Role::Agent).await);
        schedules::seed(&app.ledger).await.unwrap();
        let all = app.get(&ana, "/api/schedules").await.is(200).json;
        let names: Vec<_> = all["data"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
        assert_eq!(names, ["device health", "purge", "statistics, daily", "statistics, hourly"]);
        let purge = &all["data"][1];
        assert_eq!((&purge["cron"], &purge["kind"], &purge["paused"], &purge["catch_up"]), (&json!("*/10 * * * *"), &json!(Purge::KIND), &json!(false), &json!("latest")));
        let of = |act: &str| format!("/api/schedules/{}/{act}", purge["id"].as_str().unwrap());

        for who in [&eva, &bia] {
            app.get(who, "/api/schedules").await.fails(403, "forbidden");
            for act in ["pause", "resume", "run"] {
                app.ask(who, &of(act)).await.fails(403, "forbidden");
            }
        }
        app.ask(&ana, &format!("/api/schedules/{}/pause", uuid::Uuid::now_v7())).await.fails(404, "not_found");

        assert_eq!(app.ask(&ana, &of("pause")).await.is(200).json["paused"], true);
        assert_eq!(app.ask(&ana, &of("pause")).await.is(200).json["paused"], true, "it is already");
        app.execute("update schedules set next_at = '2001-01-01T00:00:00+00:00' where name = 'purge'").await;
        assert_eq!(app.get(&ana, "/api/schedules").await.json["data"][1]["paused"], true);
        let resumed = app.ask(&ana, &of("resume")).await.is(200).json;
        assert_eq!(resumed["paused"], false);
        let next = |schedule: &Value| schedule["next_at"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
        assert!(next(&resumed) > Utc::now(), "what it missed is not caught up");
        assert_eq!(app.get(&ana, "/api/schedules").await.json["data"][1], resumed);

        let run = app.ask(&ana, &of("run")).await.is(202);
        let job = app.claim::<Purge>().await;
        assert_eq!((json!(job.id), job.tenant_id), (run.json["job_id"].clone(), uuid::Uuid::nil()));
        assert_eq!(app.get(&ana, &format!("/api/jobs/{}", job.id)).await.is(200).json["kind"], Purge::KIND);
        let events = app.get(&ana, "/api/audit?topic=schedules").await.is(200).json;
        let actions: Vec<_> = events["data"].as_array().unwrap().iter().map(|event| event["action"].clone()).collect();
        assert_eq!(actions, ["run", "resumed", "paused"]);
        app.finish().await;
    }
}
