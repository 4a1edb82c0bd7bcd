//! Filters, sorts and words: what SQL finds is what the memory finds, for every field, operator and order.

use std::cmp::Ordering;

use chrono::Utc;
use domain::{
    entities::Role,
    resource::{
        Record, Resource,
        custom::Customs,
        field::{Field, Kind},
        filter::{Asker, Filter, memory::Seen, operators},
        registry,
        value::{self, Cell},
    },
    scope::{Actor, Scope},
};
use serde_json::{Value, json};
use tests::{
    app::{Person, TestApp, app},
    on_both_databases,
    records::{Maker, path},
};

async fn query(app: &TestApp, who: &Person, resource: &Resource, body: Value) -> Vec<Record> {
    let page = app.post(who, &format!("{}/query", path(resource)), body).await.is(200);
    page.json["data"].as_array().unwrap().iter().map(|record| record.as_object().unwrap().clone()).collect()
}

fn ids(records: &[Record]) -> Vec<&str> {
    let mut ids: Vec<_> = records.iter().map(|record| record["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids
}

/// Operands worth asking for: from the middle of what there is, and one that nobody has.
fn operands(field: &Field, op: &str, records: &[Record]) -> Vec<Value> {
    let values: Vec<Value> = records.iter().map(|record| record[field.name].clone()).filter(|value| !value.is_null()).collect();
    let of = |n: usize| values.get(n % values.len().max(1)).cloned().unwrap_or_else(|| field.sample());
    let flat: Vec<Value> = values.iter().filter_map(Value::as_array).flatten().cloned().collect();
    let part = |n: usize| flat.get(n % flat.len().max(1)).cloned().unwrap_or_else(|| field.sample()[0].clone());
    match op {
        "is_null" | "not_null" => vec![Value::Null],
        "within" => vec![json!("this_year"), json!("last_7_days")],
        "in" | "nin" => vec![json!([of(0), of(2)]), json!([])],
        "between" => vec![json!([of(1), of(0)]), json!([of(0), of(1)])],
        "has_any" | "has_none" | "has_all" => vec![json!([part(0)]), json!([part(0), part(1)]), json!([])],
        "contains" | "starts_with" | "ends_with" => {
            let text = of(1).as_str().unwrap_or_default().to_owned();
            let count = text.chars().count();
            let some = |skip: usize, take: usize| json!(text.chars().skip(skip).take(take).collect::<String>().to_uppercase());
            vec![some(0, 2), some(count.saturating_sub(2), 2), some(0, count), json!("%"), json!("_"), json!("\\")]
        }
        _ => vec![of(0), of(1)],
    }
}

async fn agrees(app: &TestApp, ana: &Person, resource: &'static Resource, records: &[Record], filter: Value) {
    let scope = Scope::system(ana.tenant, Actor::User(ana.id));
    let asker = Asker {
        user: Some(ana.id.0),
        team: vec![ana.id.0],
        now: Utc::now(),
        zone: chrono_tz::America::Sao_Paulo,
        week_start: chrono::Weekday::Mon,
        customs: Customs::default(),
    };
    let read = Filter::read(resource, &scope, &asker, &filter, "/filter").unwrap_or_else(|error| panic!("{filter}: {error:?}"));
    let wanted: Vec<Record> = records.iter().filter(|record| read.holds(&Seen { record, related: &|_| Vec::new() })).cloned().collect();
    let found = query(app, ana, resource, json!({ "filter": filter, "limit": 200 })).await;
    assert_eq!(ids(&found), ids(&wanted), "{} where {filter}", resource.topic);
}

fn place(field: &Field, record: &Record) -> Option<Cell> {
    let text = |cell| match (cell, &field.kind) {
        (Cell::Text(text), Kind::Text { .. }) => Cell::Text(value::fold(&text)),
        (cell, _) => cell,
    };
    value::cell(&field.kind, &record[field.name]).map(text)
}

on_both_databases! {
    async fn sql_and_memory_agree_on_every_field(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let mut maker = Maker::new(&app, &ana);
        for resource in registry::all().iter().filter(|resource| resource.made) {
            for n in 0..10 {
                let body = maker.body(resource, n, true).await;
                let _ = app.post(&ana, &path(resource), body).await.is(201);
            }
            let records = query(&app, &ana, resource, json!({ "limit": 200 })).await;
            for field in &resource.fields {
                for op in operators(&field.kind) {
                    for value in operands(field, op, &records) {
                        let leaf = json!({ "field": field.name, "op": op, "value": value });
                        agrees(&app, &ana, resource, &records, leaf).await;
                    }
                }
                if let Kind::Rows(rows) = field.kind {
                    for part in rows.fields {
                        let value = records.iter().map(|record| &record[field.name][0][part.name]).find(|value| !value.is_null()).unwrap();
                        for op in operators(&part.kind).iter().filter(|op| matches!(**op, "eq" | "ne" | "is_null" | "not_null")) {
                            let value = if op.ends_with("null") { Value::Null } else { value.clone() };
                            let leaf = json!({ "field": format!("{}.{}", field.name, part.name), "op": op, "value": value });
                            agrees(&app, &ana, resource, &records, leaf).await;
                        }
                    }
                }
                for down in [false, true].into_iter().filter(|_| field.is_sortable()) {
                    let sort = format!("{}{}", if down { "-" } else { "" }, field.name);
                    let found = query(&app, &ana, resource, json!({ "sort": sort, "limit": 200 })).await;
                    let mut wanted = records.clone();
                    wanted.sort_by(|a, b| {
                        let order = match (place(field, a), place(field, b)) {
                            (Some(a), Some(b)) => a.partial_cmp(&b).unwrap(),
                            (None, None) => Ordering::Equal,
                            (None, Some(_)) => Ordering::Greater,
                            (Some(_), None) => Ordering::Less,
                        };
                        let order = order.then_with(|| a["id"].as_str().cmp(&b["id"].as_str()));
                        if down { order.reverse() } else { order }
                    });
                    let order = |records: &[Record]| records.iter().map(|record| record["id"].clone()).collect::<Vec<_>>();
                    assert_eq!(order(&found), order(&wanted), "{} by {sort}", resource.topic);
                }
            }
            let (a, b) = (&resource.fields[1], resource.field("created_at").unwrap());
            let leaf = |field: &Field, op: &str| json!({ "field": field.name, "op": op, "value": records[3][field.name] });
            let (eq, ne) = if operators(&a.kind).contains(&"eq") { ("eq", "ne") } else { ("has_any", "has_none") };
            if eq == "eq" && records[3][a.name] != Value::Null {
                let both = json!({ "or": [{ "and": [leaf(a, eq), leaf(b, "lte")] }, { "and": [leaf(a, ne), leaf(b, "gt")] }, { "or": [] }] });
                agrees(&app, &ana, resource, &records, both).await;
            }
        }
        app.finish().await;
    }

    async fn a_filter_looks_through_relations_of_what_may_be_seen(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let make = async |topic: &str, body: Value| app.post(&ana, &format!("/api/{topic}"), body).await.is(201).id();
        let pipeline = make("pipelines", json!({ "name": "Vendas" })).await;
        let (new, won) = (
            make("stages", json!({ "name": "Novo", "pipeline_id": pipeline })).await,
            make("stages", json!({ "name": "Ganho", "pipeline_id": pipeline, "position": 1 })).await,
        );
        let (acme, beta) = (make("companies", json!({ "name": "Acme" })).await, make("companies", json!({ "name": "Beta" })).await);
        let one = make("deals", json!({ "name": "Um", "stage_id": new, "company_id": acme })).await;
        let two = make("deals", json!({ "name": "Dois", "stage_id": won, "company_id": acme, "owner_id": null })).await;
        let three = make("deals", json!({ "name": "Três", "stage_id": won })).await;
        let found = async |topic: &str, filter: Value| {
            let mut ids: Vec<String> = app.post(&ana, &format!("/api/{topic}/query"), json!({ "filter": filter })).await.is(200).json["data"]
                .as_array().unwrap().iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect();
            ids.sort_unstable();
            ids
        };
        let sorted = |list: &[&String]| {
            let mut list: Vec<String> = list.iter().map(|&id| id.clone()).collect();
            list.sort_unstable();
            list
        };
        assert_eq!(found("deals", json!({ "field": "stage.name", "op": "eq", "value": "Ganho" })).await, sorted(&[&two, &three]));
        assert_eq!(found("deals", json!({ "field": "company.name", "op": "ne", "value": "Acme" })).await, sorted(&[&three]));
        assert_eq!(found("deals", json!({ "field": "company.name", "op": "is_null" })).await, sorted(&[&three]));
        assert_eq!(found("deals", json!({ "field": "owner_id", "op": "eq", "value": "@me" })).await, sorted(&[&one, &three]));
        assert_eq!(found("deals", json!({ "field": "owner_id", "op": "ne", "value": "@my_team" })).await, sorted(&[&two]));
        assert_eq!(found("companies", json!({ "field": "deals.count", "op": "gte", "value": 2 })).await, sorted(&[&acme]));
        assert_eq!(found("companies", json!({ "field": "deals.count", "op": "eq", "value": 0 })).await, sorted(&[&beta]));
        assert_eq!(found("companies", json!({ "field": "deals.name", "op": "contains", "value": "dóis" })).await, sorted(&[&acme]));
        let bia = make("contacts", json!({ "first_name": "Bia", "company_ids": [acme] })).await;
        let leo = make("contacts", json!({ "first_name": "Léo" })).await;
        let _ = app.patch(&ana, &format!("/api/deals/{one}"), json!({ "contact_ids": [bia, leo] })).await.is(200);
        assert_eq!(found("deals", json!({ "field": "contacts.first_name", "op": "contains", "value": "leo" })).await, sorted(&[&one]));
        assert_eq!(found("deals", json!({ "field": "contacts.count", "op": "eq", "value": 2 })).await, sorted(&[&one]));
        assert_eq!(found("contacts", json!({ "field": "deals.name", "op": "eq", "value": "Um" })).await, sorted(&[&bia, &leo]));
        assert_eq!(found("contacts", json!({ "field": "companies.name", "op": "is_null" })).await, sorted(&[&leo]));
        assert_eq!(found("companies", json!({ "field": "contacts.count", "op": "gt", "value": 0 })).await, sorted(&[&acme]));
        let blind = Person { token: app.token(&ana.email, &["deals:view"]).await, ..ana.clone() };
        let filter = json!({ "filter": { "field": "company.name", "op": "eq", "value": "Acme" } });
        app.post(&blind, "/api/deals/query", filter).await.faults(&[("/filter/field", "forbidden")]);
        app.finish().await;
    }

    async fn a_wrong_filter_is_told_where(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let eq = |field: &str, value: Value| json!({ "field": field, "op": "eq", "value": value });
        let deep = (0..6).fold(eq("city", json!("x")), |inner, _| json!({ "and": [inner] }));
        for (filter, pointer, code) in [
            (json!(7), "/filter", "wrong_type"),
            (json!({ "and": 7 }), "/filter/and", "invalid"),
            (json!({ "and": [eq("nobody", json!(1))] }), "/filter/and/0/field", "unknown_field"),
            (json!({ "or": [eq("city", json!("x")), { "field": "city", "op": "like", "value": "x" }] }), "/filter/or/1/op", "invalid"),
            (eq("birthday", json!("yesterday")), "/filter/value", "invalid"),
            (eq("owner_id", json!("somebody")), "/filter/value", "invalid"),
            (eq("city", Value::Null), "/filter/value", "required"),
            (json!({ "field": "created_at", "op": "within", "value": "soon" }), "/filter/value", "invalid"),
            (json!({ "field": "city", "op": "in", "value": "x" }), "/filter/value", "wrong_type"),
            (json!({ "and": vec![eq("city", json!("x")); 51] }), "/filter/and/50", "too_many"),
            (deep, "/filter/and/0/and/0/and/0/and/0/and/0", "too_deep"),
            (eq("owner.password_hash", json!("x")), "/filter/field", "unknown_field"),
        ] {
            app.post(&ana, "/api/contacts/query", json!({ "filter": filter })).await.faults(&[(pointer, code)]);
        }
        app.get(&ana, "/api/contacts?sort=tags").await.faults(&[("/sort", "unknown_field")]);
        app.get(&ana, "/api/contacts?include=everything").await.faults(&[("/include", "invalid")]);
        app.get(&ana, "/api/contacts?fields=password").await.faults(&[("/fields", "unknown_field")]);
        app.get(&ana, "/api/contacts?cursor=nonsense").await.faults(&[("/cursor", "invalid")]);
        app.finish().await;
    }
}
