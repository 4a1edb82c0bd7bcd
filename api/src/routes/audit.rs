use chrono::{DateTime, Utc};
use domain::{
    audit::{self, Wanted},
    entities::event,
    page::Page,
    resource::access,
    scope,
};
use jobs::Ledger;
use poem_openapi::{Object, OpenApi, param::Query, payload::Json};
use serde_json::Value;
use uuid::Uuid;

use super::PageInfo;
use crate::{Tag, guard::Caller, paging, problem::Answer};

pub(crate) struct Audit {
    pub(crate) ledger: Ledger,
}

/// Something that happened.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct Event {
    /// Its id.
    id: Uuid,
    /// The resource, e.g. `contacts`.
    topic: String,
    /// The record.
    subject_id: Uuid,
    /// `created`, `updated`, `deleted`, `restored`, or what else its resource knows.
    action: String,
    /// Who did it: `user`, `token`, `job`, `provider` or `system`.
    actor_kind: String,
    /// Which one.
    actor_id: Option<Uuid>,
    /// The event or job that led to it.
    cause_id: Option<Uuid>,
    /// How many causes stand before it.
    depth: i16,
    /// What changed: under `changes` each field with `from` and `to`.
    data: Value,
    /// When.
    at: DateTime<Utc>,
}

/// Part of what happened.
#[derive(Object)]
pub(crate) struct EventPage {
    /// Newest first.
    data: Vec<Event>,
    /// Where the next page begins.
    page: PageInfo,
}

impl From<Page<event::Model>> for EventPage {
    fn from(page: Page<event::Model>) -> Self {
        let shown = |row: event::Model| {
            let event::Model {
                seq: _,
                id,
                position: _,
                tenant_id: _,
                topic,
                subject_id,
                action,
                actor_kind,
                actor_id,
                cause_id,
                depth,
                data,
                created_at,
            } = row;
            Event { id, topic, subject_id, action, actor_kind, actor_id, cause_id, depth, data, at: created_at }
        };
        let Page { data, next_cursor } = page.map(shown);
        Self { data, page: PageInfo { next_cursor, total: None } }
    }
}

/// Something that can be allowed.
#[derive(Object)]
struct Permission {
    /// As tokens name it: `contacts:edit`.
    ability: String,
    /// The resource.
    topic: String,
    /// What is done to it.
    act: String,
    /// How far a role can let it reach: `own`, `team`, `all`.
    reaches: Vec<String>,
    /// Whether you may do it.
    granted: bool,
}

/// Everything that can be allowed.
#[derive(Object)]
struct Permissions {
    /// By resource.
    data: Vec<Permission>,
}

#[OpenApi]
impl Audit {
    /// Everything that happened, newest first.
    #[oai(path = "/audit", method = "get", operation_id = "audit_list", tag = "Tag::Audit")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the address")]
    async fn list(
        &self,
        caller: Caller,
        /// Only of this resource, e.g. `contacts`.
        #[oai(validator(max_length = 100))]
        topic: Query<Option<String>>,
        /// Only about this record.
        subject_id: Query<Option<Uuid>>,
        /// Only of this kind, e.g. `updated`.
        #[oai(validator(max_length = 100))]
        action: Query<Option<String>>,
        /// Only what one of this kind did: `user`, `token`, `job`, `provider` or `system`.
        #[oai(validator(max_length = 100))]
        actor_kind: Query<Option<String>>,
        /// Only what this one did.
        actor_id: Query<Option<Uuid>>,
        /// Not before.
        from: Query<Option<DateTime<Utc>>>,
        /// Before.
        to: Query<Option<DateTime<Utc>>>,
        /// How many, 1 to 200.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u64>>,
        /// Where the page before ended.
        #[oai(validator(max_length = 500))]
        cursor: Query<Option<String>>,
    ) -> Answer<Json<EventPage>> {
        let wanted = Wanted {
            topic: topic.0,
            subject_id: subject_id.0,
            action: action.0,
            actor_kind: actor_kind.0,
            actor_id: actor_id.0,
            from: from.0,
            to: to.0,
        };
        let page = audit::list(self.ledger.db(), &caller.scope(), wanted, paging(limit.0, cursor.0)).await?;
        Ok(Json(page.into()))
    }

    /// Everything that roles and tokens can allow, and whether you may do it.
    #[oai(path = "/permissions", method = "get", operation_id = "permissions_list", tag = "Tag::Auth")]
    async fn permissions(&self, caller: Caller) -> Answer<Json<Permissions>> {
        let scope = caller.scope();
        let data = scope::abilities().map(|ability| {
            let (topic, act) = ability.split_once(':').unwrap_or((ability, ""));
            Permission {
                ability: ability.to_owned(),
                topic: topic.to_owned(),
                act: act.to_owned(),
                reaches: access::reaches(topic, act).iter().map(|&reach| reach.to_owned()).collect(),
                granted: scope.require(ability).is_ok(),
            }
        });
        Ok(Json(Permissions { data: data.collect() }))
    }
}
