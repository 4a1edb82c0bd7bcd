//! How often somebody may ask.

use std::time::Duration;

use api::Limits;
use domain::{entities::Role, payloads::SendMail};
use jobs::Bus;
use reqwest::Method;
use serde_json::json;
use tests::{
    app::{Answer, TestApp},
    on_both_databases,
};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::sign_in::{EMAIL, PASSWORD, ana, me, sign_in};

async fn renewals(app: &TestApp, url: &str, from: &str) -> Answer {
    app.send(app.http.post(format!("{url}/api/auth/refresh")).header("x-forwarded-for", from)).await
}

/// A request whose body does not come.
async fn stuck(url: &str) -> TcpStream {
    let mut slow = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    let head = b"POST /api/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n";
    slow.write_all(head).await.unwrap();
    slow
}

on_both_databases! {
    async fn who_asks_too_often_is_told_to_wait(kind: Kind) {
        let mut app = ana(kind).await;
        let bob = app.person("loja", Role::Agent).await;
        let token = sign_in(&app, EMAIL, PASSWORD).await.is(200).json["access_token"].clone();
        let strict = app.process(|parts| parts.limits = Limits { user: 3, token: 2, address: 2, bulk: 1 }).await;
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

    async fn processes_count_together_and_classes_apart(kind: Kind) {
        let mut app = ana(kind).await;
        let token = sign_in(&app, EMAIL, PASSWORD).await.is(200).json["access_token"].clone();
        let bus = Bus::local();
        let limits = Limits { user: 4, bulk: 1, ..Limits::default() };
        let mut urls = Vec::new();
        for _ in 0..2 {
            let shared = bus.clone();
            urls.push(app.process(|parts| (parts.limits, parts.shared) = (limits, shared)).await);
        }
        let (one, other) = (&urls[0], &urls[1]);
        for _ in 0..3 {
            let _ = me(&app, one, &token).await.is(200);
        }
        // The other one has heard of them soon.
        let mut left = String::new();
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let answer = me(&app, other, &token).await;
            left = answer.header("ratelimit-remaining").to_owned();
            if left == "0" {
                break;
            }
        }
        assert_eq!(left, "0");
        me(&app, other, &token).await.fails(429, "too_many_requests");
        let ask = |path: &str| app.http.get(format!("{other}{path}")).bearer_auth(token.as_str().unwrap());
        assert_eq!(app.send(ask("/api/whatsapp/conversations")).await.is(200).header("ratelimit-remaining"), "3");
        let bulk = || app.http.post(format!("{other}/api/contacts/duplicates")).bearer_auth(token.as_str().unwrap());
        let _ = app.send(bulk().json(&json!({ "by": "name" }))).await.is(200);
        app.send(bulk().json(&json!({ "by": "name" }))).await.fails(429, "too_many_requests");
        app.claim::<SendMail>().await;
        app.finish().await;
    }

    async fn when_it_gets_too_much_chats_are_answered_still(kind: Kind) {
        let mut app = ana(kind).await;
        let token = sign_in(&app, EMAIL, PASSWORD).await.is(200).json["access_token"].clone();
        let bob = app.person("loja", Role::Agent).await;
        let small = app.process(|parts| parts.room = 10).await;
        let mut slow = Vec::new();
        let ask = |path: &str, token: &str| app.send(app.http.get(format!("{small}{path}")).bearer_auth(token));
        let (ana, bob) = (token.as_str().unwrap(), bob.token.as_str());
        // Bodies that do not come: first there is no room for programs, then none for people.
        for (busy, waits, answered) in [(7, bob, ana), (9, ana, "")] {
            while slow.len() < busy {
                slow.push(stuck(&small).await);
            }
            let mut refused = ask("/api/me", waits).await;
            for _ in 0..100 {
                if refused.status == 503 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                refused = ask("/api/me", waits).await;
            }
            refused.fails(503, "overloaded");
            assert_eq!(refused.header("retry-after"), "1");
            if !answered.is_empty() {
                let _ = ask("/api/me", answered).await.is(200);
            }
        }
        let _ = ask("/api/whatsapp/conversations", bob).await.is(200);
        let _ = app.send(app.http.get(format!("{small}/api/health/live"))).await.is(200);
        drop(slow);
        let mut again = ask("/api/me", bob).await;
        for _ in 0..100 {
            if again.status == 200 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            again = ask("/api/me", bob).await;
        }
        let _ = again.is(200);
        app.claim::<SendMail>().await;
        app.finish().await;
    }
}
