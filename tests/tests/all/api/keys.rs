//! Another key for the installation.

use domain::{
    entities::{Role, webhook, whatsapp_device},
    keys::{self, Rotated},
    seal::Sealer,
    whatsapp::devices::Secrets,
};
use sea_orm::EntityTrait;
use serde_json::json;
use tests::{app::app, on_both_databases};

on_both_databases! {
    async fn what_was_sealed_with_an_old_key_is_sealed_anew(kind: Kind) {
        let app = app(kind).await;
        let ana = app.person("loja", Role::Admin).await;
        for number in 0..3 {
            app.device(&ana, &format!("10{number}")).await;
        }
        let hook = json!({ "name": "Loja", "url": "https://example.com/somo", "topics": ["contacts.*"] });
        let hook = app.post(&ana, "/api/webhooks", hook).await.is(201).id();
        let _ = app.ask(&ana, &format!("/api/webhooks/{hook}/rotate-secret")).await.is(200);
        let db = &app.database.db;
        let (before, after) = (Sealer::new(&[7; 32]), Sealer::new(&[9; 32]));
        assert_eq!(keys::old(db, &before).await.unwrap(), 0);
        assert_eq!(keys::old(db, &after).await.unwrap(), 5);
        // Nobody named the key before: nothing is lost.
        assert_eq!(keys::rotate(db, &after).await.unwrap(), Rotated { sealed: 0, unreadable: 5 });
        let rolling = Sealer::with_old(&[9; 32], [&[7; 32]]);
        assert_eq!(keys::rotate(db, &rolling).await.unwrap(), Rotated { sealed: 5, unreadable: 0 });
        assert_eq!(keys::rotate(db, &rolling).await.unwrap(), Rotated::default());
        assert_eq!(keys::old(db, &after).await.unwrap(), 0);
        for device in whatsapp_device::Entity::find().all(&db.read).await.unwrap() {
            assert!(Secrets::open(&after, &device).is_ok() && Secrets::open(&before, &device).is_err());
        }
        for hook in webhook::Entity::find().all(&db.read).await.unwrap() {
            assert!(after.open(&hook.secret).is_ok() && after.open(&hook.old_secret.unwrap()).is_ok());
        }
        app.finish().await;
    }
}
