//! Trying passwords.

use std::time::{Duration, Instant};

use domain::{entities::Role, payloads::SendMail};
use futures::future::join_all;
use reqwest::{Method, header};
use serde_json::json;
use tests::{
    app::{Answer, TestApp},
    on_both_databases,
};

use super::sign_in::{EMAIL, PASSWORD, ana, set_cookie};

const HOME: &str = "198.51.100.7";
const ELSEWHERE: &str = "203.0.113.9";

/// Somebody tries to sign in, from an address that a proxy has seen, with a cookie.
async fn attempt(app: &TestApp, email: &str, password: &str, from: &str, cookie: &str) -> Answer {
    // Whoever asks may write there what they want; the proxy adds whom it heard from.
    let request = app.request(Method::POST, "/api/auth/login").header("x-forwarded-for", format!("192.0.2.1, {from}"));
    app.send(request.header(header::COOKIE, cookie).json(&json!({ "email": email, "password": password }))).await
}

/// The cookie that a browser is known by.
fn device(answer: &Answer) -> String {
    set_cookie(answer, "somo_device").split(';').next().unwrap().to_owned()
}

async fn an_hour_passes(app: &TestApp) {
    app.execute("update sign_in_failures set failed_at = '2020-01-01T00:00:00+00:00'").await;
}

on_both_databases! {
    async fn guessing_a_password_is_slow_and_its_owner_gets_in(kind: Kind) {
        let app = ana(kind).await;
        let known = device(&attempt(&app, EMAIL, PASSWORD, HOME, "").await.is(200));
        for _ in 0..5 {
            attempt(&app, EMAIL, "a guess", ELSEWHERE, "").await.fails(401, "invalid_credentials");
        }
        let slowed = attempt(&app, EMAIL, "a guess", ELSEWHERE, "").await;
        slowed.fails(429, "too_many_requests");
        assert_eq!(slowed.header("retry-after"), "1");
        // Even if it were the right one.
        app.execute("update sign_in_failures set failures = 60").await;
        attempt(&app, EMAIL, PASSWORD, ELSEWHERE, "").await.fails(429, "too_many_requests");
        // From home, and from the same office with a browser that is known.
        let _ = attempt(&app, EMAIL, PASSWORD, HOME, "").await.is(200);
        let again = attempt(&app, EMAIL, PASSWORD, ELSEWHERE, &known).await.is(200);
        assert_eq!(device(&again), known, "it stays known by the same cookie");
        // A cookie that somebody made up is none.
        attempt(&app, EMAIL, PASSWORD, ELSEWHERE, "somo_device=somo_device_made-up").await.fails(429, "too_many_requests");
        // One that is known guesses no more often.
        for _ in 0..5 {
            attempt(&app, EMAIL, "a guess", ELSEWHERE, &known).await.fails(401, "invalid_credentials");
        }
        attempt(&app, EMAIL, "a guess", ELSEWHERE, &known).await.fails(429, "too_many_requests");
        an_hour_passes(&app).await;
        let _ = attempt(&app, EMAIL, PASSWORD, ELSEWHERE, &known).await.is(200);
        // A success begins anew.
        for _ in 0..4 {
            attempt(&app, EMAIL, "a guess", ELSEWHERE, &known).await.fails(401, "invalid_credentials");
        }
        // One mail for home; the known browser is no new place, wherever it is.
        app.claim::<SendMail>().await;
        app.finish().await;
    }

    async fn what_is_nobodys_account_is_slowed_down_as_well(kind: Kind) {
        let app = ana(kind).await;
        for _ in 0..5 {
            attempt(&app, "nobody@example.com", PASSWORD, ELSEWHERE, "").await.fails(401, "invalid_credentials");
        }
        attempt(&app, "nobody@example.com", PASSWORD, ELSEWHERE, "").await.fails(429, "too_many_requests");
        // Others are not.
        let _ = attempt(&app, EMAIL, PASSWORD, ELSEWHERE, "").await.is(200);
        app.claim::<SendMail>().await;
        app.finish().await;
    }

    async fn an_address_that_tries_many_accounts_is_slowed_down(kind: Kind) {
        let app = ana(kind).await;
        for account in 0..50 {
            attempt(&app, &format!("a{account}@example.com"), PASSWORD, ELSEWHERE, "").await.fails(401, "invalid_credentials");
        }
        attempt(&app, "another@example.com", PASSWORD, ELSEWHERE, "").await.fails(429, "too_many_requests");
        let _ = attempt(&app, EMAIL, PASSWORD, HOME, "").await.is(200);
        app.claim::<SendMail>().await;
        app.finish().await;
    }

    async fn a_flood_of_sign_ins_leaves_others_served(kind: Kind) {
        let app = ana(kind).await;
        let bob = app.person("loja", Role::Agent).await;
        let flood = join_all((0..100).map(|n| {
            let (email, from) = (format!("a{n}@example.com"), format!("203.0.113.{n}"));
            let app = &app;
            async move { attempt(app, &email, PASSWORD, &from, "").await }
        }));
        let others = async {
            let mut slowest = Duration::ZERO;
            for _ in 0..50 {
                let began = Instant::now();
                let _ = app.get(&bob, "/api/me").await.is(200);
                slowest = slowest.max(began.elapsed());
            }
            slowest
        };
        let (answers, slowest) = tokio::join!(flood, others);
        assert!(slowest < Duration::from_secs(2), "{slowest:?}");
        let refused = answers.iter().filter(|answer| answer.status == 429).count();
        assert!(answers.iter().all(|answer| [401, 429].contains(&answer.status)));
        assert!(refused > 0, "more than a few are told to come back");
        assert!(answers.iter().filter(|answer| answer.status == 429).all(|answer| !answer.header("retry-after").is_empty()));
        app.finish().await;
    }
}
