//! Brands: one is the default, whatever happens.

use domain::entities::Role;
use serde_json::{Value, json};
use tests::{
    app::{Person, TestApp, app},
    on_both_databases,
};

async fn made(app: &TestApp, ana: &Person, body: Value) -> String {
    app.post(ana, "/api/brands", body).await.is(201).id()
}

/// The names of those that say they are the default.
async fn defaults(app: &TestApp, ana: &Person) -> Vec<Value> {
    let all = app.get(ana, "/api/brands").await.is(200).json;
    let brands = all["data"].as_array().unwrap().iter().filter(|brand| brand["is_default"] == true);
    brands.map(|brand| brand["name"].clone()).collect()
}

on_both_databases! {
    async fn one_brand_is_the_default(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let eva = app.person("outra", Role::Admin).await;
        let blue = made(&app, &ana, json!({ "name": "Azul" })).await;
        assert_eq!(defaults(&app, &ana).await, ["Azul"], "the first one");
        let red = made(&app, &ana, json!({ "name": "Vermelha" })).await;
        assert_eq!(defaults(&app, &ana).await, ["Azul"]);
        let green = made(&app, &ana, json!({ "name": "Verde", "is_default": true })).await;
        assert_eq!(defaults(&app, &ana).await, ["Verde"]);

        let of = |id: &str| format!("/api/brands/{id}");
        app.patch(&ana, &of(&green), json!({ "is_default": false })).await.faults(&[("/is_default", "invalid")]);
        app.delete(&ana, &of(&green)).await.fails(409, "default_brand");
        app.delete(&ana, &format!("{}?force=true", of(&green))).await.fails(409, "default_brand");
        let _ = app.patch(&ana, &of(&red), json!({ "is_default": true })).await.is(200);
        assert_eq!(defaults(&app, &ana).await, ["Vermelha"]);
        assert_eq!(app.get(&ana, &format!("{}/timeline", of(&green))).await.json["data"][0]["data"]["changes"], json!({ "is_default": { "from": true, "to": false } }));

        // What was deleted comes back as one of many.
        assert_eq!(app.delete(&ana, &of(&green)).await.status, 204);
        assert_eq!(app.ask(&ana, &format!("{}/restore", of(&green))).await.is(200).json["is_default"], false);
        assert_eq!(app.delete(&ana, &of(&blue)).await.status, 204);
        assert_eq!(defaults(&app, &eva).await, [] as [Value; 0]);
        made(&app, &eva, json!({ "name": "Azul" })).await;
        assert_eq!((defaults(&app, &eva).await, defaults(&app, &ana).await), (vec![json!("Azul")], vec![json!("Vermelha")]));
        app.finish().await;
    }

    async fn texts_have_their_places(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let texts = json!({ "pt-BR": { "mail_header": "Olá", "pdf_footer": "Página\nda loja" }, "en": {} });
        let brand = app.post(&ana, "/api/brands", json!({ "name": "Azul", "texts": texts })).await.is(201);
        assert_eq!(brand.json["texts"], texts);
        let wrong = json!({ "name": "Verde", "texts": { "xx": {}, "en": { "mail_header": 1, "door": "x" }, "fr": "x", "de": { "pdf_header": "" } } });
        let refused = app.post(&ana, "/api/brands", wrong).await;
        refused.fails(422, "invalid");
        let mut faults: Vec<_> = refused.json["errors"].as_array().unwrap().iter().map(|one| format!("{} {}", one["pointer"].as_str().unwrap(), one["code"].as_str().unwrap())).collect();
        faults.sort_unstable();
        assert_eq!(faults, ["/texts/de/pdf_header too_short", "/texts/en/door unknown_field", "/texts/en/mail_header wrong_type", "/texts/fr wrong_type", "/texts/xx unknown_field"]);
        app.finish().await;
    }

    async fn two_that_become_the_default_at_once_are_one(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let mut brands = Vec::new();
        for name in ["a", "b", "c", "d", "e"] {
            brands.push(format!("/api/brands/{}", made(&app, &ana, json!({ "name": name })).await));
        }
        for _ in 0..5 {
            let answers = futures::future::join_all(brands.iter().map(|path| app.patch(&ana, path, json!({ "is_default": true })))).await;
            assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
            assert_eq!(defaults(&app, &ana).await.len(), 1);
        }
        app.finish().await;
    }
}
