//! What a message says. Each type has its own member of [`Content`], under the name of the type.
//!
//! The HTTP API takes and documents these types as they are, and stores them as they are; `cloud` turns them into Meta's
//! bodies. To add a type: a case of [`MessageType`], a member of [`Content`], its limits in `limits`, its body in `cloud`.

mod limits;

use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

pub use limits::Invalid;

/// What kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum MessageType {
    Text,
    Image,
    Video,
    Audio,
    Document,
    Sticker,
    Location,
    Contacts,
    Buttons,
    List,
    CtaUrl,
    Flow,
    Poll,
    Template,
    Reaction,
}

impl MessageType {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Document => "document",
            Self::Sticker => "sticker",
            Self::Location => "location",
            Self::Contacts => "contacts",
            Self::Buttons => "buttons",
            Self::List => "list",
            Self::CtaUrl => "cta_url",
            Self::Flow => "flow",
            Self::Poll => "poll",
            Self::Template => "template",
            Self::Reaction => "reaction",
        }
    }
}

/// A message: its type and the one member of that name.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
pub struct Content {
    /// Which of the members below is given.
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    pub kind: MessageType,
    /// For `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
    /// For `image`: JPEG or PNG, up to 5 MB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Media>,
    /// For `video`: MP4 or 3GP, up to 16 MB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<Media>,
    /// For `audio`: up to 16 MB; with `voice`, a voice note (OGG with Opus).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<Media>,
    /// For `document`: up to 100 MB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Media>,
    /// For `sticker`: WebP, 512 × 512 pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticker: Option<Media>,
    /// For `location`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// For `contacts`: 1 to 5 cards, as Meta documents them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contacts: Option<Vec<Value>>,
    /// For `buttons`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buttons: Option<Buttons>,
    /// For `list`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<List>,
    /// For `cta_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cta_url: Option<CtaUrl>,
    /// For `flow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<Flow>,
    /// For `poll` (web devices only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Poll>,
    /// For `template`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// For `reaction`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reaction: Option<Reaction>,
}

/// A text.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, rename = "WhatsAppText", skip_serializing_if_is_none)]
pub struct Text {
    /// 1 to 4096 characters.
    pub body: String,
    /// Whether WhatsApp shows a preview of the first link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview_url: Option<bool>,
}

/// A file: exactly one of `media_id`, `id` and `link`.
#[derive(Clone, Debug, Default, PartialEq, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, rename = "WhatsAppMedia", skip_serializing_if_is_none)]
pub struct Media {
    /// A file that was uploaded to SOMO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_id: Option<Uuid>,
    /// A file that WhatsApp has already, by its id there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A public http or https address from which WhatsApp fetches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Up to 1024 characters; not for audio and stickers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// The name shown, for documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// For audio: shown as a voice note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice: Option<bool>,
}

/// A place.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, rename = "WhatsAppLocation", skip_serializing_if_is_none)]
pub struct Location {
    /// Degrees, -90 to 90.
    pub latitude: f64,
    /// Degrees, -180 to 180.
    pub longitude: f64,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// A question with one to three buttons.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, rename = "WhatsAppButtons", skip_serializing_if_is_none)]
pub struct Buttons {
    /// Above the body, up to 60 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// 1 to 1024 characters.
    pub body: String,
    /// Below the body, up to 60 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer: Option<String>,
    /// One to three, with different ids and titles.
    pub buttons: Vec<Button>,
}

/// A button that answers with its id.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, rename = "WhatsAppButton")]
pub struct Button {
    /// What comes back, 1 to 256 characters.
    pub id: String,
    /// What it shows, 1 to 20 characters.
    pub title: String,
}

/// A menu.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, rename = "WhatsAppList", skip_serializing_if_is_none)]
pub struct List {
    /// Above the body, up to 60 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// 1 to 1024 characters.
    pub body: String,
    /// Below the body, up to 60 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer: Option<String>,
    /// What opens the menu, 1 to 20 characters.
    pub button: String,
    /// One to ten, with at most ten rows together.
    pub sections: Vec<Section>,
}

/// A part of a menu.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, rename = "WhatsAppListSection", skip_serializing_if_is_none)]
pub struct Section {
    /// Up to 24 characters; required when there are several sections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// One at least.
    pub rows: Vec<Row>,
}

/// A line of a menu.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, rename = "WhatsAppListRow", skip_serializing_if_is_none)]
pub struct Row {
    /// What comes back, 1 to 200 characters, different in each row.
    pub id: String,
    /// 1 to 24 characters.
    pub title: String,
    /// Up to 72 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A text with a link as a button.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, rename = "WhatsAppCtaUrl", skip_serializing_if_is_none)]
pub struct CtaUrl {
    /// Above the body, up to 60 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// 1 to 1024 characters.
    pub body: String,
    /// Below the body, up to 60 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer: Option<String>,
    /// What the button shows, 1 to 20 characters.
    pub label: String,
    /// Where it leads, http or https.
    pub url: String,
}

/// A form inside WhatsApp. Exactly one of `flow_id` and `flow_name`.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, rename = "WhatsAppFlow", skip_serializing_if_is_none)]
pub struct Flow {
    /// Above the body, up to 60 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// 1 to 1024 characters.
    pub body: String,
    /// Below the body, up to 60 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer: Option<String>,
    /// The flow's id at Meta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow_id: Option<String>,
    /// The flow's name at Meta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow_name: Option<String>,
    /// What the button shows, 1 to 30 characters.
    pub label: String,
    /// Comes back with the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// `draft` to try a flow that isn't published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The first screen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screen: Option<String>,
    /// What the first screen is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// A poll.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, rename = "WhatsAppPoll", skip_serializing_if_is_none)]
pub struct Poll {
    /// 1 to 255 characters.
    pub question: String,
    /// 2 to 12 different ones, 1 to 100 characters each.
    pub options: Vec<String>,
    /// How many may be chosen; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_selections: Option<u32>,
}

/// A message that Meta has approved; the only one that may be sent outside the 24-hour window.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, rename = "WhatsAppTemplate", skip_serializing_if_is_none)]
pub struct Template {
    /// Its name: lower case letters, digits and underscores, up to 512.
    pub name: String,
    /// Its language, e.g. `pt_BR`.
    pub language: String,
    /// What fills its places, as Meta documents `template.components`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub components: Option<Vec<Value>>,
}

/// An emoji on a message of the conversation.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields, rename = "WhatsAppReaction")]
pub struct Reaction {
    /// The message, by its id in SOMO.
    pub message_id: Uuid,
    /// One emoji; empty to take the reaction back.
    pub emoji: String,
}

impl Content {
    /// A text message.
    #[must_use]
    pub fn text(body: impl Into<String>) -> Self {
        Self { text: Some(Text { body: body.into(), preview_url: None }), ..Self::empty(MessageType::Text) }
    }

    /// Nothing yet of this type.
    #[must_use]
    pub fn empty(kind: MessageType) -> Self {
        Self {
            kind,
            text: None,
            image: None,
            video: None,
            audio: None,
            document: None,
            sticker: None,
            location: None,
            contacts: None,
            buttons: None,
            list: None,
            cta_url: None,
            flow: None,
            poll: None,
            template: None,
            reaction: None,
        }
    }

    /// Whether it keeps to its type and to WhatsApp's limits.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check(&self) -> Result<(), Vec<Invalid>> {
        limits::check(self)
    }

    /// The file it carries, if its type is one of files.
    #[must_use]
    pub fn media(&self) -> Option<&Media> {
        match self.kind {
            MessageType::Image => self.image.as_ref(),
            MessageType::Video => self.video.as_ref(),
            MessageType::Audio => self.audio.as_ref(),
            MessageType::Document => self.document.as_ref(),
            MessageType::Sticker => self.sticker.as_ref(),
            _ => None,
        }
    }

    /// [`Content::media`], to be changed.
    pub fn media_mut(&mut self) -> Option<&mut Media> {
        match self.kind {
            MessageType::Image => self.image.as_mut(),
            MessageType::Video => self.video.as_mut(),
            MessageType::Audio => self.audio.as_mut(),
            MessageType::Document => self.document.as_mut(),
            MessageType::Sticker => self.sticker.as_mut(),
            _ => None,
        }
    }
}
