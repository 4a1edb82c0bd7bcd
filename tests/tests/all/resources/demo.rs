//! What `somo demo` fills in: as much as it promises, in both languages, and once.

use std::collections::{BTreeMap, HashSet};

use chrono::{TimeDelta, Utc};
use domain::entities::{TenantId, UserId};
use serde_json::{Value, json};
use tests::{
    app::{Person, TestApp, app},
    on_both_databases,
    processes::Program,
};

/// What there is of each, whatever the language.
const PROMISED: &[(&str, i64)] = &[
    ("users", 6),
    ("teams", 2),
    ("pipelines", 2),
    ("stages", 9),
    ("companies", 40),
    ("contacts", 200),
    ("deals", 120),
    ("activities", 150),
    ("activity-types", 5),
    ("notes", 60),
    ("calls", 60),
    ("call-outcomes", 5),
    ("products", 20),
    ("industries", 10),
    ("sources", 6),
    ("lost-reasons", 6),
    ("tags", 8),
];

/// Fills in the demo; its admin, as `demo.json` knows them.
async fn fill(app: &TestApp, program: &Program, arguments: &[&str]) -> Person {
    let sandbox = sandbox::start(sandbox::Options::default()).await.unwrap();
    let url = sandbox.url();
    let arguments = [&["demo", "--sandbox", &url], arguments].concat();
    let said = tokio::task::block_in_place(|| program.run(&arguments));
    assert!(said.contains("Sign in   demo@somo.localhost"), "{said}");
    let kept: Value = serde_json::from_slice(&std::fs::read(program.folder().join("demo.json")).unwrap()).unwrap();
    let (email, token) = (kept["email"].as_str().unwrap().to_owned(), kept["token"].as_str().unwrap().to_owned());
    assert_eq!(kept["agents"].as_array().unwrap().len(), 5);
    let tenant = TenantId(kept["tenant"].as_str().unwrap().parse().unwrap());
    let mut who = Person { tenant, id: UserId::new(), email, token };
    let me = list(app, &who, "users?q=demo@somo.localhost").await;
    who.id = UserId(me[0]["id"].as_str().unwrap().parse().unwrap());
    who
}

fn program(app: &TestApp) -> Program {
    let nowhere = ("SOMO_PUBLIC_URL", "http://127.0.0.1:9");
    let secret = ("SOMO_SECRET_KEY", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
    Program::new(
        env!("CARGO_BIN_EXE_somo_under_test"),
        &[("SOMO_DATABASE_URL", &app.database.url), ("SOMO_DATA_DIR", "."), secret, nowhere],
    )
}

/// All records of a list.
async fn list(app: &TestApp, who: &Person, path: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let sign = if path.contains('?') { '&' } else { '?' };
        let page = app.get(who, &format!("/api/{path}{sign}limit=200{cursor}")).await.is(200).json;
        all.extend(page["data"].as_array().unwrap().iter().cloned());
        let Some(next) = page["page"]["next_cursor"].as_str() else { return all };
        cursor = format!("&cursor={next}");
    }
}

/// How many there are of each, events among them.
async fn numbers(app: &TestApp, who: &Person) -> BTreeMap<&'static str, i64> {
    let mut numbers = BTreeMap::new();
    for (path, _) in PROMISED {
        let page = app.get(who, &format!("/api/{path}?limit=1&count=exact")).await.is(200).json;
        numbers.insert(*path, page["page"]["total"].as_i64().unwrap_or_else(|| panic!("no total in {page}")));
    }
    numbers
}

/// How many records have this value in a field.
fn with(records: &[Value], field: &str, value: &Value) -> usize {
    records.iter().filter(|record| record[field] == *value).count()
}

on_both_databases! {
    async fn the_demo_is_a_company_at_work_and_is_made_once(kind: Kind) {
        for (arguments, locale, stage) in [(&[][..], "pt-BR", "Negociação"), (&["--locale", "en"][..], "en", "Negotiation")] {
            let app = app(kind).await;
            let program = program(&app);
            let begun = Utc::now();
            let demo = fill(&app, &program, arguments).await;
            let made = numbers(&app, &demo).await;
            assert_eq!(made, PROMISED.iter().copied().collect(), "{locale}");

            let users = list(&app, &demo, "users").await;
            assert_eq!(with(&users, "locale", &json!(locale)), 6);
            assert_eq!(with(&users, "role", &json!("agent")), 5);
            let teams = list(&app, &demo, "teams").await;
            assert!(teams.iter().all(|team| team["member_ids"].as_array().unwrap().len() >= 2), "{teams:?}");

            let deals = list(&app, &demo, "deals").await;
            let stages = list(&app, &demo, "stages").await;
            assert_eq!(with(&stages, "name", &json!(stage)), 1);
            for stage in &stages {
                let open = deals.iter().filter(|deal| deal["stage_id"] == stage["id"] && deal["status"] == "open").count();
                assert!(open >= 3, "{open} in {stage}");
                assert!(stage["rotting_days"].is_i64() && stage["probability"].is_i64(), "{stage}");
            }
            assert_eq!(["open", "won", "lost"].map(|status| with(&deals, "status", &json!(status))), [82, 22, 16]);
            for deal in &deals {
                assert_eq!(deal["status"] == "lost", deal["lost_reason_id"].is_string(), "{deal}");
                assert_eq!(deal["status"] == "won", deal["won_at"].is_string(), "{deal}");
                assert!(["amount", "expected_close", "owner_id", "company_id"].iter().all(|field| deal[field].is_string()), "{deal}");
                assert_eq!(deal["contact_ids"].as_array().unwrap().len(), 1, "{deal}");
            }
            assert!(deals.iter().any(|deal| deal["next_activity_at"].is_string()), "rules apply");

            let contacts = list(&app, &demo, "contacts").await;
            let every = |path: &str| contacts.iter().filter_map(|one| one.pointer(path)?.as_str().map(str::to_owned)).collect::<HashSet<_>>();
            let numbers_of = every("/phones/0/number");
            assert_eq!((numbers_of.len(), every("/emails/0/email").len()), (200, 200));
            assert!(numbers_of.iter().all(|number| number.starts_with("+55") && number.len() == 14), "{numbers_of:?}");
            assert!(every("/emails/0/email").iter().all(|email| email.contains(".example") || email.contains("@example.")));
            assert_eq!(contacts.iter().filter(|one| one["company_ids"][0].is_string()).count(), 160);
            assert!(contacts.iter().filter(|one| one["tags"][0].is_string()).count() > 60);

            let activities = list(&app, &demo, "activities").await;
            let due = |one: &Value| chrono::DateTime::parse_from_rfc3339(one["due_at"].as_str().unwrap()).unwrap().to_utc();
            let to_do: Vec<_> = activities.iter().filter(|one| one["completed"] == false).collect();
            assert_eq!(to_do.len(), 100);
            assert!(to_do.iter().filter(|one| due(one) < begun).count() >= 25);
            assert!(to_do.iter().filter(|one| (due(one) - begun).abs() < TimeDelta::days(1)).count() >= 10);
            assert!(to_do.iter().filter(|one| due(one) > begun + TimeDelta::days(1)).count() >= 30);
            assert!(activities.iter().all(|one| one["type_id"].is_string() && one["contact_ids"][0].is_string()));
            let calls = list(&app, &demo, "calls").await;
            assert!(calls.iter().all(|one| one["outcome_id"].is_string() && one["contact_ids"][0].is_string()));

            // Again, in whatever language: it is there already.
            let events = app.get(&demo, "/api/audit?limit=1").await;
            let again = fill(&app, &program, &["--locale", "EN"]).await;
            assert_eq!((again.id, numbers(&app, &again).await), (demo.id, made));
            assert_eq!(app.get(&demo, "/api/audit?limit=1").await.json["data"], events.json["data"], "nothing was written");
            app.finish().await;
        }
    }
}
