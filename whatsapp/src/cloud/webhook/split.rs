//! A delivery taken apart, for the inbox.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{contact, contacts, list, text};

/// Which number and which account each change is about, each pair once; `None` when there are more than `most` of them.
#[must_use]
pub fn addressees(delivery: &Value, most: usize) -> Option<BTreeSet<(Option<String>, Option<String>)>> {
    let mut all = BTreeSet::new();
    for entry in list(delivery, "entry") {
        for change in list(entry, "changes") {
            let id = |value: &Value| text(value).filter(|text| text.len() <= 200);
            all.insert((id(&change["value"]["metadata"]["phone_number_id"]), id(&entry["id"])));
            if all.len() > most {
                return None;
            }
        }
    }
    Some(all)
}

/// The changes of a delivery as single bodies of the same shape, each with one message, one status or one other thing:
/// what one inbox row keeps. [`parse`](super::parse) finds in them what it finds in the whole.
///
/// Together they are hardly larger than the delivery, however many there are: what stands beside messages and statuses goes
/// with the first of them, the others get their own contact. NUL, which PostgreSQL can't store, is replaced.
#[must_use]
pub fn split(delivery: &Value) -> Vec<Value> {
    let mut bodies = Vec::new();
    for entry in list(delivery, "entry") {
        for change in list(entry, "changes") {
            let value = &change["value"];
            let alone = |value: Value| {
                let change = json!({ "field": name(&change["field"]), "value": value });
                let mut body = json!({ "object": name(&delivery["object"]), "entry": [{ "id": name(&entry["id"]), "changes": [change] }] });
                clean(&mut body);
                body
            };
            let parts = || ["messages", "statuses"].into_iter().flat_map(|kind| list(value, kind).iter().map(move |one| (kind, one)));
            if parts().next().is_none() {
                bodies.push(alone(value.clone()));
                continue;
            }
            let contacts = contacts(value);
            let metadata = json!({ "phone_number_id": name(&value["metadata"]["phone_number_id"]) });
            for (at, (kind, one)) in parts().enumerate() {
                let mut part = match at {
                    0 => Value::Object(
                        value.as_object().into_iter().flatten().filter(|(_, member)| !is_told(member, value)).map(own).collect(),
                    ),
                    _ => json!({ "messaging_product": "whatsapp", "contacts": contact(&contacts, one).into_iter().collect::<Vec<_>>() }),
                };
                part["metadata"] = metadata.clone();
                part[kind] = json!([one]);
                bodies.push(alone(part));
            }
        }
    }
    bodies
}

/// Whether `member` is the list of messages or of statuses of `value`.
fn is_told(member: &Value, value: &Value) -> bool {
    member.is_array() && ["messages", "statuses"].into_iter().any(|kind| std::ptr::eq(&value[kind], member))
}

fn own((name, member): (&String, &Value)) -> (String, Value) {
    (name.clone(), member.clone())
}

/// An id or a name; nothing in place of one that is too long to be one, so that it isn't repeated with each part.
fn name(value: &Value) -> Value {
    text(value).filter(|text| text.len() <= 200).map_or(Value::Null, Value::String)
}

fn clean(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => *text = text.replace('\0', "\u{fffd}"),
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(members) => {
            if members.keys().any(|name| name.contains('\0')) {
                *members = std::mem::take(members).into_iter().map(|(name, member)| (name.replace('\0', "\u{fffd}"), member)).collect();
            }
            members.values_mut().for_each(clean);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Event, parse,
            tests::{crowded, delivery},
        },
        *,
    };

    #[test]
    fn whom_a_delivery_is_about_is_told_without_taking_it_apart() {
        let change = |number: usize| json!({ "value": { "metadata": { "phone_number_id": number.to_string() } } });
        let delivery = |numbers: usize| json!({ "entry": [{ "id": "WABA", "changes": (0..numbers).map(change).collect::<Vec<_>>() }] });
        let pair = |number: &str| (Some(number.to_owned()), Some("WABA".to_owned()));
        assert_eq!(addressees(&delivery(2), 2), Some(BTreeSet::from([pair("0"), pair("1")])));
        assert_eq!(addressees(&delivery(3), 2), None);
        let all = parse(&crowded()).into_iter().map(|change| (change.phone_number_id, change.business_account_id)).collect();
        assert_eq!(addressees(&crowded(), 100), Some(all));
    }

    #[test]
    fn splitting_keeps_everything() {
        let whole = crowded();
        let parts = split(&whole);
        assert_eq!(parts.iter().flat_map(parse).collect::<Vec<_>>(), parse(&whole));
        assert_eq!(parts.len(), 9);
        assert!(parts.iter().all(|part| parse(part).len() == 1));
        assert_eq!(parts[0]["entry"][0]["changes"][0]["value"]["errors"][0]["code"], 1, "what stands beside goes with the first");
        assert_eq!(parts.iter().flat_map(split).collect::<Vec<_>>(), parts, "a part is split into itself");
    }

    #[test]
    fn parts_of_a_large_delivery_are_small() {
        let many = 5_000;
        let number = |at: usize| format!("5511{:09}", 900_000_000 + at);
        let messages: Vec<_> = (0..many)
            .map(|at| json!({ "from": number(at), "id": format!("wamid.{at}"), "timestamp": "1", "type": "text", "text": { "body": "x" } }))
            .collect();
        let contacts: Vec<_> = (0..many).map(|at| json!({ "profile": { "name": at.to_string() }, "wa_id": number(at) })).collect();
        let mut whole = delivery(json!(messages));
        let value = &mut whole["entry"][0]["changes"][0]["value"];
        value["contacts"] = json!(contacts);
        value["something"] = json!("x".repeat(100_000));
        value["metadata"]["something"] = json!("x".repeat(100_000));
        whole["entry"][0]["id"] = json!("x".repeat(100_000));
        let parts = split(&whole);
        assert_eq!(parts.len(), many);
        let size = |value: &Value| value.to_string().len();
        assert!(parts.iter().map(size).sum::<usize>() < 3 * size(&whole));
        assert!(
            parts
                .iter()
                .flat_map(parse)
                .enumerate()
                .all(|(at, change)| matches!(change.event, Event::Message(message) if message.profile_name == Some(at.to_string())))
        );
    }

    #[test]
    fn nul_is_replaced() {
        let message = json!({ "from": "1", "id": "wamid.N", "timestamp": "1", "type": "text", "text": { "body": "a\0b", "k\0": ["\0"] } });
        let parts = split(&delivery(json!([message])));
        assert!(!parts[0].to_string().contains("\\u0000"));
        let Event::Message(message) = &parse(&parts[0])[0].event else { panic!() };
        assert_eq!(message.content, json!({ "body": "a\u{fffd}b", "k\u{fffd}": ["\u{fffd}"] }));
    }
}
