//! What every way to WhatsApp can do.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::message::{Content, MessageType};

/// What a channel can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// The message types it sends.
    pub types: &'static [MessageType],
    /// Whether anything but a template may only be sent within 24 hours of the customer's last message.
    pub window: bool,
    /// Whether sent messages can be edited.
    pub edit: bool,
    /// Whether sent messages can be revoked.
    pub revoke: bool,
}

/// A message on its way out.
#[derive(Clone, Debug, PartialEq)]
pub struct Outbound {
    /// The recipient, as WhatsApp calls it (`wa_id`).
    pub to: String,
    /// What it says. Files are given by `id` or `link`; a `media_id` was replaced before.
    pub content: Content,
    /// The message it answers, by WhatsApp's id.
    pub reply_to: Option<String>,
    /// The message a reaction points at, by WhatsApp's id.
    pub target: Option<String>,
}

/// What WhatsApp said went wrong. Never holds tokens or phone numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message} (code {code:?}, HTTP {http_status:?})")]
pub struct ProviderError {
    /// Meta's error code.
    pub code: Option<i64>,
    /// Meta's sub-code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subcode: Option<i64>,
    /// What it means.
    pub message: String,
    /// The HTTP status it came with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// What Meta's support asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// What is wrong with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceTrouble {
    /// WhatsApp asks to send less.
    Slowed,
    /// WhatsApp lets it send nothing.
    Stopped,
    /// Its token is refused.
    Unauthorized,
}

/// How an attempt to send ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Sent {
    /// Given away; whether WhatsApp took it comes later.
    Handed,
    /// WhatsApp has it.
    Accepted {
        /// Its id there.
        provider_id: String,
    },
    /// WhatsApp certainly doesn't have it, and later it may take it.
    Retry {
        /// The pause.
        after: Duration,
        /// Why.
        error: ProviderError,
    },
    /// It will never be taken.
    Permanent(ProviderError),
    /// The 24-hour window is closed.
    NeedsTemplate(ProviderError),
    /// It isn't the message, it is the device.
    Device {
        /// What is wrong.
        trouble: DeviceTrouble,
        /// Why.
        error: ProviderError,
        /// When this message may be tried again; `None` when not at all.
        retry: Option<Duration>,
    },
    /// WhatsApp may or may not have it: sending again could double it.
    Ambiguous(ProviderError),
}

/// Why a call other than a send failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ChannelError {
    /// It may work later.
    #[error("{0}")]
    Again(ProviderError),
    /// It won't.
    #[error("{0}")]
    Permanent(ProviderError),
    /// The token is refused.
    #[error("{0}")]
    Unauthorized(ProviderError),
    /// The channel can't do this at all.
    #[error("this kind of device can't do that")]
    Unsupported,
}

/// A file on its way to WhatsApp.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Its name.
    pub file_name: String,
    /// Its type, e.g. `image/png`.
    pub mime_type: String,
    /// Its bytes.
    pub bytes: Bytes,
}

/// A file from WhatsApp.
#[derive(Clone, Debug, PartialEq)]
pub struct Download {
    /// Its bytes; their SHA-256 is the one that WhatsApp gave.
    pub bytes: Bytes,
    /// Its type.
    pub mime_type: String,
    /// SHA-256, in hex.
    pub sha256: String,
}

/// A template that Meta keeps.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct TemplateInfo {
    /// Its id at Meta.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// `APPROVED`, `PENDING`, `REJECTED`, …
    pub status: String,
    /// `MARKETING`, `UTILITY`, `AUTHENTICATION`.
    #[serde(default)]
    pub category: String,
    /// Its parts.
    #[serde(default)]
    pub components: serde_json::Value,
}

/// How a device is.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Health {
    /// The number as WhatsApp shows it.
    #[serde(default)]
    pub display_phone_number: String,
    /// The name that WhatsApp has verified.
    #[serde(default)]
    pub verified_name: String,
    /// `GREEN`, `YELLOW`, `RED` or `UNKNOWN`.
    #[serde(default)]
    pub quality_rating: String,
}

/// A way to WhatsApp.
#[async_trait]
pub trait Channel: Send + Sync {
    /// What it can do.
    fn caps(&self) -> Caps;

    /// Sends once. `id` is our message id: WhatsApp returns it with each status, so that an ambiguous send settles itself.
    /// `attempt` counts from 1 and stretches the pause after a pair-rate error.
    async fn send(&self, message: &Outbound, id: &str, attempt: u32) -> Sent;

    /// Marks a message of the customer, and all before it, as read; with `typing`, shows that somebody is typing.
    async fn mark_read(&self, provider_id: &str, typing: bool) -> Result<(), ChannelError>;

    /// Gives WhatsApp a file; its id there.
    async fn upload(&self, upload: Upload) -> Result<String, ChannelError>;

    /// Fetches a file of at most `max` bytes.
    async fn download(&self, provider_media_id: &str, max: u64) -> Result<Download, ChannelError>;

    /// All templates of the account.
    async fn templates(&self) -> Result<Vec<TemplateInfo>, ChannelError>;

    /// Asks how the device is.
    async fn health(&self) -> Result<Health, ChannelError>;
}
