//! The job board: what a team may see of its jobs and do to them.

use db::Db;
use entities::{MessageId, MessageStatus, TenantId, tenant, whatsapp_message};
use jobs::{BoardError, Job, JobFilter, JobView, Ledger, QueueView, queue};
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::{
    Error, Result, Scope,
    page::{Page, Paging},
    payloads::SendMessage,
};

/// Whose jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Owner {
    /// The team's.
    #[default]
    Team,
    /// The installation's own: schedules, purges, checks.
    Installation,
}

impl From<BoardError> for Error {
    fn from(error: BoardError) -> Self {
        match error {
            BoardError::NotFound => Self::NotFound("job"),
            BoardError::Conflict(why) => Self::conflict("job_state", why),
            BoardError::Db(error) => Self::Db(error),
        }
    }
}

/// Whose rows are looked at.
async fn owner(db: &Db, scope: &Scope, owner: Owner) -> Result<Uuid> {
    match owner {
        Owner::Team => Ok(scope.tenant.0),
        Owner::Installation => operator(db, scope).await.map(|()| Uuid::nil()),
    }
}

/// Queues and the installation's own jobs belong to all teams: only the first team's admins touch them.
pub(crate) async fn operator(db: &Db, scope: &Scope) -> Result<()> {
    let first = tenant::Entity::find().order_by_asc(tenant::Column::CreatedAt).order_by_asc(tenant::Column::Id).one(&db.read).await?;
    match first.map(|tenant| tenant.id) {
        Some(id) if id == scope.tenant => scope.require("queues:write"),
        _ => Err(Error::Forbidden("queues:write of the installation's first team")),
    }
}

/// Newest first.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::Invalid`] for a foreign cursor; the database's.
pub async fn list(ledger: &Ledger, scope: &Scope, whose: Owner, filter: JobFilter, paging: Paging) -> Result<Page<JobView>> {
    scope.require("jobs:read")?;
    let tenant = owner(ledger.db(), scope, whose).await?;
    let rows = ledger.list(tenant, filter, paging.limit + 1, paging.after::<i64>()?).await?;
    Ok(paging.page(rows, |job| job.seq))
}

/// One of them, the team's or, for the operator, the installation's.
///
/// # Errors
/// [`Error::NotFound`]; the database's.
pub async fn get(ledger: &Ledger, scope: &Scope, id: Uuid) -> Result<JobView> {
    scope.require("jobs:read")?;
    if let Some(job) = ledger.find(scope.tenant.0, id).await? {
        return Ok(job);
    }
    match operator(ledger.db(), scope).await {
        Ok(()) => ledger.find(Uuid::nil(), id).await?.ok_or(Error::NotFound("job")),
        Err(Error::Forbidden(_)) => Err(Error::NotFound("job")),
        Err(other) => Err(other),
    }
}

/// Runs a dead or cancelled job again. A send whose message is not waiting any more stays as it is: it could go out twice.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Conflict`]; the database's.
pub async fn retry(ledger: &Ledger, scope: &Scope, id: Uuid) -> Result<JobView> {
    scope.require("jobs:write")?;
    let job = get(ledger, scope, id).await?;
    if job.kind == SendMessage::KIND
        && let Ok(SendMessage { message_id }) = serde_json::from_value(job.payload.clone())
        && !waits(ledger.db(), scope.tenant, message_id).await?
    {
        return Err(Error::conflict("already_handed", "its message is not queued any more; send a new message instead"));
    }
    Ok(ledger.retry(job.tenant_id, id).await?)
}

async fn waits(db: &Db, tenant: TenantId, id: MessageId) -> Result<bool> {
    use whatsapp_message::Column;
    let queued = Column::TenantId.eq(tenant).and(Column::Id.eq(id)).and(Column::Status.eq(MessageStatus::Queued));
    Ok(whatsapp_message::Entity::find().filter(queued).one(&db.read).await?.is_some())
}

/// Ends an unfinished job.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Conflict`]; the database's.
pub async fn cancel(ledger: &Ledger, scope: &Scope, id: Uuid) -> Result<JobView> {
    scope.require("jobs:write")?;
    let job = get(ledger, scope, id).await?;
    Ok(ledger.cancel(job.tenant_id, id).await?)
}

/// Every queue with the figures of the team's jobs.
///
/// # Errors
/// The database's.
pub async fn queues(ledger: &Ledger, scope: &Scope) -> Result<Vec<QueueView>> {
    scope.require("jobs:read")?;
    Ok(ledger.queues_of(scope.tenant.0).await?)
}

/// Starts no more jobs of a queue, or starts them again.
///
/// # Errors
/// [`Error::NotFound`] for an unknown queue, [`Error::Forbidden`]; the database's.
pub async fn set_paused(ledger: &Ledger, scope: &Scope, name: &str, paused: bool) -> Result<QueueView> {
    operator(ledger.db(), scope).await?;
    let name = queue::ALL.into_iter().find(|known| *known == name).ok_or(Error::NotFound("queue"))?;
    match paused {
        true => ledger.pause(name).await?,
        false => ledger.resume(name).await?,
    }
    ledger.queues().await?.into_iter().find(|queue| queue.name == name).ok_or(Error::NotFound("queue"))
}
