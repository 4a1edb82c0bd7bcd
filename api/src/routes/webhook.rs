use std::sync::Arc;

use domain::{Error, whatsapp::webhook};
use poem::{Body, Request};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::Query,
    payload::{Json, PlainText},
};

use crate::{Tag, intake::Intake, problem::Answer};

pub(crate) struct Webhook {
    pub(crate) intake: Arc<Intake>,
}

/// The delivery is on disk.
#[derive(Object)]
struct Received {
    /// Always true.
    received: bool,
}

#[derive(ApiResponse)]
enum Challenge {
    /// The challenge, as Meta wants it back.
    #[oai(status = 200)]
    Echo(PlainText<String>),
}

#[OpenApi(prefix_path = "/whatsapp/webhook", tag = "Tag::Webhooks")]
impl Webhook {
    /// Meta asks whether this is the right place.
    #[oai(path = "/", method = "get", operation_id = "whatsapp_webhook_verify")]
    async fn verify(
        &self,
        /// `subscribe`.
        #[oai(name = "hub.mode", validator(max_length = 100))]
        mode: Query<String>,
        /// What was chosen when the device was connected.
        #[oai(name = "hub.verify_token", validator(max_length = 200))]
        token: Query<String>,
        /// To be given back.
        #[oai(name = "hub.challenge", validator(max_length = 200, pattern = "^[0-9A-Za-z_.-]*$"))]
        challenge: Query<String>,
    ) -> Answer<Challenge> {
        if mode.0 != "subscribe" || !webhook::is_verify_token(self.intake.ledger().db(), &token.0).await? {
            return Err(Error::Forbidden("of a known verify token").into());
        }
        Ok(Challenge::Echo(PlainText(challenge.0)))
    }

    /// Meta delivers what happened. Answered with 200 only when it is on disk; otherwise Meta delivers it again.
    #[oai(path = "/", method = "post", operation_id = "whatsapp_webhook_receive")]
    async fn receive(&self, request: &Request, body: Body) -> Answer<Json<Received>> {
        let bytes = body.into_bytes().await.map_err(|_| Error::field("", "invalid", "the body broke off"))?;
        self.intake.take(&bytes, request.header("x-hub-signature-256")).await?;
        Ok(Json(Received { received: true }))
    }
}
