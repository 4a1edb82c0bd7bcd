//! The log of what webhooks are told, and telling it again.

use chrono::{DateTime, SubsecRound, Utc};
use db::Db;
use entities::{
    WebhookAttemptId, WebhookDeliveryId, WebhookDeliveryState, WebhookId, webhook, webhook_attempt as attempts, webhook_delivery as table,
};
use jobs::Ledger;
use poem_openapi::Object;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::{announce::enqueue, listens};
use crate::{
    Error, Result, Scope,
    engine::Write,
    page::{Page, Paging, plausible},
};

/// So many are told again at once.
const BATCH: usize = 1000;
/// The topic of tests.
pub(super) const TEST: (&str, &str) = ("webhooks", "test");

/// Something that a webhook is told.
#[derive(Clone, Debug, PartialEq, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct WebhookDelivery {
    /// Its id in this log.
    pub id: WebhookDeliveryId,
    /// What the receiver knows it by: `webhook-id`, the same at every try.
    pub message_id: String,
    /// The event; that of a test never happened.
    pub event_id: Uuid,
    /// What it is about, e.g. `contacts`; `webhooks` for a test.
    pub topic: String,
    /// What happened, e.g. `created`; `test` for a test.
    pub action: String,
    /// The record.
    pub subject_id: Uuid,
    /// What became of it.
    pub state: WebhookDeliveryState,
    /// Why.
    pub state_reason: Option<String>,
    /// How often it was tried.
    pub attempts: i32,
    /// When it happened.
    pub happened_at: DateTime<Utc>,
    /// When it arrived or was given up.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Something that a webhook is told, with every try.
#[derive(Clone, Debug, PartialEq, Object)]
pub struct WebhookDeliveryDetail {
    /// What it is.
    pub delivery: WebhookDelivery,
    /// The tries, oldest first.
    pub attempts: Vec<WebhookAttempt>,
}

/// One try.
#[derive(Clone, Debug, PartialEq, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct WebhookAttempt {
    /// Its id.
    pub id: WebhookAttemptId,
    /// What the receiver answered; left out when nobody did.
    pub status: Option<i32>,
    /// Why it failed.
    pub error: Option<String>,
    /// The beginning of the answer, at most 1 KiB.
    pub response: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// When.
    pub at: DateTime<Utc>,
}

/// What was told again.
#[derive(Clone, Debug, PartialEq, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct WebhookReplayed {
    /// So many wait to be told again.
    pub count: u64,
    /// There are more: ask again since this time.
    pub next_since: Option<DateTime<Utc>>,
}

/// What the receiver knows a delivery by: the same at every try, and another one for each webhook.
pub(super) fn message_id(event: Uuid, webhook: WebhookId) -> String {
    format!("msg_{}_{}", event.simple(), webhook.0.simple())
}

impl From<table::Model> for WebhookDelivery {
    fn from(row: table::Model) -> Self {
        let table::Model {
            id,
            tenant_id: _,
            webhook_id,
            event_id,
            topic,
            action,
            subject_id,
            data: _,
            happened_at,
            state,
            state_reason,
            attempts,
            created_at: _,
            finished_at,
        } = row;
        let message_id = message_id(event_id, webhook_id);
        Self { id, message_id, event_id, topic, action, subject_id, state, state_reason, attempts, happened_at, finished_at }
    }
}

/// What a webhook was told, newest first: all of it, or what is in this state.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; [`Error::Invalid`] for a foreign cursor; the database's.
pub async fn list(
    db: &Db,
    scope: &Scope,
    webhook: WebhookId,
    state: Option<WebhookDeliveryState>,
    paging: Paging,
) -> Result<Page<WebhookDelivery>> {
    scope.require("webhooks:read")?;
    super::row(&db.read, scope, webhook, false).await?;
    let mut find = of(scope, webhook);
    if let Some(state) = state {
        find = find.filter(table::Column::State.eq(state));
    }
    if let Some(after) = paging.after::<WebhookDeliveryId>()? {
        find = find.filter(table::Column::Id.lt(after));
    }
    let rows = find.order_by_desc(table::Column::Id).limit(paging.limit + 1).all(&db.read).await?;
    Ok(paging.page(rows, |row| row.id).map(WebhookDelivery::from))
}

/// One of them, with every try.
///
/// # Errors
/// As [`list`].
pub async fn get(db: &Db, scope: &Scope, webhook: WebhookId, id: WebhookDeliveryId) -> Result<WebhookDeliveryDetail> {
    scope.require("webhooks:read")?;
    super::row(&db.read, scope, webhook, false).await?;
    let row = one(&db.read, scope, webhook, id).await?;
    let own = attempts::Column::TenantId.eq(scope.tenant).and(attempts::Column::DeliveryId.eq(id));
    let tries = attempts::Entity::find().filter(own).order_by_asc(attempts::Column::Id).all(&db.read).await?;
    let shown = |row: attempts::Model| {
        let attempts::Model { id, tenant_id: _, delivery_id: _, status, error, response, duration_ms, created_at } = row;
        WebhookAttempt { id, status, error, response, duration_ms, at: created_at }
    };
    Ok(WebhookDeliveryDetail { delivery: row.into(), attempts: tries.into_iter().map(shown).collect() })
}

/// Tells one again, whatever became of it.
///
/// # Errors
/// As [`list`]; [`Error::Conflict`] while the webhook is off, or it is about to be told anyway.
pub async fn replay(ledger: &Ledger, scope: &Scope, webhook: WebhookId, id: WebhookDeliveryId) -> Result<WebhookDelivery> {
    scope.require("webhooks:write")?;
    let write = Write::begin(ledger, scope).await?;
    let hook = super::row(&**write, scope, webhook, true).await?;
    let row = one(&**write, scope, webhook, id).await?;
    if (row.topic.as_str(), row.action.as_str()) != TEST {
        on(&hook)?;
    }
    if !enqueue(&write, &row).await? {
        return Err(Error::conflict("pending", "it waits for its next try already"));
    }
    reopen(&write, &[row.id]).await?;
    let row = table::Model { state: WebhookDeliveryState::Pending, state_reason: None, finished_at: None, ..row };
    write.commit(row.into()).await
}

/// Tells again what happened since a time, oldest first: what failed or was given up, or all of it.
///
/// # Errors
/// As [`replay`].
pub async fn replay_since(
    ledger: &Ledger,
    scope: &Scope,
    webhook: WebhookId,
    since: DateTime<Utc>,
    failed_only: bool,
) -> Result<WebhookReplayed> {
    scope.require("webhooks:write")?;
    if !plausible(since) {
        return Err(Error::field("/since", "invalid", "takes a time of our days"));
    }
    let write = Write::begin(ledger, scope).await?;
    on(&super::row(&**write, scope, webhook, true).await?)?;
    let over = match failed_only {
        true => vec![WebhookDeliveryState::Failed, WebhookDeliveryState::Cancelled],
        false => vec![WebhookDeliveryState::Failed, WebhookDeliveryState::Cancelled, WebhookDeliveryState::Delivered],
    };
    let rows = of(scope, webhook)
        .filter(table::Column::State.is_in(over).and(table::Column::HappenedAt.gte(since)))
        .order_by_asc(table::Column::HappenedAt)
        .order_by_asc(table::Column::Id)
        .limit(BATCH as u64 + 1)
        .all(&**write)
        .await?;
    let mut again = Vec::new();
    let mut next_since = None;
    for (n, row) in rows.iter().enumerate() {
        // Whatever happened at one moment goes together, so that asking again leaves none of it out.
        if n >= BATCH {
            next_since = Some(row.happened_at);
            if rows[n - 1].happened_at != row.happened_at {
                break;
            }
        }
        if enqueue(&write, row).await? {
            again.push(row.id);
        }
    }
    reopen(&write, &again).await?;
    write.commit(WebhookReplayed { count: again.len() as u64, next_since }).await
}

/// Tells a webhook something that never happened, even while it is off.
///
/// # Errors
/// As [`list`].
pub async fn test(ledger: &Ledger, scope: &Scope, webhook: WebhookId) -> Result<WebhookDelivery> {
    scope.require("webhooks:write")?;
    let write = Write::begin(ledger, scope).await?;
    let hook = super::row(&**write, scope, webhook, false).await?;
    let now = Utc::now().trunc_subsecs(6);
    let row = table::ActiveModel {
        id: Set(WebhookDeliveryId::new()),
        tenant_id: Set(scope.tenant),
        webhook_id: Set(webhook),
        event_id: Set(Uuid::now_v7()),
        topic: Set(TEST.0.into()),
        action: Set(TEST.1.into()),
        subject_id: Set(webhook.0),
        data: Set(json!({ "details": { "name": hook.name } })),
        happened_at: Set(now),
        state: Set(WebhookDeliveryState::Pending),
        state_reason: Set(None),
        attempts: Set(0),
        created_at: Set(now),
        finished_at: Set(None),
    };
    let row = table::Entity::insert(row).exec_with_returning(&**write).await?;
    enqueue(&write, &row).await?;
    write.commit(row.into()).await
}

fn on(hook: &webhook::Model) -> Result<()> {
    match listens(hook.state) {
        true => Ok(()),
        false => Err(Error::conflict("webhook_off", "the webhook is off; turn it on first")),
    }
}

fn of(scope: &Scope, webhook: WebhookId) -> sea_orm::Select<table::Entity> {
    table::Entity::find().filter(table::Column::TenantId.eq(scope.tenant).and(table::Column::WebhookId.eq(webhook)))
}

async fn one(conn: &impl ConnectionTrait, scope: &Scope, webhook: WebhookId, id: WebhookDeliveryId) -> Result<table::Model> {
    of(scope, webhook).filter(table::Column::Id.eq(id)).one(conn).await?.ok_or(Error::NotFound("delivery"))
}

/// They are to be told once more.
async fn reopen(write: &Write<'_>, ids: &[WebhookDeliveryId]) -> Result<()> {
    table::Entity::update_many()
        .col_expr(table::Column::State, Expr::value(WebhookDeliveryState::Pending.as_str()))
        .col_expr(table::Column::StateReason, Expr::value(None::<String>))
        .col_expr(table::Column::FinishedAt, Expr::value(None::<DateTime<Utc>>))
        .filter(table::Column::TenantId.eq(write.scope.tenant).and(table::Column::Id.is_in(ids.iter().copied())))
        .exec(&***write)
        .await?;
    Ok(())
}
