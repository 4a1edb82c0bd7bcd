//! Files on a record.

use domain::{collaboration::TOPICS, entities::Role, payloads::DeleteFile, resource::registry};
use futures::StreamExt;
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::json;
use tests::{
    app::{Answer, Person, TestApp, app},
    on_both_databases,
    records::{Maker, path},
};

/// Puts a file on a record.
async fn attach(app: &TestApp, who: &Person, one: &str, name: &str, kind: &str, bytes: &[u8]) -> Answer {
    let file = Part::bytes(bytes.to_vec()).file_name(name.to_owned()).mime_str(kind).unwrap();
    app.send(app.request(Method::POST, &format!("{one}/attachments")).bearer_auth(&who.token).multipart(Form::new().part("file", file)))
        .await
}

/// How many files lie in the store.
async fn stored(app: &TestApp) -> usize {
    app.store.list(None).count().await
}

async fn contact(app: &TestApp, who: &Person) -> String {
    format!("/api/contacts/{}", app.post(who, "/api/contacts", json!({ "first_name": "Caio" })).await.is(201).id())
}

on_both_databases! {
    async fn a_file_on_a_record_comes_back_as_a_download(kind: Kind) {
        let app = app(kind).await;
        let (ana, vera) = (app.person("loja", Role::Admin).await, app.person("loja", Role::Viewer).await);
        let one = contact(&app, &ana).await;
        // Larger than a JSON body may be.
        let bytes: Vec<u8> = (0..300_000u32).map(|n| n.to_le_bytes()[0]).collect();
        let first = attach(&app, &ana, &one, "../evil é.html", "text/html", &bytes).await.is(201);
        assert_eq!((&first.json["size"], &first.json["mime_type"], &first.json["uploader"]), (&json!(300_000), &json!("text/html"), &json!("admin of loja")));
        let second = attach(&app, &ana, &one, "b.txt", "text/plain", b"b").await.is(201);
        let all = format!("{one}/attachments");
        let at = format!("{all}/{}", first.id());
        // Whoever sees the record sees its files, page by page.
        assert_eq!(app.get(&vera, &at).await.is(200).json, first.json);
        let page = app.get(&vera, &format!("{all}?limit=1")).await.is(200).json;
        assert_eq!(page["data"], json!([second.json]));
        let next = page["page"]["next_cursor"].as_str().unwrap();
        assert_eq!(app.get(&vera, &format!("{all}?cursor={next}")).await.is(200).json["data"], json!([first.json]));
        let response = app.request(Method::GET, &format!("{at}/content")).bearer_auth(&vera.token).send().await.unwrap();
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((header("content-type"), header("x-content-type-options")), ("text/html".into(), "nosniff".into()));
        assert!(header("content-security-policy").starts_with("sandbox"));
        let disposition = header("content-disposition");
        assert!(disposition.starts_with("attachment; filename=\"") && disposition.matches('"').count() == 2 && !disposition.contains('/'), "{disposition}");
        assert_eq!(response.bytes().await.unwrap(), bytes);

        // Taken off by whoever may edit the record; a job takes its bytes away.
        app.delete(&vera, &at).await.fails(403, "forbidden");
        assert_eq!(app.delete(&ana, &at).await.status, 204);
        app.delete(&ana, &at).await.fails(404, "not_found");
        app.get(&ana, &format!("{at}/content")).await.fails(404, "not_found");
        assert_eq!((stored(&app).await, app.work(jobs::queue::MAINTENANCE).await), (2, 1));
        assert_eq!(stored(&app).await, 1);
        let timeline = app.get(&ana, &format!("{one}/timeline")).await.is(200).json;
        let told: Vec<_> = timeline["data"].as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap()).collect();
        assert_eq!(told, ["detached", "attached", "attached", "created"]);

        // In the trash they stay; with the record they go.
        assert_eq!(app.delete(&ana, &one).await.status, 204);
        attach(&app, &ana, &one, "c.txt", "text/plain", b"c").await.fails(409, "in_trash");
        assert_eq!(app.get(&ana, &all).await.is(200).json["data"], json!([second.json]));
        assert_eq!(app.delete(&ana, &format!("{one}?force=true")).await.status, 204);
        app.get(&ana, &all).await.fails(404, "not_found");
        assert_eq!((app.work(jobs::queue::MAINTENANCE).await, stored(&app).await), (1, 0));
        app.finish().await;
    }

    async fn what_nobody_may_attach_is_not_kept(kind: Kind) {
        let app = app(kind).await;
        let (ana, vera, eva) = (app.person("loja", Role::Admin).await, app.person("loja", Role::Viewer).await, app.person("outra", Role::Admin).await);
        let one = contact(&app, &ana).await;
        attach(&app, &vera, &one, "a.gif", "image/gif", b"GIF89a").await.fails(403, "forbidden");
        let reader = Person { token: app.token(&ana.email, &["contacts:view"]).await, ..ana.clone() };
        attach(&app, &reader, &one, "a.gif", "image/gif", b"GIF89a").await.fails(403, "forbidden");
        attach(&app, &eva, &one, "a.gif", "image/gif", b"GIF89a").await.fails(404, "not_found");
        assert_eq!(attach(&app, &ana, "/api/tags/x", "a.gif", "image/gif", b"GIF89a").await.status, 404);
        let nothing = app.request(Method::POST, &format!("{one}/attachments")).bearer_auth(&ana.token).multipart(Form::new().text("note", "x"));
        let nothing = app.send(nothing).await;
        assert!((400..500).contains(&nothing.status), "{}", nothing.text);
        let json = app.post(&ana, &format!("{one}/attachments"), json!({})).await;
        assert!((400..500).contains(&json.status), "{}", json.text);
        assert_eq!(stored(&app).await, 0);
        app.finish().await;
    }

    async fn every_record_around_which_people_work_takes_files(kind: Kind) {
        let app = app(kind).await;
        let (ana, eva) = (app.person("loja", Role::Admin).await, app.person("outra", Role::Admin).await);
        let mut maker = Maker::new(&app, &ana);
        for topic in TOPICS {
            let one = format!("{}/{}", path(registry::named(topic)), maker.some(topic).await);
            let file = attach(&app, &ana, &one, "a.gif", "image/gif", b"GIF89a").await.is(201).id();
            let at = format!("{one}/attachments/{file}");
            for path in [format!("{one}/attachments"), at.clone(), format!("{at}/content")] {
                app.get(&eva, &path).await.fails(404, "not_found");
            }
            app.delete(&eva, &at).await.fails(404, "not_found");
            assert_eq!(app.delete(&ana, &at).await.status, 204);
        }
        assert_eq!(app.claim_all::<DeleteFile>().await.len(), TOPICS.len());
        app.finish().await;
    }
}
