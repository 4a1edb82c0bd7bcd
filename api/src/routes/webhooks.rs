use chrono::{DateTime, Utc};
use domain::{
    entities::{WebhookDeliveryId, WebhookDeliveryState, WebhookId},
    page::Page,
    seal::Sealer,
    webhooks::{
        self, Webhook, WebhookCreate, WebhookUpdate,
        deliveries::{self, WebhookDelivery, WebhookDeliveryDetail, WebhookReplayed},
    },
};
use jobs::Ledger;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::PageInfo;
use crate::{Tag, guard::Caller, paging, problem::Answer};

pub(crate) struct Webhooks {
    pub(crate) ledger: Ledger,
    pub(crate) sealer: Sealer,
}

/// All webhooks.
#[derive(Object)]
struct WebhookList {
    /// Oldest first.
    data: Vec<Webhook>,
}

/// Some of what a webhook was told.
#[derive(Object)]
struct WebhookDeliveryPage {
    /// Newest first.
    data: Vec<WebhookDelivery>,
    /// Where the next page begins.
    page: PageInfo,
}

/// What is to be told again.
#[derive(Object)]
#[oai(deny_unknown_fields)]
struct WebhookReplay {
    /// What happened since then.
    since: DateTime<Utc>,
    /// Whether only what failed or was given up; so it is by default.
    failed_only: Option<bool>,
}

#[derive(ApiResponse)]
enum Created {
    /// The webhook, this once with its secret.
    #[oai(status = 201)]
    Webhook(Json<Webhook>),
}

#[derive(ApiResponse)]
enum Deleted {
    /// It is gone, with its log.
    #[oai(status = 204)]
    Done,
}

#[derive(ApiResponse)]
enum Told {
    /// It waits for its turn.
    #[oai(status = 202)]
    Waits(Json<WebhookDelivery>),
}

#[derive(ApiResponse)]
enum Replayed {
    /// They wait for their turn.
    #[oai(status = 202)]
    Wait(Json<WebhookReplayed>),
}

#[OpenApi(prefix_path = "/webhooks", tag = "Tag::OutgoingWebhooks")]
impl Webhooks {
    /// All webhooks of the team.
    #[oai(path = "/", method = "get", operation_id = "webhooks_list")]
    async fn list(&self, caller: Caller) -> Answer<Json<WebhookList>> {
        Ok(Json(WebhookList { data: webhooks::list(self.ledger.db(), &caller.scope()).await? }))
    }

    /// Have an address told what happens, as Standard Webhooks has it: a signed POST, tried up to twelve times until it is answered
    /// with 2xx. Of each record, in the order in which it happened; 410 ends the webhook. It is told what you see, and no more.
    #[oai(path = "/", method = "post", operation_id = "webhooks_create")]
    async fn create(&self, caller: Caller, body: Json<WebhookCreate>) -> Answer<Created> {
        Ok(Created::Webhook(Json(webhooks::create(&self.ledger, &self.sealer, &caller.scope(), body.0).await?)))
    }

    /// One webhook.
    #[oai(path = "/:id", method = "get", operation_id = "webhooks_get")]
    async fn get(
        &self,
        caller: Caller,
        /// Which webhook.
        id: Path<WebhookId>,
    ) -> Answer<Json<Webhook>> {
        Ok(Json(webhooks::get(self.ledger.db(), &caller.scope(), id.0).await?))
    }

    /// Change a webhook, turn it off or on. If you say where it is or what it is told, it sees with your eyes from then on.
    #[oai(path = "/:id", method = "patch", operation_id = "webhooks_update")]
    async fn update(
        &self,
        caller: Caller,
        /// Which webhook.
        id: Path<WebhookId>,
        body: Json<WebhookUpdate>,
    ) -> Answer<Json<Webhook>> {
        Ok(Json(webhooks::update(&self.ledger, &caller.scope(), id.0, body.0).await?))
    }

    /// Delete a webhook, and the log of what it was told.
    #[oai(path = "/:id", method = "delete", operation_id = "webhooks_delete")]
    async fn delete(
        &self,
        caller: Caller,
        /// Which webhook.
        id: Path<WebhookId>,
    ) -> Answer<Deleted> {
        webhooks::delete(&self.ledger, &caller.scope(), id.0).await?;
        Ok(Deleted::Done)
    }

    /// Give a webhook another secret. The one before signs along for 24 hours: deliveries have two signatures then.
    #[oai(path = "/:id/rotate-secret", method = "post", operation_id = "webhooks_rotate_secret")]
    async fn rotate(
        &self,
        caller: Caller,
        /// Which webhook.
        id: Path<WebhookId>,
    ) -> Answer<Json<Webhook>> {
        Ok(Json(webhooks::rotate(&self.ledger, &self.sealer, &caller.scope(), id.0).await?))
    }

    /// Tell a webhook something that never happened, even while it is off: `webhooks.test`.
    #[oai(path = "/:id/test", method = "post", operation_id = "webhooks_test")]
    async fn test(
        &self,
        caller: Caller,
        /// Which webhook.
        id: Path<WebhookId>,
    ) -> Answer<Told> {
        Ok(Told::Waits(Json(deliveries::test(&self.ledger, &caller.scope(), id.0).await?)))
    }

    /// Tell a webhook again what happened since a time, up to 1,000 things at once. What happened while it was off is not in its log.
    #[oai(path = "/:id/replay", method = "post", operation_id = "webhooks_replay")]
    async fn replay_since(
        &self,
        caller: Caller,
        /// Which webhook.
        id: Path<WebhookId>,
        body: Json<WebhookReplay>,
    ) -> Answer<Replayed> {
        let WebhookReplay { since, failed_only } = body.0;
        let again = deliveries::replay_since(&self.ledger, &caller.scope(), id.0, since, failed_only.unwrap_or(true)).await?;
        Ok(Replayed::Wait(Json(again)))
    }

    /// What a webhook was told, newest first. It is kept for 30 days.
    #[oai(path = "/:id/deliveries", method = "get", operation_id = "webhooks_deliveries_list")]
    async fn deliveries(
        &self,
        caller: Caller,
        /// Which webhook.
        id: Path<WebhookId>,
        /// Only what is in this state.
        state: Query<Option<WebhookDeliveryState>>,
        /// How many, 1 to 200.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u64>>,
        /// Where the page before ended.
        #[oai(validator(max_length = 500))]
        cursor: Query<Option<String>>,
    ) -> Answer<Json<WebhookDeliveryPage>> {
        let page = deliveries::list(self.ledger.db(), &caller.scope(), id.0, state.0, paging(limit.0, cursor.0)).await?;
        let Page { data, next_cursor } = page;
        Ok(Json(WebhookDeliveryPage { data, page: PageInfo { next_cursor, total: None } }))
    }

    /// One thing that a webhook was told, with every try and what was answered.
    #[oai(path = "/:id/deliveries/:delivery_id", method = "get", operation_id = "webhooks_deliveries_get")]
    async fn delivery(
        &self,
        caller: Caller,
        /// Which webhook.
        id: Path<WebhookId>,
        /// What it was told.
        delivery_id: Path<WebhookDeliveryId>,
    ) -> Answer<Json<WebhookDeliveryDetail>> {
        Ok(Json(deliveries::get(self.ledger.db(), &caller.scope(), id.0, delivery_id.0).await?))
    }

    /// Tell a webhook something again, whatever became of it. It keeps its `webhook-id`.
    #[oai(path = "/:id/deliveries/:delivery_id/replay", method = "post", operation_id = "webhooks_deliveries_replay")]
    async fn replay(
        &self,
        caller: Caller,
        /// Which webhook.
        id: Path<WebhookId>,
        /// What it was told.
        delivery_id: Path<WebhookDeliveryId>,
    ) -> Answer<Told> {
        Ok(Told::Waits(Json(deliveries::replay(&self.ledger, &caller.scope(), id.0, delivery_id.0).await?)))
    }
}
