//! What webhooks will be told of an event, written in the transaction of the event.

use chrono::{DateTime, Utc};
use entities::{WebhookDeliveryId, WebhookDeliveryState, WebhookState, webhook, webhook_delivery as table};
use jobs::NewJob;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::LockType};
use serde_json::{Value, json};
use uuid::Uuid;

use super::topics;
use crate::{
    Error, Result, Scope, auth,
    engine::{Event, Write},
    payloads::DeliverWebhook,
    resource::{
        Record, Resource,
        access::Act,
        filter::{Asker, memory::Seen},
        registry,
        rows::{self, ROW},
    },
};

/// An event that was just written.
pub(crate) struct Happened<'a> {
    /// Its id.
    pub(crate) id: Uuid,
    /// When.
    pub(crate) at: DateTime<Utc>,
    /// What.
    pub(crate) event: &'a Event,
    /// The whole record as the event left it, where the writer has it at hand.
    pub(crate) record: Option<&'a Record>,
}

/// Writes what the tenant's webhooks will be told of it, and the jobs that tell them.
pub(crate) async fn announce(write: &Write<'_>, happened: Happened<'_>) -> Result<()> {
    let Event { topic, subject_id, action, data } = happened.event;
    let tenant = write.scope.tenant;
    let listening = webhook::Column::TenantId.eq(tenant).and(webhook::Column::State.is_in([WebhookState::Active, WebhookState::Failing]));
    // Held until the commit: one that is deleted meanwhile must not undo what it would have been told of.
    let held = webhook::Entity::find().filter(listening).order_by_asc(webhook::Column::Id).lock(LockType::KeyShare);
    let all = held.all(&***write).await?;
    for hook in all.into_iter().filter(|hook| topics::means(&hook.topics, topic, action)) {
        let Some(eyes) = auth::scope_on(&***write, tenant, hook.owner_id).await? else { continue };
        let seen = match (registry::find(topic), topics::ability(topic)) {
            (Some(resource), _) => of_record(write, &eyes, resource, &happened, hook.filter.as_ref()).await?,
            (None, Some(ability)) => eyes.require(ability).is_ok().then(|| json!({ "details": data })),
            (None, None) => None,
        };
        let Some(seen) = seen else { continue };
        let delivery = table::ActiveModel {
            id: Set(WebhookDeliveryId::new()),
            tenant_id: Set(tenant),
            webhook_id: Set(hook.id),
            event_id: Set(happened.id),
            topic: Set((*topic).into()),
            action: Set((*action).into()),
            subject_id: Set(*subject_id),
            data: Set(seen),
            happened_at: Set(happened.at),
            state: Set(WebhookDeliveryState::Pending),
            state_reason: Set(None),
            attempts: Set(0),
            created_at: Set(happened.at),
            finished_at: Set(None),
        };
        let delivery = table::Entity::insert(delivery).exec_with_returning(&***write).await?;
        enqueue(write, &delivery).await?;
    }
    Ok(())
}

/// The job that tells it: for each webhook, what happens to one record is told in the order in which it happened. Whether it
/// is a new one; a delivery has one job at a time.
pub(super) async fn enqueue(write: &Write<'_>, delivery: &table::Model) -> Result<bool> {
    let job = NewJob::new(delivery.tenant_id.0, &DeliverWebhook { delivery_id: delivery.id })
        .order_key(format!("{}:{}", delivery.webhook_id, delivery.subject_id))
        .unique_key(delivery.id.to_string())
        .cause(delivery.event_id, 0);
    Ok(write.enqueue(job).await?.is_some())
}

/// What the webhook's owner sees of what happened to a record; nothing if they don't see it, or the filter is of others.
async fn of_record(
    write: &Write<'_>,
    eyes: &Scope,
    resource: &'static Resource,
    happened: &Happened<'_>,
    filter: Option<&Value>,
) -> Result<Option<Value>> {
    if eyes.reach(resource, Act::View).is_none() {
        return Ok(None);
    }
    let record = match happened.record {
        Some(record) => Some(record.clone()),
        None => {
            let mut select = rows::select(resource);
            select.and_where(eyes.within(resource, Act::View, ROW)?);
            select.and_where(Resource::column(ROW, "id").eq(happened.event.subject_id));
            rows::read(&***write, eyes, resource, &select).await?.pop()
        }
    };
    let Some(mut record) = record else { return Ok(None) };
    let asker = Asker::on(&***write, eyes).await?;
    if !eyes.sees(resource, &asker.team, &record) {
        return Ok(None);
    }
    if let Some(filter) = filter {
        let filter = match topics::read(resource, eyes, &asker, filter) {
            Ok(filter) => filter,
            // It was good when it was entered; what it looks at is gone since, or not the owner's to see any more.
            Err(Error::Invalid(_) | Error::Forbidden(_)) => return Ok(None),
            Err(other) => return Err(other),
        };
        if !filter.holds(&Seen { record: &record, related: &|_| Vec::new() }) {
            return Ok(None);
        }
    }
    eyes.mask(resource, &mut record);
    let data = &happened.event.data;
    Ok(Some(match data.get("changes").and_then(Value::as_object) {
        Some(changes) => json!({ "record": record, "changes": shown(eyes, resource, changes) }),
        None => json!({ "record": record, "details": data }),
    }))
}

/// The changes without those of fields that somebody doesn't get to see.
pub(crate) fn shown(eyes: &Scope, resource: &Resource, changes: &Record) -> Record {
    changes.iter().filter(|(field, _)| !eyes.hides(resource, field)).map(|(field, sides)| (field.clone(), sides.clone())).collect()
}
