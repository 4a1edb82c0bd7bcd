//! WhatsApp numbers.

use domain::{
    entities::{Role, whatsapp_device},
    seal::Sealer,
    whatsapp::devices::Secrets,
};
use sea_orm::EntityTrait;
use serde_json::json;
use tests::{
    app::{app, new_device, secret_of},
    on_both_databases,
};

const DEVICES: &str = "/api/whatsapp/devices";

on_both_databases! {
    async fn the_life_of_a_device(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let made = app.post(&ana, DEVICES, new_device("100")).await.is(201);
        assert_eq!((&made.json["phone_number_id"], &made.json["status"]), (&json!("100"), &json!("connecting")));
        assert_eq!(made.json["settings"], json!({ "per_second": 80.0, "pair_per_second": 1.0 / 6.0, "pair_burst": 45 }));
        let path = format!("{DEVICES}/{}", made.id());
        assert_eq!(app.get(&ana, &path).await.is(200).json, made.json);
        assert_eq!(app.get(&ana, DEVICES).await.is(200).json["data"], json!([made.json]));

        // What a change doesn't name stays.
        let changed = app.patch(&ana, &path, json!({ "name": " Suporte ", "settings": { "pair_burst": 3 } })).await.is(200).json;
        assert_eq!(changed["name"], "Suporte");
        assert_eq!(changed["settings"], json!({ "per_second": 80.0, "pair_per_second": 1.0 / 6.0, "pair_burst": 3 }));
        assert_eq!(app.patch(&ana, &path, json!({})).await.is(200).json["name"], "Suporte");
        app.patch(&ana, &path, json!({ "name": "" })).await.faults(&[("/name", "too_short")]);
        app.patch(&ana, &path, json!({ "verify_token": "x" })).await.faults(&[("/verify_token", "unknown_field")]);

        let _ = app.delete(&ana, &path).await.is(204);
        app.get(&ana, &path).await.fails(404, "not_found");
        app.delete(&ana, &path).await.fails(404, "not_found");
        assert_eq!(app.get(&ana, DEVICES).await.is(200).json["data"], json!([]));
        // Its number is free again.
        let _ = app.post(&ana, DEVICES, new_device("100")).await.is(201);
        app.finish().await;
    }

    async fn secrets_are_sealed_and_never_shown(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let made = app.post(&ana, DEVICES, new_device("100")).await.is(201);
        let path = format!("{DEVICES}/{}", made.id());
        let answers = [made.clone(), app.get(&ana, &path).await, app.get(&ana, DEVICES).await, app.patch(&ana, &path, json!({ "access_token": "a new one" })).await];
        for answer in &answers {
            for secret in ["the access token", "a new one", &secret_of("100"), "verify 100"] {
                assert!(!answer.text.contains(secret), "{}", answer.text);
            }
        }
        let row = whatsapp_device::Entity::find().one(&app.database.db.write).await.unwrap().unwrap();
        assert!(!format!("{row:?}").contains("a new one") && !format!("{row:?}").contains("verify 100"));
        let secrets = Secrets::open(&Sealer::new(&[7; 32]), &row).unwrap();
        assert_eq!((secrets.access_token.as_str(), secrets.app_secret), ("a new one", secret_of("100")));
        app.finish().await;
    }

    async fn a_number_belongs_to_one_device(kind: Kind) {
        let app = app(kind).await;
        let (ana, bob) = (app.person("a", Role::Admin).await, app.person("b", Role::Admin).await);
        app.device(&ana, "100").await;
        app.post(&ana, DEVICES, new_device("100")).await.fails(409, "number_taken");
        app.post(&bob, DEVICES, new_device("100")).await.fails(409, "number_taken");
        let (a, b) = tokio::join!(app.post(&ana, DEVICES, new_device("101")), app.post(&bob, DEVICES, new_device("101")));
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
        app.finish().await;
    }

    async fn ten_devices_are_enough_even_when_all_come_at_once(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        let numbers: Vec<_> = (0..14).map(|n| format!("1{n:03}")).collect();
        let answers = futures::future::join_all(numbers.iter().map(|number| app.post(&ana, DEVICES, new_device(number)))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 10);
        answers.iter().filter(|answer| answer.status != 201).for_each(|answer| answer.fails(409, "device_limit"));
        let listed = app.get(&ana, DEVICES).await.is(200).json["data"].as_array().unwrap().clone();
        assert_eq!(listed.len(), 10);
        let first = listed[0]["id"].as_str().unwrap();
        let _ = app.delete(&ana, &format!("{DEVICES}/{first}")).await.is(204);
        app.device(&ana, "2000").await;
        app.finish().await;
    }
}
