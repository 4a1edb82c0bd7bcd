use domain::{resource::Record, settings};
use jobs::Ledger;
use poem_openapi::{ApiResponse, OpenApi, param::Header, payload::Json};

use crate::{
    Tag,
    guard::Caller,
    problem::Answer,
    resource::{self, etag, records, version},
};

pub(crate) struct Settings {
    pub(crate) ledger: Ledger,
}

records! {
    /// What a company sets.
    Shown = "Settings", |registry| resource::register_only(settings::settings(), registry);
    /// What is changed of it.
    Update = "SettingsUpdate", |registry| resource::register_only(settings::settings(), registry);
}

#[derive(ApiResponse)]
enum Current {
    /// The settings as they are.
    #[oai(status = 200)]
    Current(
        Json<Shown>,
        /// Their version.
        #[oai(header = "ETag")]
        String,
    ),
}

impl Current {
    fn of(settings: Record) -> Self {
        let tag = etag(&settings);
        Self::Current(Json(Shown(settings)), tag)
    }
}

#[OpenApi(prefix_path = "/settings", tag = "Tag::Settings")]
impl Settings {
    /// What the company sets for all its people.
    #[oai(path = "/", method = "get", operation_id = "settings_get")]
    async fn get(&self, caller: Caller) -> Answer<Current> {
        Ok(Current::of(settings::read(self.ledger.db(), &caller.scope()).await?))
    }

    /// Change some of it: what is left out stays. For admins.
    #[oai(path = "/", method = "patch", operation_id = "settings_update")]
    async fn update(
        &self,
        caller: Caller,
        /// The ETag that you have read: if somebody has changed them since, nothing is written.
        #[oai(name = "If-Match", validator(max_length = 100))]
        known: Header<Option<String>>,
        body: Json<Update>,
    ) -> Answer<Current> {
        let version = version(known.0.as_deref())?;
        Ok(Current::of(settings::update(&self.ledger, &caller.scope(), &body.0.0, version).await?))
    }
}
