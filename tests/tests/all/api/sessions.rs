//! Sessions: refresh tokens that are good once, where somebody is signed in, keys that are replaced, other sites.

use domain::{entities::Role, payloads::SendMail};
use reqwest::{Method, header};
use serde_json::{Value, json};
use tests::{
    app::{Answer, Person, TestApp, app},
    on_both_databases,
};

use super::sign_in::{EMAIL, PASSWORD, ana, cookie, me, sign_in, with_cookie};

const REFRESH: &str = "/api/auth/refresh";
const SESSIONS: &str = "/api/auth/sessions";
const LONG_AGO: &str = "2020-01-01T00:00:00+00:00";

/// Somebody with the access token of a sign-in.
fn with_token(who: &Person, answer: &Answer) -> Person {
    Person { token: answer.json["access_token"].as_str().unwrap().to_owned(), ..who.clone() }
}

/// The last renewal was a while ago.
async fn time_passes(app: &TestApp) {
    app.execute(&format!("update sessions set rotated_at = '{LONG_AGO}'")).await;
}

async fn actions(app: &TestApp) -> Vec<String> {
    use domain::entities::event;
    use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
    let of_sessions = event::Entity::find().filter(event::Column::Topic.eq("sessions")).order_by_asc(event::Column::Id);
    of_sessions.all(&app.database.db.read).await.unwrap().into_iter().map(|event| event.action).collect()
}

on_both_databases! {
    async fn a_refresh_token_is_good_once(kind: Kind) {
        let app = ana(kind).await;
        let first = cookie(&sign_in(&app, EMAIL, PASSWORD).await.is(200));
        let renewed = with_cookie(&app, REFRESH, &first).await.is(200);
        let second = cookie(&renewed);
        assert_ne!(first, second);
        let _ = me(&app, &app.url, &renewed.json["access_token"]).await.is(200);
        time_passes(&app).await;
        let third = cookie(&with_cookie(&app, REFRESH, &second).await.is(200));
        assert!(third != second && third != first);
        with_cookie(&app, REFRESH, "somo_refresh=somo_rt_made-up").await.fails(401, "invalid_refresh_token");
        with_cookie(&app, REFRESH, "somo_refresh=somo_rt_made.up").await.fails(401, "invalid_refresh_token");
        app.send(app.request(Method::POST, REFRESH)).await.fails(401, "no_refresh_cookie");
        let _ = with_cookie(&app, REFRESH, &third).await.is(200);
        app.claim::<SendMail>().await;
        app.finish().await;
    }

    async fn two_tabs_that_renew_at_once_both_go_on(kind: Kind) {
        let app = ana(kind).await;
        let first = cookie(&sign_in(&app, EMAIL, PASSWORD).await.is(200));
        let (a, b) = tokio::join!(with_cookie(&app, REFRESH, &first), with_cookie(&app, REFRESH, &first));
        let (a, b) = (a.is(200), b.is(200));
        assert_eq!(cookie(&a), cookie(&b), "whichever comes last is in the browser");
        // One whose answer was lost asks again.
        let again = with_cookie(&app, REFRESH, &first).await.is(200);
        assert_eq!(cookie(&again), cookie(&a));
        time_passes(&app).await;
        let next = cookie(&with_cookie(&app, REFRESH, &cookie(&a)).await.is(200));
        // A very late one is refused, and harms nobody.
        with_cookie(&app, REFRESH, &first).await.fails(401, "invalid_refresh_token");
        let _ = with_cookie(&app, REFRESH, &next).await.is(200);
        app.claim::<SendMail>().await;
        app.finish().await;
    }

    async fn a_used_up_token_that_comes_again_ends_the_session(kind: Kind) {
        let app = ana(kind).await;
        let signed_in = sign_in(&app, EMAIL, PASSWORD).await.is(200);
        let other = sign_in(&app, EMAIL, PASSWORD).await.is(200);
        let first = cookie(&signed_in);
        let mut newest = with_cookie(&app, REFRESH, &first).await.is(200);
        for _ in 0..2 {
            time_passes(&app).await;
            newest = with_cookie(&app, REFRESH, &cookie(&newest)).await.is(200);
        }
        time_passes(&app).await;
        // Three renewals later: who has it is not who has the newest.
        with_cookie(&app, REFRESH, &first).await.fails(401, "invalid_refresh_token");
        with_cookie(&app, REFRESH, &cookie(&newest)).await.fails(401, "invalid_refresh_token");
        me(&app, &app.url, &newest.json["access_token"]).await.fails(401, "invalid_token");
        let _ = with_cookie(&app, REFRESH, &cookie(&other)).await.is(200);
        assert_eq!(actions(&app).await, ["created", "created", "token_reused"]);
        app.claim::<SendMail>().await;
        app.finish().await;
    }

    async fn a_session_from_before_goes_on(kind: Kind) {
        let app = ana(kind).await;
        let first = cookie(&sign_in(&app, EMAIL, PASSWORD).await.is(200));
        app.execute("update sessions set family_hash = null, last_seen_at = null").await;
        let second = cookie(&with_cookie(&app, REFRESH, &first).await.is(200));
        let _ = with_cookie(&app, REFRESH, &second).await.is(200);
        time_passes(&app).await;
        with_cookie(&app, REFRESH, &first).await.fails(401, "invalid_refresh_token");
        assert_eq!(actions(&app).await, ["created", "token_reused"]);
        app.claim::<SendMail>().await;
        app.finish().await;
    }

    async fn people_see_where_they_are_signed_in_and_sign_out_there(kind: Kind) {
        let app = ana(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let bob = app.person("loja", Role::Member).await;
        let request = app.request(Method::POST, "/api/auth/login").header(header::USER_AGENT, "Firefox");
        let here = app.send(request.json(&json!({ "email": EMAIL, "password": PASSWORD }))).await.is(200);
        let there = sign_in(&app, EMAIL, PASSWORD).await.is(200);
        let elsewhere = sign_in(&app, EMAIL, PASSWORD).await.is(200);
        let (own, other) = (with_token(&ana, &here), with_token(&ana, &there));

        let list = app.get(&own, SESSIONS).await.is(200).json;
        let list = list["data"].as_array().unwrap();
        assert_eq!(list.len(), 3);
        let current: Vec<&Value> = list.iter().filter(|session| session["current"] == json!(true)).collect();
        assert_eq!(current.len(), 1);
        assert_eq!((&current[0]["user_agent"], &current[0]["address"]), (&json!("Firefox"), &json!("127.0.0.1")));
        assert!(list.iter().all(|session| ["id", "created_at", "last_seen_at", "expires_at"].iter().all(|name| session[name].is_string())));
        assert!(!list.iter().any(|session| session.to_string().contains("somo_rt_") || session.to_string().contains("hash")));

        // Nobody else's are theirs, whether they have seen the id or not.
        let path = format!("{SESSIONS}/{}", current[0]["id"].as_str().unwrap());
        assert_eq!(app.get(&bob, SESSIONS).await.is(200).json["data"], json!([]));
        app.delete(&bob, &path).await.fails(404, "not_found");
        let _ = app.delete(&bob, SESSIONS).await.is(204);
        let _ = app.get(&own, "/api/me").await.is(200);

        let seen = app.get(&other, SESSIONS).await.is(200).json;
        let own_of_other = seen["data"].as_array().unwrap().iter().find(|session| session["current"] == json!(true)).unwrap().clone();
        let path = format!("{SESSIONS}/{}", own_of_other["id"].as_str().unwrap());
        let _ = app.delete(&own, &path).await.is(204);
        app.delete(&own, &path).await.fails(404, "not_found");
        app.get(&other, "/api/me").await.fails(401, "invalid_token");
        with_cookie(&app, REFRESH, &cookie(&there)).await.fails(401, "invalid_refresh_token");

        let _ = app.delete(&own, SESSIONS).await.is(204);
        with_cookie(&app, REFRESH, &cookie(&elsewhere)).await.fails(401, "invalid_refresh_token");
        let _ = with_cookie(&app, REFRESH, &cookie(&here)).await.is(200);
        assert_eq!(actions(&app).await, ["created", "created", "created", "ended", "ended"]);
        app.claim_all::<SendMail>().await;
        app.finish().await;
    }

    async fn a_token_looks_after_an_account_only_if_it_may(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Viewer).await;
        let with = async |abilities: &[&str]| Person { token: app.token(&ana.email, abilities).await, ..ana.clone() };
        let (none, reads, all) = (with(&["contacts:*"]).await, with(&["account:read"]).await, with(&["*"]).await);
        app.get(&none, SESSIONS).await.fails(403, "forbidden");
        let _ = app.get(&reads, SESSIONS).await.is(200);
        app.delete(&reads, SESSIONS).await.fails(403, "forbidden");
        let _ = app.delete(&all, SESSIONS).await.is(204);
        app.finish().await;
    }

    async fn a_key_that_is_replaced_signs_nobody_out(kind: Kind) {
        let mut app = ana(kind).await;
        let signed_in = sign_in(&app, EMAIL, PASSWORD).await.is(200);
        let token = &signed_in.json["access_token"];
        let rolled = app.process(|parts| (parts.secret, parts.old_secrets) = ([9; 32], vec![[7; 32]])).await;
        let _ = me(&app, &rolled, token).await.is(200);
        let request = app.http.post(format!("{rolled}{REFRESH}")).header(header::COOKIE, cookie(&signed_in));
        let renewed = app.send(request).await.is(200);
        let _ = me(&app, &rolled, &renewed.json["access_token"]).await.is(200);
        // Without the old one in its list, the cookie renews all the same.
        let forgetful = app.process(|parts| parts.secret = [9; 32]).await;
        me(&app, &forgetful, token).await.fails(401, "invalid_token");
        let _ = me(&app, &forgetful, &renewed.json["access_token"]).await.is(200);
        // A process that doesn't know the new key yet.
        me(&app, &app.url, &renewed.json["access_token"]).await.fails(401, "invalid_token");
        let early = app.process(|parts| parts.old_secrets = vec![[9; 32]]).await;
        let _ = me(&app, &early, &renewed.json["access_token"]).await.is(200);
        app.claim::<SendMail>().await;
        app.finish().await;
    }

    async fn another_site_gets_nothing_of_a_sign_in(kind: Kind) {
        let app = ana(kind).await;
        let signed_in = sign_in(&app, EMAIL, PASSWORD).await.is(200);
        let from = async |origin: &str, path: &str| {
            let request = app.request(Method::POST, path).header(header::ORIGIN, origin).header("sec-fetch-site", "cross-site");
            app.send(request.header(header::COOKIE, cookie(&signed_in))).await
        };
        for path in [REFRESH, "/api/auth/logout", "/api/auth/login"] {
            let refused = from("https://evil.example", path).await;
            refused.fails(403, "cross_site");
            assert_eq!((refused.header("access-control-allow-origin"), refused.header("set-cookie")), ("", ""));
        }
        let own = from("https://crm.example", REFRESH).await.is(200);
        assert_eq!(own.header("access-control-allow-origin"), "");
        // One that the operator trusts.
        let trusted = from("https://panel.example", REFRESH).await.is(200);
        assert_eq!(trusted.header("access-control-allow-origin"), "https://panel.example");
        assert_eq!((trusted.header("access-control-allow-credentials"), trusted.header("vary")), ("true", "Origin"));
        app.claim::<SendMail>().await;
        app.finish().await;
    }

    async fn a_trusted_site_may_ask_and_others_may_not(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let asks = async |origin: &str| {
            let request = app.request(Method::OPTIONS, "/api/contacts").header(header::ORIGIN, origin);
            app.send(request.header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")).await
        };
        let may = asks("https://panel.example").await.is(204);
        assert!(may.header("access-control-allow-methods").contains("PATCH") && may.header("access-control-allow-headers").contains("authorization"));
        assert_eq!(may.header("access-control-allow-origin"), "https://panel.example");
        let may_not = asks("https://evil.example").await;
        may_not.fails(405, "method_not_allowed");
        assert_eq!(may_not.header("access-control-allow-origin"), "");
        let request = app.request(Method::GET, "/api/me").bearer_auth(&ana.token).header(header::ORIGIN, "https://panel.example");
        let read = app.send(request).await.is(200);
        assert!(read.header("access-control-expose-headers").contains("x-request-id"));
        app.finish().await;
    }

    async fn every_answer_says_what_browsers_may_do_with_it(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let page = app.send(app.request(Method::GET, "/docs")).await.is(200);
        assert!(page.header("content-security-policy").starts_with("frame-ancestors 'none'"));
        let good = app.get(&ana, "/api/me").await.is(200);
        let bad = app.get(&ana, "/api/nothing").await;
        for answer in [&good, &bad] {
            assert_eq!(answer.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
            assert_eq!(answer.header("cache-control"), "no-store");
        }
        for answer in [&page, &good, &bad] {
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("referrer-policy", "no-referrer"),
                ("strict-transport-security", "max-age=31536000"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                assert_eq!(answer.header(name), value, "{name}");
            }
        }
        app.finish().await;
    }
}
