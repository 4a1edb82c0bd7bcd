//! Meta's WhatsApp Cloud API: <https://developers.facebook.com/docs/whatsapp/cloud-api>.
//!
//! A small HTTP client with a base address that can be pointed at the sandbox. `body` makes Meta's bodies, [`errors`] is
//! the table of what its error codes ask for, [`signature`] and [`webhook`] are the way in.

mod body;
pub mod errors;
pub mod signature;
pub mod webhook;

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    channel::{Caps, Channel, ChannelError, Download, Health, Outbound, ProviderError, Sent, TemplateInfo, Upload},
    message::MessageType,
};

/// What a Cloud number needs.
#[derive(Clone)]
pub struct CloudConfig {
    /// `https://graph.facebook.com`, or the sandbox.
    pub base_url: String,
    /// `v23.0`.
    pub version: String,
    /// The number, as Meta calls it.
    pub phone_number_id: String,
    /// The account, as Meta calls it.
    pub business_account_id: String,
    /// The token.
    pub access_token: String,
    /// How long a call may take.
    pub timeout: Duration,
}

/// A Cloud number. Cheap to clone.
#[derive(Clone)]
pub struct CloudChannel {
    http: reqwest::Client,
    config: CloudConfig,
}

/// What the Cloud API can do.
pub const CAPS: Caps = Caps {
    types: &[
        MessageType::Text,
        MessageType::Image,
        MessageType::Video,
        MessageType::Audio,
        MessageType::Document,
        MessageType::Sticker,
        MessageType::Location,
        MessageType::Contacts,
        MessageType::Buttons,
        MessageType::List,
        MessageType::CtaUrl,
        MessageType::Flow,
        MessageType::Template,
        MessageType::Reaction,
    ],
    window: true,
    edit: false,
    revoke: false,
};

/// The HTTP client that channels share: connections are kept, redirects and proxies of the environment are not followed.
///
/// # Errors
/// TLS can't be set up.
pub fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(5))
        .pool_max_idle_per_host(64)
        .build()
}

impl CloudChannel {
    /// A channel over a client that others may share.
    #[must_use]
    pub fn new(http: reqwest::Client, config: CloudConfig) -> Self {
        Self { http, config }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let CloudConfig { base_url, version, access_token, timeout, .. } = &self.config;
        self.http.request(method, format!("{base_url}/{version}/{path}")).bearer_auth(access_token).timeout(*timeout)
    }

    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ChannelError> {
        let response = request.send().await.map_err(|error| ChannelError::Again(network(&error)))?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| ChannelError::Again(network(&error)))?;
        if !status.is_success() {
            return Err(errors::refused(errors::parse(status, &bytes)));
        }
        serde_json::from_slice(&bytes).map_err(|_| ChannelError::Again(unreadable(status)))
    }
}

#[derive(Deserialize)]
struct Accepted {
    messages: Vec<AcceptedMessage>,
}

#[derive(Deserialize)]
struct AcceptedMessage {
    id: String,
}

#[async_trait]
impl Channel for CloudChannel {
    fn caps(&self) -> Caps {
        CAPS
    }

    async fn send(&self, message: &Outbound, id: &str, attempt: u32) -> Sent {
        let body = body::of(message, id);
        let path = format!("{}/messages", self.config.phone_number_id);
        let response = match self.request(Method::POST, &path).json(&body).send().await {
            Ok(response) => response,
            // It never left: nobody can have it.
            Err(error) if error.is_connect() || error.is_builder() => {
                return Sent::Retry { after: pause(attempt), error: network(&error) };
            }
            Err(error) => return Sent::Ambiguous(network(&error)),
        };
        let status = response.status();
        let Ok(bytes) = response.bytes().await else { return Sent::Ambiguous(unreadable(status)) };
        if !status.is_success() {
            return errors::outcome(errors::parse(status, &bytes), attempt);
        }
        match serde_json::from_slice::<Accepted>(&bytes).ok().and_then(|accepted| accepted.messages.into_iter().next()) {
            Some(message) => Sent::Accepted { provider_id: message.id },
            None => Sent::Ambiguous(unreadable(status)),
        }
    }

    async fn mark_read(&self, provider_id: &str, typing: bool) -> Result<(), ChannelError> {
        let mut body = json!({ "messaging_product": "whatsapp", "status": "read", "message_id": provider_id });
        if typing {
            body["typing_indicator"] = json!({ "type": "text" });
        }
        let path = format!("{}/messages", self.config.phone_number_id);
        self.call::<Value>(self.request(Method::POST, &path).json(&body)).await.map(|_| ())
    }

    async fn upload(&self, Upload { file_name, mime_type, bytes }: Upload) -> Result<String, ChannelError> {
        let bad_type = || ChannelError::Permanent(ProviderError { message: "the file's type can't be named".into(), ..Default::default() });
        let part = reqwest::multipart::Part::stream(bytes).file_name(file_name).mime_str(&mime_type).map_err(|_| bad_type())?;
        let form = reqwest::multipart::Form::new().text("messaging_product", "whatsapp").text("type", mime_type).part("file", part);
        let path = format!("{}/media", self.config.phone_number_id);
        #[derive(Deserialize)]
        struct Uploaded {
            id: String,
        }
        Ok(self.call::<Uploaded>(self.request(Method::POST, &path).multipart(form)).await?.id)
    }

    async fn download(&self, provider_media_id: &str, max: u64) -> Result<Download, ChannelError> {
        #[derive(Deserialize)]
        struct Located {
            url: String,
            mime_type: String,
            sha256: String,
            #[serde(default)]
            file_size: u64,
        }
        let located: Located = self.call(self.request(Method::GET, provider_media_id)).await?;
        let too_large =
            || ChannelError::Permanent(ProviderError { message: format!("the file is larger than {max} bytes"), ..Default::default() });
        if located.file_size > max {
            return Err(too_large());
        }
        let fetch = self.http.get(&located.url).bearer_auth(&self.config.access_token).timeout(self.config.timeout);
        let response = fetch.send().await.map_err(|error| ChannelError::Again(network(&error)))?;
        let status = response.status();
        if !status.is_success() {
            let bytes = response.bytes().await.unwrap_or_default();
            return Err(errors::refused(errors::parse(status, &bytes)));
        }
        let bytes = bounded(response, max).await?.ok_or_else(too_large)?;
        let sha256 = hex::encode(Sha256::digest(&bytes));
        if sha256 != located.sha256 {
            let message = "the file arrived damaged: its SHA-256 is not the one announced".to_owned();
            return Err(ChannelError::Again(ProviderError { message, ..Default::default() }));
        }
        Ok(Download { bytes, mime_type: located.mime_type, sha256 })
    }

    async fn templates(&self) -> Result<Vec<TemplateInfo>, ChannelError> {
        #[derive(Deserialize)]
        struct Page {
            data: Vec<TemplateInfo>,
            paging: Option<Paging>,
        }
        #[derive(Deserialize)]
        struct Paging {
            cursors: Option<Cursors>,
            next: Option<String>,
        }
        #[derive(Deserialize)]
        struct Cursors {
            after: String,
        }
        let path = format!("{}/message_templates", self.config.business_account_id);
        let mut templates = Vec::new();
        let mut after = String::new();
        loop {
            let page: Page = self.call(self.request(Method::GET, &path).query(&[("limit", "100"), ("after", &after)])).await?;
            templates.extend(page.data);
            // The address of the next page is not followed: only its cursor is taken.
            match page.paging {
                Some(Paging { cursors: Some(cursors), next: Some(_) }) if cursors.after != after => after = cursors.after,
                _ => return Ok(templates),
            }
        }
    }

    async fn health(&self) -> Result<Health, ChannelError> {
        let fields = [("fields", "display_phone_number,verified_name,quality_rating")];
        self.call(self.request(Method::GET, &self.config.phone_number_id).query(&fields)).await
    }
}

/// The body, or `None` when it has more than `max` bytes.
async fn bounded(response: Response, max: u64) -> Result<Option<Bytes>, ChannelError> {
    let mut whole = BytesMut::new();
    let mut parts = response.bytes_stream();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|error| ChannelError::Again(network(&error)))?;
        if (whole.len() + part.len()) as u64 > max {
            return Ok(None);
        }
        whole.extend_from_slice(&part);
    }
    Ok(Some(whole.freeze()))
}

/// 1 s, doubling to a minute.
fn pause(attempt: u32) -> Duration {
    Duration::from_secs(1 << attempt.clamp(1, 7).saturating_sub(1)).min(Duration::from_secs(60))
}

/// In words, without the address: it may hold an id.
fn network(error: &reqwest::Error) -> ProviderError {
    let message = match error {
        error if error.is_timeout() => "WhatsApp did not answer in time",
        error if error.is_connect() => "WhatsApp can't be reached",
        _ => "the connection to WhatsApp broke",
    };
    ProviderError { message: message.into(), http_status: error.status().map(|status| status.as_u16()), ..Default::default() }
}

fn unreadable(status: StatusCode) -> ProviderError {
    ProviderError { message: "WhatsApp's answer can't be read".into(), http_status: Some(status.as_u16()), ..Default::default() }
}
