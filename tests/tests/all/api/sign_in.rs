//! Signing in and out, and what tokens are good for.

use std::time::Duration;

use domain::{
    entities::Role,
    payloads::SendMail,
    users::{self, NewUser},
};
use jobs::Transport;
use reqwest::{Method, header};
use serde_json::{Value, json};
use tests::{
    app::{Answer, TestApp, app},
    on_both_databases,
};

pub(super) const EMAIL: &str = "ana@example.com";
pub(super) const PASSWORD: &str = "correct horse";

/// An installation with somebody who can sign in.
pub(super) async fn ana(kind: tests::database::Kind) -> TestApp {
    let app = app(kind).await;
    let new = NewUser { email: EMAIL, password: PASSWORD, name: "Ana", role: Role::Admin, tenant: "Loja" };
    users::create(&app.ledger, new).await.unwrap();
    app
}

pub(super) async fn sign_in(app: &TestApp, email: &str, password: &str) -> Answer {
    app.send(app.request(Method::POST, "/api/auth/login").json(&json!({ "email": email, "password": password }))).await
}

/// A cookie of an answer, as it is set.
pub(super) fn set_cookie<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let mut set = answer.headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap());
    set.rfind(|set| set.split('=').next() == Some(name)).unwrap_or_default()
}

/// The refresh cookie of an answer, to be sent back.
pub(super) fn cookie(answer: &Answer) -> String {
    set_cookie(answer, "somo_refresh").split(';').next().unwrap_or_default().to_owned()
}

pub(super) async fn with_cookie(app: &TestApp, path: &str, cookie: &str) -> Answer {
    app.send(app.request(Method::POST, path).header(header::COOKIE, cookie)).await
}

pub(super) async fn me(app: &TestApp, url: &str, token: &Value) -> Answer {
    app.send(app.http.get(format!("{url}/api/me")).bearer_auth(token.as_str().unwrap())).await
}

on_both_databases! {
    async fn somebody_signs_in_and_is_told_who_they_are(kind: Kind) {
        let app = ana(kind).await;
        let answer = sign_in(&app, " Ana@Example.com ", PASSWORD).await.is(200);
        assert_eq!((&answer.json["token_type"], &answer.json["expires_in"]), (&json!("Bearer"), &json!(600)));
        for (name, value) in [("somo_refresh", "somo_refresh=somo_rt_"), ("somo_device", "somo_device=somo_device_")] {
            let set = set_cookie(&answer, name);
            for part in [value, "HttpOnly", "SameSite=Strict", "Secure", "Path=/api/auth"] {
                assert!(set.contains(part), "{part} in {set}");
            }
        }
        let me = me(&app, &app.url, &answer.json["access_token"]).await.is(200).json;
        assert_eq!((&me["user"]["email"], &me["user"]["role"], &me["tenant"]["slug"]), (&json!(EMAIL), &json!("admin"), &json!("loja")));
        assert!(me["abilities"].as_array().unwrap().contains(&json!("devices:write")));
        app.claim::<SendMail>().await; // a new place
        let _ = sign_in(&app, EMAIL, PASSWORD).await.is(200); // a known one
        app.finish().await;
    }

    async fn who_comes_with_a_bcrypt_hash_signs_in_and_gets_a_better_one(kind: Kind) {
        let app = app(kind).await;
        let bcrypt = "$2y$10$92IXUNpkjO0rOQ5byMi.Ye4oKoEa3Ro9llC/.og/at2.uheWG/igi";
        let new = |password| NewUser { email: EMAIL, password, name: "Ana", role: Role::Admin, tenant: "Loja" };
        let slow = bcrypt.replace("$10$", "$15$");
        let refused = users::take_over(&app.ledger, new(&slow)).await.unwrap_err();
        assert!(matches!(refused, domain::Error::Invalid(_)), "{refused}");
        users::take_over(&app.ledger, new(bcrypt)).await.unwrap();
        let kept = async || users::by_email(app.ledger.db(), EMAIL).await.unwrap().unwrap().password_hash;

        sign_in(&app, EMAIL, "passwore").await.fails(401, "invalid_credentials");
        assert_eq!(kept().await, bcrypt, "a wrong password changes nothing");
        let _ = sign_in(&app, EMAIL, "password").await.is(200);
        let renewed = kept().await;
        assert!(renewed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{renewed}");
        sign_in(&app, EMAIL, "passwore").await.fails(401, "invalid_credentials");
        let _ = sign_in(&app, EMAIL, "password").await.is(200);
        assert_eq!(kept().await, renewed, "once is enough");

        // One that slipped in is refused at once, as a wrong password is.
        app.execute(&format!("update users set password_hash = '{slow}'")).await;
        sign_in(&app, EMAIL, "password").await.fails(401, "invalid_credentials");
        app.claim::<SendMail>().await; // a new place; that the hash is another is no news
        app.finish().await;
    }

    async fn a_wrong_password_and_an_unknown_address_are_told_the_same(kind: Kind) {
        let app = ana(kind).await;
        let wrong = sign_in(&app, EMAIL, "correct hors").await;
        let unknown = sign_in(&app, "bob@example.com", PASSWORD).await;
        wrong.fails(401, "invalid_credentials");
        let without_id = |answer: &Answer| {
            let mut json = answer.json.clone();
            json["request_id"].take();
            json
        };
        assert_eq!(without_id(&wrong), without_id(&unknown));
        assert_eq!(wrong.header("set-cookie"), "");
        app.execute("update users set disabled_at = '2020-01-01T00:00:00+00:00'").await;
        sign_in(&app, EMAIL, PASSWORD).await.fails(401, "invalid_credentials");
        app.finish().await;
    }

    async fn a_sign_out_ends_the_session_in_every_process(kind: Kind) {
        let mut app = ana(kind).await;
        let twin = app.twin(Transport::local()).await;
        let signed_in = sign_in(&app, EMAIL, PASSWORD).await.is(200);
        let token = &signed_in.json["access_token"];
        let _ = me(&app, &app.url, token).await.is(200);
        let _ = me(&app, &twin, token).await.is(200);
        let out = with_cookie(&app, "/api/auth/logout", &cookie(&signed_in)).await.is(204);
        assert!(out.header("set-cookie").contains("Max-Age=0"), "{}", out.header("set-cookie"));
        me(&app, &app.url, token).await.fails(401, "invalid_token");
        // The other process believes what it saw for five seconds.
        let mut last = 200;
        for _ in 0..100 {
            last = me(&app, &twin, token).await.status;
            if last == 401 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(last, 401);
        with_cookie(&app, "/api/auth/refresh", &cookie(&signed_in)).await.fails(401, "invalid_refresh_token");
        // Once more is no error: whoever asks is out.
        let _ = with_cookie(&app, "/api/auth/logout", &cookie(&signed_in)).await.is(204);
        app.claim::<SendMail>().await;
        app.finish().await;
    }

    async fn an_expired_session_is_over(kind: Kind) {
        let app = ana(kind).await;
        let signed_in = sign_in(&app, EMAIL, PASSWORD).await.is(200);
        app.execute("update sessions set expires_at = '2020-01-01T00:00:00+00:00'").await;
        me(&app, &app.url, &signed_in.json["access_token"]).await.fails(401, "invalid_token");
        with_cookie(&app, "/api/auth/refresh", &cookie(&signed_in)).await.fails(401, "invalid_refresh_token");
        app.claim::<SendMail>().await;
        app.finish().await;
    }

    async fn garbage_is_no_token(kind: Kind) {
        let app = ana(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let signed_in = sign_in(&app, EMAIL, PASSWORD).await.is(200);
        let token = signed_in.json["access_token"].as_str().unwrap();
        let (head, signature) = token.rsplit_once('.').unwrap();
        let none = format!("eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.{}.", head.split_once('.').unwrap().1);
        for garbage in ["x", "somo_pat_made-up", "a.b.c", &format!("{head}.{}", signature.replace(&signature[..1], "~")), &none, &format!("{token}x")] {
            me(&app, &app.url, &json!(garbage)).await.fails(401, "invalid_token");
        }
        let without = app.send(app.request(Method::GET, "/api/me")).await;
        without.fails(401, "unauthorized");
        assert_eq!(without.header("www-authenticate"), "Bearer");
        app.send(app.request(Method::GET, "/api/me").header("authorization", "Basic YTpi")).await.fails(401, "unauthorized");
        let _ = app.send(app.request(Method::GET, "/api/me").header("authorization", format!("bearer {}", ana.token))).await.is(200);
        app.claim::<SendMail>().await;
        app.finish().await;
    }

    async fn a_personal_token_does_what_it_is_for(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let reader = tests::app::Person { token: app.token(&ana.email, &["devices:read"]).await, ..ana.clone() };
        let _ = app.get(&reader, "/api/whatsapp/devices").await.is(200);
        assert_eq!(app.get(&reader, "/api/me").await.is(200).json["abilities"], json!(["devices:read"]));
        app.get(&reader, "/api/whatsapp/conversations").await.fails(403, "forbidden");
        app.post(&reader, "/api/whatsapp/devices", tests::app::new_device("1")).await.fails(403, "forbidden");
        // A token can't do more than its owner.
        let viewer = app.person("loja", Role::Viewer).await;
        app.post(&viewer, "/api/whatsapp/devices", tests::app::new_device("1")).await.fails(403, "forbidden");

        let fresh = tests::app::Person { token: app.token(&ana.email, &["*"]).await, ..ana.clone() };
        app.execute("update personal_access_tokens set expires_at = '2020-01-01T00:00:00+00:00'").await;
        app.get(&fresh, "/api/me").await.fails(401, "invalid_token");
        let fresh = tests::app::Person { token: app.token(&ana.email, &["*"]).await, ..ana.clone() };
        app.execute("update personal_access_tokens set revoked_at = '2020-01-01T00:00:00+00:00'").await;
        app.get(&fresh, "/api/me").await.fails(401, "invalid_token");
        app.finish().await;
    }
}
