//! What a company sets.

use domain::entities::Role;
use reqwest::Method;
use serde_json::json;
use tests::{app::app, on_both_databases};

on_both_databases! {
    async fn admins_set_what_everybody_reads(kind: Kind) {
        let app = app(kind).await;
        let (ana, vera, rui) = (app.person("loja", Role::Admin).await, app.person("loja", Role::Viewer).await, app.person("loja", Role::Member).await);
        let eva = app.person("outra", Role::Admin).await;
        let read = app.get(&rui, "/api/settings").await.is(200);
        assert_eq!(read.json, json!({
            "name": "loja", "locale": "pt-BR", "time_zone": "America/Sao_Paulo", "currency": "BRL", "week_start": "monday",
            "date_format": "DD/MM/YYYY", "time_format": "24h", "version": 1,
        }));
        assert_eq!(read.header("etag"), "\"1\"");

        let change = json!({ "name": "Loja Azul", "currency": "eur", "time_zone": "Europe/Lisbon", "week_start": "sunday" });
        let saved = app.patch(&ana, "/api/settings", change).await.is(200);
        assert_eq!((&saved.json["name"], &saved.json["currency"], &saved.json["locale"], saved.header("etag")), (&json!("Loja Azul"), &json!("EUR"), &json!("pt-BR"), "\"2\""));
        assert_eq!(app.get(&vera, "/api/settings").await.is(200).json, saved.json);
        assert_eq!(app.patch(&ana, "/api/settings", json!({ "currency": "EUR" })).await.is(200).header("etag"), "\"2\"", "a change of nothing is none");
        let events = app.get(&ana, "/api/audit?topic=tenants&action=updated").await.is(200).json;
        assert_eq!(events["data"].as_array().unwrap().len(), 1);
        assert_eq!(events["data"][0]["data"]["changes"]["currency"], json!({ "from": "BRL", "to": "EUR" }));
        assert_eq!(events["data"][0]["subject_id"], json!(ana.tenant));

        // Nobody overwrites what they have not seen.
        let stale = app.request(Method::PATCH, "/api/settings").bearer_auth(&ana.token).header("if-match", "\"1\"").json(&json!({ "name": "x" }));
        app.send(stale).await.fails(412, "changed");
        let fresh = app.request(Method::PATCH, "/api/settings").bearer_auth(&ana.token).header("if-match", "\"2\"").json(&json!({ "time_format": "12h" }));
        assert_eq!(app.send(fresh).await.is(200).json["version"], 3);

        app.patch(&vera, "/api/settings", json!({ "name": "x" })).await.fails(403, "forbidden");
        app.patch(&rui, "/api/settings", json!({ "name": "x" })).await.fails(403, "forbidden");
        app.patch(&ana, "/api/settings", json!({ "nonsense": 1, "version": 9 })).await.faults(&[("/nonsense", "unknown_field"), ("/version", "unknown_field")]);
        app.patch(&ana, "/api/settings", json!({ "name": null })).await.faults(&[("/name", "required")]);
        app.patch(&ana, "/api/settings", json!({ "time_zone": "Mars/Olympus" })).await.faults(&[("/time_zone", "invalid")]);
        app.patch(&ana, "/api/settings", json!({ "locale": "xx" })).await.faults(&[("/locale", "invalid")]);
        assert_eq!(app.get(&eva, "/api/settings").await.is(200).json["name"], "outra");
        assert_eq!(app.get(&ana, "/api/settings").await.is(200).json["version"], 3);
        app.finish().await;
    }

    async fn deals_and_products_count_in_the_companys_currency(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let product = app.post(&ana, "/api/products", json!({ "name": "Cadeira" })).await.is(201);
        assert_eq!(product.json["currency"], "BRL");
        let _ = app.patch(&ana, "/api/settings", json!({ "currency": "USD" })).await.is(200);
        assert_eq!(app.post(&ana, "/api/products", json!({ "name": "Mesa" })).await.is(201).json["currency"], "USD");
        assert_eq!(app.post(&ana, "/api/products", json!({ "name": "Banco", "currency": "EUR" })).await.is(201).json["currency"], "EUR");
        let pipeline = app.post(&ana, "/api/pipelines", json!({ "name": "Vendas" })).await.is(201).id();
        let _ = app.post(&ana, "/api/stages", json!({ "name": "Lead", "pipeline_id": pipeline, "position": 0, "probability": 10 })).await.is(201);
        let deal = app.post(&ana, "/api/deals", json!({ "name": "120 cadeiras" })).await.is(201);
        assert_eq!(deal.json["currency"], "USD");
        app.patch(&ana, &format!("/api/deals/{}", deal.id()), json!({ "currency": null })).await.faults(&[("/currency", "required")]);
        assert_eq!(app.get(&ana, &format!("/api/products/{}", product.id())).await.json["currency"], "BRL", "what is written stays");
        app.finish().await;
    }
}
