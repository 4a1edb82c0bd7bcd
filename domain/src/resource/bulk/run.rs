//! A run: what is done to more records than somebody waits for. A job does it in parts, each a transaction that keeps how far
//! it is, so that a worker that dies repeats nothing. It acts as whoever asked, with the role and the reach that they have by
//! then.

use chrono::{DateTime, SubsecRound, Utc};
use db::Db;
use entities::{BulkRunId, Role, TenantId, TokenId, UserId, bulk_fault, bulk_run as table};
use jobs::{Ledger, NewJob};
use poem_openapi::Object;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::SelectStatement,
};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Bulk, BulkFault, each};
use crate::{
    Error, Result, Scope, auth,
    engine::Write,
    page::{Page, Paging},
    payloads::RunBulk,
    resource::{Record, access, registry},
    scope::Actor,
};

/// Records of one transaction.
const PART: usize = 200;

/// Something that is done to many records by a job.
#[derive(Clone, Debug, PartialEq, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct BulkRun {
    /// Its id.
    pub id: BulkRunId,
    /// Its job: `/api/jobs/{id}` shows it, and cancels it.
    pub job_id: Uuid,
    /// The resource whose records they are.
    pub topic: String,
    /// What is done.
    pub action: String,
    /// Whether it is only tried: nothing of it is kept.
    pub dry_run: bool,
    /// `waiting`, `running`, `done`, `failed` or `cancelled`.
    pub state: String,
    /// How many records there were when it was asked for.
    pub total: u64,
    /// To how many it was done so far.
    pub done: u64,
    /// To how many it could not be done; its errors say why.
    pub failed: u64,
    /// Why it failed as a whole, or why its last attempt did.
    pub error: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was done.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Writes down what is asked for, and its job.
pub(super) async fn start(ledger: &Ledger, scope: &Scope, bulk: &Bulk, body: &Record, total: u64) -> Result<BulkRun> {
    let write = Write::begin(ledger, scope).await?;
    let id = BulkRunId::new();
    // One at a time for each team, in the order in which they were asked for.
    let job = NewJob::new(scope.tenant.0, &RunBulk { bulk_run_id: id }).order_key(format!("bulk:{}", scope.tenant));
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
        job_id: job.id(),
        topic: bulk.resource.topic.to_owned(),
        request: Value::Object(body.clone()),
        dry_run: bulk.dry_run,
        total: i64::try_from(total).unwrap_or(i64::MAX),
        last_id: None,
        done: 0,
        failed: 0,
        created_at: Utc::now().trunc_subsecs(6),
        finished_at: None,
    };
    let shown = shown(row.clone(), "waiting", None);
    let new: table::ActiveModel = row.into();
    table::Entity::insert(new.reset_all()).exec_without_returning(&**write).await?;
    write.enqueue(job).await?;
    write.commit(shown).await
}

/// One of the caller's; for admins, one of the team's.
///
/// # Errors
/// [`Error::NotFound`]; the database's.
pub async fn get(ledger: &Ledger, scope: &Scope, id: BulkRunId) -> Result<BulkRun> {
    let row = own(ledger.db(), scope, id).await?;
    if row.finished_at.is_some() {
        return Ok(shown(row, "done", None));
    }
    match ledger.find(scope.tenant.0, row.job_id).await? {
        Some(job) => {
            let state = match job.state.as_str() {
                "running" => "running",
                "dead" => "failed",
                "cancelled" => "cancelled",
                _ => "waiting",
            };
            Ok(shown(row, state, job.last_error))
        }
        // Jobs that were cancelled are forgotten after some days.
        None => Ok(shown(row, "cancelled", None)),
    }
}

/// The records to which it could not be done, in the order of their ids.
///
/// # Errors
/// As [`get`]; [`Error::Invalid`] for a foreign cursor.
pub async fn faults(db: &Db, scope: &Scope, id: BulkRunId, paging: Paging) -> Result<Page<BulkFault>> {
    own(db, scope, id).await?;
    let of_run = bulk_fault::Column::TenantId.eq(scope.tenant);
    let mut find = bulk_fault::Entity::find().filter(of_run).filter(bulk_fault::Column::BulkRunId.eq(id));
    if let Some(after) = paging.after::<Uuid>()? {
        find = find.filter(bulk_fault::Column::RecordId.gt(after));
    }
    let rows = find.order_by_asc(bulk_fault::Column::RecordId).limit(paging.limit + 1).all(&db.read).await?;
    let fault = |row: bulk_fault::Model| {
        let bulk_fault::Model { tenant_id: _, bulk_run_id: _, record_id, code, pointer, message } = row;
        BulkFault { id: record_id, code, pointer, message }
    };
    Ok(paging.page(rows, |row| row.record_id).map(fault))
}

async fn own(db: &Db, scope: &Scope, id: BulkRunId) -> Result<table::Model> {
    let found = row(db, scope.tenant, id).await?;
    let theirs = |row: &table::Model| scope.role == Role::Admin || row.user_id.is_some() && row.user_id == scope.user();
    let row = found.filter(theirs).ok_or(Error::NotFound("bulk run"))?;
    match registry::find(&row.topic) {
        Some(resource) => access::see(scope, resource).map(|()| row),
        None => Err(Error::NotFound("bulk run")),
    }
}

async fn row(db: &Db, tenant: TenantId, id: BulkRunId) -> Result<Option<table::Model>> {
    let of = table::Column::TenantId.eq(tenant);
    Ok(table::Entity::find().filter(of).filter(table::Column::Id.eq(id)).one(&db.write).await?)
}

fn shown(row: table::Model, state: &str, error: Option<String>) -> BulkRun {
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    BulkRun {
        id: row.id,
        job_id: row.job_id,
        topic: row.topic,
        action: row.request["action"].as_str().unwrap_or_default().to_owned(),
        dry_run: row.dry_run,
        state: state.to_owned(),
        total: count(row.total),
        done: count(row.done),
        failed: count(row.failed),
        error,
        created_at: row.created_at,
        finished_at: row.finished_at,
    }
}

/// A run that is under way, in the hands of its job.
#[derive(Debug)]
pub struct Running {
    row: table::Model,
    bulk: Bulk,
    selection: Option<SelectStatement>,
}

/// What a job finds of a run.
#[derive(Debug)]
pub enum Found {
    /// It is to be gone on with, as somebody.
    Running(Box<Running>, Scope),
    /// There is nothing left to do.
    Done,
    /// It can't be gone on with: why.
    Refused(&'static str),
}

/// Takes up a run where it stands, with what whoever asked for it may do now.
///
/// # Errors
/// The database's.
pub async fn take_up(db: &Db, tenant: TenantId, id: BulkRunId) -> Result<Found> {
    let Some(row) = row(db, tenant, id).await?.filter(|row| row.finished_at.is_none()) else { return Ok(Found::Done) };
    let Some(scope) = acting(db, tenant, row.user_id, row.token_id).await? else {
        return Ok(Found::Refused("whoever asked for it may not sign in any more, or their token is not valid any more"));
    };
    let resource = registry::find(&row.topic).filter(|resource| resource.bulk);
    let (Some(resource), Some(body)) = (resource, row.request.as_object()) else {
        return Ok(Found::Refused("this version of SOMO can't do it"));
    };
    let ready = async {
        let bulk = Bulk::read(resource, body)?;
        bulk.check(&scope)?;
        let selection = bulk.selection(db, &scope).await?;
        Ok::<_, Error>((bulk, selection))
    };
    match ready.await {
        Ok((bulk, selection)) => Ok(Found::Running(Box::new(Running { row, bulk, selection }), scope)),
        Err(Error::Forbidden(_)) => Ok(Found::Refused("whoever asked for it may not do it any more")),
        Err(Error::Invalid(_)) => Ok(Found::Refused("whoever asked for it can't ask so any more: a field is gone, or hidden from them")),
        Err(other) => Err(other),
    }
}

/// Whoever asked for it, with what they may do now; nobody if they may not sign in any more, or their token is gone.
pub(crate) async fn acting(db: &Db, tenant: TenantId, user: Option<UserId>, token: Option<TokenId>) -> Result<Option<Scope>> {
    let Some(user) = user else { return Ok(Some(Scope::system(tenant, Actor::System))) };
    let Some(scope) = auth::scope_of(db, tenant, user).await? else { return Ok(None) };
    let Some(token) = token else { return Ok(Some(scope)) };
    let abilities = auth::tokens::abilities_of(db, tenant, token).await?;
    Ok(abilities.map(|abilities| Scope { actor: Actor::Token { user, token }, abilities: Some(abilities), ..scope }))
}

impl Running {
    /// Does the next records and keeps how far it is, all in this transaction; whether those were the last. To be called while
    /// the job is held, so that nobody else does them.
    ///
    /// # Errors
    /// The database's.
    pub async fn step(&mut self, write: &Write<'_>) -> Result<bool> {
        let ids = self.bulk.next(&***write, self.selection.as_ref(), self.row.last_id, PART).await?;
        // Records that are made meanwhile were not meant. Ids grow with time; this run has one too.
        let meant: Vec<Uuid> = match self.selection {
            Some(_) => ids.iter().copied().filter(|id| *id <= self.row.id.0).collect(),
            None => ids.clone(),
        };
        let faults = each::all(write, &self.bulk, &meant).await?;
        let last = meant.len() < PART;
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.row.failed += count(faults.len());
        self.row.done += count(meant.len() - faults.len());
        self.row.last_id = meant.last().copied().or(self.row.last_id);
        self.row.finished_at = last.then(|| Utc::now().trunc_subsecs(6));
        let kept = table::ActiveModel {
            last_id: Set(self.row.last_id),
            done: Set(self.row.done),
            failed: Set(self.row.failed),
            finished_at: Set(self.row.finished_at),
            ..Default::default()
        };
        let of = table::Column::TenantId.eq(self.row.tenant_id);
        table::Entity::update_many().set(kept).filter(of).filter(table::Column::Id.eq(self.row.id)).exec(&***write).await?;
        if !faults.is_empty() {
            let fault = |BulkFault { id, code, pointer, message }: BulkFault| bulk_fault::ActiveModel {
                tenant_id: Set(self.row.tenant_id),
                bulk_run_id: Set(self.row.id),
                record_id: Set(id),
                code: Set(code),
                pointer: Set(pointer),
                message: Set(message),
            };
            bulk_fault::Entity::insert_many(faults.into_iter().map(fault)).exec_without_returning(&***write).await?;
        }
        Ok(last)
    }

    /// How far it is, as the job board shows it.
    #[must_use]
    pub fn progress(&self) -> Value {
        json!({ "total": self.row.total, "done": self.row.done, "failed": self.row.failed })
    }
}
