//! Whether it works, and its figures.

use domain::entities::Role;
use jobs::Transport;
use reqwest::Method;
use serde_json::json;
use tests::{
    app::{TestApp, app, app_with},
    on_both_databases,
};

async fn get(app: &TestApp, path: &str) -> tests::app::Answer {
    app.send(app.request(Method::GET, path)).await
}

on_both_databases! {
    async fn a_healthy_process_says_so(kind: Kind) {
        let app = app(kind).await;
        assert_eq!(get(&app, "/api/health/live").await.is(200).json["status"], "ok");
        let ready = get(&app, "/api/health/ready").await.is(200).json;
        assert_eq!(ready["status"], "ok");
        let database = if app.database.db.is_sqlite() { "sqlite" } else { "postgres" };
        let checks = json!([{ "name": "database", "status": "ok", "kind": database }, { "name": "delivery", "status": "ok", "kind": "local" }]);
        assert_eq!(ready["checks"], checks);
        app.finish().await;
    }

    async fn without_redis_it_lives_and_is_not_ready(kind: Kind) {
        let app = app_with(kind, Transport::redis("redis://127.0.0.1:1", "somo").unwrap()).await;
        let _ = get(&app, "/api/health/live").await.is(200);
        let ready = get(&app, "/api/health/ready").await.is(503).json;
        assert_eq!((&ready["status"], &ready["checks"][0]["status"], &ready["checks"][1]["status"]), (&json!("failing"), &json!("ok"), &json!("failing")));
        // Work is taken all the same.
        let ana = app.person("loja", Role::Admin).await;
        app.device(&ana, "100").await;
        app.finish().await;
    }

    async fn figures_are_what_prometheus_reads(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let _ = app.get(&ana, "/api/me").await.is(200);
        let _ = app.send(app.request(Method::from_bytes(b"SING").unwrap(), "/api/me")).await;
        let figures = get(&app, "/metrics").await.is(200);
        assert!(figures.header("content-type").starts_with("text/plain"));
        let mut seen = Vec::new();
        for line in figures.text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let (name, labels) = name.split_once('{').unwrap_or((name, "}"));
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{line}");
            assert!(labels.ends_with('}') && labels.matches('"').count() % 2 == 0, "{line}");
            seen.push(name);
        }
        for name in ["somo_http_requests_total", "somo_http_request_seconds_bucket", "somo_jobs_pending", "somo_jobs_oldest_seconds"] {
            assert!(seen.contains(&name), "{name} in {seen:?}");
        }
        assert!(!figures.text.contains("SING"), "whoever invents methods makes no figures");
        app.finish().await;
    }

    async fn the_document_is_published(kind: Kind) {
        let app = app(kind).await;
        let document = get(&app, "/api/openapi.json").await.is(200).json;
        assert_eq!(document["openapi"], "3.1.0");
        let yaml = get(&app, "/api/openapi.yaml").await.is(200);
        assert!(yaml.text.contains("openapi: 3.1.0"));
        let docs = get(&app, "/docs").await.is(200);
        assert!(docs.text.contains("SwaggerUIBundle") && docs.text.contains("\"openapi\":\"3.1.0\""));
        for page in ["/reset-password", "/invitation"] {
            assert!(get(&app, page).await.is(200).text.contains("/api/auth/invitations/accept"));
        }
        assert_eq!(get(&app, "/").await.is(302).header("location"), "/docs");
        app.finish().await;
    }
}
