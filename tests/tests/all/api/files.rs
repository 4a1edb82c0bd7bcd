//! Files up and down.

use domain::entities::Role;
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use tests::{
    app::{Answer, Person, TestApp, app},
    on_both_databases,
};

/// Uploads `bytes` for a device.
async fn upload(app: &TestApp, who: &Person, device: &str, name: &str, bytes: &[u8]) -> Answer {
    let file = Part::bytes(bytes.to_vec()).file_name(name.to_owned()).mime_str("image/gif").unwrap();
    let form = Form::new().text("device_id", device.to_owned()).part("file", file);
    app.send(app.request(Method::POST, "/api/whatsapp/media").bearer_auth(&who.token).multipart(form)).await
}

/// How many files lie in the store.
async fn stored(app: &TestApp) -> usize {
    use futures::StreamExt;
    app.store.list(None).count().await
}

on_both_databases! {
    async fn a_file_comes_back_as_it_went_up_and_only_as_a_download(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let device = app.device(&ana, "100").await.to_string();
        // Larger than a JSON body may be.
        let bytes: Vec<u8> = (0..300_000u32).map(|n| n.to_le_bytes()[0]).collect();
        let added = upload(&app, &ana, &device, "../evil é.html", &bytes).await.is(201);
        assert_eq!((added.json["size"].as_u64(), added.json["mime_type"].as_str(), added.json["state"].as_str()), (Some(300_000), Some("image/gif"), Some("stored")));
        let path = format!("/api/whatsapp/media/{}", added.id());
        let response = app.request(Method::GET, &path).bearer_auth(&ana.token).send().await.unwrap();
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((header("content-type"), header("x-media-type")), ("application/octet-stream".into(), "image/gif".into()));
        let disposition = header("content-disposition");
        assert!(disposition.starts_with("attachment; filename=\"") && disposition.matches('"').count() == 2 && !disposition.contains('/'), "{disposition}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(response.bytes().await.unwrap(), bytes);
        app.finish().await;
    }

    async fn what_is_refused_leaves_no_file(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let device = app.device(&ana, "100").await.to_string();
        upload(&app, &ana, &uuid::Uuid::now_v7().to_string(), "a.gif", b"GIF89a").await.faults(&[("/device_id", "not_found")]);
        let viewer = app.person("loja", Role::Viewer).await;
        upload(&app, &viewer, &device, "a.gif", b"GIF89a").await.fails(403, "forbidden");
        let without = app.request(Method::POST, "/api/whatsapp/media").bearer_auth(&ana.token).multipart(Form::new().text("device_id", device));
        let without = app.send(without).await;
        assert!((400..500).contains(&without.status), "{}", without.text);
        let json = app.post(&ana, "/api/whatsapp/media", serde_json::json!({})).await;
        assert!((400..500).contains(&json.status), "{}", json.text);
        assert_eq!(stored(&app).await, 0);
        app.finish().await;
    }
}
