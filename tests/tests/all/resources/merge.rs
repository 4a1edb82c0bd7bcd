//! Records that are the same: found by what they have in common, made one with all that leads to them, and parted again.

use domain::entities::Role;
use serde_json::{Value, json};
use tests::{
    app::{Answer, Person, TestApp, app},
    on_both_databases,
};

const NUMBER: &str = "100000000000001";

async fn made(app: &TestApp, who: &Person, topic: &str, body: Value) -> String {
    app.post(who, &format!("/api/{topic}"), body).await.is(201).id()
}

async fn contact(app: &TestApp, who: &Person, body: Value) -> String {
    made(app, who, "contacts", body).await
}

async fn record(app: &TestApp, who: &Person, path: &str) -> Value {
    app.get(who, &format!("/api/{path}")).await.is(200).json
}

async fn merge(app: &TestApp, who: &Person, into: &str, ids: &[&str]) -> Answer {
    app.post(who, "/api/contacts/merge", json!({ "into_id": into, "ids": ids })).await
}

async fn undo(app: &TestApp, who: &Person, merged: &Answer) -> Answer {
    let id = merged.json["merge"]["id"].as_str().unwrap();
    app.post(who, &format!("/api/merges/{id}/undo"), json!({})).await
}

/// The groups of records that have it in common: what that is, and their ids.
async fn alike(app: &TestApp, who: &Person, topic: &str, by: &str) -> Vec<(String, Vec<String>)> {
    let found = app.post(who, &format!("/api/{topic}/duplicates"), json!({ "by": by })).await.is(200);
    let ids = |group: &Value| {
        let records = group["records"].as_array().unwrap().iter();
        records.map(|record| record["id"].as_str().unwrap().to_owned()).collect()
    };
    found.json["data"].as_array().unwrap().iter().map(|group| (group["value"].as_str().unwrap().to_owned(), ids(group))).collect()
}

/// Two records of one person, the second with all that can lead to one.
struct Two {
    one: String,
    other: String,
    deal: String,
    activity: String,
    note: String,
    comment: String,
    conversation: String,
}

async fn two(app: &TestApp, ana: &Person) -> Two {
    let one = contact(app, ana, json!({ "first_name": "Beatriz", "emails": [{ "email": "bia@example.com" }], "tags": ["vip"] })).await;
    let device = app.device(ana, NUMBER).await;
    let _ = device;
    app.customer_writes(NUMBER, "5511987654321", "Olá").await;
    app.take_in().await;
    let talks = record(app, ana, "whatsapp/conversations").await;
    let conversation = talks["data"][0]["id"].as_str().unwrap().to_owned();
    let other = talks["data"][0]["contact_id"].as_str().unwrap().to_owned();
    let more = json!({
        "last_name": "Souza", "city": "Recife", "tags": ["feira", "vip"],
        "emails": [{ "email": "bia.souza@example.com" }, { "email": "bia@example.com", "kind": "home" }],
    });
    let _ = app.patch(ana, &format!("/api/contacts/{other}"), more).await.is(200);
    let pipeline = made(app, ana, "pipelines", json!({ "name": "Vendas" })).await;
    let stage = json!({ "name": "Novo", "pipeline_id": pipeline });
    let stage = made(app, ana, "stages", stage).await;
    let deal = json!({ "name": "Reforma", "pipeline_id": pipeline, "stage_id": stage, "contact_ids": [other] });
    let deal = made(app, ana, "deals", deal).await;
    let activity = json!({ "title": "Ligar", "due_at": "2031-05-06T12:00:00Z", "contact_ids": [one, other] });
    let activity = made(app, ana, "activities", activity).await;
    let note = made(app, ana, "notes", json!({ "body": "Prefere manhãs", "contact_ids": [other] })).await;
    let comment = app.post(ana, &format!("/api/contacts/{other}/comments"), json!({ "body": "É a mesma" })).await.is(201).id();
    Two { one, other, deal, activity, note, comment, conversation }
}

on_both_databases! {
    async fn all_that_led_to_one_leads_to_the_other_and_back_again(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let Two { one, other, deal, activity, note, comment, conversation } = two(&app, &ana).await;
        let before = (record(&app, &ana, &format!("contacts/{one}")).await, record(&app, &ana, &format!("contacts/{other}")).await);

        // Tried, it leaves nothing.
        let body = json!({ "into_id": one, "ids": [other], "dry_run": true });
        let tried = app.post(&ana, "/api/contacts/merge", body).await.is(200);
        assert_eq!((&tried.json["merge"], &tried.json["record"]["city"]), (&Value::Null, &json!("Recife")));
        assert_eq!(record(&app, &ana, &format!("contacts/{one}")).await, before.0);

        let merged = merge(&app, &ana, &one, &[&other]).await.is(200);
        assert_eq!(merged.json["moved"], tried.json["moved"]);
        let now = record(&app, &ana, &format!("contacts/{one}")).await;
        assert_eq!(merged.json["record"], now);
        assert_eq!((&now["first_name"], &now["last_name"], &now["city"]), (&json!("Beatriz"), &json!("Souza"), &json!("Recife")));
        let emails: Vec<_> = now["emails"].as_array().unwrap().iter().map(|row| row["email"].as_str().unwrap()).collect();
        assert_eq!(emails, ["bia@example.com", "bia.souza@example.com"]);
        assert_eq!((&now["tags"], &now["phones"][0]["number"]), (&json!(["feira", "vip"]), &json!("+5511987654321")));
        assert_eq!(now["next_activity_at"], json!("2031-05-06T12:00:00+00:00"));
        assert_ne!(record(&app, &ana, &format!("contacts/{other}")).await["deleted_at"], Value::Null);
        for path in [format!("deals/{deal}"), format!("activities/{activity}"), format!("notes/{note}")] {
            assert_eq!(record(&app, &ana, &path).await["contact_ids"], json!([one]), "{path}");
        }
        let comments = record(&app, &ana, &format!("contacts/{one}/comments")).await;
        assert_eq!(comments["data"][0]["id"], json!(comment));
        assert_eq!(record(&app, &ana, &format!("whatsapp/conversations/{conversation}")).await["contact_id"], json!(one));
        // Its timeline has that of the other one.
        let told = record(&app, &ana, &format!("contacts/{one}/timeline")).await;
        let told: Vec<_> = told["data"].as_array().unwrap().iter().map(|event| (&event["action"], &event["subject_id"])).collect();
        assert!(told.contains(&(&json!("created"), &json!(other))) && told.contains(&(&json!("merged"), &json!(one))), "{told:?}");
        // What the customer writes next is theirs, and no other contact is made.
        app.customer_writes(NUMBER, "5511987654321", "Ainda estão aí?").await;
        app.take_in().await;
        let talks = record(&app, &ana, &format!("whatsapp/conversations?contact_id={one}")).await;
        assert_eq!((talks["data"].as_array().unwrap().len(), &talks["data"][0]["unread"]), (1, &json!(2)));

        // Somebody gives it another city; that stays.
        let _ = app.patch(&ana, &format!("/api/contacts/{one}"), json!({ "city": "Olinda" })).await.is(200);
        let undone = undo(&app, &ana, &merged).await.is(200);
        assert_ne!(undone.json["undone_at"], Value::Null);
        let after = (record(&app, &ana, &format!("contacts/{one}")).await, record(&app, &ana, &format!("contacts/{other}")).await);
        for field in ["first_name", "last_name", "emails", "phones", "tags", "company_ids", "deleted_at", "next_activity_at"] {
            assert_eq!((&after.0[field], &after.1[field]), (&before.0[field], &before.1[field]), "{field}");
        }
        assert_eq!((&after.0["city"], &after.1["city"]), (&json!("Olinda"), &json!("Recife")));
        for path in [format!("deals/{deal}"), format!("notes/{note}")] {
            assert_eq!(record(&app, &ana, &path).await["contact_ids"], json!([other]), "{path}");
        }
        let both = record(&app, &ana, &format!("activities/{activity}")).await["contact_ids"].clone();
        assert!(both.as_array().unwrap().contains(&json!(one)) && both.as_array().unwrap().contains(&json!(other)));
        assert_eq!(record(&app, &ana, &format!("contacts/{other}/comments")).await["data"][0]["id"], json!(comment));
        assert_eq!(record(&app, &ana, &format!("whatsapp/conversations/{conversation}")).await["contact_id"], json!(other));
        undo(&app, &ana, &merged).await.fails(409, "undone");
        app.customer_writes(NUMBER, "5511987654321", "Oi").await;
        app.take_in().await;
        let talks = record(&app, &ana, &format!("whatsapp/conversations?contact_id={other}")).await;
        assert_eq!(talks["data"][0]["unread"], json!(3));
        app.finish().await;
    }

    async fn a_company_keeps_its_domain_and_its_people(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let one = made(&app, &ana, "companies", json!({ "name": "Acme", "employees": 5 })).await;
        let other = json!({ "name": "ACME", "domain": "acme.com", "parent_id": one, "employees": 9 });
        let other = made(&app, &ana, "companies", other).await;
        let third = made(&app, &ana, "companies", json!({ "name": "Ácme", "parent_id": other })).await;
        let person = contact(&app, &ana, json!({ "first_name": "Ana", "company_ids": [other] })).await;
        assert_eq!(alike(&app, &ana, "companies", "name").await, [("acme".to_owned(), vec![one.clone(), other.clone(), third.clone()])]);
        let choose = json!({ "into_id": one, "ids": [other], "choose": { "employees": other } });
        let merged = app.post(&ana, "/api/companies/merge", choose).await.is(200);
        let now = record(&app, &ana, &format!("companies/{one}")).await;
        assert_eq!((&now["domain"], &now["employees"], &now["parent_id"]), (&json!("acme.com"), &json!(9), &Value::Null));
        assert_eq!(record(&app, &ana, &format!("companies/{third}")).await["parent_id"], json!(one));
        assert_eq!(record(&app, &ana, &format!("contacts/{person}")).await["company_ids"], json!([one]));
        // A merge of a merge is taken back before it.
        let later = app.post(&ana, "/api/companies/merge", json!({ "into_id": third, "ids": [one] })).await.is(200);
        undo(&app, &ana, &merged).await.fails(409, "in_trash");
        let _ = undo(&app, &ana, &later).await.is(200);
        let _ = undo(&app, &ana, &merged).await.is(200);
        let back = record(&app, &ana, &format!("companies/{other}")).await;
        assert_eq!((&back["domain"], &back["parent_id"]), (&json!("acme.com"), &json!(one)));
        let back = record(&app, &ana, &format!("companies/{one}")).await;
        assert_eq!((&back["domain"], &back["employees"]), (&Value::Null, &json!(5)));
        assert_eq!(record(&app, &ana, &format!("companies/{third}")).await["parent_id"], json!(other));
        assert_eq!(record(&app, &ana, &format!("contacts/{person}")).await["company_ids"], json!([other]));
        app.finish().await;
    }

    async fn duplicates_are_found_by_what_they_have_in_common_until_they_are_dismissed(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let acme = made(&app, &ana, "companies", json!({ "name": "Acme" })).await;
        let person = |name: &str, last: &str, email: &str, phone: &str, company: Option<&str>| {
            json!({
                "first_name": name, "last_name": last, "emails": [{ "email": email }], "phones": [{ "number": phone }],
                "company_ids": company.into_iter().collect::<Vec<_>>(),
            })
        };
        let one = contact(&app, &ana, person("José", "Luís", "jose@example.com", "+5511987654321", Some(&acme))).await;
        let two = contact(&app, &ana, person("jose", "luis", "JOSE@example.com", "+5511987654322", None)).await;
        let three = contact(&app, &ana, person("Jose", "Luís", "jl@example.com", "+55 11 98765-4321", Some(&acme))).await;
        let _ = contact(&app, &ana, person("Maria", "Luís", "maria@example.com", "+5511987654323", Some(&acme))).await;
        let stranger = app.person("outra", Role::Admin).await;
        let _ = contact(&app, &stranger, person("José", "Luís", "jose@example.com", "+5511987654321", None)).await;
        let email = || ("jose@example.com".to_owned(), vec![one.clone(), two.clone()]);
        assert_eq!(alike(&app, &ana, "contacts", "email").await, [email()]);
        assert_eq!(alike(&app, &ana, "contacts", "phone").await, [("+5511987654321".to_owned(), vec![one.clone(), three.clone()])]);
        assert_eq!(alike(&app, &ana, "contacts", "name").await, [("jose luis".to_owned(), vec![one.clone(), two.clone(), three.clone()])]);
        assert_eq!(alike(&app, &ana, "contacts", "company").await, [("jose luis".to_owned(), vec![one.clone(), three.clone()])]);
        let dismissed = app.post(&ana, "/api/contacts/duplicates/dismiss", json!({ "ids": [two, one] })).await;
        assert_eq!(dismissed.status, 204);
        assert_eq!(alike(&app, &ana, "contacts", "email").await, []);
        assert_eq!(alike(&app, &ana, "contacts", "name").await.len(), 1, "the third may be one of them");
        let again = app.post(&ana, "/api/contacts/duplicates/dismiss", json!({ "ids": [one, two], "dismissed": false })).await;
        assert_eq!(again.status, 204);
        assert_eq!(alike(&app, &ana, "contacts", "email").await, [email()]);
        assert_eq!(app.delete(&ana, &format!("/api/contacts/{two}")).await.status, 204);
        assert_eq!(alike(&app, &ana, "contacts", "email").await, []);
        app.post(&ana, "/api/contacts/duplicates", json!({ "by": "shoe" })).await.faults(&[("/by", "invalid")]);
        app.finish().await;
    }

    async fn groups_come_page_by_page(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        for n in 0..5 {
            for _ in 0..2 {
                let _ = contact(&app, &ana, json!({ "first_name": format!("Ana {n}") })).await;
            }
        }
        let (mut cursor, mut found) = (Value::Null, Vec::new());
        loop {
            let mut body = json!({ "by": "name", "limit": 2 });
            if !cursor.is_null() {
                body["cursor"] = cursor;
            }
            let page = app.post(&ana, "/api/contacts/duplicates", body).await.is(200);
            found.extend(page.json["data"].as_array().unwrap().iter().map(|group| group["value"].as_str().unwrap().to_owned()));
            cursor = page.json["page"]["next_cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(found, ["ana 0", "ana 1", "ana 2", "ana 3", "ana 4"]);
        app.finish().await;
    }

    async fn whoever_may_not_delete_may_not_merge_and_sees_no_others_merge(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let (bia, eva) = (app.person("loja", Role::Agent).await, app.person("outra", Role::Admin).await);
        let one = contact(&app, &ana, json!({ "first_name": "Um" })).await;
        let two = contact(&app, &ana, json!({ "first_name": "Dois" })).await;
        merge(&app, &bia, &one, &[&two]).await.fails(403, "forbidden");
        merge(&app, &eva, &one, &[&two]).await.faults(&[("/into_id", "not_found")]);
        let own = contact(&app, &bia, json!({ "first_name": "Meu" })).await;
        merge(&app, &ana, &one, &[&one]).await.faults(&[("/ids/0", "invalid")]);
        let odd = json!({ "into_id": one, "ids": [two], "choose": { "hat": two, "version": two, "city": own } });
        let odd = app.post(&ana, "/api/contacts/merge", odd).await;
        odd.faults(&[("/choose/city", "invalid"), ("/choose/hat", "unknown_field"), ("/choose/version", "read_only")]);
        let merged = merge(&app, &ana, &one, &[&two]).await.is(200);
        let id = merged.json["merge"]["id"].as_str().unwrap();
        app.get(&bia, &format!("/api/merges/{id}")).await.fails(404, "not_found");
        app.get(&eva, &format!("/api/merges/{id}")).await.fails(404, "not_found");
        undo(&app, &bia, &merged).await.fails(404, "not_found");
        // Their own they may, and find by any of its records.
        let theirs = merge(&app, &bia, &one, &[&own]).await.is(200);
        assert_eq!(record(&app, &bia, &format!("merges?record_id={own}")).await["data"], json!([theirs.json["merge"]]));
        assert_eq!(record(&app, &ana, "merges").await["data"].as_array().unwrap().len(), 2);
        let _ = undo(&app, &bia, &theirs).await.is(200);
        merge(&app, &ana, &one, &[&two]).await.fails(409, "in_trash");
        app.finish().await;
    }
}
