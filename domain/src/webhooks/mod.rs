//! Outgoing webhooks: addresses of others that are told what happens, in the words of Standard Webhooks
//! (<https://www.standardwebhooks.com>).
//!
//! - `announce`: the transaction that writes an event also writes what each webhook will be told of it, as the webhook's owner
//!   sees it at that moment, and the job that tells it. A tenant without webhooks pays one look into an index for it.
//! - [`delivery`]: what the job does: one try, and what follows from it.
//! - [`deliveries`]: the log, and telling it again.
//! - [`mod@sign`]: secrets and signatures.
//!
//! A webhook sees with the eyes of its owner: whoever said last where it is, and what it is told. No address is looked at here;
//! whether it is public is seen when it is connected to.

mod announce;
pub mod deliveries;
pub mod delivery;
pub mod sign;
pub(crate) mod topics;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use db::Db;
use entities::{UserId, WebhookId, WebhookState, webhook as table};
use jobs::Ledger;
use poem_openapi::{Object, types::MaybeUndefined};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, sea_query::LockType,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Error, FieldError, Result, Scope,
    engine::{Event, Write, again},
    resource::{
        field::{Form, Kind},
        value,
    },
    seal::Sealer,
};
pub(crate) use announce::{Happened, announce, shown};

/// So many may a tenant have.
const LIMIT: u64 = 50;
/// So long the secret before signs along.
const OVERLAP: TimeDelta = TimeDelta::hours(24);

/// An address that is told what happens.
#[derive(Clone, Debug, PartialEq, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// What the team calls it.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// What it is told: `contacts.created`, `deals.*`, `*`.
    pub topics: Vec<String>,
    /// Of which records: a filter of their list; left out: of all.
    pub filter: Option<Value>,
    /// Whether it is told anything.
    pub enabled: bool,
    /// How it is.
    pub state: WebhookState,
    /// Why.
    pub state_reason: Option<String>,
    /// Since when.
    pub state_at: DateTime<Utc>,
    /// With whose eyes it sees: whoever said last where it is and what it is told.
    pub owner_id: UserId,
    /// What its deliveries are signed with. Shown only when it is made or renewed.
    pub secret: Option<String>,
    /// Until when the secret before signs along.
    pub old_secret_until: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed.
    pub updated_at: DateTime<Utc>,
}

/// A webhook to be made.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct WebhookCreate {
    /// What the team calls it.
    #[oai(validator(min_length = 1, max_length = 120))]
    pub name: String,
    /// Where it is: an address that begins with https:// or http:// and is public. Redirects are not followed.
    #[oai(validator(min_length = 1, max_length = 2000))]
    pub url: String,
    /// What it is told: `contacts.created` for one thing, `deals.*` for everything about a resource, `*` for everything.
    #[oai(validator(min_items = 1, max_items = 50))]
    pub topics: Vec<String>,
    /// Of which records: a filter of their list, which looks at the record itself. Then all topics are of one resource.
    pub filter: Option<Value>,
    /// Whether it is told anything; it is by default.
    pub enabled: Option<bool>,
}

/// Changes to a webhook; what is absent stays.
#[derive(Clone, Debug, Default, Object)]
#[oai(deny_unknown_fields)]
pub struct WebhookUpdate {
    /// What the team calls it.
    #[oai(validator(min_length = 1, max_length = 120))]
    pub name: Option<String>,
    /// Where it is.
    #[oai(validator(min_length = 1, max_length = 2000))]
    pub url: Option<String>,
    /// What it is told.
    #[oai(validator(min_items = 1, max_items = 50))]
    pub topics: Option<Vec<String>>,
    /// Of which records; null: of all.
    pub filter: MaybeUndefined<Value>,
    /// Whether it is told anything. True makes one that failed or ended begin anew.
    pub enabled: Option<bool>,
}

/// Whether a webhook in this state is told anything.
fn listens(state: WebhookState) -> bool {
    matches!(state, WebhookState::Active | WebhookState::Failing)
}

fn names(topics: &Value) -> Vec<String> {
    topics.as_array().into_iter().flatten().filter_map(|topic| topic.as_str().map(str::to_owned)).collect()
}

impl From<table::Model> for Webhook {
    fn from(row: table::Model) -> Self {
        let table::Model {
            id,
            tenant_id: _,
            name,
            url,
            topics,
            filter,
            secret: _,
            old_secret: _,
            old_secret_until,
            state,
            state_reason,
            state_at,
            owner_id,
            created_at,
            updated_at,
        } = row;
        let old_secret_until = old_secret_until.filter(|until| *until > Utc::now());
        let (topics, enabled) = (names(&topics), listens(state));
        Self {
            id,
            name,
            url,
            topics,
            filter,
            enabled,
            state,
            state_reason,
            state_at,
            owner_id,
            secret: None,
            old_secret_until,
            created_at,
            updated_at,
        }
    }
}

/// All of them, oldest first.
///
/// # Errors
/// [`Error::Forbidden`]; the database's.
pub async fn list(db: &Db, scope: &Scope) -> Result<Vec<Webhook>> {
    scope.require("webhooks:read")?;
    let own = table::Entity::find().filter(table::Column::TenantId.eq(scope.tenant));
    Ok(own.order_by_asc(table::Column::Id).all(&db.read).await?.into_iter().map(Webhook::from).collect())
}

/// One of them.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; the database's.
pub async fn get(db: &Db, scope: &Scope, id: WebhookId) -> Result<Webhook> {
    scope.require("webhooks:read")?;
    Ok(row(&db.read, scope, id, false).await?.into())
}

/// Makes one. The answer has its secret.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] names every part that can't be taken; [`Error::Conflict`] when there are too many;
/// the database's.
pub async fn create(ledger: &Ledger, sealer: &Sealer, scope: &Scope, new: WebhookCreate) -> Result<Webhook> {
    scope.require("webhooks:write")?;
    let owner = scope.user().ok_or(Error::Forbidden("webhooks:write"))?;
    let write = Write::begin(ledger, scope).await?;
    let WebhookCreate { name, url, topics, filter, enabled } = new;
    let (name, url) = checked(Some(&name), Some(&url))?;
    topics::check(&write, scope, &topics, filter.as_ref()).await?;
    // One at a time, or two at once would both find room.
    entities::tenant::Entity::find_by_id(scope.tenant).lock(LockType::NoKeyUpdate).one(&**write).await?;
    if table::Entity::find().filter(table::Column::TenantId.eq(scope.tenant)).count(&**write).await? >= LIMIT {
        return Err(Error::conflict("webhook_limit", format!("a team may have {LIMIT} webhooks; delete one first")));
    }
    let (secret, now) = (sign::secret(), Utc::now().trunc_subsecs(6));
    let state = if enabled == Some(false) { WebhookState::Disabled } else { WebhookState::Active };
    let row = table::ActiveModel {
        id: Set(WebhookId::new()),
        tenant_id: Set(scope.tenant),
        name: Set(name.unwrap_or_default()),
        url: Set(url.unwrap_or_default()),
        topics: Set(json!(topics)),
        filter: Set(filter.filter(|filter| !filter.is_null())),
        secret: Set(sealer.seal(secret.as_bytes())),
        old_secret: Set(None),
        old_secret_until: Set(None),
        state: Set(state),
        state_reason: Set(None),
        state_at: Set(now),
        owner_id: Set(owner),
        created_at: Set(now),
        updated_at: Set(now),
    };
    let row = table::Entity::insert(row).exec_with_returning(&**write).await?;
    note(&write, row.id, "created", json!({ "name": row.name })).await?;
    let made = Webhook { secret: Some(secret), ..row.into() };
    write.commit(()).await?;
    Ok(made)
}

/// Changes one. Whoever says where it is or what it is told is its owner from then on.
///
/// # Errors
/// As [`create`]; [`Error::NotFound`].
pub async fn update(ledger: &Ledger, scope: &Scope, id: WebhookId, changes: WebhookUpdate) -> Result<Webhook> {
    scope.require("webhooks:write")?;
    let owner = scope.user().ok_or(Error::Forbidden("webhooks:write"))?;
    let write = Write::begin(ledger, scope).await?;
    let before = row(&**write, scope, id, true).await?;
    let WebhookUpdate { name, url, topics, filter, enabled } = changes;
    let (name, url) = checked(name.as_deref(), url.as_deref())?;
    let filter = match filter {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(filter) => Some(Some(filter).filter(|filter| !filter.is_null())),
    };
    let now = Utc::now().trunc_subsecs(6);
    let mut changed = Vec::new();
    let mut row = before.clone().into_active_model();
    if url.is_some() || topics.is_some() || filter.is_some() {
        let topics = topics.clone().unwrap_or_else(|| names(&before.topics));
        let filter = filter.clone().unwrap_or_else(|| before.filter.clone());
        topics::check(&write, scope, &topics, filter.as_ref()).await?;
        row.owner_id = Set(owner);
    }
    if let Some(name) = name {
        row.name = Set(name);
        changed.push("name");
    }
    if let Some(url) = url {
        row.url = Set(url);
        changed.push("url");
    }
    if let Some(topics) = topics {
        row.topics = Set(json!(topics));
        changed.push("topics");
    }
    if let Some(filter) = filter {
        row.filter = Set(filter);
        changed.push("filter");
    }
    if let Some(enabled) = enabled.filter(|enabled| *enabled != listens(before.state)) {
        row.state = Set(if enabled { WebhookState::Active } else { WebhookState::Disabled });
        row.state_reason = Set(None);
        row.state_at = Set(now);
        changed.push("enabled");
    }
    if changed.is_empty() {
        return write.commit(before.into()).await;
    }
    row.updated_at = Set(now);
    let row = row.update(&**write).await?;
    note(&write, id, "updated", json!({ "changed": changed })).await?;
    write.commit(row.into()).await
}

/// Deletes one, with its log.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; the database's.
pub async fn delete(ledger: &Ledger, scope: &Scope, id: WebhookId) -> Result<()> {
    scope.require("webhooks:write")?;
    again(|| async {
        let write = Write::begin(ledger, scope).await?;
        let row = row(&**write, scope, id, true).await?;
        table::Entity::delete_by_id(row.id).exec(&**write).await?;
        note(&write, id, "deleted", json!({ "name": row.name })).await?;
        write.commit(()).await
    })
    .await
}

/// Gives one another secret, which the answer has. The one before signs along for a day, so that nothing is lost meanwhile.
///
/// # Errors
/// As [`delete`].
pub async fn rotate(ledger: &Ledger, sealer: &Sealer, scope: &Scope, id: WebhookId) -> Result<Webhook> {
    scope.require("webhooks:write")?;
    let write = Write::begin(ledger, scope).await?;
    let before = row(&**write, scope, id, true).await?;
    let (secret, now) = (sign::secret(), Utc::now().trunc_subsecs(6));
    let mut row = before.clone().into_active_model();
    row.secret = Set(sealer.seal(secret.as_bytes()));
    row.old_secret = Set(Some(before.secret));
    row.old_secret_until = Set(Some(now + OVERLAP));
    row.updated_at = Set(now);
    let row = row.update(&**write).await?;
    note(&write, id, "secret_rotated", json!({})).await?;
    let renewed = Webhook { secret: Some(secret), ..row.into() };
    write.commit(()).await?;
    Ok(renewed)
}

/// The tenant's webhook.
async fn row(conn: &impl ConnectionTrait, scope: &Scope, id: WebhookId, lock: bool) -> Result<table::Model> {
    let mut find = table::Entity::find().filter(table::Column::TenantId.eq(scope.tenant).and(table::Column::Id.eq(id)));
    if lock {
        find = find.lock(LockType::NoKeyUpdate);
    }
    find.one(conn).await?.ok_or(Error::NotFound("webhook"))
}

/// A name and an address in the one form of each.
fn checked(name: Option<&str>, url: Option<&str>) -> Result<(Option<String>, Option<String>)> {
    let mut faults = Vec::new();
    let mut text = |pointer: &str, max, form, given: Option<&str>| {
        let given = given?;
        let taken = match value::accept(&Kind::Text { max, form }, &json!(given)) {
            Ok(Value::String(text)) if form != Form::Url => Ok(text),
            Ok(Value::String(text)) => match url::Url::parse(&text) {
                Ok(url) if url.has_host() && url.username().is_empty() && url.password().is_none() => Ok(text),
                _ => Err(("invalid", "takes an address with a host, and without a user and a password".to_owned())),
            },
            Ok(_) | Err(("too_short", _)) => Err(("required", "is required".to_owned())),
            Err(refusal) => Err(refusal),
        };
        match taken {
            Ok(text) => Some(text),
            Err((code, message)) => {
                faults.push(FieldError { pointer: pointer.into(), code, message });
                None
            }
        }
    };
    let checked = (text("/name", 120, Form::Line, name), text("/url", 2000, Form::Url, url));
    if faults.is_empty() { Ok(checked) } else { Err(Error::Invalid(faults)) }
}

async fn note(write: &Write<'_>, id: WebhookId, action: &'static str, data: Value) -> Result<()> {
    write.record(Event { topic: "webhooks", subject_id: id.0, action, data }).await
}
