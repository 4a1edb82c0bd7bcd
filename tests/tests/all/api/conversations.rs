//! Conversations and their messages.

use std::collections::BTreeSet;

use domain::{
    entities::Role,
    payloads::{MarkRead, SendMessage},
};
use serde_json::{Value, json};
use tests::{
    app::{Person, TestApp, app},
    on_both_databases,
};

const NUMBER: &str = "100";
const CUSTOMER: &str = "5511987654321";
const CONVERSATIONS: &str = "/api/whatsapp/conversations";

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

async fn begun(kind: tests::database::Kind) -> (TestApp, Person, String) {
    let app = app(kind).await;
    let ana = app.person("loja", Role::Admin).await;
    app.device(&ana, NUMBER).await;
    app.customer_writes(NUMBER, CUSTOMER, "Olá").await;
    let conversation = ids(&app.get(&ana, CONVERSATIONS).await.is(200).json).remove(0);
    (app, ana, conversation)
}

on_both_databases! {
    async fn pages_show_each_message_once_while_others_come_in(kind: Kind) {
        let (app, ana, conversation) = begun(kind).await;
        for n in 0..9 {
            app.customer_writes(NUMBER, CUSTOMER, &n.to_string()).await;
        }
        let messages = format!("{CONVERSATIONS}/{conversation}/messages");
        let before = ids(&app.get(&ana, &messages).await.is(200).json);
        assert_eq!(before.len(), 10);
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = app.get(&ana, &format!("{messages}?limit=3{cursor}")).await.is(200).json;
            seen.extend(ids(&page));
            app.customer_writes(NUMBER, CUSTOMER, "mais").await;
            match page["page"]["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, before);
        app.finish().await;
    }

    async fn a_page_of_conversations_ends_where_the_next_begins(kind: Kind) {
        let (app, ana, _) = begun(kind).await;
        for n in 0..6 {
            app.customer_writes(NUMBER, &format!("55119876500{n:02}"), "Olá").await;
        }
        // Some that nobody has written in come last.
        app.execute("update whatsapp_conversations set last_message_at = null where chat in ('5511987650001', '5511987650002', '5511987650003')").await;
        let all = ids(&app.get(&ana, CONVERSATIONS).await.is(200).json);
        assert_eq!(all.len(), 7);
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = app.get(&ana, &format!("{CONVERSATIONS}?limit=2{cursor}")).await.is(200).json;
            seen.extend(ids(&page));
            match page["page"]["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, all);
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 7);
        app.finish().await;
    }

    async fn lists_are_filtered(kind: Kind) {
        let (app, ana, conversation) = begun(kind).await;
        let shown = app.get(&ana, &format!("{CONVERSATIONS}/{conversation}")).await.is(200).json;
        let list = async |query: String| ids(&app.get(&ana, &format!("{CONVERSATIONS}?{query}")).await.is(200).json);
        let only = vec![conversation.clone()];
        assert_eq!(list(format!("device_id={}", shown["device_id"].as_str().unwrap())).await, only);
        assert_eq!(list(format!("contact_id={}", shown["contact_id"].as_str().unwrap())).await, only);
        assert_eq!(list("status=open".into()).await, only);
        assert!(list("status=resolved".into()).await.is_empty());
        assert!(list(format!("device_id={}", uuid::Uuid::now_v7())).await.is_empty());
        app.get(&ana, &format!("{CONVERSATIONS}?status=lost")).await.faults(&[("/status", "invalid")]);
        app.finish().await;
    }

    async fn conversations_say_what_people_are_called(kind: Kind) {
        let (app, ana, conversation) = begun(kind).await;
        let path = format!("{CONVERSATIONS}/{conversation}");
        let contact = app.get(&ana, &path).await.is(200).json["contact_id"].as_str().unwrap().to_owned();
        let _ = app.patch(&ana, &format!("/api/contacts/{contact}"), json!({ "first_name": "Bia", "last_name": "Souza" })).await.is(200);
        assert_eq!(app.get(&ana, &path).await.is(200).json["_labels"], json!({ "contact_id": "Bia Souza" }));
        app.execute(&format!("update whatsapp_conversations set assignee_id = (select id from users where email = '{}')", ana.email)).await;
        let both = json!({ "contact_id": "Bia Souza", "assignee_id": "admin of loja" });
        assert_eq!(app.get(&ana, CONVERSATIONS).await.is(200).json["data"][0]["_labels"], both);
        assert_eq!(app.ask(&ana, &format!("{path}/read")).await.is(200).json["_labels"], both);
        app.claim::<MarkRead>().await;
        let rui = app.person("loja", Role::Member).await;
        let role = json!({ "name": "Reader", "grants": { "conversations": { "read": "all" } }, "user_ids": [rui.id] });
        let _ = app.post(&ana, "/api/roles", role).await.is(201);
        assert_eq!(app.get(&rui, CONVERSATIONS).await.is(200).json["data"][0]["_labels"], json!({}), "names are for those who may see them");
        app.finish().await;
    }

    async fn a_foreign_cursor_is_refused(kind: Kind) {
        let (app, ana, conversation) = begun(kind).await;
        let lists = [CONVERSATIONS.to_owned(), format!("{CONVERSATIONS}/{conversation}/messages"), "/api/jobs".to_owned()];
        // Not Base64, no JSON, another list's, a year that no database knows.
        for cursor in ["!", "eA", "eyJhIjoxfQ", "WyItMjAwMDAwLTAxLTAxVDAwOjAwOjAwWiIsIjAxOThjMGRlLTAwMDAtNzAwMC04MDAwLTAwMDAwMDAwMDAwMCJd"] {
            for list in &lists {
                app.get(&ana, &format!("{list}?cursor={cursor}")).await.faults(&[("/cursor", "invalid")]);
            }
        }
        app.finish().await;
    }

    async fn reading_a_conversation_tells_whatsapp_once(kind: Kind) {
        let (app, ana, conversation) = begun(kind).await;
        let path = format!("{CONVERSATIONS}/{conversation}");
        assert_eq!(app.get(&ana, &path).await.is(200).json["unread"], 1);
        assert_eq!(app.ask(&ana, &format!("{path}/read")).await.is(200).json["unread"], 0);
        assert_eq!(app.claim::<MarkRead>().await.payload, json!({ "conversation_id": conversation, "typing": false }));
        let _ = app.ask(&ana, &format!("{path}/read")).await.is(200); // nothing is unread
        let _ = app.ask(&ana, &format!("{path}/typing")).await.is(202);
        assert_eq!(app.claim::<MarkRead>().await.payload["typing"], true);
        app.finish().await;
    }

    async fn nobody_types_to_a_customer_who_has_never_written(kind: Kind) {
        let (app, ana, first) = begun(kind).await;
        let device = app.get(&ana, &format!("{CONVERSATIONS}/{first}")).await.json["device_id"].clone();
        let body = json!({ "device_id": device, "to": "5511912345678", "type": "template", "template": { "name": "oi", "language": "pt_BR" } });
        let sent = app.post(&ana, "/api/whatsapp/messages/send", body).await.is(202).json;
        let path = format!("{CONVERSATIONS}/{}", sent["conversation_id"].as_str().unwrap());
        app.ask(&ana, &format!("{path}/typing")).await.fails(409, "nothing_received");
        app.claim::<SendMessage>().await;
        app.claim_all::<domain::payloads::SyncContact>().await;
        app.finish().await;
    }
}
