//! What Meta's webhooks say. Reading never fails on what it doesn't know: that is kept as it came.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::{channel::ProviderError, cloud::errors::harmless};

/// One thing that a delivery tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The account it is about.
    pub business_account_id: Option<String>,
    /// The number it is about; absent in what concerns an account.
    pub phone_number_id: Option<String>,
    /// What it tells.
    pub event: Event,
}

/// What a change tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A message from a customer.
    Message(Box<Inbound>),
    /// How a message of ours fares.
    Status(StatusUpdate),
    /// Something else, as it came.
    Other {
        /// Meta's name for it.
        field: String,
        /// Its body.
        value: Value,
    },
}

/// A message from a customer.
#[derive(Clone, Debug, PartialEq)]
pub struct Inbound {
    /// Its id at WhatsApp.
    pub provider_id: String,
    /// Who sent it (`wa_id`).
    pub from: String,
    /// The name on their profile.
    pub profile_name: Option<String>,
    /// When they sent it.
    pub at: DateTime<Utc>,
    /// Its kind: Meta's type, or `button_reply`, `list_reply`, `flow_reply`, `edit`, `revoke`, `unsupported`.
    pub kind: String,
    /// What Meta puts under its type.
    pub content: Value,
    /// The message it answers or is about, by its id at WhatsApp.
    pub context: Option<String>,
    /// The file it carries.
    pub media: Option<InboundMedia>,
}

/// A file that waits at WhatsApp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundMedia {
    /// Its id there.
    pub provider_media_id: String,
    /// Its type.
    pub mime_type: Option<String>,
    /// Its name.
    pub file_name: Option<String>,
}

/// How a message of ours fares.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusUpdate {
    /// Its id at WhatsApp.
    pub provider_id: String,
    /// Who it went to (`wa_id`).
    pub recipient: String,
    /// `sent`, `delivered`, `read`, `failed`, or something new.
    pub status: String,
    /// Since when.
    pub at: DateTime<Utc>,
    /// Why it failed.
    pub errors: Vec<ProviderError>,
    /// What we sent as `biz_opaque_callback_data`: our own id.
    pub callback: Option<String>,
}

/// The changes of a delivery as single bodies of the same shape, each with one message, one status or one other thing:
/// what one inbox row keeps.
#[must_use]
pub fn split(delivery: &Value) -> Vec<Value> {
    let mut bodies = Vec::new();
    for entry in list(delivery, "entry") {
        for change in list(entry, "changes") {
            let value = &change["value"];
            let alone = |part: Option<(&str, &Value)>| {
                let mut value = value.clone();
                if let (Some(value), Some((name, one))) = (value.as_object_mut(), part) {
                    value.remove("messages");
                    value.remove("statuses");
                    value.insert(name.to_owned(), json!([one]));
                }
                json!({ "object": delivery["object"], "entry": [{ "id": entry["id"], "changes": [{ "field": change["field"], "value": value }] }] })
            };
            let parts: Vec<_> = ["messages", "statuses"].into_iter().flat_map(|name| list(value, name).iter().map(move |one| (name, one))).collect();
            match parts.is_empty() {
                true => bodies.push(alone(None)),
                false => bodies.extend(parts.into_iter().map(|part| alone(Some(part)))),
            }
        }
    }
    bodies
}

/// What a delivery tells, in its order.
#[must_use]
pub fn parse(delivery: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    for entry in list(delivery, "entry") {
        for change in list(entry, "changes") {
            let value = &change["value"];
            let about = |event| Change {
                business_account_id: text(&entry["id"]),
                phone_number_id: text(&value["metadata"]["phone_number_id"]),
                event,
            };
            let before = changes.len();
            changes.extend(list(value, "messages").iter().filter_map(|message| inbound(message, value)).map(|m| about(Event::Message(Box::new(m)))));
            changes.extend(list(value, "statuses").iter().filter_map(status).map(|update| about(Event::Status(update))));
            if changes.len() == before {
                let field = text(&change["field"]).unwrap_or_default();
                changes.push(about(Event::Other { field, value: value.clone() }));
            }
        }
    }
    changes
}

fn inbound(message: &Value, value: &Value) -> Option<Inbound> {
    let from = text(&message["from"])?;
    let kind = text(&message["type"]).unwrap_or_else(|| "unsupported".into());
    let profile = list(value, "contacts").iter().find(|contact| contact["wa_id"] == from.as_str()).or(list(value, "contacts").first());
    let content = message.get(&kind).cloned().unwrap_or(Value::Null);
    let context = text(&message["context"]["id"]);
    let (kind, content, context) = match kind.as_str() {
        "interactive" => {
            let reply = text(&content["type"]).unwrap_or_default();
            let inner = content.get(&reply).cloned().unwrap_or(Value::Null);
            (if reply == "nfm_reply" { "flow_reply".into() } else { reply }, inner, context)
        }
        "reaction" => {
            let target = text(&content["message_id"]);
            (kind, content, target)
        }
        // What an edit or a revoke is about stands in its own member.
        "edit" | "revoke" => {
            let target = text(&content["original_message_id"]).or_else(|| text(&content["message_id"])).or(context);
            (kind, content, target)
        }
        "text" | "image" | "video" | "audio" | "document" | "sticker" | "location" | "contacts" | "button" | "order" | "system" => {
            (kind, content, context)
        }
        _ => ("unsupported".into(), message.clone(), context),
    };
    let media = text(&content["id"]).filter(|_| matches!(kind.as_str(), "image" | "video" | "audio" | "document" | "sticker")).map(|id| InboundMedia {
        provider_media_id: id,
        mime_type: text(&content["mime_type"]),
        file_name: text(&content["filename"]),
    });
    Some(Inbound {
        provider_id: text(&message["id"])?,
        from,
        profile_name: profile.and_then(|contact| text(&contact["profile"]["name"])),
        at: time(&message["timestamp"]),
        kind,
        content,
        context,
        media,
    })
}

fn status(status: &Value) -> Option<StatusUpdate> {
    Some(StatusUpdate {
        provider_id: text(&status["id"])?,
        recipient: text(&status["recipient_id"]).unwrap_or_default(),
        status: text(&status["status"])?,
        at: time(&status["timestamp"]),
        errors: list(status, "errors").iter().map(error).collect(),
        callback: text(&status["biz_opaque_callback_data"]),
    })
}

fn error(error: &Value) -> ProviderError {
    let message = text(&error["message"]).or_else(|| text(&error["title"])).unwrap_or_default();
    ProviderError { code: error["code"].as_i64(), message: harmless(&message), ..ProviderError::default() }
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Seconds since 1970 as text or number; now when there is none.
fn time(value: &Value) -> DateTime<Utc> {
    let seconds = value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0)).unwrap_or_else(Utc::now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(messages: Value) -> Value {
        json!({ "object": "whatsapp_business_account", "entry": [{ "id": "WABA", "changes": [{ "field": "messages", "value": {
            "messaging_product": "whatsapp", "metadata": { "display_phone_number": "15550783881", "phone_number_id": "PN" },
            "contacts": [{ "profile": { "name": "Ana" }, "wa_id": "5511987654321" }], "messages": messages } }] }] })
    }

    #[test]
    fn every_inbound_kind_is_told_apart() {
        for (kind, body, expected, context) in [
            ("text", json!({ "body": "oi" }), "text", None),
            ("reaction", json!({ "message_id": "wamid.1", "emoji": "👍" }), "reaction", Some("wamid.1")),
            ("image", json!({ "id": "M", "mime_type": "image/jpeg", "sha256": "x" }), "image", None),
            ("video", json!({ "id": "M", "mime_type": "video/mp4" }), "video", None),
            ("audio", json!({ "id": "M", "mime_type": "audio/ogg; codecs=opus", "voice": true }), "audio", None),
            ("document", json!({ "id": "M", "filename": "a.pdf" }), "document", None),
            ("sticker", json!({ "id": "M" }), "sticker", None),
            ("location", json!({ "latitude": 1, "longitude": 2 }), "location", None),
            ("contacts", json!([{ "name": { "formatted_name": "B" } }]), "contacts", None),
            ("button", json!({ "payload": "p", "text": "Sim" }), "button", None),
            ("interactive", json!({ "type": "button_reply", "button_reply": { "id": "1", "title": "Sim" } }), "button_reply", None),
            ("interactive", json!({ "type": "list_reply", "list_reply": { "id": "1", "title": "R" } }), "list_reply", None),
            ("interactive", json!({ "type": "nfm_reply", "nfm_reply": { "response_json": "{}" } }), "flow_reply", None),
            ("order", json!({ "catalog_id": "C", "product_items": [] }), "order", None),
            ("system", json!({ "body": "changed", "type": "user_changed_number" }), "system", None),
            ("edit", json!({ "original_message_id": "wamid.2", "message": { "type": "text", "text": { "body": "novo" } } }), "edit", Some("wamid.2")),
            ("revoke", json!({ "original_message_id": "wamid.3" }), "revoke", Some("wamid.3")),
            ("unsupported", json!(null), "unsupported", None),
            ("hologram", json!({ "x": 1 }), "unsupported", None),
        ] {
            let mut message = json!({ "from": "5511987654321", "id": "wamid.N", "timestamp": "1700000000", "type": kind });
            message[kind] = body;
            let changes = parse(&delivery(json!([message])));
            let [Change { phone_number_id, business_account_id, event: Event::Message(message) }] = changes.as_slice() else { panic!("{changes:?}") };
            assert_eq!((phone_number_id.as_deref(), business_account_id.as_deref()), (Some("PN"), Some("WABA")));
            assert_eq!((message.kind.as_str(), message.context.as_deref()), (expected, context));
            assert_eq!(message.media.is_some(), ["image", "video", "audio", "document", "sticker"].contains(&expected));
            assert_eq!(message.profile_name.as_deref(), Some("Ana"));
            assert_eq!(message.at.timestamp(), 1_700_000_000);
        }
    }

    #[test]
    fn an_answer_and_an_advertisement_keep_what_they_came_with() {
        let message = json!({ "from": "5511987654321", "id": "wamid.N", "timestamp": "1", "type": "text", "text": { "body": "oi" },
            "context": { "from": "15550783881", "id": "wamid.0" }, "referral": { "source_type": "ad" } });
        let changes = parse(&delivery(json!([message])));
        assert!(matches!(&changes[0].event, Event::Message(message) if message.context.as_deref() == Some("wamid.0")));
    }

    #[test]
    fn a_status_carries_our_id_and_its_errors() {
        let body = json!({ "entry": [{ "id": "WABA", "changes": [{ "field": "messages", "value": { "metadata": { "phone_number_id": "PN" }, "statuses": [
            { "id": "wamid.N", "recipient_id": "5511", "status": "failed", "timestamp": "1700000000", "biz_opaque_callback_data": "OURS",
              "errors": [{ "code": 131047, "title": "Re-engagement message" }] }] } }] }] });
        let Event::Status(update) = &parse(&body)[0].event else { panic!() };
        assert_eq!((update.status.as_str(), update.callback.as_deref(), update.errors[0].code), ("failed", Some("OURS"), Some(131_047)));
    }

    #[test]
    fn the_unknown_is_kept_and_rubbish_is_nothing() {
        let body = json!({ "entry": [{ "id": "WABA", "changes": [{ "field": "account_update", "value": { "event": "VERIFIED" } }] }] });
        assert!(matches!(&parse(&body)[0].event, Event::Other { field, .. } if field == "account_update"));
        for rubbish in [json!(null), json!([]), json!({ "entry": 1 }), json!({ "entry": [{ "changes": [1] }] })] {
            assert!(parse(&rubbish).iter().all(|change| matches!(change.event, Event::Other { .. })));
        }
    }

    #[test]
    fn splitting_keeps_everything() {
        let one = |id: &str| json!({ "from": "5511987654321", "id": id, "timestamp": "1", "type": "text", "text": { "body": id } });
        let whole = delivery(json!([one("a"), one("b")]));
        let parts: Vec<_> = split(&whole).iter().flat_map(parse).collect();
        assert_eq!(parts, parse(&whole));
        assert_eq!(split(&whole).len(), 2);
    }
}
