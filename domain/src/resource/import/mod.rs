//! Imports: files whose rows become records. A file is uploaded and looked at; whoever uploaded it says which column becomes which
//! field, sees what would become of the first rows, tries all of it or starts it. A job takes the rows ([`run`]); what could not be
//! taken can be fetched, mended and uploaded again; all of it can be taken back ([`mod@revert`]).
//!
//! - `file`: what is in a file; `guess`: what its columns are; `plan`: what is to be made of it.
//! - `cells`, `names`, `body`: a row as a record's body; `matched`: which records are there already; `part`: rows, written.
//!
//! Nothing here knows a resource by name: whatever is written in bulk is imported too. Records go the way that all of them go
//! ([`super::write`]), many at a time where their rules allow it ([`crate::engine`]).

mod body;
mod cells;
mod faults;
mod file;
mod guess;
mod matched;
mod names;
mod part;
mod plan;
mod preview;
pub mod revert;
pub mod run;

pub use faults::{ImportFault, faults, sheet};
pub use file::{FileColumn, FileShape, Reading, look};
pub use plan::{DateOrder, ImportColumn, ImportOptions, OnMatch};
pub use preview::{ImportPreview, PreviewedRow, preview};

use chrono::{DateTime, SubsecRound, Utc};
use entities::{AttachmentId, ImportId, Role, TenantId, import as table, import_fault};
use jobs::{Ledger, NewJob};
use poem_openapi::Object;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::LockType,
};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    Error, Result, Scope,
    engine::{Event, Write},
    page::{Page, Paging},
    payloads::{DeleteFile, RevertImport, RunImport},
    resource::{
        Resource, access,
        access::Act,
        custom::{self, Customs},
        registry,
    },
    scope::Actor,
    settings,
};
use plan::Plan;

/// A file whose rows become records, and how far that is.
#[derive(Clone, Debug, PartialEq, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct Import {
    /// Its id.
    pub id: ImportId,
    /// The resource whose records its rows become.
    pub topic: String,
    /// `ready` to be started; `waiting`, `running`, `done`, `failed` or `cancelled`; `reverting` or `reverted`.
    pub state: String,
    /// The name of the file.
    pub file_name: String,
    /// Bytes.
    pub size: u64,
    /// How the file is read, and what is in it.
    pub file: FileShape,
    /// What is made of it: until it is started, what SOMO suggests.
    pub options: ImportOptions,
    /// The import whose rows that could not be taken are in this file, mended.
    pub fixes_id: Option<ImportId>,
    /// Its job: `/api/jobs/{id}` cancels it.
    pub job_id: Option<Uuid>,
    /// How many rows there are.
    pub total: u64,
    /// How many became new records.
    pub created: u64,
    /// How many changed a record that was there.
    pub updated: u64,
    /// How many said what their record has already.
    pub unchanged: u64,
    /// How many were left out, as their record is there already.
    pub skipped: u64,
    /// How many could not be taken; its errors say why.
    pub failed: u64,
    /// Once it is taken back: how many records are as they were.
    pub reverted: u64,
    /// How many are not, as somebody has changed them since.
    pub kept: u64,
    /// Why it failed as a whole, or why its last attempt did.
    pub error: Option<String>,
    /// When the file was uploaded.
    pub created_at: DateTime<Utc>,
    /// When it was started.
    pub started_at: Option<DateTime<Utc>>,
    /// When its last row was taken.
    pub finished_at: Option<DateTime<Utc>>,
    /// When it was taken back.
    pub reverted_at: Option<DateTime<Utc>>,
}

/// A file that is in the store already.
#[derive(Clone, Debug)]
pub struct NewImport {
    /// The import's id, which its key in the store was made of.
    pub id: ImportId,
    /// Its name.
    pub file_name: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256, in hex.
    pub sha256: String,
    /// The import whose faulty rows are in it, mended.
    pub fixes: Option<ImportId>,
}

/// Where the bytes of a file lie in the object store.
#[must_use]
pub fn storage_key(tenant: TenantId, id: ImportId) -> String {
    crate::collaboration::attachments::storage_key(tenant, AttachmentId(id.0))
}

/// What somebody has to be allowed who uploads a file for a topic: to be known before the file comes.
#[must_use]
pub fn ability(topic: &str) -> Option<&'static str> {
    registry::find(topic).filter(|resource| resource.bulk).map(|resource| resource.ability(Act::Create))
}

/// Takes a file that was looked at: nothing is made of it before it is started.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] for a foreign import that it should mend; the database's.
pub async fn add(ledger: &Ledger, scope: &Scope, resource: &'static Resource, new: NewImport, shape: FileShape) -> Result<Import> {
    scope.may(resource, Act::Create)?;
    let db = ledger.db();
    let options = match new.fixes {
        Some(id) => {
            let wrong = || Error::field("/fixes", "not_found", format!("there is no such import of {}", resource.topic));
            let row = own(&db.read, scope, id).await.map_err(|_| wrong())?;
            if row.topic != resource.topic {
                return Err(wrong());
            }
            again(&row, &shape)?
        }
        None => {
            let customs = Customs::of(&db.read, scope.tenant.0).await?;
            let mut columns = guess::columns(resource, &customs, &shape.columns);
            let hidden = |one: &ImportColumn| {
                scope.hides(resource, &one.field) || one.field.starts_with(custom::PREFIX) && scope.hides(resource, custom::FIELD)
            };
            columns.retain(|one| !hidden(one));
            let decimal = guess::decimal(resource, &customs, &shape.columns, &columns);
            ImportOptions { columns, decimal, ..ImportOptions::default() }
        }
    };
    let write = Write::begin(ledger, scope).await?;
    let (user_id, token_id) = match scope.actor {
        Actor::User(user) => (Some(user), None),
        Actor::Token { user, token } => (Some(user), Some(token)),
        Actor::Job(_) | Actor::Provider | Actor::System => (None, None),
    };
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let row = table::Model {
        id: new.id,
        tenant_id: scope.tenant,
        user_id,
        token_id,
        topic: resource.topic.to_owned(),
        file_name: new.file_name,
        size: count(new.size),
        sha256: new.sha256,
        row_count: count(shape.rows),
        shape: json!(shape),
        options: json!(options),
        fixes_id: new.fixes,
        job_id: None,
        dry_run: false,
        line: 0,
        created: 0,
        updated: 0,
        unchanged: 0,
        skipped: 0,
        failed: 0,
        revert_job_id: None,
        reverted: 0,
        kept: 0,
        revert_after: None,
        created_at: Utc::now().trunc_subsecs(6),
        started_at: None,
        finished_at: None,
        reverted_at: None,
    };
    let answer = shown(row.clone(), None)?;
    let new: table::ActiveModel = row.into();
    table::Entity::insert(new.reset_all()).exec_without_returning(&**write).await?;
    write.commit(answer).await
}

/// The same options for a file whose columns stand elsewhere: they are told by their names.
fn again(row: &table::Model, shape: &FileShape) -> Result<ImportOptions> {
    let (options, before) = run::kept(row)?;
    let same = |one: ImportColumn| {
        let name = &before.columns.get(one.column as usize)?.name;
        let at = shape.columns.iter().position(|column| column.name == *name)?;
        Some(ImportColumn { column: u32::try_from(at).ok()?, ..one })
    };
    let columns = options.columns.into_iter().filter_map(same).collect();
    Ok(ImportOptions { columns, dry_run: false, ..options })
}

/// One of the caller's; for admins, one of the team's.
///
/// # Errors
/// [`Error::NotFound`]; the database's.
pub async fn get(ledger: &Ledger, scope: &Scope, id: ImportId) -> Result<Import> {
    let row = own(&ledger.db().write, scope, id).await?;
    told(ledger, scope, row).await
}

/// The caller's, newest first; for admins, the team's.
///
/// # Errors
/// [`Error::Invalid`] for a foreign cursor; the database's.
pub async fn list(ledger: &Ledger, scope: &Scope, paging: Paging) -> Result<Page<Import>> {
    let mut find = table::Entity::find().filter(table::Column::TenantId.eq(scope.tenant));
    if scope.role != Role::Admin {
        find = find.filter(table::Column::UserId.eq(scope.user()));
    }
    if let Some(after) = paging.after::<ImportId>()? {
        find = find.filter(table::Column::Id.lt(after));
    }
    let rows = find.order_by_desc(table::Column::Id).limit(paging.limit + 1).all(&ledger.db().read).await?;
    let Page { data, next_cursor } = paging.page(rows, |row| row.id);
    let mut imports = Vec::with_capacity(data.len());
    for row in data {
        if registry::find(&row.topic).is_some_and(|resource| access::see(scope, resource).is_ok()) {
            imports.push(told(ledger, scope, row).await?);
        }
    }
    Ok(Page { data: imports, next_cursor })
}

/// Starts one, or tries it. What was only tried can be started again.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] names what is wrong with the options; [`Error::Conflict`] when it was started already; the
/// database's.
pub async fn start(ledger: &Ledger, scope: &Scope, id: ImportId, options: Option<ImportOptions>) -> Result<Import> {
    let write = Write::begin(ledger, scope).await?;
    let row = held(&write, id).await?;
    let (kept, shape) = run::kept(&row)?;
    let options = options.unwrap_or(kept);
    let resource = registry::find(&row.topic).ok_or(Error::NotFound("import"))?;
    planned(&write, resource, &shape, &options).await?;
    if row.job_id.is_some() && !(row.dry_run && row.finished_at.is_some()) {
        return Err(Error::conflict("started", "it was started already; upload the file again to import it once more"));
    }
    let job = NewJob::new(scope.tenant.0, &RunImport { import_id: id }).order_key(format!("bulk:{}", scope.tenant));
    let row = table::Model {
        options: json!(options),
        dry_run: options.dry_run,
        job_id: Some(job.id()),
        line: 0,
        created: 0,
        updated: 0,
        unchanged: 0,
        skipped: 0,
        failed: 0,
        started_at: Some(Utc::now().trunc_subsecs(6)),
        finished_at: None,
        ..row
    };
    let of = import_fault::Column::TenantId.eq(scope.tenant).and(import_fault::Column::ImportId.eq(id));
    import_fault::Entity::delete_many().filter(of).exec(&**write).await?;
    save(&write, row.clone()).await?;
    let data = json!({ "topic": row.topic, "rows": row.row_count, "dry_run": row.dry_run });
    write.record(Event { topic: "imports", subject_id: id.0, action: "started", data }).await?;
    write.enqueue(job).await?;
    write.commit(shown(row, Some(("waiting", None)))?).await
}

/// Takes back all that an import wrote.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when there is nothing to take back, or it is still under way; [`Error::Forbidden`]; the
/// database's.
pub async fn revert(ledger: &Ledger, scope: &Scope, id: ImportId) -> Result<Import> {
    let write = Write::begin(ledger, scope).await?;
    let row = held(&write, id).await?;
    let resource = registry::find(&row.topic).ok_or(Error::NotFound("import"))?;
    scope.may(resource, Act::Delete)?;
    scope.may(resource, Act::Edit)?;
    if row.started_at.is_none() || row.dry_run {
        return Err(Error::conflict("not_started", "it has written nothing that could be taken back"));
    }
    if row.revert_job_id.is_some() {
        return Err(Error::conflict("reverted", "it is taken back already"));
    }
    if is_busy(ledger, scope, &row).await? {
        return Err(Error::conflict("running", "it is still under way; cancel its job first, or wait"));
    }
    let job = NewJob::new(scope.tenant.0, &RevertImport { import_id: id }).order_key(format!("bulk:{}", scope.tenant));
    let row = table::Model { revert_job_id: Some(job.id()), ..row };
    save(&write, row.clone()).await?;
    let data = json!({ "topic": row.topic });
    write.record(Event { topic: "imports", subject_id: id.0, action: "reverted", data }).await?;
    write.enqueue(job).await?;
    write.commit(shown(row, Some(("reverting", None)))?).await
}

/// Forgets an import and its file; the records that it wrote stay.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] while it is under way; the database's.
pub async fn delete(ledger: &Ledger, scope: &Scope, id: ImportId) -> Result<()> {
    let write = Write::begin(ledger, scope).await?;
    let row = held(&write, id).await?;
    if is_busy(ledger, scope, &row).await? {
        return Err(Error::conflict("running", "it is still under way; cancel its job first, or wait"));
    }
    forget(&write, id).await?;
    write.commit(()).await
}

/// Forgets those that are older, with their files.
///
/// # Errors
/// The database's.
pub async fn forget_old(ledger: &Ledger, before: DateTime<Utc>) -> Result<()> {
    let old = table::Entity::find().filter(table::Column::CreatedAt.lt(before)).order_by_asc(table::Column::CreatedAt).limit(100);
    for row in old.all(&ledger.db().write).await? {
        let scope = Scope::system(row.tenant_id, Actor::System);
        let write = Write::begin(ledger, &scope).await?;
        forget(&write, row.id).await?;
        write.commit(()).await?;
    }
    Ok(())
}

async fn forget(write: &Write<'_>, id: ImportId) -> Result<()> {
    let tenant = write.scope.tenant;
    let fixing = table::Column::TenantId.eq(tenant).and(table::Column::FixesId.eq(id));
    let alone = table::ActiveModel { fixes_id: Set(None), ..Default::default() };
    table::Entity::update_many().set(alone).filter(fixing).exec(&***write).await?;
    table::Entity::delete_many().filter(table::Column::TenantId.eq(tenant).and(table::Column::Id.eq(id))).exec(&***write).await?;
    // Files lie under an id, whatever they are of.
    write.enqueue(NewJob::new(tenant.0, &DeleteFile { attachment_id: AttachmentId(id.0) })).await?;
    Ok(())
}

async fn save(write: &Write<'_>, row: table::Model) -> Result<()> {
    let row: table::ActiveModel = row.into();
    table::Entity::update(row.reset_all()).exec(&***write).await?;
    Ok(())
}

async fn planned(write: &Write<'_>, resource: &'static Resource, shape: &FileShape, options: &ImportOptions) -> Result<Plan> {
    let company = settings::company(&***write, write.scope.tenant).await?;
    let customs = Customs::of(&***write, write.scope.tenant.0).await?;
    Plan::read(write.scope, resource, &company, &customs, shape, options)
}

async fn own(conn: &impl ConnectionTrait, scope: &Scope, id: ImportId) -> Result<table::Model> {
    let of = table::Column::TenantId.eq(scope.tenant).and(table::Column::Id.eq(id));
    theirs(scope, table::Entity::find().filter(of).one(conn).await?)
}

/// One of the caller's, for this transaction alone.
async fn held(write: &Write<'_>, id: ImportId) -> Result<table::Model> {
    let of = table::Column::TenantId.eq(write.scope.tenant).and(table::Column::Id.eq(id));
    theirs(write.scope, table::Entity::find().filter(of).lock(LockType::Update).one(&***write).await?)
}

fn theirs(scope: &Scope, row: Option<table::Model>) -> Result<table::Model> {
    let theirs = |row: &table::Model| scope.role == Role::Admin || row.user_id.is_some() && row.user_id == scope.user();
    let row = row.filter(theirs).ok_or(Error::NotFound("import"))?;
    match registry::find(&row.topic) {
        Some(resource) => access::see(scope, resource).map(|()| row),
        None => Err(Error::NotFound("import")),
    }
}

async fn is_busy(ledger: &Ledger, scope: &Scope, row: &table::Model) -> Result<bool> {
    let done = if row.revert_job_id.is_some() { row.reverted_at } else { row.finished_at };
    let Some(job) = row.revert_job_id.or(row.job_id).filter(|_| done.is_none()) else { return Ok(false) };
    let job = ledger.find(scope.tenant.0, job).await?;
    Ok(job.is_some_and(|job| !matches!(job.state.as_str(), "dead" | "cancelled" | "done")))
}

/// With what its job says.
async fn told(ledger: &Ledger, scope: &Scope, row: table::Model) -> Result<Import> {
    let (job, done, word) = match row.revert_job_id {
        Some(job) => (Some(job), row.reverted_at, "reverting"),
        None => (row.job_id, row.finished_at, "running"),
    };
    let Some(job) = job.filter(|_| done.is_none()) else { return shown(row, None) };
    let found = ledger.find(scope.tenant.0, job).await?;
    let state = match found.as_ref().map(|job| job.state.as_str()) {
        Some("running") => word,
        Some("dead") => "failed",
        // Jobs that were cancelled are forgotten after some days.
        Some("cancelled") | None => "cancelled",
        Some(_) if word == "reverting" => word,
        Some(_) => "waiting",
    };
    shown(row, Some((state, found.and_then(|job| job.last_error))))
}

fn shown(row: table::Model, job: Option<(&str, Option<String>)>) -> Result<Import> {
    let (options, file) = run::kept(&row)?;
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    let (state, error) = match job {
        Some((state, error)) => (state, error),
        None if row.reverted_at.is_some() => ("reverted", None),
        None if row.finished_at.is_some() => ("done", None),
        None => ("ready", None),
    };
    Ok(Import {
        id: row.id,
        topic: row.topic,
        state: state.to_owned(),
        file_name: row.file_name,
        size: count(row.size),
        file,
        options,
        fixes_id: row.fixes_id,
        job_id: row.job_id,
        total: count(row.row_count),
        created: count(row.created),
        updated: count(row.updated),
        unchanged: count(row.unchanged),
        skipped: count(row.skipped),
        failed: count(row.failed),
        reverted: count(row.reverted),
        kept: count(row.kept),
        error,
        created_at: row.created_at,
        started_at: row.started_at,
        finished_at: row.finished_at,
        reverted_at: row.reverted_at,
    })
}
