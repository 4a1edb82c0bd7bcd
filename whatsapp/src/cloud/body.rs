//! Our messages as Meta's bodies of `POST /{version}/{phone_number_id}/messages`.

use serde_json::{Map, Value, json};

use crate::{
    channel::Outbound,
    message::{Content, Media, MessageType},
};

/// The whole body. `id` comes back with every status.
pub(super) fn of(message: &Outbound, id: &str) -> Value {
    let (kind, member) = member(&message.content, message.target.as_deref());
    let mut body = json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": message.to,
        "type": kind,
        "biz_opaque_callback_data": id,
    });
    body[kind] = member;
    if let Some(reply_to) = &message.reply_to {
        body["context"] = json!({ "message_id": reply_to });
    }
    body
}

/// Meta's type and the member of that name. The content was checked before, so its member is there.
fn member(content: &Content, target: Option<&str>) -> (&'static str, Value) {
    let file = || content.media().map_or(Value::Null, media);
    match content.kind {
        MessageType::Text => ("text", json!(content.text)),
        MessageType::Image => ("image", file()),
        MessageType::Video => ("video", file()),
        MessageType::Audio => ("audio", file()),
        MessageType::Document => ("document", file()),
        MessageType::Sticker => ("sticker", file()),
        MessageType::Location => ("location", json!(content.location)),
        MessageType::Contacts => ("contacts", json!(content.contacts)),
        MessageType::Template => ("template", template(content)),
        MessageType::Reaction => {
            let emoji = content.reaction.as_ref().map_or("", |reaction| &reaction.emoji);
            ("reaction", json!({ "message_id": target, "emoji": emoji }))
        }
        MessageType::Buttons | MessageType::List | MessageType::CtaUrl | MessageType::Flow => ("interactive", interactive(content)),
        // The web protocol's own; `caps` keeps it away from here.
        MessageType::Poll => ("poll", json!(content.poll)),
    }
}

fn media(file: &Media) -> Value {
    let Media { media_id: _, id, link, caption, filename, voice } = file;
    sparse([("id", json!(id)), ("link", json!(link)), ("caption", json!(caption)), ("filename", json!(filename)), ("voice", json!(voice))])
}

fn template(content: &Content) -> Value {
    let Some(template) = &content.template else { return Value::Null };
    sparse([("name", json!(template.name)), ("language", json!({ "code": template.language })), ("components", json!(template.components))])
}

fn interactive(content: &Content) -> Value {
    let framed = |kind: &str, header: &Option<String>, body: &str, footer: &Option<String>, action: Value| {
        sparse([
            ("type", json!(kind)),
            ("header", header.as_ref().map_or(Value::Null, |text| json!({ "type": "text", "text": text }))),
            ("body", json!({ "text": body })),
            ("footer", footer.as_ref().map_or(Value::Null, |text| json!({ "text": text }))),
            ("action", action),
        ])
    };
    if let Some(buttons) = &content.buttons {
        let replies: Vec<_> = buttons.buttons.iter().map(|button| json!({ "type": "reply", "reply": button })).collect();
        return framed("button", &buttons.header, &buttons.body, &buttons.footer, json!({ "buttons": replies }));
    }
    if let Some(list) = &content.list {
        let action = json!({ "button": list.button, "sections": list.sections });
        return framed("list", &list.header, &list.body, &list.footer, action);
    }
    if let Some(link) = &content.cta_url {
        let action = json!({ "name": "cta_url", "parameters": { "display_text": link.label, "url": link.url } });
        return framed("cta_url", &link.header, &link.body, &link.footer, action);
    }
    let Some(flow) = &content.flow else { return Value::Null };
    let payload = flow.screen.as_ref().map_or(Value::Null, |screen| sparse([("screen", json!(screen)), ("data", json!(flow.data))]));
    let parameters = sparse([
        ("flow_message_version", json!("3")),
        ("flow_id", json!(flow.flow_id)),
        ("flow_name", json!(flow.flow_name)),
        ("flow_cta", json!(flow.label)),
        ("flow_token", json!(flow.token)),
        ("mode", json!(flow.mode)),
        ("flow_action", if payload.is_null() { Value::Null } else { json!("navigate") }),
        ("flow_action_payload", payload),
    ]);
    framed("flow", &flow.header, &flow.body, &flow.footer, json!({ "name": "flow", "parameters": parameters }))
}

/// An object without the members that are null: Meta refuses those.
fn sparse<const N: usize>(members: [(&str, Value); N]) -> Value {
    let given = members.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(given.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One message of each type, as our API takes it.
    fn examples() -> Vec<Value> {
        vec![
            json!({ "type": "text", "text": { "body": "Olá https://somo.example", "preview_url": true } }),
            json!({ "type": "image", "image": { "link": "https://a.example/x.png", "caption": "A" } }),
            json!({ "type": "video", "video": { "id": "1013859600285441", "caption": "A" } }),
            json!({ "type": "audio", "audio": { "id": "1013859600285441", "voice": true } }),
            json!({ "type": "document", "document": { "id": "1013859600285441", "filename": "a.pdf", "caption": "A" } }),
            json!({ "type": "sticker", "sticker": { "id": "1013859600285441" } }),
            json!({ "type": "location", "location": { "latitude": -23.55, "longitude": -46.63, "name": "SP", "address": "Sé" } }),
            json!({ "type": "contacts", "contacts": [{ "name": { "formatted_name": "A B", "first_name": "A" }, "phones": [{ "phone": "+16505551234", "type": "HOME" }] }] }),
            json!({ "type": "buttons", "buttons": { "header": "H", "body": "B", "footer": "F", "buttons": [{ "id": "1", "title": "Sim" }, { "id": "2", "title": "Não" }] } }),
            json!({ "type": "list", "list": { "header": "H", "body": "B", "footer": "F", "button": "Ver", "sections": [
                { "title": "S", "rows": [{ "id": "1", "title": "R", "description": "D" }] }, { "title": "T", "rows": [{ "id": "2", "title": "R" }] }] } }),
            json!({ "type": "cta_url", "cta_url": { "header": "H", "body": "B", "footer": "F", "label": "Ver", "url": "https://a.example" } }),
            json!({ "type": "flow", "flow": { "header": "H", "body": "B", "footer": "F", "flow_id": "1", "label": "Ver", "token": "t", "mode": "draft", "screen": "FIRST", "data": { "a": 1 } } }),
            json!({ "type": "template", "template": { "name": "ola", "language": "pt_BR", "components": [{ "type": "body", "parameters": [{ "type": "text", "text": "x" }] }] } }),
            json!({ "type": "reaction", "reaction": { "message_id": "0198c0de-0000-7000-8000-000000000000", "emoji": "👍" } }),
        ]
    }

    #[test]
    fn every_type_is_a_body_that_meta_documents() {
        let schema = include_str!("../../../sandbox/schema/outgoing.schema.json");
        let schema: Value = serde_json::from_str(schema).expect("a schema");
        let schema = jsonschema::validator_for(&schema).expect("a schema");
        let examples = examples();
        assert_eq!(examples.len(), super::super::CAPS.types.len());
        for example in examples {
            let content: Content = serde_json::from_value(example).expect("a message");
            content.check().expect("within the limits");
            for reply_to in [None, Some("wamid.HBgLMTY1MA==".to_owned())] {
                let message = Outbound { to: "16505551234".into(), content: content.clone(), reply_to, target: Some("wamid.X".into()) };
                let body = of(&message, "0198c0de");
                let errors: Vec<_> = schema.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect();
                assert!(errors.is_empty(), "{body:#}\n{errors:#?}");
            }
        }
    }
}
