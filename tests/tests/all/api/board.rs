//! The job board.

use domain::{
    entities::{ContactId, Role},
    payloads::{SendMessage, SyncContact},
};
use jobs::{NewJob, Priority};
use serde_json::{Value, json};
use tests::{
    app::{Person, TestApp, app},
    on_both_databases,
};
use uuid::Uuid;

const NUMBER: &str = "100";
const CUSTOMER: &str = "5511987654321";

/// Somebody who has sent a message that still waits; the message and its job.
async fn begun(kind: tests::database::Kind) -> (TestApp, Person, String, String) {
    let app = app(kind).await;
    let ana = app.person("loja", Role::Admin).await;
    let device = app.device(&ana, NUMBER).await;
    app.customer_writes(NUMBER, CUSTOMER, "Olá").await;
    let body = json!({ "device_id": device, "to": CUSTOMER, "type": "text", "text": { "body": "Bom dia" } });
    let message = app.post(&ana, "/api/whatsapp/messages/send", body).await.is(202).id();
    let jobs = list(&app, &ana, r#"{"field":"kind","op":"eq","value":"whatsapp.send_message"}"#).await;
    let job = jobs[0]["id"].as_str().unwrap().to_owned();
    (app, ana, message, job)
}

async fn list(app: &TestApp, who: &Person, filter: &str) -> Vec<Value> {
    let request = app.request(reqwest::Method::GET, "/api/jobs").query(&[("filter", filter)]).bearer_auth(&who.token);
    app.send(request).await.is(200).json["data"].as_array().unwrap().clone()
}

on_both_databases! {
    async fn jobs_are_found_by_any_filter_in_any_order(kind: Kind) {
        let app = app(kind).await;
        let (ana, eva) = (app.person("loja", Role::Admin).await, app.person("outra", Role::Admin).await);
        let job = |tenant: Uuid| NewJob::new(tenant, &SyncContact { contact_id: ContactId::new() });
        let tx = app.ledger.begin().await.unwrap();
        for n in 0..14 {
            tx.enqueue(job(ana.tenant.0).priority([Priority::Urgent, Priority::Low][n % 2])).await.unwrap();
        }
        tx.enqueue(job(eva.tenant.0)).await.unwrap();
        tx.commit().await.unwrap();
        // In every state, and some of them never begun.
        for (n, state) in jobs::STATES.iter().enumerate() {
            let set = format!("state = '{state}', last_error = 'No {n}%', finished_at = case when {n} > 3 then run_at end, attempts = {n}");
            app.execute(&format!("update jobs set {set} where seq in (select seq from jobs where state = 'pending' and attempts = 0 and last_error is null order by seq limit 2)")).await;
        }
        let count = async |filter: &str| list(&app, &ana, filter).await.len();
        for (filter, wanted) in [
            (r#"{"field":"state","op":"in","value":["dead","held"]}"#, 4),
            (r#"{"field":"state","op":"nin","value":["dead","held"]}"#, 10),
            (r#"{"and":[{"field":"state","op":"ne","value":"done"},{"field":"finished_at","op":"not_null"}]}"#, 4),
            (r#"{"or":[{"field":"state","op":"eq","value":"done"},{"field":"attempts","op":"between","value":[1,2]}]}"#, 6),
            (r#"{"and":[{"field":"state","op":"eq","value":"done"},{"field":"state","op":"eq","value":"dead"}]}"#, 0),
            (r#"{"field":"last_error","op":"contains","value":"NO 6%"}"#, 2),
            (r#"{"field":"created_at","op":"within","value":"last_2_days"}"#, 14),
            (r#"{"field":"priority","op":"gt","value":1}"#, 7),
            (r#"{"field":"state","op":"eq","value":"asleep"}"#, 0),
        ] {
            assert_eq!(count(filter).await, wanted, "{filter}");
        }
        let ids = |page: &Value| page["data"].as_array().unwrap().iter().map(|job| job["id"].clone()).collect::<Vec<_>>();
        for sort in ["", "-attempts", "finished_at", "-finished_at,-attempts", "state,-id", "priority,created_at"] {
            let all = app.get(&ana, &format!("/api/jobs?limit=200&sort={sort}")).await.is(200).json;
            assert_eq!(all["data"].as_array().unwrap().len(), 14);
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = app.get(&ana, &format!("/api/jobs?limit=3&sort={sort}{cursor}")).await.is(200).json;
                seen.extend(ids(&page));
                let Some(next) = page["page"]["next_cursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(seen, ids(&all), "by {sort}");
        }
        app.execute("update jobs set state = 'done'").await;
        app.finish().await;
    }

    async fn jobs_are_listed_and_filtered(kind: Kind) {
        let (app, ana, message, job) = begun(kind).await;
        let all = app.get(&ana, "/api/jobs").await.is(200).json["data"].as_array().unwrap().clone();
        assert_eq!((&all[0]["id"], &all[0]["payload"], &all[0]["state"]), (&json!(job), &json!({ "message_id": message }), &json!("pending")));
        assert!(all.iter().all(|job| job.get("tenant_id").is_none() && job.get("seq").is_none()));
        let both = r#"{"and":[{"field":"state","op":"eq","value":"pending"},{"field":"queue","op":"eq","value":"whatsapp-send"}]}"#;
        assert_eq!(list(&app, &ana, both).await.len(), 1);
        assert_eq!(list(&app, &ana, r#"{"field":"state","op":"eq","value":"dead"}"#).await, [] as [Value; 0]);
        for (filter, pointer, code) in [
            ("x", "/filter", "invalid"),
            ("[]", "/filter", "wrong_type"),
            ("{}", "/filter/field", "required"),
            (r#"{"field":"payload","op":"eq","value":"x"}"#, "/filter/field", "unknown_field"),
            (r#"{"field":"tenant_id","op":"eq","value":"x"}"#, "/filter/field", "unknown_field"),
            (r#"{"field":"state","op":"like","value":"x"}"#, "/filter/op", "invalid"),
            (r#"{"field":"state","op":"eq","value":"a\u0000b"}"#, "/filter/value", "invalid"),
        ] {
            let request = app.request(reqwest::Method::GET, "/api/jobs").query(&[("filter", filter)]).bearer_auth(&ana.token);
            app.send(request).await.faults(&[(pointer, code)]);
        }
        app.get(&ana, "/api/jobs?sort=payload").await.faults(&[("/sort", "unknown_field")]);
        let page = app.get(&ana, "/api/jobs?limit=1").await.is(200).json;
        let next = app.get(&ana, &format!("/api/jobs?limit=1&cursor={}", page["page"]["next_cursor"].as_str().unwrap())).await.is(200).json;
        assert_eq!((&page["data"][0], &next["data"][0]), (&all[0], &all[1]));
        app.claim::<SendMessage>().await;
        app.finish().await;
    }

    async fn a_job_is_cancelled_and_run_again(kind: Kind) {
        let (app, ana, _, job) = begun(kind).await;
        let path = format!("/api/jobs/{job}");
        let shown = app.get(&ana, &path).await.is(200).json;
        assert_eq!((&shown["state"], &shown["attempts"], &shown["kind"]), (&json!("pending"), &json!(0), &json!("whatsapp.send_message")));
        app.ask(&ana, &format!("{path}/retry")).await.fails(409, "job_state");
        assert_eq!(app.ask(&ana, &format!("{path}/cancel")).await.is(200).json["state"], "cancelled");
        app.ask(&ana, &format!("{path}/cancel")).await.fails(409, "job_state");
        assert_eq!(app.ask(&ana, &format!("{path}/retry")).await.is(200).json["state"], "pending");
        app.claim::<SendMessage>().await;
        app.get(&ana, &format!("/api/jobs/{}", uuid::Uuid::now_v7())).await.fails(404, "not_found");
        app.finish().await;
    }

    async fn a_message_that_may_be_out_is_not_sent_again(kind: Kind) {
        let (app, ana, _, job) = begun(kind).await;
        app.claim::<SendMessage>().await;
        for status in ["handed", "accepted", "read", "unknown", "failed"] {
            app.execute(&format!("update whatsapp_messages set status = '{status}' where direction = 'out'")).await;
            app.ask(&ana, &format!("/api/jobs/{job}/retry")).await.fails(409, "already_handed");
        }
        app.finish().await;
    }

    async fn queues_are_the_first_teams_to_pause(kind: Kind) {
        let (app, ana, _, _) = begun(kind).await;
        let bob = app.person("second", Role::Admin).await;
        let agent = app.person("loja", Role::Agent).await;
        let queue = |queues: &Value| queues["data"].as_array().unwrap().iter().find(|queue| queue["name"] == "whatsapp-send").cloned().unwrap();
        assert_eq!(queue(&app.get(&ana, "/api/queues").await.is(200).json)["pending"], 1);
        assert_eq!(queue(&app.get(&bob, "/api/queues").await.is(200).json)["pending"], 0, "each team sees its own");
        for who in [&bob, &agent] {
            app.ask(who, "/api/queues/whatsapp-send/pause").await.fails(403, "forbidden");
            app.ask(who, "/api/queues/whatsapp-send/resume").await.fails(403, "forbidden");
        }
        let paused = app.ask(&ana, "/api/queues/whatsapp-send/pause").await.is(200).json;
        assert!(paused["paused_at"].is_string());
        assert!(queue(&app.get(&bob, "/api/queues").await.is(200).json)["paused_at"].is_string());
        assert_eq!(app.ask(&ana, "/api/queues/whatsapp-send/resume").await.is(200).json.get("paused_at"), None);
        app.ask(&ana, "/api/queues/nothing/pause").await.fails(404, "not_found");
        let _ = app.get(&ana, "/api/jobs?owner=installation").await.is(200);
        app.get(&bob, "/api/jobs?owner=installation").await.fails(403, "forbidden");
        app.claim::<SendMessage>().await;
        app.finish().await;
    }
}
