//! What becomes of requests that can't be taken. That no answer tells of the inside is checked with every answer of the suite.

use domain::entities::Role;
use reqwest::Method;
use serde_json::json;
use tests::{
    app::{Person, TestApp, app, new_device},
    on_both_databases,
};

const DEVICES: &str = "/api/whatsapp/devices";

/// Posts a body as it is.
async fn raw(app: &TestApp, who: &Person, kind: &str, body: impl Into<reqwest::Body>) -> tests::app::Answer {
    let request = app.request(Method::POST, DEVICES).bearer_auth(&who.token).header("content-type", kind);
    app.send(request.body(body)).await
}

on_both_databases! {
    async fn what_is_not_there_and_what_is_not_done_so(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        for path in ["/nothing", "/api/nothing", "/api", "/api/whatsapp/devices/", "/api/whatsapp//devices"] {
            app.get(&ana, path).await.fails(404, "not_found");
        }
        let wrong = app.delete(&ana, "/api/me").await;
        wrong.fails(405, "method_not_allowed");
        assert_eq!(wrong.header("allow"), "GET, PATCH, HEAD");
        let send = app.get(&ana, "/api/whatsapp/messages/send").await;
        send.fails(405, "method_not_allowed");
        assert_eq!(send.header("allow"), "POST");
        app.get(&ana, "/api/whatsapp/devices/x").await.faults(&[("/id", "invalid")]);
        app.get(&ana, "/api/whatsapp/conversations?limit=0").await.faults(&[("/limit", "invalid")]);
        let unread = app.get(&ana, "/api/whatsapp/conversations?device_id=secret-x").await;
        unread.faults(&[("/device_id", "invalid")]);
        assert!(!unread.text.contains("secret-x") && !unread.text.contains("string"), "{}", unread.text);
        app.get(&ana, "/api/jobs?filter=a%00b").await.fails(400, "bad_request");
        app.finish().await;
    }

    async fn bodies_that_are_none(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        raw(&app, &ana, "application/json", "{\"name\": the access token").await.fails(400, "malformed_body");
        raw(&app, &ana, "application/json", "").await.fails(400, "malformed_body");
        raw(&app, &ana, "application/json", vec![0xff, 0xfe]).await.fails(400, "malformed_body");
        raw(&app, &ana, "application/json", "[".repeat(10_000)).await.fails(400, "malformed_body");
        raw(&app, &ana, "text/plain", new_device("1").to_string()).await.fails(415, "unsupported_media_type");
        raw(&app, &ana, "multipart/form-data; boundary=x", "--x--").await.fails(415, "unsupported_media_type");
        raw(&app, &ana, "application/json", format!("{{\"name\": \"{}\"}}", "x".repeat(100_000))).await.fails(413, "too_large");
        let _ = raw(&app, &ana, "Application/JSON; charset=UTF-8", new_device("1").to_string()).await.is(201);
        app.finish().await;
    }

    async fn faults_name_their_place(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let post = async |change: &dyn Fn(&mut serde_json::Value)| {
            let mut body = new_device("1");
            change(&mut body);
            app.post(&ana, DEVICES, body).await
        };
        post(&|body| body["colour"] = json!("red")).await.faults(&[("/colour", "unknown_field")]);
        post(&|body| body["cloud"]["a/b~c"] = json!(1)).await.faults(&[("/cloud/a~1b~0c", "unknown_field")]);
        post(&|body| body["name"] = json!(7)).await.faults(&[("/name", "wrong_type")]);
        post(&|body| body["name"] = json!(null)).await.faults(&[("/name", "wrong_type")]);
        post(&|body| _ = body.as_object_mut().unwrap().remove("name")).await.faults(&[("/name", "required")]);
        post(&|body| body["name"] = json!("x".repeat(101))).await.faults(&[("/name", "too_long")]);
        post(&|body| body["name"] = json!("a\0b")).await.faults(&[("/name", "invalid")]);
        post(&|body| body["name"] = json!("   ")).await.faults(&[("/name", "required")]);
        post(&|body| body["provider"] = json!("pigeon")).await.faults(&[("/provider", "invalid")]);
        post(&|body| body["provider"] = json!("web")).await.faults(&[("/provider", "unsupported")]);
        post(&|body| body["cloud"] = json!(null)).await.faults(&[("/cloud", "required")]);
        post(&|body| body["cloud"]["app_secret"] = json!("")).await.faults(&[("/cloud/app_secret", "too_short")]);
        post(&|body| _ = body["cloud"].as_object_mut().unwrap().remove("verify_token")).await.faults(&[("/cloud/verify_token", "required")]);
        post(&|body| body["settings"] = json!({ "per_second": 0 })).await.faults(&[("/settings/per_second", "too_small")]);
        let list = app.post(&ana, DEVICES, json!([1])).await;
        list.faults(&[("", "wrong_type")]);
        assert_eq!(app.get(&ana, DEVICES).await.is(200).json["data"], json!([]));
        app.finish().await;
    }

    async fn strangers_learn_nothing_of_what_a_body_should_look_like(kind: Kind) {
        let app = app(kind).await;
        let request = app.request(Method::POST, DEVICES).json(&json!({ "colour": "red" }));
        app.send(request).await.fails(401, "unauthorized");
        let request = app.request(Method::POST, DEVICES).bearer_auth("x").json(&json!({ "colour": "red" }));
        app.send(request).await.fails(401, "invalid_token");
        // Where anybody may ask, anybody is told; a token that is no good has no part in it.
        let request = app.request(Method::POST, "/api/auth/login").bearer_auth("x").json(&json!({ "email": "a@b.c" }));
        app.send(request).await.faults(&[("/password", "required")]);
        app.finish().await;
    }

    async fn a_request_keeps_the_id_it_brings(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let with = |id: &str| app.send(app.request(Method::GET, "/api/nothing").bearer_auth(&ana.token).header("x-request-id", id));
        let own = with("my-own_id-1").await;
        assert_eq!((own.header("x-request-id"), own.json["request_id"].as_str()), ("my-own_id-1", Some("my-own_id-1")));
        for bad in ["short", "has spaces in it", "a".repeat(65).as_str(), "quotes\"quotes"] {
            assert_ne!(with(bad).await.header("x-request-id"), bad);
        }
        app.finish().await;
    }
}
