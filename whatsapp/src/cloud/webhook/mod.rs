//! What Meta's webhooks say. Reading never fails on what it doesn't know: that is kept as it came.

mod split;

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{
    channel::ProviderError,
    cloud::errors::{harmless, whole},
    phone,
};

pub use split::{addressees, split};

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
    /// Who sent it: their number (`wa_id`), or their user id when WhatsApp doesn't tell the number.
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
    /// Who it went to (`wa_id` or user id); empty when WhatsApp doesn't tell.
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

/// What a delivery tells, in its order. What can't be told whose it is, or has no id, is [`Event::Other`].
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
            let other = |value| Event::Other { field: text(&change["field"]).unwrap_or_default(), value };
            let contacts = contacts(value);
            let before = changes.len();
            changes.extend(list(value, "messages").iter().map(|message| {
                let inbound = inbound(message, contact(&contacts, message)).map(|inbound| Event::Message(Box::new(inbound)));
                about(inbound.unwrap_or_else(|| other(json!({ "messages": [message] }))))
            }));
            changes.extend(list(value, "statuses").iter().map(|update| {
                let status = status(update).map(Event::Status);
                about(status.unwrap_or_else(|| other(json!({ "statuses": [update] }))))
            }));
            if changes.len() == before {
                changes.push(about(other(value.clone())));
            }
        }
    }
    changes
}

/// The contacts of a change, by their numbers and user ids.
fn contacts(value: &Value) -> HashMap<String, &Value> {
    let mut contacts = HashMap::new();
    for contact in list(value, "contacts") {
        for id in ["wa_id", "user_id"].into_iter().filter_map(|name| text(&contact[name])) {
            contacts.entry(spelling(&id)).or_insert(contact);
        }
    }
    contacts
}

/// The contact that wrote a message. Its number may stand there in another spelling.
fn contact<'a>(contacts: &HashMap<String, &'a Value>, message: &Value) -> Option<&'a Value> {
    contacts.get(&spelling(&author(message)?)).copied()
}

fn spelling(id: &str) -> String {
    phone::canonical(id).unwrap_or_else(|| id.to_owned())
}

/// Who wrote a message: their number, or their user id when they keep the number to themselves.
fn author(message: &Value) -> Option<String> {
    text(&message["from"]).or_else(|| text(&message["from_user_id"]))
}

fn inbound(message: &Value, contact: Option<&Value>) -> Option<Inbound> {
    let kind = text(&message["type"]).unwrap_or_else(|| "unsupported".into());
    let content = message.get(&kind).cloned().unwrap_or(Value::Null);
    let context = text(&message["context"]["id"]);
    let unsupported = || ("unsupported".to_owned(), message.clone());
    let (kind, content, context) = match kind.as_str() {
        "interactive" => {
            let reply = text(&content["type"]).unwrap_or_default();
            let kind = match reply.as_str() {
                "button_reply" | "list_reply" => Some(reply.as_str()),
                "nfm_reply" => Some("flow_reply"),
                _ => None,
            };
            let (kind, content) = kind.map_or_else(unsupported, |kind| (kind.to_owned(), content[&reply].clone()));
            (kind, content, context)
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
        _ => {
            let (kind, content) = unsupported();
            (kind, content, context)
        }
    };
    let media = text(&content["id"])
        .filter(|_| matches!(kind.as_str(), "image" | "video" | "audio" | "document" | "sticker"))
        .map(|id| InboundMedia { provider_media_id: id, mime_type: text(&content["mime_type"]), file_name: text(&content["filename"]) });
    Some(Inbound {
        provider_id: text(&message["id"])?,
        from: author(message)?,
        profile_name: contact.and_then(|contact| text(&contact["profile"]["name"])),
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
        recipient: text(&status["recipient_id"]).or_else(|| text(&status["recipient_user_id"])).unwrap_or_default(),
        status: text(&status["status"])?,
        at: time(&status["timestamp"]),
        errors: list(status, "errors").iter().map(error).collect(),
        callback: text(&status["biz_opaque_callback_data"]),
    })
}

fn error(error: &Value) -> ProviderError {
    let message =
        text(&error["error_data"]["details"]).or_else(|| text(&error["message"])).or_else(|| text(&error["title"])).unwrap_or_default();
    ProviderError { code: whole(&error["code"]), message: harmless(&message), ..ProviderError::default() }
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

/// Seconds since 1970 as text or number. Now when there is none that can be: before 1970, or more than a day ahead.
fn time(value: &Value) -> DateTime<Utc> {
    let now = Utc::now();
    let seconds = value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    let time = seconds.filter(|seconds| *seconds >= 0).and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    time.filter(|time| *time < now + TimeDelta::days(1)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn delivery(messages: Value) -> Value {
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
            (
                "edit",
                json!({ "original_message_id": "wamid.2", "message": { "type": "text", "text": { "body": "novo" } } }),
                "edit",
                Some("wamid.2"),
            ),
            ("revoke", json!({ "original_message_id": "wamid.3" }), "revoke", Some("wamid.3")),
            ("unsupported", json!(null), "unsupported", None),
            ("hologram", json!({ "x": 1 }), "unsupported", None),
        ] {
            let mut message = json!({ "from": "5511987654321", "id": "wamid.N", "timestamp": "1700000000", "type": kind });
            message[kind] = body;
            let changes = parse(&delivery(json!([message])));
            let [Change { phone_number_id, business_account_id, event: Event::Message(message) }] = changes.as_slice() else {
                panic!("{changes:?}")
            };
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

    /// Two accounts' worth of everything, in one delivery.
    pub(super) fn crowded() -> Value {
        let one = |from: &str, id: &str| json!({ "from": from, "id": id, "timestamp": "1", "type": "text", "text": { "body": id } });
        let status = |id: &str| json!({ "id": id, "status": "read", "timestamp": "1", "recipient_id": "5511987654321", "biz_opaque_callback_data": "O" });
        json!({ "object": "whatsapp_business_account", "entry": [
            { "id": "WABA", "changes": [
                { "field": "messages", "value": {
                    "messaging_product": "whatsapp", "metadata": { "display_phone_number": "1", "phone_number_id": "PN" }, "errors": [{ "code": 1 }],
                    "contacts": [{ "profile": { "name": "Ana" }, "wa_id": "5511987654321" }, { "profile": { "name": "Bia" }, "wa_id": "16505551234" }],
                    "messages": [one("16505551234", "a"), one("5511987654321", "b"), { "id": "no author" }, 7, one("999", "c")],
                    "statuses": [status("s"), { "status": "no id" }] } },
                { "field": "account_update", "value": { "event": "VERIFIED" } },
            ] },
            { "id": "OTHER", "changes": [{ "field": "messages", "value": { "metadata": { "phone_number_id": "PN2" }, "statuses": [status("t")] } }] },
        ] })
    }

    #[test]
    fn nothing_is_lost_beside_what_can_be_read() {
        let events: Vec<_> = parse(&crowded()).into_iter().map(|change| change.event).collect();
        let kept: Vec<_> =
            events.iter().filter_map(|event| if let Event::Other { value, .. } = event { Some(value.clone()) } else { None }).collect();
        assert_eq!(
            kept,
            [
                json!({ "messages": [{ "id": "no author" }] }),
                json!({ "messages": [7] }),
                json!({ "statuses": [{ "status": "no id" }] }),
                json!({ "event": "VERIFIED" }),
            ]
        );
    }

    #[test]
    fn a_name_belongs_to_its_own_number_only() {
        let names: Vec<_> = parse(&crowded())
            .into_iter()
            .filter_map(|change| if let Event::Message(message) = change.event { Some(message.profile_name) } else { None })
            .collect();
        assert_eq!(names, [Some("Bia".to_owned()), Some("Ana".into()), None]);
        // Without its ninth digit it is the same number.
        let message = json!({ "from": "551187654321", "id": "wamid.N", "timestamp": "1", "type": "text", "text": { "body": "oi" } });
        assert!(
            matches!(&parse(&delivery(json!([message])))[0].event, Event::Message(message) if message.profile_name.as_deref() == Some("Ana"))
        );
    }

    #[test]
    fn a_customer_without_a_number_is_known_by_their_user_id() {
        let body = json!({ "entry": [{ "id": "WABA", "changes": [{ "field": "messages", "value": {
            "contacts": [{ "profile": { "name": "Caio" }, "user_id": "BR.13491208655302741918" }],
            "messages": [{ "from_user_id": "BR.13491208655302741918", "id": "wamid.N", "timestamp": "1", "type": "text", "text": { "body": "oi" } }],
            "statuses": [{ "id": "wamid.M", "status": "sent", "timestamp": "1", "recipient_user_id": "BR.13491208655302741918" }] } }] }] });
        let [message, update] = <[Change; 2]>::try_from(parse(&body)).expect("two");
        assert!(
            matches!(message.event, Event::Message(message) if message.from == "BR.13491208655302741918" && message.profile_name.as_deref() == Some("Caio"))
        );
        assert!(matches!(update.event, Event::Status(update) if update.recipient == "BR.13491208655302741918"));
    }

    #[test]
    fn a_time_that_cant_be_is_now() {
        let before = Utc::now();
        for bad in [json!(null), json!("soon"), json!("-5"), json!(-5), json!("1700000000000"), json!(i64::MAX), json!({}), json!(1.5)] {
            let time = time(&bad);
            assert!((before..=Utc::now()).contains(&time), "{bad}");
        }
        for good in [json!("1700000000"), json!(1_700_000_000)] {
            assert_eq!(time(&good).timestamp(), 1_700_000_000);
        }
    }

    #[test]
    fn an_answer_of_an_unknown_kind_is_kept_whole() {
        for interactive in
            [json!({ "type": "call_permission_reply", "call_permission_reply": { "response": "accept" } }), json!({}), json!(null)]
        {
            let message = json!({ "from": "1", "id": "wamid.N", "timestamp": "1", "type": "interactive", "interactive": interactive });
            let changes = parse(&delivery(json!([message])));
            assert!(matches!(&changes[0].event, Event::Message(inbound) if inbound.kind == "unsupported" && inbound.content == message));
        }
    }
}
