//! The way to WhatsApp of each device.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use domain::{
    entities::{Provider, whatsapp_device},
    seal::Sealer,
    whatsapp::devices::Secrets,
};
use whatsapp::{
    channel::{Channel, ChannelError, ProviderError},
    cloud::{self, CloudChannel, CloudConfig},
};

/// Makes the channel of a device. All of them share one HTTP client and its connections.
#[derive(Clone, Debug)]
pub struct Channels {
    http: reqwest::Client,
    graph_url: String,
    graph_version: String,
    patience: Duration,
}

impl Channels {
    /// Channels to the Graph API at `graph_url`, without a slash at the end, in its `graph_version`.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub fn new(graph_url: impl Into<String>, graph_version: impl Into<String>) -> anyhow::Result<Self> {
        let http = cloud::client().context("the HTTP client can't be made")?;
        // Well below the time that a job may take, so that an answer that never comes is told from a handler that hangs.
        let patience = Duration::from_secs(25);
        Ok(Self { http, graph_url: graph_url.into(), graph_version: graph_version.into(), patience })
    }

    /// The same, waiting so long for an answer.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The channel of a device.
    ///
    /// # Errors
    /// [`ChannelError::Unauthorized`] when its secrets can't be opened, [`ChannelError::Permanent`] when this version has no
    /// way to its provider. Nothing was called.
    pub fn of(&self, sealer: &Sealer, device: &whatsapp_device::Model) -> Result<Arc<dyn Channel>, ChannelError> {
        let why = |message: &str| ProviderError { message: message.to_owned(), ..ProviderError::default() };
        match device.provider {
            Provider::Cloud => {}
            Provider::Web => return Err(ChannelError::Permanent(why("this version connects cloud numbers only"))),
        }
        let secrets = Secrets::open(sealer, device).map_err(|error| {
            tracing::error!(device = %device.id, error = format!("{error:#}"), "a device's secrets can't be opened");
            ChannelError::Unauthorized(why("its access token can't be opened: was SOMO_SECRET_KEY changed? Enter the token again"))
        })?;
        let config = CloudConfig {
            base_url: self.graph_url.clone(),
            version: self.graph_version.clone(),
            phone_number_id: device.phone_number_id.clone().unwrap_or_default(),
            business_account_id: device.business_account_id.clone().unwrap_or_default(),
            access_token: secrets.access_token,
            timeout: self.patience,
        };
        Ok(Arc::new(CloudChannel::new(self.http.clone(), config)))
    }
}
