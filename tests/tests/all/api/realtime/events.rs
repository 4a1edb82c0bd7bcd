//! Server-sent events: the same for browsers and for what has no WebSocket.

use domain::{entities::Role, payloads::SendMail};
use futures::{StreamExt, stream::BoxStream};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tests::{
    app::{TestApp, app},
    on_both_databases,
};

use super::{
    super::sign_in::{EMAIL, PASSWORD, ana, cookie as refresh_cookie, set_cookie, sign_in, with_cookie},
    Placer, contact,
};

/// What a browser makes of a stream.
struct Source {
    bytes: BoxStream<'static, Vec<u8>>,
    text: String,
}

impl Source {
    async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!((response.status().as_u16(), &kind[..]), (200, "text/event-stream"));
        Self { bytes: response.bytes_stream().map(|bytes| bytes.unwrap().to_vec()).boxed(), text: String::new() }
    }

    /// The next one: its kind, its id, its data.
    async fn next(&mut self) -> (String, String, Value) {
        loop {
            if let Some((one, rest)) = self.text.clone().split_once("\n\n") {
                self.text = rest.to_owned();
                let field = |name: &str| one.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
                if one.lines().all(|line| line.starts_with(':')) {
                    continue;
                }
                return (field("event:"), field("id:"), serde_json::from_str(&field("data:")).unwrap_or_default());
            }
            let next = tokio::time::timeout(std::time::Duration::from_secs(30), self.bytes.next()).await.expect("something comes");
            self.text.push_str(std::str::from_utf8(&next.expect("it goes on")).unwrap());
        }
    }
}

fn events(app: &TestApp, query: &str) -> RequestBuilder {
    app.request(Method::GET, &format!("/api/events?topics={query}"))
}

on_both_databases! {
    async fn a_stream_goes_on_where_it_was(kind: Kind) {
        let app = app(kind).await;
        let _placer = Placer::of(&app);
        let ana = app.person("loja", Role::Admin).await;
        let first = contact(&app, &ana, json!({ "first_name": "A" })).await;
        let known = app.get(&ana, &format!("/api/audit?subject_id={first}")).await.is(200).json["data"][0]["id"].as_str().unwrap().to_owned();
        let mut source = Source::of(events(&app, &format!("contacts,deals&after={known}")).bearer_auth(&ana.token)).await;
        let ready = source.next().await;
        assert_eq!((&ready.0[..], &ready.1), ("ready", &known), "whoever breaks off now knows where to go on");
        let mut ids = Vec::new();
        for name in ["B", "C", "D"] {
            ids.push(contact(&app, &ana, json!({ "first_name": name })).await);
        }
        let (kind, last, data) = source.next().await;
        assert_eq!((&kind[..], &data["id"], &data["subject_id"]), ("", &json!(last), &json!(ids[0])));
        drop(source);
        // A browser comes back to the same address; what it says it has seen goes before what is in it.
        let again = events(&app, &format!("contacts,deals&after={known}")).header("last-event-id", &last).bearer_auth(&ana.token);
        let mut again = Source::of(again).await;
        let mut told = Vec::new();
        while told.len() < 2 {
            let (kind, _, data) = again.next().await;
            if kind.is_empty() {
                told.push(data["subject_id"].as_str().unwrap().to_owned());
            }
        }
        assert_eq!(told, ids[1..]);
        app.finish().await;
    }

    async fn a_stream_that_can_not_begin_is_a_problem(kind: Kind) {
        let app = app(kind).await;
        let (ana, rui) = (app.person("loja", Role::Admin).await, app.person("loja", Role::Member).await);
        let ask = async |query: &str, token: &str| app.send(events(&app, query).bearer_auth(token)).await;
        app.send(events(&app, "contacts")).await.fails(401, "unauthorized");
        ask("contacts", "somo_pat_made_up").await.fails(401, "invalid_token");
        ask("", &ana.token).await.faults(&[("/topics", "invalid")]);
        ask("contacts", &rui.token).await.faults(&[("/topics/0", "forbidden")]);
        ask("contacts&after=x", &ana.token).await.faults(&[("/after", "invalid")]);
        ask("contacts&filter=x", &ana.token).await.faults(&[("/filter", "invalid")]);
        ask(&format!("contacts&after={}", uuid::Uuid::now_v7()), &ana.token).await.fails(409, "too_old");
        app.finish().await;
    }

    async fn the_panel_listens_with_its_cookie_and_no_other_site_does(kind: Kind) {
        let app = ana(kind).await;
        let _placer = Placer::of(&app);
        let signed_in = sign_in(&app, EMAIL, PASSWORD).await.is(200);
        let set = set_cookie(&signed_in, "somo_events").to_owned();
        for part in ["HttpOnly", "SameSite=Strict", "Secure", "Path=/api/events", "Max-Age=600"] {
            assert!(set.contains(part), "{part} in {set}");
        }
        let cookie = set.split(';').next().unwrap();
        let mut source = Source::of(events(&app, "contacts").header("cookie", cookie).header("sec-fetch-site", "same-origin")).await;
        let token = signed_in.json["access_token"].as_str().unwrap();
        let made = app.send(app.request(Method::POST, "/api/contacts").bearer_auth(token).json(&json!({ "first_name": "Rui" }))).await.is(201);
        let told = loop {
            let (kind, _, data) = source.next().await;
            if kind.is_empty() {
                break data;
            }
        };
        assert_eq!(told["subject_id"], json!(made.id()));
        for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("sec-fetch-site", "same-site")] {
            app.send(events(&app, "contacts").header("cookie", cookie).header(name, value)).await.fails(403, "cross_site");
        }
        // A sign-out takes the cookie away, and what is left of it is no good.
        let refresh = refresh_cookie(&signed_in);
        let out = with_cookie(&app, "/api/auth/logout", &refresh).await;
        assert!(set_cookie(&out, "somo_events").contains("Max-Age=0"), "{:?}", out.headers);
        app.send(events(&app, "contacts").header("cookie", cookie)).await.fails(401, "invalid_token");
        app.claim_all::<SendMail>().await;
        app.finish().await;
    }
}
