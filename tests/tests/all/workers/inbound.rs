//! The way of a message in.

use std::time::Duration;

use domain::{
    entities::{ConversationStatus, MessageStatus::Read},
    payloads::MarkRead,
    whatsapp::conversations,
};
use jobs::{
    Job,
    queue::{CONTACT_SYNC, WHATSAPP_RECEIVE, WHATSAPP_SEND},
    testing,
};
use serde_json::json;
use tests::{
    on_both_databases,
    whatsapp::{CUSTOMER, NUMBER, world},
};

on_both_databases! {
    async fn a_text_comes_in_and_waits_for_an_answer(kind: Kind) {
        let world = world(kind).await;
        let provider_id = world.customer_writes(CUSTOMER, json!({ "name": "Bia Souza", "text": { "body": "Olá" } })).await;
        world.settle().await;
        let conversations = world.conversations().await;
        let [conversation] = conversations.as_slice() else { panic!("{conversations:#?}") };
        assert_eq!((conversation.chat.as_str(), conversation.unread, conversation.status), (CUSTOMER, 1, ConversationStatus::Open));
        let (since, until) = (conversation.waiting_since.unwrap(), conversation.window_until.unwrap());
        assert_eq!((until - since).num_hours(), 24);
        let said = world.said_in(conversation).await;
        let [message] = said.as_slice() else { panic!("{said:#?}") };
        assert_eq!((message.kind.as_str(), &message.content), ("text", &json!({ "text": { "body": "Olá" } })));
        assert_eq!(message.provider_id, Some(provider_id));
        let (contacts, identities, phones) = world.contacts().await;
        assert_eq!(contacts, [(conversation.contact_id, "Bia".to_owned())]);
        assert_eq!(identities, [format!("phone {CUSTOMER}"), format!("wa_id {CUSTOMER}")]);
        assert_eq!(phones, [format!("+{CUSTOMER}")]);

        world.say(CUSTOMER, "Bom dia").await;
        let answered = world.conversations().await.remove(0);
        assert_eq!(answered.waiting_since, None);
        assert!(answered.first_reply_at.is_some());
    }

    async fn a_redelivered_webhook_makes_one_message(kind: Kind) {
        let world = world(kind).await;
        world.misbehave(json!({ "duplicate": 1.0 })).await;
        let id = world.customer_writes(CUSTOMER, json!({ "text": { "body": "Olá" } })).await;
        world.settle().await;
        // Days later, once more.
        world.customer_writes(CUSTOMER, json!({ "id": id, "text": { "body": "Olá" } })).await;
        world.settle().await;
        assert_eq!(world.deliveries(), 4);
        let conversation = world.conversations().await.remove(0);
        assert_eq!((world.said_in(&conversation).await.len(), conversation.unread), (1, 1));
    }

    async fn duplicates_at_the_same_moment_make_one_message(kind: Kind) {
        let world = world(kind).await;
        let message = |n: u32| json!({ "from": CUSTOMER, "id": format!("wamid.{n}"), "timestamp": "1790000000", "type": "text", "text": { "body": "Olá" } });
        let delivery = json!({ "object": "whatsapp_business_account", "entry": [{ "id": "sandbox-account", "changes": [{ "field": "messages", "value": {
            "messaging_product": "whatsapp",
            "metadata": { "display_phone_number": NUMBER, "phone_number_id": NUMBER },
            "contacts": [{ "profile": { "name": "Bia" }, "wa_id": CUSTOMER }],
            "messages": [message(1), message(2), message(1)],
        } }] }] });
        let runtimes = [world.work(&[WHATSAPP_RECEIVE, CONTACT_SYNC], 8), world.work(&[WHATSAPP_RECEIVE], 8)];
        let answers = futures::future::join_all((0..8).map(|_| world.deliver(&delivery))).await;
        assert_eq!(answers, [200; 8]);
        while !testing::leftovers(&world.ledger).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(runtimes);
        let conversations = world.conversations().await;
        assert_eq!(conversations.len(), 1);
        let ids: Vec<_> = world.said_in(&conversations[0]).await.into_iter().map(|message| message.provider_id.unwrap()).collect();
        assert_eq!((ids, conversations[0].unread), (vec!["wamid.1".to_owned(), "wamid.2".to_owned()], 2));
        assert_eq!(world.contacts().await.0.len(), 1);
    }

    async fn what_another_secret_signed_is_refused_and_nothing_kept(kind: Kind) {
        let world = world(kind).await;
        let number = json!({ "phone_number_id": NUMBER, "app_secret": "another", "webhook": world.webhook });
        world.post("/sandbox/numbers", number).await;
        world.customer_writes(CUSTOMER, json!({ "text": { "body": "Olá" } })).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!world.told_all().await, "it is refused, so it is tried again");
        assert_eq!(world.deliveries(), 0);
        assert!(testing::leftovers(&world.ledger).await.unwrap().is_empty());
    }

    async fn brazils_ninth_digit_makes_no_second_customer(kind: Kind) {
        let world = world(kind).await;
        let conversation = world.opened_by("551187654321").await;
        assert_eq!(world.opened_by("5511987654321").await.id, conversation.id);
        world.say("+55 11 8765-4321", "um").await;
        world.settle().await;
        world.opened_by("551187654321").await;
        world.say("+55 (11) 98765-4321", "dois").await;
        world.settle().await;
        assert_eq!((world.conversations().await.len(), world.said_in(&conversation).await.len()), (1, 5));
        let (contacts, identities, phones) = world.contacts().await;
        assert_eq!(contacts.len(), 1);
        assert_eq!(identities, ["phone 5511987654321", "wa_id 551187654321"]);
        assert_eq!(phones, ["+5511987654321"]);
        // Each went out under the spelling that WhatsApp used last.
        let to: Vec<_> = world.accepted().await.iter().map(|one| one["to"].as_str().unwrap().to_owned()).collect();
        assert_eq!(to, ["5511987654321", "551187654321"]);
    }

    async fn reactions_edits_and_revokes_mark_what_they_are_about(kind: Kind) {
        let world = world(kind).await;
        let first = world.customer_writes(CUSTOMER, json!({ "text": { "body": "Quero 2" } })).await;
        let second = world.customer_writes(CUSTOMER, json!({ "text": { "body": "Esquece" } })).await;
        world.settle().await;
        let answer = world.say(CUSTOMER, "Certo").await;
        world.settle().await;
        let answer = world.message(answer).await.provider_id.unwrap();
        world.customer_writes(CUSTOMER, json!({ "type": "reaction", "reaction": { "message_id": answer, "emoji": "👍" } })).await;
        let edit = json!({ "original_message_id": first, "message": { "type": "text", "text": { "body": "Quero 3" } } });
        world.customer_writes(CUSTOMER, json!({ "type": "edit", "edit": edit })).await;
        world.customer_writes(CUSTOMER, json!({ "type": "revoke", "revoke": { "original_message_id": second } })).await;
        world.settle().await;

        let conversation = world.conversations().await.remove(0);
        let said = world.said_in(&conversation).await;
        let kinds: Vec<_> = said.iter().map(|message| message.kind.as_str()).collect();
        assert_eq!(kinds, ["text", "text", "text", "reaction", "edit", "revoke"]);
        assert_eq!(said[0].content["text"]["body"], "Quero 2", "what it said before stays readable");
        assert_eq!(said[0].content["edited"]["content"]["message"]["text"]["body"], "Quero 3");
        assert!(said[1].content["revoked"]["at"].is_string());
        assert_eq!((said[3].reply_to, &said[3].content["reaction"]["emoji"]), (Some(said[2].id), &json!("👍")));
        assert_eq!((said[4].reply_to, said[5].reply_to), (Some(said[0].id), Some(said[1].id)));
        assert_eq!(conversation.unread, 2, "nobody has to answer those");
    }

    async fn what_this_version_does_not_know_is_kept(kind: Kind) {
        let world = world(kind).await;
        world.customer_writes(CUSTOMER, json!({ "type": "hologram", "hologram": { "depth": 3 } })).await;
        world.settle().await;
        let conversation = world.conversations().await.remove(0);
        let said = world.said_in(&conversation).await;
        assert_eq!((said.len(), said[0].kind.as_str()), (1, "unsupported"));
        assert_eq!(said[0].content["unsupported"]["hologram"]["depth"], 3);
    }

    async fn a_read_conversation_and_typing_are_shown_to_the_customer(kind: Kind) {
        let world = world(kind).await;
        let conversation = world.opened_by(CUSTOMER).await;
        let chat = format!("/sandbox/chats/{NUMBER}/{CUSTOMER}");
        assert_eq!(world.get(&chat).await["data"][0]["status"], "delivered");
        assert_eq!(conversations::mark_read(&world.ledger, &world.scope, conversation.id).await.unwrap().unread, 0);
        world.run(WHATSAPP_SEND).await;
        let seen = world.get(&chat).await;
        assert_eq!((&seen["data"][0]["status"], &seen["typing"]), (&json!("read"), &json!(false)));
        conversations::show_typing(&world.ledger, &world.scope, conversation.id).await.unwrap();
        world.run(WHATSAPP_SEND).await;
        assert_eq!(world.get(&chat).await["typing"], true);
    }

    async fn a_receipt_that_is_refused_is_no_dead_job(kind: Kind) {
        let world = world(kind).await;
        let conversation = world.opened_by(CUSTOMER).await;
        world.change_token("another").await;
        conversations::mark_read(&world.ledger, &world.scope, conversation.id).await.unwrap();
        world.run(WHATSAPP_SEND).await;
        assert_eq!(world.job(MarkRead::KIND).await.state, "done");
    }

    async fn the_sandboxes_customer_answers_and_reads(kind: Kind) {
        let world = world(kind).await;
        let conversation = world.opened_by(CUSTOMER).await;
        let id = world.say(CUSTOMER, "Tudo bem?").await;
        world.customer_writes(CUSTOMER, json!({ "text": { "body": "Tudo" }, "context": { "id": "wamid.unknown" } })).await;
        world.settle().await;
        assert_eq!(world.message(id).await.status, Read);
        let said = world.said_in(&conversation).await;
        assert_eq!((said.len(), said[2].reply_to), (3, None), "an answer to what nobody knows is a message all the same");
    }
}
