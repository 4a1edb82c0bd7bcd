//! Files in and out.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use chrono::Utc;
use domain::{
    entities::{MediaId, MediaState, MessageStatus, whatsapp_media},
    payloads::FetchMedia,
    whatsapp::media,
};
use jobs::{
    Job, NewJob,
    queue::{WHATSAPP_MEDIA, WHATSAPP_RECEIVE, WHATSAPP_SEND},
};
use object_store::{ObjectStoreExt, path::Path};
use sea_orm::{ActiveValue::Set, EntityTrait};
use serde_json::json;
use tests::{
    on_both_databases,
    whatsapp::{CUSTOMER, World, world},
};
use whatsapp::message::{Content, Media, MessageType};

/// Not a picture, but nobody here looks into it.
fn bytes() -> Vec<u8> {
    (0..70_000u32).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

async fn customer_sends_a_picture(world: &World) -> String {
    let image = json!({ "mime_type": "image/jpeg", "caption": "Assim", "data": BASE64.encode(bytes()) });
    world.customer_writes(CUSTOMER, json!({ "type": "image", "image": image })).await
}

/// The file of the first message of the first conversation.
async fn file(world: &World) -> domain::whatsapp::messages::MediaView {
    let conversation = world.conversations().await.remove(0);
    world.said_in(&conversation).await.remove(0).media.unwrap()
}

/// A file as the api keeps one that was uploaded to SOMO.
async fn uploaded(world: &World, mime_type: &str) -> MediaId {
    let id = MediaId::new();
    let key = media::storage_key(world.tenant, id);
    world.context.store.put(&Path::from(key.as_str()), bytes().into()).await.unwrap();
    let row = whatsapp_media::ActiveModel {
        id: Set(id),
        tenant_id: Set(world.tenant),
        device_id: Set(world.device),
        mime_type: Set(Some(mime_type.into())),
        file_name: Set(Some("nota.pdf".into())),
        state: Set(MediaState::Stored),
        storage_key: Set(Some(key)),
        created_at: Set(Utc::now()),
        updated_at: Set(Utc::now()),
        ..Default::default()
    };
    whatsapp_media::Entity::insert(row).exec_without_returning(&world.ledger.db().write).await.unwrap();
    id
}

fn document(id: MediaId) -> Content {
    let file = Media { media_id: Some(id.0), caption: Some("A nota".into()), ..Media::default() };
    Content { document: Some(file), ..Content::empty(MessageType::Document) }
}

on_both_databases! {
    async fn a_customers_picture_lands_in_the_store(kind: Kind) {
        let world = world(kind).await;
        customer_sends_a_picture(&world).await;
        world.settle().await;
        let file = file(&world).await;
        assert_eq!((file.state, file.mime_type.as_deref(), file.size), (MediaState::Stored, Some("image/jpeg"), Some(70_000)));
        let (_, key) = media::stored_file(world.ledger.db(), &world.scope, file.id).await.unwrap();
        let stored = world.context.store.get(&Path::from(key)).await.unwrap().bytes().await.unwrap();
        assert_eq!(stored, bytes());

        // A second run finds it done.
        let tx = world.ledger.begin().await.unwrap();
        tx.enqueue(NewJob::new(world.tenant.0, &FetchMedia { media_id: file.id })).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(world.run(WHATSAPP_MEDIA).await, 1);
        let stored = world.events("messages").await.into_iter().filter(|(action, _)| action == "media_stored").count();
        assert_eq!(stored, 1);
    }

    async fn a_picture_that_whatsapp_no_longer_has_is_marked(kind: Kind) {
        let world = world(kind).await;
        customer_sends_a_picture(&world).await;
        while !world.told_all().await {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        world.run(WHATSAPP_RECEIVE).await;
        let conversation = world.conversations().await.remove(0);
        let id = world.said_in(&conversation).await[0].content["image"]["id"].as_str().unwrap().to_owned();
        world.forget_file(&id).await;
        world.settle().await;
        let file = file(&world).await;
        assert_eq!(file.state, MediaState::Failed);
        assert!(!file.error.unwrap().is_empty());
        assert_eq!(world.job(FetchMedia::KIND).await.state, "done");
    }

    async fn a_picture_is_fetched_once_the_token_is_right_again(kind: Kind) {
        let mut world = world(kind).await;
        let sealer = std::mem::replace(&mut world.context.sealer, domain::seal::Sealer::new(&[9; 32]));
        customer_sends_a_picture(&world).await;
        world.settle().await;
        assert_eq!(file(&world).await.state, MediaState::Pending);
        world.context.sealer = sealer;
        world.hurry().await;
        world.settle().await;
        assert_eq!(file(&world).await.state, MediaState::Stored);
    }

    async fn a_picture_is_given_up_after_the_last_attempt(kind: Kind) {
        let mut world = world(kind).await;
        customer_sends_a_picture(&world).await;
        world.context.channels = workers::Channels::new("http://127.0.0.1:1", "v23.0").unwrap();
        world.settle().await;
        for attempt in 1..FetchMedia::MAX_ATTEMPTS {
            assert_eq!(file(&world).await.state, MediaState::Pending, "after attempt {attempt}");
            world.hurry().await;
            world.run(WHATSAPP_MEDIA).await;
        }
        let file = file(&world).await;
        assert_eq!((file.state, file.error.is_some()), (MediaState::Failed, true));
        assert_eq!(world.job(FetchMedia::KIND).await.state, "done");
    }

    async fn a_file_of_ours_is_uploaded_once_and_sent_twice(kind: Kind) {
        let world = world(kind).await;
        world.opened_by(CUSTOMER).await;
        let id = uploaded(&world, "application/pdf").await;
        let first = world.send(CUSTOMER, document(id)).await;
        let second = world.send(CUSTOMER, document(id)).await;
        world.settle().await;
        for message in [first, second] {
            assert_eq!(world.message(message).await.status, MessageStatus::Read);
        }
        let accepted = world.accepted().await;
        let (one, two) = (&accepted[0]["body"]["document"], &accepted[1]["body"]["document"]);
        assert_eq!((&one["id"], &one["caption"]), (&two["id"], &json!("A nota")));
        assert_eq!(world.file(one["id"].as_str().unwrap()).await, bytes());
        let row = media::row(&world.ledger.db().write, world.tenant, id).await.unwrap().unwrap();
        assert_eq!(row.provider_media_id.as_deref(), one["id"].as_str());
        // What is stored of the message is what was asked for.
        assert_eq!(world.message(first).await.content["document"]["media_id"], json!(id));
    }

    async fn a_file_that_whatsapp_refuses_fails_its_message(kind: Kind) {
        let world = world(kind).await;
        world.opened_by(CUSTOMER).await;
        let refused = world.send(CUSTOMER, document(uploaded(&world, "application/zip").await)).await;
        let gone = uploaded(&world, "application/pdf").await;
        world.context.store.delete(&Path::from(media::storage_key(world.tenant, gone))).await.unwrap();
        let gone = world.send(CUSTOMER, document(gone)).await;
        world.settle().await;
        for id in [refused, gone] {
            let message = world.message(id).await;
            assert_eq!(message.status, MessageStatus::Failed, "{message:#?}");
            assert_eq!(world.history(id).await.last(), Some(&MessageStatus::Failed));
        }
        assert_eq!(world.accepted().await.len(), 0);
    }

    async fn an_upload_that_goes_wrong_is_tried_again(kind: Kind) {
        let mut world = world(kind).await;
        world.opened_by(CUSTOMER).await;
        let id = uploaded(&world, "application/pdf").await;
        let there = world.context.channels.clone();
        world.context.channels = workers::Channels::new("http://127.0.0.1:1", "v23.0").unwrap();
        let message = world.send(CUSTOMER, document(id)).await;
        world.run(WHATSAPP_SEND).await;
        assert_eq!(world.message(message).await.status, MessageStatus::Queued);
        world.context.channels = there;
        world.hurry().await;
        world.settle().await;
        assert_eq!(world.message(message).await.status, MessageStatus::Read);
    }
}
