//! How often somebody may ask.

use api::Limits;
use domain::{entities::Role, payloads::SendMail};
use reqwest::Method;
use serde_json::json;
use tests::{
    app::{Answer, TestApp},
    on_both_databases,
};

use super::sign_in::{EMAIL, PASSWORD, ana, me, sign_in};

async fn renewals(app: &TestApp, url: &str, from: &str) -> Answer {
    app.send(app.http.post(format!("{url}/api/auth/refresh")).header("x-forwarded-for", from)).await
}

on_both_databases! {
    async fn who_asks_too_often_is_told_to_wait(kind: Kind) {
        let mut app = ana(kind).await;
        let bob = app.person("loja", Role::Agent).await;
        let token = sign_in(&app, EMAIL, PASSWORD).await.is(200).json["access_token"].clone();
        let strict = app.process(|parts| parts.limits = Limits { user: 3, token: 2, address: 2 }).await;
        for left in ["2", "1", "0"] {
            let answer = me(&app, &strict, &token).await.is(200);
            assert_eq!((answer.header("ratelimit-limit"), answer.header("ratelimit-remaining")), ("3", left));
            assert!((1..=60).contains(&answer.header("ratelimit-reset").parse::<u64>().unwrap()));
        }
        let refused = me(&app, &strict, &token).await;
        refused.fails(429, "too_many_requests");
        assert_eq!(refused.header("ratelimit-remaining"), "0");
        assert!((1..=20).contains(&refused.header("retry-after").parse::<u64>().unwrap()));

        // Programs are counted by their tokens.
        let other = app.token(&bob.email, &["*"]).await;
        for token in [&bob.token, &other] {
            for _ in 0..2 {
                let _ = me(&app, &strict, &json!(token)).await.is(200);
            }
            me(&app, &strict, &json!(token)).await.fails(429, "too_many_requests");
        }

        // Who is nobody yet, by where they are; a token that is none makes them nobody.
        for _ in 0..2 {
            renewals(&app, &strict, "203.0.113.9").await.fails(401, "no_refresh_cookie");
        }
        renewals(&app, &strict, "203.0.113.9").await.fails(429, "too_many_requests");
        renewals(&app, &strict, "203.0.113.10").await.fails(401, "no_refresh_cookie");
        let made_up = app.http.get(format!("{strict}/api/me")).bearer_auth("somo_pat_made-up").header("x-forwarded-for", "203.0.113.9");
        app.send(made_up).await.fails(429, "too_many_requests");

        // Whoever watches the installation may always ask, and without limits nobody is counted.
        for _ in 0..5 {
            let watched = app.http.get(format!("{strict}/api/health/live")).header("x-forwarded-for", "203.0.113.9");
            assert_eq!(app.send(watched).await.is(200).header("ratelimit-limit"), "");
        }
        let answer = app.send(app.request(Method::GET, "/api/me").bearer_auth(&bob.token)).await.is(200);
        assert_eq!(answer.header("ratelimit-limit"), "");
        app.claim::<SendMail>().await;
        app.finish().await;
    }
}
