//! The same done to many records: to those that are named or found, at once or by a job, as far as whoever asks may.

use domain::{
    engine::Write,
    entities::{BulkRunId, Role},
    payloads::RunBulk,
    resource::bulk::run::{Found, take_up},
};
use jobs::{Job, queue::IMPORTS};
use serde_json::{Value, json};
use tests::{
    app::{Answer, Person, TestApp, app},
    on_both_databases,
};

async fn contact(app: &TestApp, who: &Person, body: Value) -> String {
    app.post(who, "/api/contacts", body).await.is(201).id()
}

/// So many contacts in Recife.
async fn crowd(app: &TestApp, who: &Person, n: usize) {
    for n in 0..n {
        contact(app, who, json!({ "first_name": format!("Contact {n}"), "city": "Recife" })).await;
    }
}

async fn bulk(app: &TestApp, who: &Person, body: Value) -> Answer {
    app.post(who, "/api/contacts/bulk", body).await
}

fn is(field: &str, value: &str) -> Value {
    json!({ "field": field, "op": "eq", "value": value })
}

async fn count(app: &TestApp, who: &Person, filter: Value) -> Value {
    let wanted = json!({ "filter": filter, "count": "exact", "limit": 1 });
    app.post(who, "/api/contacts/query", wanted).await.is(200).json["page"]["total"].clone()
}

/// How many it was done to, and the codes of the others.
fn outcome(answer: &Answer) -> (u64, Vec<&str>) {
    let errors = answer.json["errors"].as_array().unwrap();
    (answer.json["done"].as_u64().unwrap(), errors.iter().map(|error| error["code"].as_str().unwrap()).collect())
}

async fn run(app: &TestApp, who: &Person, answer: &Answer) -> Answer {
    app.get(who, &format!("/api/bulk/{}", answer.id())).await.is(200)
}

on_both_databases! {
    async fn what_one_is_refused_for_undoes_nothing_of_the_others(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let (one, two, gone) = (
            contact(&app, &ana, json!({ "first_name": "Ana" })).await,
            contact(&app, &ana, json!({ "first_name": "Bia" })).await,
            contact(&app, &ana, json!({ "first_name": "Caio" })).await,
        );
        assert_eq!(app.delete(&ana, &format!("/api/contacts/{gone}")).await.status, 204);
        let stranger = app.person("outra", Role::Admin).await;
        let foreign = contact(&app, &stranger, json!({ "first_name": "Eva" })).await;
        let body = json!({ "ids": [two, gone, one, foreign, one], "action": "edit", "changes": { "city": "Natal" } });
        let answer = bulk(&app, &ana, body).await.is(200);
        assert_eq!(outcome(&answer), (2, vec!["in_trash", "not_found"]));
        assert_eq!((&answer.json["total"], &answer.json["failed"]), (&json!(4), &json!(2)));
        let read = app.get(&ana, &format!("/api/contacts/{one}")).await.is(200);
        assert_eq!((&read.json["city"], &read.json["version"]), (&json!("Natal"), &json!(2)));
        let told = app.get(&ana, &format!("/api/contacts/{one}/timeline")).await.is(200);
        assert_eq!(told.json["data"][0]["data"]["changes"], json!({ "city": { "from": null, "to": "Natal" } }));
        assert_eq!(app.get(&stranger, &format!("/api/contacts/{foreign}")).await.is(200).json["city"], Value::Null);

        // Only one may have a domain: the first one gets it, and the transaction lives on.
        let mut companies = Vec::new();
        for n in 0..3 {
            companies.push(app.post(&ana, "/api/companies", json!({ "name": format!("Company {n}") })).await.is(201).id());
        }
        let body = json!({ "ids": companies, "action": "edit", "changes": { "domain": "acme.example" } });
        let answer = app.post(&ana, "/api/companies/bulk", body).await.is(200);
        assert_eq!(outcome(&answer), (1, vec!["taken", "taken"]));
        assert_eq!(answer.json["errors"][0]["pointer"], "/domain");
        app.finish().await;
    }

    async fn a_filter_chooses_whom_it_is_done_to(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let bia = app.person("loja", Role::Agent).await;
        crowd(&app, &ana, 3).await;
        let other = contact(&app, &ana, json!({ "first_name": "Duda", "city": "Natal" })).await;
        let recife = || is("city", "Recife");
        let tried = bulk(&app, &ana, json!({ "filter": recife(), "action": "delete", "dry_run": true })).await.is(200);
        assert_eq!((outcome(&tried).0, &tried.json["dry_run"]), (3, &json!(true)));
        assert_eq!(count(&app, &ana, recife()).await, 3, "nothing of it was kept");
        for (more, filter) in [
            (json!({ "action": "assign", "owner_id": bia.id }), is("owner_id", &bia.id.to_string())),
            (json!({ "action": "tag", "tags": ["VIP", "novo"] }), json!({ "field": "tags", "op": "has_all", "value": ["vip", "novo"] })),
        ] {
            let mut body = json!({ "filter": recife() });
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            assert_eq!(outcome(&bulk(&app, &ana, body).await.is(200)), (3, vec![]));
            assert_eq!(count(&app, &ana, filter).await, 3);
        }
        let off = json!({ "filter": recife(), "action": "untag", "tags": ["vip"] });
        assert_eq!(outcome(&bulk(&app, &ana, off).await.is(200)), (3, vec![]));
        assert_eq!(count(&app, &ana, json!({ "field": "tags", "op": "has_any", "value": ["vip"] })).await, 0);
        assert_eq!(count(&app, &ana, json!({ "field": "tags", "op": "has_any", "value": ["novo"] })).await, 3);
        let nobody = json!({ "filter": recife(), "action": "assign", "owner_id": null });
        assert_eq!(outcome(&bulk(&app, &ana, nobody).await.is(200)), (3, vec![]));
        assert_eq!(count(&app, &ana, json!({ "field": "owner_id", "op": "is_null" })).await, 3);
        assert_eq!(outcome(&bulk(&app, &ana, json!({ "filter": recife(), "action": "delete" })).await.is(200)), (3, vec![]));
        assert_eq!(count(&app, &ana, recife()).await, 0);
        assert_eq!(outcome(&bulk(&app, &ana, json!({ "filter": recife(), "action": "restore" })).await.is(200)), (3, vec![]));
        assert_eq!(count(&app, &ana, recife()).await, 3);
        assert_eq!(app.get(&ana, &format!("/api/contacts/{other}")).await.is(200).json["version"], 1, "the other one was left alone");
        app.finish().await;
    }

    async fn a_role_reaches_only_its_own(kind: Kind) {
        let app = app(kind).await;
        let (ana, rui) = (app.person("loja", Role::Admin).await, app.person("loja", Role::Member).await);
        let grants = json!({ "contacts": { "view": "all", "edit": "own" } });
        let _ = app.post(&ana, "/api/roles", json!({ "name": "R", "grants": grants, "hidden": { "contacts": ["description"] }, "user_ids": [rui.id] })).await.is(201);
        let own = contact(&app, &ana, json!({ "first_name": "Own", "owner_id": rui.id })).await;
        let other = contact(&app, &ana, json!({ "first_name": "Other" })).await;
        let all = json!({ "field": "first_name", "op": "not_null" });
        let answer = bulk(&app, &rui, json!({ "filter": all, "action": "edit", "changes": { "city": "Recife" } })).await.is(200);
        assert_eq!(outcome(&answer), (1, vec!["forbidden"]));
        assert_eq!(answer.json["errors"][0]["id"], json!(other));
        assert_eq!(app.get(&ana, &format!("/api/contacts/{own}")).await.is(200).json["city"], "Recife");
        bulk(&app, &rui, json!({ "filter": all, "action": "delete" })).await.fails(403, "forbidden");
        bulk(&app, &rui, json!({ "filter": is("description", "x"), "action": "edit", "changes": { "city": "Natal" } })).await.faults(&[("/filter/field", "forbidden")]);
        bulk(&app, &rui, json!({ "filter": all, "action": "edit", "changes": { "description": "x" } })).await.faults(&[("/changes/description", "forbidden")]);
        app.finish().await;
    }

    async fn what_nothing_can_be_done_with_is_refused_at_once(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let id = contact(&app, &ana, json!({ "first_name": "Ana" })).await;
        for (body, at, code) in [
            (json!({ "action": "delete" }), "/ids", "required"),
            (json!({ "action": "delete", "ids": [id], "filter": is("city", "x") }), "/filter", "invalid"),
            (json!({ "action": "edit", "ids": [id], "changes": {} }), "/changes", "required"),
            (json!({ "action": "assign", "ids": [id] }), "/owner_id", "required"),
            (json!({ "action": "tag", "ids": [id], "tags": [] }), "/tags", "required"),
            (json!({ "action": "delete", "ids": [id], "tags": ["vip"] }), "/tags", "invalid"),
            (json!({ "action": "delete", "filter": is("soul", "x") }), "/filter/field", "unknown_field"),
        ] {
            bulk(&app, &ana, body).await.faults(&[(at, code)]);
        }
        for body in [json!({ "action": "explode", "ids": [id] }), json!({ "action": "delete", "ids": ["x"] }), json!({ "action": "edit", "ids": [id], "changes": { "soul": 1 } })] {
            assert_eq!(bulk(&app, &ana, body).await.status, 422);
        }
        assert_eq!(app.post(&ana, "/api/pipelines/bulk", json!({ "action": "delete", "ids": [id] })).await.status, 405, "not every resource has it");
        app.finish().await;
    }

    async fn more_than_a_hundred_are_a_jobs(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let eva = app.person("outra", Role::Admin).await;
        let rui = app.person("loja", Role::Agent).await;
        for n in 0..103 {
            let _ = app.post(&ana, "/api/companies", json!({ "name": format!("Company {n}"), "city": "Recife" })).await.is(201);
        }
        let body = json!({ "filter": is("city", "Recife"), "action": "edit", "changes": { "domain": "acme.example" } });
        let asked = app.post(&ana, "/api/companies/bulk", body).await.is(202);
        assert_eq!((&asked.json["total"], &asked.json["state"], &asked.json["action"]), (&json!(103), &json!("waiting"), &json!("edit")));
        // Made after it was asked for: not meant.
        let late = app.post(&ana, "/api/companies", json!({ "name": "Late", "city": "Recife" })).await.is(201).id();
        assert_eq!(app.work(IMPORTS).await, 1);
        let done = run(&app, &ana, &asked).await;
        assert_eq!((&done.json["state"], &done.json["done"], &done.json["failed"]), (&json!("done"), &json!(1), &json!(102)));
        assert_eq!(app.get(&ana, &format!("/api/companies/{late}")).await.is(200).json["version"], 1);
        let errors = format!("/api/bulk/{}/errors?limit=100", asked.id());
        let first = app.get(&ana, &errors).await.is(200);
        assert_eq!((first.json["data"].as_array().unwrap().len(), &first.json["data"][0]["code"]), (100, &json!("taken")));
        let next = first.json["page"]["next_cursor"].as_str().unwrap();
        assert_eq!(app.get(&ana, &format!("{errors}&cursor={next}")).await.is(200).json["data"].as_array().unwrap().len(), 2);
        for stranger in [&eva, &rui] {
            app.get(stranger, &format!("/api/bulk/{}", asked.id())).await.fails(404, "not_found");
            app.get(stranger, &errors).await.fails(404, "not_found");
        }
        app.finish().await;
    }

    async fn a_run_goes_on_where_a_dead_worker_left_it(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        crowd(&app, &ana, 230).await;
        let asked = bulk(&app, &ana, json!({ "filter": is("city", "Recife"), "action": "edit", "changes": { "state": "PE" } })).await.is(202);
        let id = BulkRunId(asked.id().parse().unwrap());
        let tenant = ana.tenant;
        // One worker commits a part; another dies before it does.
        for commits in [true, false] {
            let Found::Running(mut running, scope) = take_up(app.ledger.db(), tenant, id).await.unwrap() else { panic!("it is under way") };
            let write = Write::begin(&app.ledger, &scope).await.unwrap();
            let last = running.step(&write).await.unwrap();
            assert_eq!(last, !commits);
            if commits {
                write.into_tx().commit().await.unwrap();
            }
        }
        assert_eq!(run(&app, &ana, &asked).await.json["done"], 200);
        assert_eq!(app.work(IMPORTS).await, 1);
        let done = run(&app, &ana, &asked).await;
        assert_eq!((&done.json["state"], &done.json["done"], &done.json["failed"]), (&json!("done"), &json!(230), &json!(0)));
        assert_eq!(count(&app, &ana, is("state", "PE")).await, 230);
        assert_eq!(count(&app, &ana, json!({ "field": "version", "op": "eq", "value": 2 })).await, 230, "each was written once");
        app.finish().await;
    }

    async fn a_run_that_is_cancelled_writes_nothing(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        crowd(&app, &ana, 101).await;
        let asked = bulk(&app, &ana, json!({ "filter": is("city", "Recife"), "action": "delete" })).await.is(202);
        let job = asked.json["job_id"].as_str().unwrap();
        let _ = app.ask(&ana, &format!("/api/jobs/{job}/cancel")).await.is(200);
        assert_eq!(app.work(IMPORTS).await, 0);
        assert_eq!(run(&app, &ana, &asked).await.json["state"], "cancelled");
        assert_eq!(count(&app, &ana, is("city", "Recife")).await, 101);
        app.finish().await;
    }

    async fn a_run_may_no_more_than_whoever_asked_for_it(kind: Kind) {
        let app = app(kind).await;
        let (ana, bia) = (app.person("loja", Role::Admin).await, app.person("loja", Role::Agent).await);
        crowd(&app, &ana, 101).await;
        let asked = bulk(&app, &bia, json!({ "filter": is("city", "Recife"), "action": "edit", "changes": { "state": "PE" } })).await.is(202);
        let _ = app.patch(&ana, &format!("/api/users/{}", bia.id), json!({ "role": "viewer" })).await.is(200);
        assert_eq!(app.work(RunBulk::QUEUE).await, 1);
        let failed = run(&app, &ana, &asked).await;
        assert_eq!((&failed.json["state"], &failed.json["done"]), (&json!("failed"), &json!(0)));
        assert!(failed.json["error"].as_str().unwrap().contains("may not do it any more"), "{}", failed.text);
        assert_eq!(count(&app, &ana, is("state", "PE")).await, 0);
        app.finish().await;
    }
}
