//! WhatsApp's limits, checked before anything is enqueued. Lengths are Unicode code points. From Meta's API document and
//! guides, as the sandbox's schema notes them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Content, Media, MessageType};

/// Something wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Where, as a JSON pointer into [`Content`].
    pub pointer: String,
    /// What kind of fault; stable: `required`, `unexpected`, `too_short`, `too_long`, `too_many`, `too_few`, `duplicate`, `invalid`.
    pub code: &'static str,
    /// What to do about it.
    pub message: String,
}

#[derive(Default)]
struct Faults(Vec<Invalid>);

impl Faults {
    fn add(&mut self, pointer: impl Into<String>, code: &'static str, message: impl Into<String>) {
        self.0.push(Invalid { pointer: pointer.into(), code, message: message.into() });
    }

    fn length(&mut self, pointer: &str, text: &str, min: usize, max: usize) {
        let length = text.chars().count();
        if length < min {
            self.add(pointer, "too_short", format!("needs {min} characters at least"));
        } else if length > max {
            self.add(pointer, "too_long", format!("may have {max} characters at most, has {length}"));
        }
    }

    fn optional(&mut self, pointer: &str, text: Option<&String>, max: usize) {
        if let Some(text) = text {
            self.length(pointer, text, 1, max);
        }
    }

    fn count(&mut self, pointer: &str, count: usize, min: usize, max: usize) {
        if count < min {
            self.add(pointer, "too_few", format!("needs {min} at least"));
        } else if count > max {
            self.add(pointer, "too_many", format!("may be {max} at most, are {count}"));
        }
    }

    fn unique<'a>(&mut self, pointer: &str, texts: impl IntoIterator<Item = &'a str>) {
        let mut seen = BTreeSet::new();
        for text in texts {
            if !seen.insert(text) {
                self.add(pointer, "duplicate", "must differ from each other");
                return;
            }
        }
    }

    fn web_address(&mut self, pointer: &str, url: &str) {
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or_default();
        if host.is_empty() || host.starts_with('/') || url.len() > 2000 || url.chars().any(|c| c.is_whitespace() || c.is_control()) {
            self.add(pointer, "invalid", "must be an http or https address");
        }
    }

    fn interactive(&mut self, at: &str, header: Option<&String>, body: &str, footer: Option<&String>) {
        self.optional(&format!("{at}/header"), header, 60);
        self.length(&format!("{at}/body"), body, 1, 1024);
        self.optional(&format!("{at}/footer"), footer, 60);
    }
}

pub(super) fn check(content: &Content) -> Result<(), Vec<Invalid>> {
    let mut faults = Faults::default();
    members(content, &mut faults);
    if faults.0.is_empty() {
        limits(content, &mut faults);
    }
    if faults.0.is_empty() { Ok(()) } else { Err(faults.0) }
}

/// Exactly the member of its type is there.
fn members(content: &Content, faults: &mut Faults) {
    let Content {
        kind,
        text,
        image,
        video,
        audio,
        document,
        sticker,
        location,
        contacts,
        buttons,
        list,
        cta_url,
        flow,
        poll,
        template,
        reaction,
    } = content;
    let given = [
        (MessageType::Text, text.is_some()),
        (MessageType::Image, image.is_some()),
        (MessageType::Video, video.is_some()),
        (MessageType::Audio, audio.is_some()),
        (MessageType::Document, document.is_some()),
        (MessageType::Sticker, sticker.is_some()),
        (MessageType::Location, location.is_some()),
        (MessageType::Contacts, contacts.is_some()),
        (MessageType::Buttons, buttons.is_some()),
        (MessageType::List, list.is_some()),
        (MessageType::CtaUrl, cta_url.is_some()),
        (MessageType::Flow, flow.is_some()),
        (MessageType::Poll, poll.is_some()),
        (MessageType::Template, template.is_some()),
        (MessageType::Reaction, reaction.is_some()),
    ];
    for (member, given) in given {
        let name = member.as_str();
        match (member == *kind, given) {
            (true, false) => faults.add(format!("/{name}"), "required", format!("a message of type {name} needs the member {name}")),
            (false, true) => {
                faults.add(format!("/{name}"), "unexpected", format!("does not belong to a message of type {}", kind.as_str()))
            }
            _ => {}
        }
    }
}

fn limits(content: &Content, faults: &mut Faults) {
    if let Some(text) = &content.text {
        faults.length("/text/body", &text.body, 1, 4096);
    }
    if let Some(file) = content.media() {
        media(file, content.kind, faults);
    }
    if let Some(location) = &content.location {
        if !(-90.0..=90.0).contains(&location.latitude) {
            faults.add("/location/latitude", "invalid", "must lie between -90 and 90 degrees");
        }
        if !(-180.0..=180.0).contains(&location.longitude) {
            faults.add("/location/longitude", "invalid", "must lie between -180 and 180 degrees");
        }
        faults.optional("/location/name", location.name.as_ref(), 1000);
        faults.optional("/location/address", location.address.as_ref(), 1000);
    }
    if let Some(cards) = &content.contacts {
        faults.count("/contacts", cards.len(), 1, 5);
        for (at, card) in cards.iter().enumerate() {
            contact(card, &format!("/contacts/{at}"), faults);
        }
    }
    if let Some(buttons) = &content.buttons {
        faults.interactive("/buttons", buttons.header.as_ref(), &buttons.body, buttons.footer.as_ref());
        faults.count("/buttons/buttons", buttons.buttons.len(), 1, 3);
        for (at, button) in buttons.buttons.iter().enumerate() {
            faults.length(&format!("/buttons/buttons/{at}/id"), &button.id, 1, 256);
            faults.length(&format!("/buttons/buttons/{at}/title"), &button.title, 1, 20);
            if button.id.trim() != button.id || button.id.chars().any(char::is_control) {
                faults.add(format!("/buttons/buttons/{at}/id"), "invalid", "may not begin or end with a space, nor hold line breaks");
            }
        }
        faults.unique("/buttons/buttons", buttons.buttons.iter().map(|button| button.id.as_str()));
        faults.unique("/buttons/buttons", buttons.buttons.iter().map(|button| button.title.as_str()));
    }
    if let Some(list) = &content.list {
        faults.interactive("/list", list.header.as_ref(), &list.body, list.footer.as_ref());
        faults.length("/list/button", &list.button, 1, 20);
        faults.count("/list/sections", list.sections.len(), 1, 10);
        let rows = || list.sections.iter().flat_map(|section| &section.rows);
        faults.count("/list/sections", rows().count(), 1, 10);
        faults.unique("/list/sections", rows().map(|row| row.id.as_str()));
        for (at, section) in list.sections.iter().enumerate() {
            let at = format!("/list/sections/{at}");
            faults.optional(&format!("{at}/title"), section.title.as_ref(), 24);
            if section.title.is_none() && list.sections.len() > 1 {
                faults.add(format!("{at}/title"), "required", "each of several sections needs a title");
            }
            faults.count(&format!("{at}/rows"), section.rows.len(), 1, 10);
            for (row_at, row) in section.rows.iter().enumerate() {
                faults.length(&format!("{at}/rows/{row_at}/id"), &row.id, 1, 200);
                faults.length(&format!("{at}/rows/{row_at}/title"), &row.title, 1, 24);
                faults.optional(&format!("{at}/rows/{row_at}/description"), row.description.as_ref(), 72);
            }
        }
    }
    if let Some(link) = &content.cta_url {
        faults.interactive("/cta_url", link.header.as_ref(), &link.body, link.footer.as_ref());
        faults.length("/cta_url/label", &link.label, 1, 20);
        faults.web_address("/cta_url/url", &link.url);
    }
    if let Some(flow) = &content.flow {
        faults.interactive("/flow", flow.header.as_ref(), &flow.body, flow.footer.as_ref());
        faults.length("/flow/label", &flow.label, 1, 30);
        if flow.flow_id.is_some() == flow.flow_name.is_some() {
            faults.add("/flow/flow_id", "required", "give exactly one of flow_id and flow_name");
        }
        for (name, value) in [("flow_id", &flow.flow_id), ("flow_name", &flow.flow_name), ("token", &flow.token), ("screen", &flow.screen)]
        {
            faults.optional(&format!("/flow/{name}"), value.as_ref(), 1000);
        }
        if flow.mode.as_deref().is_some_and(|mode| !matches!(mode, "draft" | "published")) {
            faults.add("/flow/mode", "invalid", "must be draft or published");
        }
        if flow.data.is_some() && flow.screen.is_none() {
            faults.add("/flow/screen", "required", "data needs the screen it is for");
        }
        if flow.data.as_ref().is_some_and(|data| data.as_object().is_none_or(Map::is_empty)) {
            faults.add("/flow/data", "invalid", "must be an object with members");
        }
    }
    if let Some(poll) = &content.poll {
        faults.length("/poll/question", &poll.question, 1, 255);
        faults.count("/poll/options", poll.options.len(), 2, 12);
        faults.unique("/poll/options", poll.options.iter().map(String::as_str));
        for (at, option) in poll.options.iter().enumerate() {
            faults.length(&format!("/poll/options/{at}"), option, 1, 100);
        }
        if poll.max_selections.is_some_and(|max| max == 0 || max as usize > poll.options.len()) {
            faults.add("/poll/max_selections", "invalid", "must lie between 1 and the number of options");
        }
    }
    if let Some(template) = &content.template {
        faults.length("/template/name", &template.name, 1, 512);
        if !template.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
            faults.add("/template/name", "invalid", "may hold lower case letters, digits and underscores");
        }
        faults.length("/template/language", &template.language, 2, 15);
        if !template.language.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            faults.add("/template/language", "invalid", "must be a language such as pt_BR");
        }
        for (at, component) in template.components.iter().flatten().enumerate() {
            if !component.get("type").is_some_and(Value::is_string) {
                faults.add(format!("/template/components/{at}/type"), "required", "each component needs its type");
            }
        }
    }
    if let Some(reaction) = &content.reaction {
        faults.length("/reaction/emoji", &reaction.emoji, 0, 16);
        // Emoji begin at U+2000, but for two; keycaps begin with an ASCII character.
        let emoji = |c: char| c >= '\u{2000}' && !c.is_whitespace() || matches!(c, '©' | '®');
        let keycap = |c: char| matches!(c, '#' | '*' | '0'..='9');
        let text = &reaction.emoji;
        if !text.is_empty() && (!text.chars().any(emoji) || text.chars().any(|c| !emoji(c) && !keycap(c))) {
            faults.add("/reaction/emoji", "invalid", "must be one emoji, or empty to take a reaction back");
        }
    }
}

fn media(file: &Media, kind: MessageType, faults: &mut Faults) {
    let at = format!("/{}", kind.as_str());
    let sources = [file.media_id.is_some(), file.id.is_some(), file.link.is_some()];
    if sources.iter().filter(|given| **given).count() != 1 {
        faults.add(&at, "required", "give exactly one of media_id, id and link");
    }
    if let Some(link) = &file.link {
        faults.web_address(&format!("{at}/link"), link);
    }
    if let Some(id) = &file.id
        && (id.is_empty() || id.len() > 100 || !id.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:".contains(c)))
    {
        faults.add(format!("{at}/id"), "invalid", "must be the id of a file at WhatsApp");
    }
    faults.optional(&format!("{at}/caption"), file.caption.as_ref(), 1024);
    faults.optional(&format!("{at}/filename"), file.filename.as_ref(), 240);
    if file.caption.is_some() && matches!(kind, MessageType::Audio | MessageType::Sticker) {
        faults.add(format!("{at}/caption"), "unexpected", "audio and stickers have no caption");
    }
    if file.filename.is_some() && kind != MessageType::Document {
        faults.add(format!("{at}/filename"), "unexpected", "only documents have a file name");
    }
    if file.voice.is_some() && kind != MessageType::Audio {
        faults.add(format!("{at}/voice"), "unexpected", "only audio can be a voice note");
    }
}

/// What a contact card may hold besides its name, and whether it is a list.
const CARD: [(&str, bool); 6] =
    [("addresses", true), ("birthday", false), ("emails", true), ("org", false), ("phones", true), ("urls", true)];

fn contact(card: &Value, at: &str, faults: &mut Faults) {
    for (member, value) in card.as_object().into_iter().flatten().filter(|(member, _)| *member != "name") {
        match CARD.iter().find(|(name, _)| name == member) {
            None => faults.add(format!("{at}/{member}"), "unexpected", "a contact card has no such member"),
            Some((_, true)) if !value.is_array() => faults.add(format!("{at}/{member}"), "invalid", "must be a list"),
            Some(_) => {}
        }
    }
    let name = card.get("name").and_then(Value::as_object);
    let Some(name) = name else {
        faults.add(format!("{at}/name"), "required", "a contact card needs a name");
        return;
    };
    let part = |key: &str| name.get(key).and_then(Value::as_str).is_some_and(|part| !part.is_empty());
    if !part("formatted_name") {
        faults.add(format!("{at}/name/formatted_name"), "required", "a contact card needs a formatted_name");
    }
    if !["first_name", "last_name", "middle_name", "suffix", "prefix"].into_iter().any(part) {
        faults.add(format!("{at}/name/first_name"), "required", "besides formatted_name one more part of the name is needed");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Content;

    fn faults(body: Value) -> Vec<(String, &'static str)> {
        let content: Content = serde_json::from_value(body).expect("a message");
        content.check().err().unwrap_or_default().into_iter().map(|fault| (fault.pointer, fault.code)).collect()
    }

    #[test]
    fn a_message_has_the_member_of_its_type_and_no_other() {
        assert_eq!(faults(json!({ "type": "text", "text": { "body": "x" } })), []);
        assert_eq!(faults(json!({ "type": "text" })), [("/text".into(), "required")]);
        let both = json!({ "type": "text", "text": { "body": "x" }, "location": { "latitude": 1, "longitude": 2 } });
        assert_eq!(faults(both), [("/location".into(), "unexpected")]);
    }

    fn reaction(emoji: &str) -> Value {
        json!({ "type": "reaction", "reaction": { "message_id": "0198c0de-0000-7000-8000-000000000000", "emoji": emoji } })
    }

    #[test]
    fn every_kind_of_emoji_is_one() {
        for emoji in ["", "👍", "👍🏽", "❤️", "👩‍👩‍👧‍👦", "🇧🇷", "1️⃣", "#️⃣", "ℹ️", "Ⓜ️", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "©️", "㊗️", "🅰️", "™️"]
        {
            assert_eq!(faults(reaction(emoji)), [], "{emoji}");
        }
    }

    #[test]
    fn each_limit_names_its_place() {
        for (body, pointer, code) in [
            (json!({ "type": "text", "text": { "body": "" } }), "/text/body", "too_short"),
            (json!({ "type": "text", "text": { "body": "é".repeat(4097) } }), "/text/body", "too_long"),
            (json!({ "type": "image", "image": {} }), "/image", "required"),
            (json!({ "type": "image", "image": { "id": "1", "link": "https://a.example/x" } }), "/image", "required"),
            (json!({ "type": "image", "image": { "link": "ftp://a.example/x" } }), "/image/link", "invalid"),
            (json!({ "type": "sticker", "sticker": { "id": "1", "caption": "x" } }), "/sticker/caption", "unexpected"),
            (json!({ "type": "location", "location": { "latitude": 91, "longitude": 0 } }), "/location/latitude", "invalid"),
            (json!({ "type": "contacts", "contacts": [] }), "/contacts", "too_few"),
            (json!({ "type": "contacts", "contacts": [{ "name": { "formatted_name": "A" } }] }), "/contacts/0/name/first_name", "required"),
            (
                json!({ "type": "buttons", "buttons": { "body": "x", "buttons": [{ "id": "a", "title": "A" }, { "id": "a", "title": "B" }] } }),
                "/buttons/buttons",
                "duplicate",
            ),
            (json!({ "type": "list", "list": { "body": "x", "button": "y", "sections": [{ "rows": [] }] } }), "/list/sections", "too_few"),
            (json!({ "type": "flow", "flow": { "body": "x", "label": "y" } }), "/flow/flow_id", "required"),
            (json!({ "type": "poll", "poll": { "question": "x", "options": ["a"] } }), "/poll/options", "too_few"),
            (json!({ "type": "template", "template": { "name": "Não", "language": "pt_BR" } }), "/template/name", "invalid"),
            (reaction("ok"), "/reaction/emoji", "invalid"),
            (reaction("1"), "/reaction/emoji", "invalid"),
            (reaction("é"), "/reaction/emoji", "invalid"),
            (json!({ "type": "flow", "flow": { "body": "x", "label": "y", "flow_id": "" } }), "/flow/flow_id", "too_short"),
            (json!({ "type": "flow", "flow": { "body": "x", "label": "y", "flow_id": "1", "token": "" } }), "/flow/token", "too_short"),
            (
                json!({ "type": "flow", "flow": { "body": "x", "label": "y", "flow_id": "1", "screen": "A", "data": {} } }),
                "/flow/data",
                "invalid",
            ),
            (json!({ "type": "cta_url", "cta_url": { "body": "x", "label": "y", "url": "https://" } }), "/cta_url/url", "invalid"),
            (
                json!({ "type": "buttons", "buttons": { "body": "x", "buttons": [{ "id": "a\nb", "title": "A" }] } }),
                "/buttons/buttons/0/id",
                "invalid",
            ),
            (
                json!({ "type": "contacts", "contacts": [{ "name": { "formatted_name": "A", "first_name": "A" }, "phone": [] }] }),
                "/contacts/0/phone",
                "unexpected",
            ),
            (
                json!({ "type": "contacts", "contacts": [{ "name": { "formatted_name": "A", "first_name": "A" }, "phones": "1" }] }),
                "/contacts/0/phones",
                "invalid",
            ),
        ] {
            assert_eq!(faults(body).first(), Some(&(pointer.to_owned(), code)));
        }
    }
}
