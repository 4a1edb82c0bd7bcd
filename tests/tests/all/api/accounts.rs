//! What people change of their own account, and what they do when they forgot their password.

use domain::{
    auth::recovery,
    entities::{PasswordResetId, Role, TenantId},
    payloads::SendMail,
};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    app::{Answer, Person, TestApp, app},
    on_both_databases,
};

use super::sign_in::{EMAIL, PASSWORD, ana, cookie, sign_in, with_cookie};

const NEW: &str = "another horse";

/// `POST` by nobody in particular.
pub(super) async fn post(app: &TestApp, path: &str, body: Value) -> Answer {
    app.send(app.request(Method::POST, path).json(&body)).await
}

async fn forgotten(app: &TestApp, email: &str) -> Answer {
    post(app, "/api/auth/password/forgotten", json!({ "email": email })).await
}

async fn reset(app: &TestApp, token: &str, password: &str) -> Answer {
    post(app, "/api/auth/password/reset", json!({ "token": token, "password": password })).await
}

/// The token of a link that was asked for, as its mail has it.
async fn mailed(app: &TestApp) -> Option<String> {
    let job = app.claim::<SendMail>().await;
    assert_eq!(job.payload["notice"]["about"], json!("password_reset"), "{}", job.payload);
    assert!(!job.payload.to_string().contains("somo_reset_"), "no job has the token");
    let id: PasswordResetId = serde_json::from_value(job.payload["notice"]["reset_id"].clone()).unwrap();
    recovery::token(&app.ledger, TenantId(job.tenant_id), id).await.unwrap()
}

on_both_databases! {
    async fn everybody_changes_what_is_their_own(kind: Kind) {
        let app = app(kind).await;
        let rui = app.person("loja", Role::Member).await;
        let change = json!({ "name": "Rui Lima", "locale": "en", "time_zone": "Europe/Lisbon" });
        let changed = app.patch(&rui, "/api/me", change).await.is(200).json;
        let user = &changed["user"];
        assert_eq!((&user["name"], &user["locale"], &user["time_zone"]), (&json!("Rui Lima"), &json!("en"), &json!("Europe/Lisbon")));
        assert_eq!(app.get(&rui, "/api/me").await.is(200).json, changed);
        let changed = app.patch(&rui, "/api/me", json!({ "locale": null })).await.is(200).json;
        assert_eq!((&changed["user"]["name"], &changed["user"]["locale"]), (&json!("Rui Lima"), &Value::Null));
        assert_eq!(changed["user"]["time_zone"], json!("Europe/Lisbon"));
        let _ = app.patch(&rui, "/api/me", json!({})).await.is(200);
        app.patch(&rui, "/api/me", json!({ "locale": "tlh" })).await.faults(&[("/locale", "invalid")]);
        app.patch(&rui, "/api/me", json!({ "time_zone": "Mars/Olympus" })).await.faults(&[("/time_zone", "invalid")]);
        for other in ["role", "email", "disabled_at", "password_hash"] {
            app.patch(&rui, "/api/me", json!({ other: "admin" })).await.fails(422, "invalid");
        }
        let reader = Person { token: app.token(&rui.email, &["contacts:view"]).await, ..rui.clone() };
        app.patch(&reader, "/api/me", json!({ "name": "X" })).await.fails(403, "forbidden");
        app.finish().await;
    }

    async fn another_password_ends_the_other_sessions(kind: Kind) {
        let app = ana(kind).await;
        let shape = app.person("loja", Role::Agent).await;
        let (here, there) = (sign_in(&app, EMAIL, PASSWORD).await.is(200), sign_in(&app, EMAIL, PASSWORD).await.is(200));
        let own = Person { token: here.json["access_token"].as_str().unwrap().into(), ..shape };
        let change = async |current: &str, new: &str| app.post(&own, "/api/me/password", json!({ "current_password": current, "password": new })).await;
        change("a guess", NEW).await.faults(&[("/current_password", "wrong")]);
        change(PASSWORD, "short").await.faults(&[("/password", "invalid")]);
        app.claim_all::<SendMail>().await;
        let _ = change(PASSWORD, NEW).await.is(204);
        assert_eq!(app.claim::<SendMail>().await.payload["notice"]["about"], json!("password_changed"));
        let _ = app.get(&own, "/api/me").await.is(200);
        let _ = with_cookie(&app, "/api/auth/refresh", &cookie(&here)).await.is(200);
        with_cookie(&app, "/api/auth/refresh", &cookie(&there)).await.fails(401, "invalid_refresh_token");
        sign_in(&app, EMAIL, PASSWORD).await.fails(401, "invalid_credentials");
        let _ = sign_in(&app, EMAIL, NEW).await.is(200);
        app.finish().await;
    }

    async fn who_forgot_their_password_chooses_another_one(kind: Kind) {
        let app = ana(kind).await;
        let signed_in = sign_in(&app, EMAIL, PASSWORD).await.is(200);
        app.claim::<SendMail>().await;
        // Nobody learns who has an account.
        let (known, unknown) = (forgotten(&app, " Ana@Example.com").await.is(202), forgotten(&app, "bob@example.com").await.is(202));
        assert_eq!(known.text, unknown.text);
        let _ = forgotten(&app, EMAIL).await.is(202); // at once again: no other mail
        let token = mailed(&app).await.unwrap();

        reset(&app, "somo_reset_made-up", NEW).await.faults(&[("/token", "invalid")]);
        reset(&app, &token, "short").await.faults(&[("/password", "invalid")]);
        let (a, b) = tokio::join!(reset(&app, &token, NEW), reset(&app, &token, NEW));
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 422], "a link is good once");
        assert_eq!(app.claim::<SendMail>().await.payload["notice"]["about"], json!("password_changed"));
        with_cookie(&app, "/api/auth/refresh", &cookie(&signed_in)).await.fails(401, "invalid_refresh_token");
        sign_in(&app, EMAIL, PASSWORD).await.fails(401, "invalid_credentials");
        let _ = sign_in(&app, EMAIL, NEW).await.is(200);
        app.finish().await;
    }

    async fn a_link_is_good_for_an_hour_and_the_newest_only(kind: Kind) {
        let app = ana(kind).await;
        let _ = forgotten(&app, EMAIL).await.is(202);
        let job = app.claim::<SendMail>().await;
        let id: PasswordResetId = serde_json::from_value(job.payload["notice"]["reset_id"].clone()).unwrap();
        let token = async || recovery::token(&app.ledger, TenantId(job.tenant_id), id).await.unwrap();
        // A mail that went out twice after a crash.
        let (first, second) = (token().await.unwrap(), token().await.unwrap());
        reset(&app, &first, NEW).await.faults(&[("/token", "invalid")]);
        app.execute("update password_resets set expires_at = '2020-01-01T00:00:00+00:00'").await;
        reset(&app, &second, NEW).await.faults(&[("/token", "invalid")]);
        assert_eq!(token().await, None);
        // Somebody who may not sign in any more gets nothing.
        app.execute("update password_resets set created_at = '2020-01-01T00:00:00+00:00'").await;
        let _ = forgotten(&app, EMAIL).await.is(202);
        let token = mailed(&app).await.unwrap();
        app.execute("update users set disabled_at = '2020-01-01T00:00:00+00:00'").await;
        reset(&app, &token, NEW).await.faults(&[("/token", "invalid")]);
        app.execute("update password_resets set created_at = '2020-01-01T00:00:00+00:00'").await;
        let _ = forgotten(&app, EMAIL).await.is(202);
        app.finish().await;
    }
}
