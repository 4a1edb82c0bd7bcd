//! Contacts: who is known by which number, and how their tags are spelled.

use domain::entities::Role;
use serde_json::{Value, json};
use tests::{
    app::{Person, TestApp, app},
    on_both_databases,
};

const NUMBER: &str = "5511987654321";

async fn contact(app: &TestApp, who: &Person, name: &str) -> String {
    let body = json!({ "first_name": name, "phones": [{ "number": NUMBER }], "emails": [{ "email": "casa@example.com" }] });
    app.post(who, "/api/contacts", body).await.is(201).id()
}

/// Who is known by what.
async fn known(app: &TestApp) -> Vec<String> {
    use sea_orm::{ConnectionTrait, Statement};
    let find = "select i.kind || ' ' || c.first_name as who from contact_identities i join contacts c on c.id = i.contact_id order by 1";
    let rows = app.database.db.read.query_all_raw(Statement::from_string(app.database.db.backend(), find)).await.unwrap();
    rows.iter().map(|row| row.try_get("", "who").unwrap()).collect()
}

/// With whom the conversations are.
async fn with(app: &TestApp, who: &Person) -> Vec<String> {
    let page = app.get(who, "/api/whatsapp/conversations").await.is(200).json;
    page["data"].as_array().unwrap().iter().map(|one| one["contact_id"].as_str().unwrap().to_owned()).collect()
}

on_both_databases! {
    async fn a_number_that_is_dropped_goes_to_another_contact_that_has_it(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let (one, two, three) = (contact(&app, &ana, "Um").await, contact(&app, &ana, "Dois").await, contact(&app, &ana, "Três").await);
        assert_eq!(known(&app).await, ["email Um", "phone Um"]);
        let of = |id: &str| format!("/api/contacts/{id}");
        assert_eq!(app.delete(&ana, &of(&two)).await.status, 204);
        let _ = app.patch(&ana, &of(&one), json!({ "phones": [] })).await.is(200);
        assert_eq!(known(&app).await, ["email Um", "phone Três"], "one in the trash gets nothing");
        let _ = app.ask(&ana, &format!("{}/restore", of(&two))).await.is(200);

        app.device(&ana, "100").await;
        app.customer_writes("100", "551187654321", "Olá").await;
        assert_eq!(with(&app, &ana).await, std::slice::from_ref(&three));
        assert_eq!(known(&app).await, ["email Um", "phone Três", "wa_id Três"]);
        let _ = app.patch(&ana, &of(&three), json!({ "phones": [] })).await.is(200);
        assert_eq!(known(&app).await, ["email Um", "phone Dois", "wa_id Dois"]);
        app.device(&ana, "200").await;
        app.customer_writes("200", "551187654321", "Olá").await;
        assert_eq!(with(&app, &ana).await, [two, three]);

        // Deleted for good, it is known by nothing; what it had goes on.
        assert_eq!(app.delete(&ana, &format!("{}?force=true", of(&one))).await.status, 204);
        assert_eq!(known(&app).await, ["email Dois", "phone Dois", "wa_id Dois"]);
        app.finish().await;
    }

    async fn another_spelling_of_a_tag_is_no_change(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let made = app.post(&ana, "/api/contacts", json!({ "first_name": "Bia", "tags": ["Ação", "vip"] })).await.is(201);
        let one = format!("/api/contacts/{}", made.id());
        for tags in [json!(["VIP", "acao"]), json!(["acão", "Vip", "vip"])] {
            let same = app.patch(&ana, &one, json!({ "tags": tags })).await.is(200);
            assert_eq!(same.json, made.json);
        }
        let more = app.patch(&ana, &one, json!({ "tags": ["VIP", "New", "acao"] })).await.is(200).json;
        assert_eq!((&more["tags"], &more["version"]), (&json!(["Ação", "New", "vip"]), &json!(2)));
        let other = app.post(&ana, "/api/contacts", json!({ "first_name": "Leo", "tags": ["NEW"] })).await.is(201);
        assert_eq!(other.json["tags"], json!(["New"]));
        let events = app.get(&ana, &format!("{one}/timeline")).await.is(200).json["data"].as_array().map_or(0, Vec::len);
        assert_eq!(events, 2);
        let tags: Vec<Value> = app.get(&ana, "/api/tags").await.is(200).json["data"].as_array().unwrap().iter().map(|tag| tag["name"].clone()).collect();
        assert_eq!(tags.len(), 3, "{tags:?}");
        app.finish().await;
    }
}
