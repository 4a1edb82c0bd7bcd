//! Who comes in, and when they have to go.

use chrono::Utc;
use domain::{
    entities::{Role, SessionId, TenantId, UserId},
    payloads::SendMail,
};
use hmac::{Hmac, Mac};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use tests::{app::app, listener::Listener, on_both_databases};

use super::{
    super::sign_in::{EMAIL, PASSWORD, ana, sign_in},
    Placer, contact,
};

/// What ends a connection: the last frame, and the code.
async fn end(listener: &mut Listener) -> (Value, Value) {
    let closing = listener.until("closing").await;
    (closing["reason"].clone(), listener.next().await["code"].clone())
}

/// An access token like the API's own, that is good for so many seconds.
fn access(token: &str, seconds: i64) -> String {
    let claims = jsonwebtoken::dangerous::insecure_decode::<Claims>(token).unwrap().claims;
    let mut key = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
    key.update(b"somo access token");
    let key = key.finalize().into_bytes();
    let header = Header { kid: Some(hex::encode(&key[..4])), ..Header::new(Algorithm::HS256) };
    let claims = Claims { exp: Utc::now().timestamp() + seconds, ..claims };
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&key)).unwrap()
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Claims {
    sub: UserId,
    tid: TenantId,
    sid: SessionId,
    iat: i64,
    exp: i64,
}

on_both_databases! {
    async fn the_first_frame_says_who_somebody_is(kind: Kind) {
        let app = app(kind).await;
        for first in [json!({ "type": "auth", "token": "somo_pat_made_up" }), json!({ "type": "subscribe", "topics": ["contacts"] }), json!("hello")] {
            let mut listener = Listener::connect(&app.url).await;
            listener.say(first).await;
            assert_eq!(end(&mut listener).await, (json!("unauthorized"), json!(4401)));
        }
        // An address in a browser's line is no WebSocket.
        app.send(app.request(Method::GET, "/api/realtime")).await.fails(400, "bad_request");
        // A page of another site.
        let refused = Listener::knock(&app.url, Some("https://evil.example")).await;
        assert_eq!(refused.err().map(|answer| answer.status().as_u16()), Some(403));
        for own in ["https://crm.example", "https://panel.example"] {
            assert!(Listener::knock(&app.url, Some(own)).await.is_ok(), "{own}");
        }
        let ana = app.person("loja", Role::Admin).await;
        let mut listener = Listener::of(&app.url, &ana.token).await;
        listener.say_text("x".repeat(70_000)).await;
        assert_eq!(end(&mut listener).await, (json!("bad_frame"), json!(1003)));
        let mut listener = Listener::of(&app.url, &ana.token).await;
        for _ in 0..1000 {
            listener.say(json!({ "type": "ping" })).await;
        }
        assert_eq!(end(&mut listener).await, (json!("too_many_frames"), json!(4429)));
        app.finish().await;
    }

    async fn a_session_that_ends_ends_its_connections(kind: Kind) {
        let app = ana(kind).await;
        let (here, there) = (sign_in(&app, EMAIL, PASSWORD).await.is(200), sign_in(&app, EMAIL, PASSWORD).await.is(200));
        let token = |answer: &tests::app::Answer| answer.json["access_token"].as_str().unwrap().to_owned();
        let (mut stays, mut goes) = (Listener::of(&app.url, &token(&here)).await, Listener::of(&app.url, &token(&there)).await);
        let gone = app.send(app.request(Method::DELETE, "/api/auth/sessions").bearer_auth(token(&here))).await;
        assert_eq!(gone.status, 204);
        assert_eq!(end(&mut goes).await, (json!("revoked"), json!(4401)));
        stays.say(json!({ "type": "ping" })).await;
        assert_eq!(stays.next().await["type"], "pong");
        // A program's token, too.
        let program = app.token(EMAIL, &["*"]).await;
        let mut program = Listener::of(&app.url, &program).await;
        app.execute("update personal_access_tokens set revoked_at = current_timestamp").await;
        assert_eq!(end(&mut program).await.0, "revoked");
        app.claim_all::<SendMail>().await;
        app.finish().await;
    }

    async fn whoever_renews_their_token_stays(kind: Kind) {
        let app = ana(kind).await;
        let _placer = Placer::of(&app);
        let long = sign_in(&app, EMAIL, PASSWORD).await.is(200).json["access_token"].as_str().unwrap().to_owned();
        let (mut renews, mut forgets) = (Listener::of(&app.url, &access(&long, 7)).await, Listener::of(&app.url, &access(&long, 7)).await);
        let other = app.person("loja-2", Role::Admin).await;
        renews.say(json!({ "type": "auth", "token": other.token })).await;
        assert_eq!(renews.next().await["code"], "other_user");
        let _ = renews.subscribe(&["contacts"], json!({})).await;
        renews.say(json!({ "type": "auth", "token": long })).await;
        let welcome = renews.next().await;
        assert!(welcome["type"] == "authenticated" && welcome["expires_at"].is_string(), "{welcome}");
        assert_eq!(end(&mut forgets).await, (json!("expired"), json!(4401)));
        // By then the first token has ended for both.
        let made = app.send(app.request(Method::POST, "/api/contacts").bearer_auth(&long).json(&json!({ "first_name": "Rui" }))).await.is(201);
        assert_eq!(renews.until("event").await["subject_id"], json!(made.id()));
        app.claim_all::<SendMail>().await;
        app.finish().await;
    }

    async fn only_so_many_come_in(kind: Kind) {
        let mut app = app(kind).await;
        let (ana, bob) = (app.person("loja", Role::Admin).await, app.person("loja", Role::Agent).await);
        let ledger = app.ledger.clone();
        let limits = api::RealtimeLimits { connections: 3, per_user: 2, subscriptions: 2, ..api::RealtimeLimits::default() };
        let url = app.process(|parts| parts.realtime = api::Realtime::start(&ledger, jobs::Bus::local(), limits)).await;
        let mut listener = Listener::of(&url, &ana.token).await;
        let second = Listener::of(&url, &ana.token).await;
        let knock = async |token: &str| {
            let mut listener = Listener::connect(&url).await;
            listener.say(json!({ "type": "auth", "token": token })).await;
            end(&mut listener).await
        };
        let full = (json!("too_many_connections"), json!(4429));
        assert_eq!(knock(&ana.token).await, full, "one person has two");
        let _third = Listener::of(&url, &bob.token).await;
        assert_eq!(knock(&bob.token).await, full, "all together have three");
        for _ in 0..2 {
            assert_eq!(listener.subscribe(&["contacts"], json!({})).await["type"], "subscribed");
        }
        assert_eq!(listener.subscribe(&["contacts"], json!({})).await["code"], "too_many_subscriptions");
        assert_eq!(listener.subscribe(&["deals"], json!({ "subscription": "1" })).await["type"], "subscribed", "another one in its place");
        // Who goes makes room.
        drop(second);
        loop {
            let mut again = Listener::connect(&url).await;
            again.say(json!({ "type": "auth", "token": ana.token })).await;
            if again.next().await["type"] == "authenticated" {
                break;
            }
        }
        app.finish().await;
    }

    async fn a_process_that_ends_says_so(kind: Kind) {
        let mut app = app(kind).await;
        let _placer = Placer::of(&app);
        let ana = app.person("loja", Role::Admin).await;
        let realtime = api::Realtime::start(&app.ledger, jobs::Bus::local(), api::RealtimeLimits::default());
        let ending = realtime.clone();
        let url = app.process(|parts| parts.realtime = realtime).await;
        let mut listener = Listener::of(&url, &ana.token).await;
        let begun = listener.subscribe(&["contacts"], json!({})).await;
        let request = app.http.get(format!("{url}/api/events?topics=contacts")).bearer_auth(&ana.token);
        let stream = request.send().await.unwrap();
        let (closed, ended, text) = tokio::join!(ending.close(), end(&mut listener), stream.text());
        let () = closed;
        assert_eq!(ended, (json!("restarting"), json!(1012)));
        assert!(text.unwrap().contains(r#""reason":"restarting""#));
        let id = contact(&app, &ana, json!({ "first_name": "Meanwhile" })).await;
        let mut late = Listener::connect(&url).await;
        late.say(json!({ "type": "auth", "token": ana.token })).await;
        assert_eq!(end(&mut late).await.0, "restarting");
        // The other process has what came since.
        let mut again = Listener::of(&app.url, &ana.token).await;
        let _ = again.subscribe(&["contacts"], json!({ "after": begun["after"] })).await;
        assert_eq!(again.until("event").await["subject_id"], json!(id));
        app.finish().await;
    }
}
