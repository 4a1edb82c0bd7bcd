//! Pages: every record once, whatever is written meanwhile.

use std::collections::HashSet;

use domain::{
    engine::Write,
    entities::Role,
    resource::{registry, write},
    scope::{Actor, Scope},
};
use serde_json::{Value, json};
use tests::{
    app::app,
    on_both_databases,
    records::{Maker, path},
};

on_both_databases! {
    async fn a_thousand_records_are_paged_once_each_while_others_come(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let scope = Scope::system(ana.tenant, Actor::User(ana.id));
        let mut maker = Maker::new(&app, &ana);
        // Nobody has a thousand custom fields: a hundred are the most.
        for resource in registry::all().iter().filter(|resource| resource.made && resource.topic != "custom_fields") {
            let mut bodies = Vec::new();
            for n in 0..1_040 {
                let Value::Object(body) = maker.body(resource, 1_000 + n, false).await else { unreachable!() };
                bodies.push(body);
            }
            let late = bodies.split_off(1_000);
            let already: HashSet<String> = app.get(&ana, &format!("{}?limit=200", path(resource))).await.is(200).json["data"]
                .as_array().unwrap().iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect();
            let begun = Write::begin(&app.ledger, &scope).await.unwrap();
            let mut wanted = already;
            for body in &bodies {
                wanted.insert(write::create(&begun, resource, body).await.unwrap()["id"].as_str().unwrap().to_owned());
            }
            begun.commit(()).await.unwrap();
            for sort in ["-created_at", resource.sort, "updated_at,-id"] {
                let (mut seen, mut cursor, mut late) = (HashSet::new(), String::new(), late.iter().skip(if sort == resource.sort { 20 } else { 0 }));
                loop {
                    let page = app.get(&ana, &format!("{}?limit=200&sort={sort}{cursor}", path(resource))).await.is(200);
                    for record in page.json["data"].as_array().unwrap() {
                        assert!(seen.insert(record["id"].as_str().unwrap().to_owned()), "twice: {record}");
                    }
                    let Some(next) = page.json["page"]["next_cursor"].as_str() else { break };
                    cursor = format!("&cursor={next}");
                    if let Some(body) = late.next().filter(|_| sort != "updated_at,-id") {
                        let begun = Write::begin(&app.ledger, &scope).await.unwrap();
                        // A second round finds the names taken: then nothing came meanwhile.
                        if write::create(&begun, resource, body).await.is_ok() {
                            begun.commit(()).await.unwrap();
                        }
                    }
                }
                assert!(wanted.is_subset(&seen), "{} by {sort}: {} of {}", resource.topic, seen.len(), wanted.len());
            }
        }
        app.finish().await;
    }
    async fn records_without_what_is_sorted_by_come_once_each_too(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        for n in 0..23 {
            let due = (n % 3 != 0).then(|| format!("2027-01-{:02}T10:00:00Z", n % 5 + 1));
            let _ = app.post(&ana, "/api/activities", json!({ "title": format!("{n}"), "due_at": due })).await.is(201);
        }
        for sort in ["due_at", "-due_at", "due_at,-title", "-due_at,title", "title,due_at", "reminder_minutes", "-reminder_minutes,-due_at", "due_at,reminder_minutes,-id"] {
            let ids = |page: &Value| page["data"].as_array().unwrap().iter().map(|record| record["id"].clone()).collect::<Vec<_>>();
            let all = app.get(&ana, &format!("/api/activities?limit=200&sort={sort}")).await.is(200).json;
            let empty: Vec<bool> = all["data"].as_array().unwrap().iter().map(|one| one["due_at"].is_null()).collect();
            match sort.split(',').next().unwrap() {
                "due_at" => assert!(empty.is_sorted(), "empty ones come last"),
                "-due_at" => assert!(empty.iter().rev().is_sorted(), "empty ones come first"),
                _ => {}
            }
            for limit in [1, 4, 8, 22, 23] {
                let (mut seen, mut cursor) = (Vec::new(), String::new());
                loop {
                    let page = app.get(&ana, &format!("/api/activities?limit={limit}&sort={sort}{cursor}")).await.is(200).json;
                    seen.extend(ids(&page));
                    let Some(next) = page["page"]["next_cursor"].as_str() else { break };
                    cursor = format!("&cursor={next}");
                }
                assert_eq!(seen, ids(&all), "by {sort}, {limit} at once");
            }
        }
        app.finish().await;
    }
}
