//! Exports: records, or the audit log, as a file. A job writes it ([`run`]) with what whoever asked may see by then, and it is there
//! for a week, for them alone.
//!
//! - `source`: where rows come from; to export something else, one more of those.

mod records;
pub mod run;
mod source;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use entities::{AttachmentId, ExportId, TenantId, export as table};
use jobs::{Ledger, NewJob};
use poem_openapi::{Enum, Object};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Error, Result, Scope,
    engine::{Event, Write},
    page::{Page, Paging},
    payloads::{DeleteFile, RunExport},
    resource::{Resource, access, registry},
    scope::Actor,
};
use source::Source;

/// Files are there for so long.
pub const KEPT: TimeDelta = TimeDelta::days(7);

/// The topic of the audit log.
pub(crate) const AUDIT: &str = "audit";

/// What a file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum, Serialize, Deserialize)]
#[oai(rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// Comma-separated values in UTF-8. Texts that a spreadsheet would calculate stand behind an apostrophe.
    #[default]
    Csv,
    /// An Excel workbook.
    Xlsx,
    /// A list of objects.
    Json,
}

impl ExportFormat {
    fn as_table(self) -> tables::Format {
        match self {
            Self::Csv => tables::Format::Csv,
            Self::Xlsx => tables::Format::Xlsx,
            Self::Json => tables::Format::Json,
        }
    }

    /// As servers call it.
    #[must_use]
    pub fn mime_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Json => "application/json",
        }
    }

    /// What names of such files end with.
    #[must_use]
    pub fn ending(self) -> &'static str {
        self.as_table().as_str()
    }
}

/// Which records are wanted, and how.
#[derive(Clone, Debug, Default, PartialEq, Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(default)]
pub struct ExportRequest {
    /// What the file is to be.
    #[oai(default)]
    pub format: ExportFormat,
    /// Which fields, in this order: `first_name`, `custom.budget`; left out: all that you may see.
    #[oai(validator(max_items = 500))]
    pub fields: Option<Vec<String>>,
    /// Only those that it holds for, as for lists.
    pub filter: Option<Value>,
    /// Only those of a saved view.
    pub view_id: Option<Uuid>,
    /// Only those that have all of these words.
    #[oai(validator(max_length = 200))]
    pub q: Option<String>,
}

/// Which events are wanted, and how.
#[derive(Clone, Debug, Default, PartialEq, Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(default)]
pub struct AuditExportRequest {
    /// What the file is to be.
    #[oai(default)]
    pub format: ExportFormat,
    /// Only of this resource.
    #[oai(validator(max_length = 100))]
    pub topic: Option<String>,
    /// Only about this record.
    pub subject_id: Option<Uuid>,
    /// Only of this kind, e.g. `updated`.
    #[oai(validator(max_length = 100))]
    pub action: Option<String>,
    /// Only what this one did.
    pub actor_id: Option<Uuid>,
    /// Not before.
    pub from: Option<DateTime<Utc>>,
    /// Before.
    pub to: Option<DateTime<Utc>>,
}

/// Something that is taken out as a file.
#[derive(Clone, Debug, PartialEq, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct Export {
    /// Its id.
    pub id: ExportId,
    /// Its job: `/api/jobs/{id}` cancels it.
    pub job_id: Uuid,
    /// The resource, or `audit`.
    pub topic: String,
    /// What the file is.
    pub format: ExportFormat,
    /// `waiting`, `running`, `done`, `failed` or `cancelled`.
    pub state: String,
    /// How many rows are in it so far.
    pub rows: u64,
    /// Bytes, once it is done.
    pub size: Option<u64>,
    /// Why it failed, or why its last attempt did.
    pub error: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was done.
    pub finished_at: Option<DateTime<Utc>>,
    /// When it is deleted.
    pub expires_at: DateTime<Utc>,
}

/// Where the bytes of a file lie in the object store.
#[must_use]
pub fn storage_key(tenant: TenantId, id: ExportId) -> String {
    crate::collaboration::attachments::storage_key(tenant, AttachmentId(id.0))
}

/// Asks for records as a file. A job writes it.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] names what is wrong; the database's.
pub async fn records(ledger: &Ledger, scope: &Scope, resource: &'static Resource, request: ExportRequest) -> Result<Export> {
    let (format, body) = (request.format, json!(request));
    Source::records(ledger.db(), scope, resource, request).await?;
    start(ledger, scope, resource.topic, format, body).await
}

/// Asks for the audit log as a file.
///
/// # Errors
/// As [`records()`].
pub async fn audit(ledger: &Ledger, scope: &Scope, request: AuditExportRequest) -> Result<Export> {
    let (format, body) = (request.format, json!(request));
    Source::audit(scope, request)?;
    start(ledger, scope, AUDIT, format, body).await
}

async fn start(ledger: &Ledger, scope: &Scope, topic: &str, format: ExportFormat, request: Value) -> Result<Export> {
    let write = Write::begin(ledger, scope).await?;
    let id = ExportId::new();
    // One at a time for each team: a second one waits.
    let job = NewJob::new(scope.tenant.0, &RunExport { export_id: id }).order_key(format!("export:{}", scope.tenant));
    let (user_id, token_id) = match scope.actor {
        Actor::User(user) => (Some(user), None),
        Actor::Token { user, token } => (Some(user), Some(token)),
        Actor::Job(_) | Actor::Provider | Actor::System => (None, None),
    };
    let row = table::Model {
        id,
        tenant_id: scope.tenant,
        user_id,
        token_id,
        topic: topic.to_owned(),
        request,
        format: format.ending().to_owned(),
        job_id: job.id(),
        row_count: 0,
        size: None,
        created_at: Utc::now().trunc_subsecs(6),
        finished_at: None,
    };
    let answer = shown(row.clone(), "waiting", None);
    let new: table::ActiveModel = row.into();
    table::Entity::insert(new.reset_all()).exec_without_returning(&**write).await?;
    let data = json!({ "topic": topic, "format": format });
    write.record(Event { topic: "exports", subject_id: id.0, action: "started", data }).await?;
    write.enqueue(job).await?;
    write.commit(answer).await
}

/// One of the caller's. Nobody else's: what is in it was for them to see.
///
/// # Errors
/// [`Error::NotFound`]; the database's.
pub async fn get(ledger: &Ledger, scope: &Scope, id: ExportId) -> Result<Export> {
    let row = table::Entity::find().filter(own(scope).and(table::Column::Id.eq(id))).one(&ledger.db().write).await?;
    let row = row.filter(|row| may_still(scope, &row.topic)).ok_or(Error::NotFound("export"))?;
    told(ledger, scope, row).await
}

/// Whether somebody may see today what a file has in it.
fn may_still(scope: &Scope, topic: &str) -> bool {
    match registry::find(topic) {
        Some(resource) => access::see(scope, resource).is_ok(),
        None => scope.require("audit:read").is_ok(),
    }
}

/// The caller's, newest first.
///
/// # Errors
/// [`Error::Invalid`] for a foreign cursor; the database's.
pub async fn list(ledger: &Ledger, scope: &Scope, paging: Paging) -> Result<Page<Export>> {
    let mut find = table::Entity::find().filter(own(scope));
    if let Some(after) = paging.after::<ExportId>()? {
        find = find.filter(table::Column::Id.lt(after));
    }
    let rows = find.order_by_desc(table::Column::Id).limit(paging.limit + 1).all(&ledger.db().read).await?;
    let Page { data, next_cursor } = paging.page(rows, |row| row.id);
    let mut exports = Vec::with_capacity(data.len());
    for row in data.into_iter().filter(|row| may_still(scope, &row.topic)) {
        exports.push(told(ledger, scope, row).await?);
    }
    Ok(Page { data: exports, next_cursor })
}

/// Deletes one, with its file.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] while it is written; the database's.
pub async fn delete(ledger: &Ledger, scope: &Scope, id: ExportId) -> Result<()> {
    let export = get(ledger, scope, id).await?;
    if matches!(export.state.as_str(), "waiting" | "running") {
        return Err(Error::conflict("running", "it is still under way; cancel its job first, or wait"));
    }
    let write = Write::begin(ledger, scope).await?;
    forget(&write, id).await?;
    write.commit(()).await
}

/// Forgets those whose time is over, with their files.
///
/// # Errors
/// The database's.
pub async fn forget_old(ledger: &Ledger, now: DateTime<Utc>) -> Result<()> {
    let old = table::Entity::find().filter(table::Column::CreatedAt.lt(now - KEPT)).order_by_asc(table::Column::CreatedAt).limit(100);
    for row in old.all(&ledger.db().write).await? {
        let scope = Scope::system(row.tenant_id, Actor::System);
        let write = Write::begin(ledger, &scope).await?;
        forget(&write, row.id).await?;
        write.commit(()).await?;
    }
    Ok(())
}

async fn forget(write: &Write<'_>, id: ExportId) -> Result<()> {
    let tenant = write.scope.tenant;
    table::Entity::delete_many().filter(table::Column::TenantId.eq(tenant).and(table::Column::Id.eq(id))).exec(&***write).await?;
    // Files lie under an id, whatever they are of.
    write.enqueue(NewJob::new(tenant.0, &DeleteFile { attachment_id: AttachmentId(id.0) })).await?;
    Ok(())
}

/// Those that the caller asked for, with the same limits.
fn own(scope: &Scope) -> sea_orm::sea_query::Expr {
    let of = table::Column::TenantId.eq(scope.tenant).and(table::Column::UserId.eq(scope.user()));
    match scope.actor {
        Actor::Token { token, .. } => of.and(table::Column::TokenId.eq(token)),
        _ => of,
    }
}

async fn told(ledger: &Ledger, scope: &Scope, row: table::Model) -> Result<Export> {
    if row.finished_at.is_some() {
        return Ok(shown(row, "done", None));
    }
    let found = ledger.find(scope.tenant.0, row.job_id).await?;
    let state = match found.as_ref().map(|job| job.state.as_str()) {
        Some("running") => "running",
        Some("dead") => "failed",
        // Jobs that were cancelled are forgotten after some days.
        Some("cancelled") | None => "cancelled",
        Some(_) => "waiting",
    };
    Ok(shown(row, state, found.and_then(|job| job.last_error)))
}

fn shown(row: table::Model, state: &str, error: Option<String>) -> Export {
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    Export {
        id: row.id,
        job_id: row.job_id,
        topic: row.topic,
        format: serde_json::from_value(Value::String(row.format)).unwrap_or_default(),
        state: state.to_owned(),
        rows: count(row.row_count),
        size: row.size.map(count),
        error,
        created_at: row.created_at,
        finished_at: row.finished_at,
        expires_at: row.created_at + KEPT,
    }
}
