//! Fields that a company adds: what they take, how they are found and sorted, and what becomes of them.

use std::cmp::Ordering;

use chrono::Utc;
use domain::{
    entities::Role,
    resource::{
        Record,
        custom::{Custom, Customs, KINDS},
        filter::{Asker, Filter, memory::Seen},
        registry,
        value::{self, Cell},
    },
    scope::{Actor, Scope},
};
use serde_json::{Value, json};
use tests::{
    app::{Person, TestApp, app},
    on_both_databases,
};

async fn add(app: &TestApp, who: &Person, topic: &str, key: &str, kind: &str, more: Value) -> String {
    let mut body = json!({ "topic": topic, "key": key, "name": key, "kind": kind });
    if ["select", "radio", "multiselect", "checkbox"].contains(&kind) {
        body["options"] = json!([{ "value": "Zebra" }, { "value": "água" }, { "value": "50%_" }]);
    }
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    app.post(who, "/api/custom-fields", body).await.is(201).id()
}

/// The `n`th value of a kind; now and then none.
fn value(kind: &str, n: usize, who: &Person) -> Value {
    if n % 4 == 3 {
        return Value::Null;
    }
    let option = ["Zebra", "água", "50%_"][n % 3];
    match kind {
        "text" | "textarea" => json!(format!("{} {n}", ["Ágil", "zebra", "Zulu", "agua"][n % 4])),
        "number" => json!([-7, 0, 12, 1_000_000][n % 4]),
        "decimal" => json!(["-0.5", "10", "9.25", "100.0001"][n % 4]),
        "boolean" => json!(n.is_multiple_of(2)),
        "date" => json!(format!("20{:02}-03-0{}", 10 + n * 7 % 20, n % 9 + 1)),
        "datetime" => json!(format!("2026-1{}-0{}T1{}:00:00{}Z", n % 3, n % 9 + 1, n % 10, ["", ".5", ".25"][n % 3])),
        "email" => json!(format!("P{n}@example.com")),
        "url" => json!(format!("https://example.com/{n}")),
        "domain" => json!(format!("d{n}.example.com")),
        "phone" => json!(format!("+551198{:07}", 1_000_000 + n)),
        "select" | "radio" => json!(option),
        "multiselect" | "checkbox" => json!(["50%_", option]),
        "color" => json!(format!("#{n:06x}")),
        "country" => json!(["BR", "DE", "PT"][n % 3]),
        "timezone" => json!(["America/Sao_Paulo", "UTC", "Europe/Berlin"][n % 3]),
        "user" => json!(who.id),
        _ => panic!("no value for {kind}"),
    }
}

async fn query(app: &TestApp, who: &Person, body: Value) -> Vec<Record> {
    let page = app.post(who, "/api/contacts/query", body).await.is(200);
    page.json["data"].as_array().unwrap().iter().map(|record| record.as_object().unwrap().clone()).collect()
}

fn ids(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record["id"].as_str().unwrap()).collect()
}

fn sorted(mut ids: Vec<&str>) -> Vec<&str> {
    ids.sort_unstable();
    ids
}

fn operands(custom: &Custom, op: &str, records: &[Record]) -> Vec<Value> {
    let values: Vec<&Value> = records.iter().map(|record| custom.of(record)).filter(|value| !value.is_null()).collect();
    let of = |n: usize| values[n % values.len()].clone();
    match op {
        "is_null" | "not_null" => vec![Value::Null],
        "within" => vec![json!("this_year"), json!("last_7_days")],
        "in" | "nin" => vec![json!([of(0), of(2)]), json!([])],
        "between" => vec![json!([of(1), of(0)]), json!([of(0), of(1)])],
        "has_any" | "has_none" | "has_all" => vec![json!(["Zebra"]), json!(["50%_", "água"]), json!(["nobody"]), json!([])],
        "contains" | "starts_with" | "ends_with" => {
            let text = of(1).as_str().unwrap().to_uppercase();
            vec![json!(text.chars().take(2).collect::<String>()), json!(text), json!("%"), json!("_")]
        }
        _ => vec![of(0), of(1)],
    }
}

fn cell(custom: &Custom, record: &Record) -> Option<Cell> {
    match value::cell(&custom.kind, custom.of(record)) {
        Some(Cell::Text(text)) if custom.word() != "user" => Some(Cell::Text(value::fold(&text))),
        other => other,
    }
}

on_both_databases! {
    async fn every_kind_is_taken_found_and_sorted_as_the_memory_does(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        for word in KINDS {
            let _ = add(&app, &ana, "contacts", &format!("k_{word}"), word, json!({})).await;
        }
        for n in 0..12 {
            let custom: Record = KINDS.iter().map(|word| (format!("k_{word}"), value(word, n, &ana))).collect();
            let _ = app.post(&ana, "/api/contacts", json!({ "first_name": format!("N{n}"), "custom": custom })).await.is(201);
        }
        let records = query(&app, &ana, json!({ "limit": 200 })).await;
        let contacts = registry::named("contacts");
        let customs = Customs::of(&app.ledger.db().read, ana.tenant.0).await.unwrap();
        assert_eq!(customs.on(contacts).len(), KINDS.len());
        let scope = Scope::system(ana.tenant, Actor::User(ana.id));
        let asker = Asker { user: Some(ana.id.0), team: vec![ana.id.0], now: Utc::now(), zone: chrono_tz::America::Sao_Paulo, week_start: chrono::Weekday::Mon, customs: customs.clone() };
        for custom in customs.on(contacts) {
            for op in custom.operators() {
                for value in operands(custom, op, &records) {
                    let filter = json!({ "field": custom.path(), "op": op, "value": value });
                    let read = Filter::read(contacts, &scope, &asker, &filter, "/filter").unwrap_or_else(|error| panic!("{filter}: {error:?}"));
                    let none = |_: &str| Vec::new();
                    let wanted: Vec<Record> = records.iter().filter(|record| read.holds(&Seen { record, related: &none })).cloned().collect();
                    let found = query(&app, &ana, json!({ "filter": filter, "limit": 200 })).await;
                    assert_eq!(sorted(ids(&found)), sorted(ids(&wanted)), "{filter}");
                }
            }
            for down in [false, true] {
                let sort = format!("{}{}", if down { "-" } else { "" }, custom.path());
                if !custom.is_sortable() {
                    app.post(&ana, "/api/contacts/query", json!({ "sort": sort })).await.faults(&[("/sort", "unknown_field")]);
                    continue;
                }
                let mut wanted = records.clone();
                wanted.sort_by(|a, b| {
                    let order = match (cell(custom, a), cell(custom, b)) {
                        (Some(a), Some(b)) => a.partial_cmp(&b).unwrap(),
                        (None, None) => Ordering::Equal,
                        (None, Some(_)) => Ordering::Greater,
                        (Some(_), None) => Ordering::Less,
                    };
                    let order = order.then_with(|| a["id"].as_str().cmp(&b["id"].as_str()));
                    if down { order.reverse() } else { order }
                });
                // In pages, so that the cursor is tried too.
                let (mut found, mut cursor) = (Vec::new(), Value::Null);
                loop {
                    let page = app.post(&ana, "/api/contacts/query", json!({ "sort": sort, "limit": 5, "cursor": cursor })).await.is(200);
                    found.extend(page.json["data"].as_array().unwrap().iter().map(|record| record["id"].as_str().unwrap().to_owned()));
                    cursor = page.json["page"]["next_cursor"].clone();
                    if cursor.is_null() {
                        break;
                    }
                }
                assert_eq!(found, ids(&wanted), "by {sort}");
            }
        }
        app.finish().await;
    }

    async fn a_record_keeps_what_its_company_added(kind: Kind) {
        let app = app(kind).await;
        let (ana, eva) = (app.person("loja", Role::Admin).await, app.person("outra", Role::Admin).await);
        let budget = add(&app, &ana, "deals", "budget", "decimal", json!({ "description": "What they can spend." })).await;
        let _ = add(&app, &ana, "contacts", "tax_id", "text", json!({ "unique": true })).await;
        let _ = add(&app, &ana, "contacts", "size", "select", json!({})).await;
        let _ = add(&app, &ana, "contacts", "buddy", "user", json!({})).await;
        let _ = add(&app, &ana, "contacts", "zone", "timezone", json!({})).await;

        // A change touches what it names.
        let leo = app.post(&ana, "/api/contacts", json!({ "first_name": "Léo", "custom": { "tax_id": "123", "size": "água" } })).await.is(201);
        let of = format!("/api/contacts/{}", leo.json["id"].as_str().unwrap());
        assert_eq!(leo.json["custom"], json!({ "tax_id": "123", "size": "água" }));
        let changed = app.patch(&ana, &of, json!({ "custom": { "size": "Zebra", "buddy": ana.id } })).await.is(200);
        assert_eq!(changed.json["custom"], json!({ "tax_id": "123", "size": "Zebra", "buddy": ana.id }));
        let cleared = app.patch(&ana, &of, json!({ "custom": { "size": null } })).await.is(200);
        assert_eq!(cleared.json["custom"], json!({ "tax_id": "123", "buddy": ana.id }));
        let same = app.patch(&ana, &of, json!({ "custom": { "tax_id": "123" } })).await.is(200);
        assert_eq!(same.json["version"], cleared.json["version"], "nothing changed");
        let events = app.get(&ana, &format!("{of}/timeline")).await.is(200);
        assert_eq!(events.json["data"][0]["data"]["changes"]["custom"]["from"]["size"], "Zebra");

        // What can't be taken is told where.
        let wrong = json!({ "tax_id": 7, "size": "Elephant", "buddy": eva.id, "zone": "Mars/Olympus", "nobody": 1 });
        app.patch(&ana, &of, json!({ "custom": wrong })).await.faults(&[
            ("/custom/buddy", "not_found"),
            ("/custom/nobody", "unknown_field"),
            ("/custom/size", "invalid"),
            ("/custom/tax_id", "wrong_type"),
            ("/custom/zone", "invalid"),
        ]);
        app.patch(&ana, &of, json!({ "custom": 7 })).await.faults(&[("/custom", "wrong_type")]);
        app.post(&ana, "/api/contacts", json!({ "first_name": "Rui", "custom": { "tax_id": "123" } })).await.faults(&[("/custom/tax_id", "taken")]);
        app.post(&eva, "/api/contacts", json!({ "first_name": "Rui", "custom": { "tax_id": "123" } })).await.faults(&[("/custom/tax_id", "unknown_field")]);

        // One that is required later is asked of new records, and not taken from those that have it.
        let _ = add(&app, &ana, "contacts", "why", "text", json!({ "required": true })).await;
        app.post(&ana, "/api/contacts", json!({ "first_name": "Rui" })).await.faults(&[("/custom/why", "required")]);
        let _ = app.patch(&ana, &of, json!({ "city": "Recife", "custom": { "why": "Because" } })).await.is(200);
        app.patch(&ana, &of, json!({ "custom": { "why": null } })).await.faults(&[("/custom/why", "required")]);

        // Through a relation, and in what the fields say.
        let pipeline = app.post(&ana, "/api/pipelines", json!({ "name": "Vendas" })).await.is(201).id();
        let _ = app.post(&ana, "/api/stages", json!({ "name": "Novo", "pipeline_id": pipeline })).await.is(201);
        let deal = json!({ "name": "Um", "contact_ids": [leo.json["id"]], "custom": { "budget": "1200.5" } });
        let _ = app.post(&ana, "/api/deals", deal).await.is(201);
        let filter = json!({ "filter": { "field": "deals.custom.budget", "op": "gt", "value": "1200.4999" } });
        assert_eq!(query(&app, &ana, filter).await.len(), 1);
        let fields = app.get(&ana, "/api/deals/fields").await.is(200);
        let added = fields.json["data"].as_array().unwrap().iter().find(|field| field["name"] == "custom.budget").unwrap();
        assert_eq!((&added["kind"], &added["label"], &added["sortable"]), (&json!("decimal"), &json!("budget"), &json!(true)));
        assert!(app.get(&eva, "/api/deals/fields").await.is(200).json["data"].as_array().unwrap().iter().all(|field| field["name"] != "custom.budget"));

        // In the trash nobody writes it; gone for good, it takes its values along, and its key is free.
        let place = format!("/api/custom-fields/{budget}");
        assert_eq!(app.delete(&ana, &place).await.status, 204);
        app.post(&ana, "/api/deals", json!({ "name": "Dois", "custom": { "budget": "1" } })).await.faults(&[("/custom/budget", "unknown_field")]);
        app.post(&ana, "/api/custom-fields", json!({ "topic": "deals", "key": "budget", "name": "B", "kind": "text" })).await.faults(&[("/key", "taken")]);
        assert_eq!(app.delete(&ana, &format!("{place}?force=true")).await.status, 204);
        assert_eq!(app.get(&ana, "/api/deals").await.is(200).json["data"][0]["custom"], json!({}));
        let _ = add(&app, &ana, "deals", "budget", "text", json!({})).await;
        app.finish().await;
    }

    async fn a_field_is_added_as_a_whole(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let agent = app.person("loja", Role::Agent).await;
        for (body, pointer, code) in [
            (json!({ "topic": "contacts", "key": "Big Key", "name": "x", "kind": "text" }), "/key", "invalid"),
            (json!({ "topic": "contacts", "key": "9x", "name": "x", "kind": "text" }), "/key", "invalid"),
            (json!({ "topic": "notes", "key": "x", "name": "x", "kind": "text" }), "/topic", "invalid"),
            (json!({ "topic": "contacts", "key": "x", "name": "x", "kind": "spline" }), "/kind", "invalid"),
            (json!({ "topic": "contacts", "key": "x", "name": "x", "kind": "select" }), "/options", "required"),
            (json!({ "topic": "contacts", "key": "x", "name": "x", "kind": "text", "options": [{ "value": "a" }] }), "/options", "invalid"),
            (json!({ "topic": "contacts", "key": "x", "name": "x", "kind": "checkbox", "options": [{ "value": "a" }], "unique": true }), "/unique", "invalid"),
        ] {
            app.post(&ana, "/api/custom-fields", body).await.faults(&[(pointer, code)]);
        }
        app.post(&agent, "/api/custom-fields", json!({ "topic": "contacts", "key": "x", "name": "x", "kind": "text" })).await.fails(403, "forbidden");
        let id = add(&app, &ana, "contacts", "x", "text", json!({})).await;
        app.patch(&ana, &format!("/api/custom-fields/{id}"), json!({ "kind": "number" })).await.faults(&[("/kind", "unknown_field")]);

        // A role that hides them hides them everywhere.
        let rui = app.person("loja", Role::Member).await;
        let role = json!({ "name": "R", "grants": { "contacts": { "view": "all", "edit": "all" } }, "hidden": { "contacts": ["custom"] }, "user_ids": [rui.id] });
        let _ = app.post(&ana, "/api/roles", role).await.is(201);
        let contact = app.post(&ana, "/api/contacts", json!({ "first_name": "Léo", "custom": { "x": "secret" } })).await.is(201).id();
        assert_eq!(app.get(&rui, &format!("/api/contacts/{contact}")).await.is(200).json["custom"], Value::Null);
        let filter = json!({ "filter": { "field": "custom.x", "op": "eq", "value": "secret" } });
        app.post(&rui, "/api/contacts/query", filter).await.faults(&[("/filter/field", "forbidden")]);
        app.get(&rui, "/api/contacts?sort=custom.x").await.faults(&[("/sort", "forbidden")]);
        app.patch(&rui, &format!("/api/contacts/{contact}"), json!({ "custom": { "x": "y" } })).await.faults(&[("/custom", "forbidden")]);
        app.finish().await;
    }
}
