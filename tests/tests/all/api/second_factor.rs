//! Signing in with a second factor.

use chrono::Utc;
use data_encoding::BASE32_NOPAD as BASE32;
use domain::{auth::totp, entities::Role, payloads::SendMail};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    app::{Answer, Person, TestApp},
    on_both_databases,
};

use super::sign_in::{EMAIL, PASSWORD, ana, sign_in};

const TOTP: &str = "/api/auth/totp";

/// What an authenticator shows, some steps from now.
fn shown(secret: &str, ahead: i64) -> String {
    totp::code(&BASE32.decode(secret.as_bytes()).unwrap(), Utc::now().timestamp() / totp::PERIOD + ahead)
}

/// A code that is none of now.
fn wrong(secret: &str) -> String {
    shown(secret, 100)
}

async fn with_code(app: &TestApp, code: &str) -> Answer {
    let body = json!({ "email": EMAIL, "password": PASSWORD, "totp": code });
    app.send(app.request(Method::POST, "/api/auth/login").json(&body)).await
}

/// Somebody with an authenticator that was confirmed with the code of now: their access token, its secret, the recovery codes.
async fn enrolled(app: &TestApp) -> (Person, String, Vec<String>) {
    let ana = app.person("loja", Role::Agent).await; // for the shape of it
    let signed_in = sign_in(app, EMAIL, PASSWORD).await.is(200);
    let ana = Person { token: signed_in.json["access_token"].as_str().unwrap().into(), ..ana };
    let secret = app.post(&ana, TOTP, json!({ "password": PASSWORD })).await.is(200).json["secret"].as_str().unwrap().to_owned();
    let confirmed = app.post(&ana, &format!("{TOTP}/confirm"), json!({ "code": shown(&secret, 0) })).await.is(200);
    (ana, secret, codes(&confirmed))
}

fn codes(answer: &Answer) -> Vec<String> {
    let codes: Vec<_> = answer.json["recovery_codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect();
    assert_eq!(codes.len(), 10);
    codes
}

on_both_databases! {
    async fn an_authenticator_is_asked_for_once_it_is_confirmed(kind: Kind) {
        let app = ana(kind).await;
        let bob = app.person("loja", Role::Agent).await;
        let signed_in = sign_in(&app, EMAIL, PASSWORD).await.is(200);
        let ana = Person { token: signed_in.json["access_token"].as_str().unwrap().into(), ..bob.clone() };
        assert_eq!(app.get(&ana, TOTP).await.is(200).json, json!({ "enabled": false, "recovery_codes": 0 }));
        app.post(&ana, &format!("{TOTP}/confirm"), json!({ "code": "123456" })).await.fails(409, "totp_not_begun");
        app.post(&ana, TOTP, json!({ "password": "a guess" })).await.faults(&[("/password", "wrong")]);
        // Begun twice: the second one counts.
        let first = app.post(&ana, TOTP, json!({ "password": PASSWORD })).await.is(200).json;
        let begun = app.post(&ana, TOTP, json!({ "password": PASSWORD })).await.is(200).json;
        let secret = begun["secret"].as_str().unwrap();
        assert_ne!(first["secret"], begun["secret"]);
        let uri = begun["uri"].as_str().unwrap();
        assert!(uri.starts_with("otpauth://totp/SOMO:ana%40example.com?") && uri.contains(secret), "{uri}");
        let _ = sign_in(&app, EMAIL, PASSWORD).await.is(200);
        app.post(&ana, &format!("{TOTP}/confirm"), json!({ "code": wrong(secret) })).await.faults(&[("/code", "wrong")]);
        let code = shown(secret, 0);
        let confirmed = app.post(&ana, &format!("{TOTP}/confirm"), json!({ "code": code })).await.is(200);
        assert_eq!(codes(&confirmed).len(), 10);
        let state = app.get(&ana, TOTP).await.is(200).json;
        assert_eq!((&state["enabled"], &state["recovery_codes"]), (&json!(true), &json!(10)));
        app.post(&ana, TOTP, json!({ "password": PASSWORD })).await.fails(409, "totp_enabled");

        sign_in(&app, EMAIL, PASSWORD).await.fails(401, "totp_required");
        sign_in(&app, EMAIL, "a guess").await.fails(401, "invalid_credentials");
        with_code(&app, "").await.fails(401, "totp_required");
        with_code(&app, &wrong(secret)).await.fails(401, "invalid_totp");
        // Each code is good once, the one that confirmed it too.
        with_code(&app, &code).await.fails(401, "invalid_totp");
        let next = shown(secret, 1);
        let _ = with_code(&app, &format!("{} {}", &next[..3], &next[3..])).await.is(200);
        with_code(&app, &next).await.fails(401, "invalid_totp");
        // It is nobody else's.
        assert_eq!(app.get(&bob, TOTP).await.is(200).json["enabled"], json!(false));
        app.claim_all::<SendMail>().await;
        app.finish().await;
    }

    async fn of_two_who_send_one_code_at_once_one_gets_in(kind: Kind) {
        let app = ana(kind).await;
        let (_, secret, recovery) = enrolled(&app).await;
        for code in [shown(&secret, 1), recovery[0].clone()] {
            let (a, b) = tokio::join!(with_code(&app, &code), with_code(&app, &code));
            let mut statuses = [a.status, b.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 401]);
        }
        app.claim_all::<SendMail>().await;
        app.finish().await;
    }

    async fn recovery_codes_stand_in_once_each(kind: Kind) {
        let app = ana(kind).await;
        let (ana, _, recovery) = enrolled(&app).await;
        let _ = with_code(&app, &recovery[0].to_uppercase().replace('-', " ")).await.is(200);
        with_code(&app, &recovery[0]).await.fails(401, "invalid_totp");
        let _ = with_code(&app, &recovery[1]).await.is(200);
        assert_eq!(app.get(&ana, TOTP).await.is(200).json["recovery_codes"], json!(8));
        let renew = format!("{TOTP}/recovery-codes");
        app.post(&ana, &renew, json!({ "password": "a guess" })).await.faults(&[("/password", "wrong")]);
        let renewed = codes(&app.post(&ana, &renew, json!({ "password": PASSWORD })).await.is(200));
        with_code(&app, &recovery[2]).await.fails(401, "invalid_totp");
        let _ = with_code(&app, &renewed[2]).await.is(200);

        let disable = format!("{TOTP}/disable");
        app.post(&ana, &disable, json!({ "password": "a guess" })).await.faults(&[("/password", "wrong")]);
        let _ = app.post(&ana, &disable, json!({ "password": PASSWORD })).await.is(204);
        let _ = app.post(&ana, &disable, json!({ "password": PASSWORD })).await.is(204);
        assert_eq!(app.get(&ana, TOTP).await.is(200).json, json!({ "enabled": false, "recovery_codes": 0 }));
        app.post(&ana, &renew, json!({ "password": PASSWORD })).await.fails(409, "totp_not_enabled");
        let _ = sign_in(&app, EMAIL, PASSWORD).await.is(200);
        app.claim_all::<SendMail>().await;
        app.finish().await;
    }

    async fn guessing_codes_is_slow_and_the_owner_gets_in(kind: Kind) {
        let app = ana(kind).await;
        let (_, secret, recovery) = enrolled(&app).await;
        for _ in 0..5 {
            with_code(&app, &wrong(&secret)).await.fails(401, "invalid_totp");
        }
        let slowed = with_code(&app, &shown(&secret, 1)).await;
        slowed.fails(429, "too_many_requests");
        assert!((1..=31).contains(&slowed.header("retry-after").parse::<u64>().unwrap()));
        let _ = with_code(&app, &recovery[0]).await.is(200);
        app.execute("update second_factors set failed_at = '2020-01-01T00:00:00+00:00'").await;
        let _ = with_code(&app, &shown(&secret, 1)).await.is(200);
        with_code(&app, &wrong(&secret)).await.fails(401, "invalid_totp");
        app.claim_all::<SendMail>().await;
        app.finish().await;
    }

    async fn an_admin_helps_who_has_lost_it(kind: Kind) {
        let app = ana(kind).await;
        let (ana, ..) = enrolled(&app).await;
        let (boss, eva, bob) =
            (app.person("loja", Role::Admin).await, app.person("outra", Role::Admin).await, app.person("loja", Role::Agent).await);
        let me = app.get(&ana, "/api/me").await.is(200).json;
        let path = format!("/api/users/{}/totp", me["user"]["id"].as_str().unwrap());
        app.delete(&bob, &path).await.fails(403, "forbidden");
        app.delete(&eva, &path).await.fails(404, "not_found");
        sign_in(&app, EMAIL, PASSWORD).await.fails(401, "totp_required");
        let _ = app.delete(&boss, &path).await.is(204);
        let _ = sign_in(&app, EMAIL, PASSWORD).await.is(200);
        let _ = app.delete(&boss, &path).await.is(204);
        app.claim_all::<SendMail>().await;
        app.finish().await;
    }

    async fn no_secret_is_kept_for_a_repeated_request(kind: Kind) {
        let app = ana(kind).await;
        let signed_in = sign_in(&app, EMAIL, PASSWORD).await.is(200);
        let begin = async || {
            let request = app.request(Method::POST, TOTP).bearer_auth(signed_in.json["access_token"].as_str().unwrap());
            app.send(request.header("idempotency-key", "once").json(&json!({ "password": PASSWORD }))).await.is(200)
        };
        let (first, second) = (begin().await, begin().await);
        assert_ne!(first.json["secret"], second.json["secret"]);
        let document: Value = api::document();
        assert!(document["paths"]["/api/auth/totp"]["post"]["parameters"].is_null());
        app.claim::<SendMail>().await;
        app.finish().await;
    }
}
