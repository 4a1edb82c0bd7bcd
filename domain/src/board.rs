//! The job board: what a team may see of its jobs and do to them.

use std::sync::LazyLock;

use db::Db;
use entities::{MessageId, MessageStatus, TenantId, tenant, whatsapp_message};
use jobs::{BoardError, Job, JobView, Ledger, QueueView, STATES, queue};
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, sea_query::SelectStatement};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Error, Result, Scope,
    page::{Page, Paging},
    payloads::SendMessage,
    resource::{
        Resource,
        custom::Customs,
        field::{Field, Form, Kind},
        filter::{Asker, Filter, What, memory::Seen, sql::Target},
        rows::ROW,
        sorting::Sorting,
    },
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

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Whose.
    pub owner: Owner,
    /// Those that it holds for.
    pub filter: Option<Value>,
    /// In the order of these fields: `-finished_at,kind`; newest first, if none is named.
    pub sort: Option<String>,
}

/// What filters and orders know of a job.
static JOBS: LazyLock<Resource> = LazyLock::new(|| {
    let number = |name| Field::new(name, Kind::Integer { min: 0, max: i64::MAX }, "").required();
    let time = |name| Field::new(name, Kind::Time, "");
    let fields = vec![
        // The order in which they were asked for; the ledger's indexes are made of it.
        number("seq"),
        Field::new("id", Kind::Reference { to: "jobs" }, "").required(),
        Field::line("queue", 100, "").required(),
        Field::line("kind", 100, "").required(),
        Field::new("state", Kind::Choice(&STATES), "").required(),
        number("priority"),
        Field::line("order_key", 300, ""),
        number("attempts"),
        number("max_attempts"),
        Field::line("worker", 300, ""),
        Field::text("last_error", 10_000, Form::Lines, ""),
        time("run_at").required(),
        time("created_at").required(),
        time("started_at"),
        time("finished_at"),
    ];
    Resource { fields, sort: "-seq", ..Resource::new("job", "jobs", "Job", "", Vec::new()) }
});

/// A page of them.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] names what of the question can't be answered; the database's.
pub async fn list(ledger: &Ledger, scope: &Scope, wanted: Wanted, paging: Paging) -> Result<Page<JobView>> {
    scope.require("jobs:read")?;
    let db = ledger.db();
    let (tenant, target) = (owner(db, scope, wanted.owner).await?, Target { backend: db.backend(), scope });
    let filter = match &wanted.filter {
        Some(filter) => Some(Filter::read(&JOBS, scope, &Asker::about(db, scope, filter).await?, filter, "/filter")?),
        None => None,
    };
    let order = Sorting::read(scope, &JOBS, &Customs::default(), wanted.sort.as_deref().unwrap_or(JOBS.sort))?;
    let after = order.after(paging.cursor.as_deref())?;
    let states: Vec<&str> = STATES.into_iter().filter(|state| filter.as_ref().is_none_or(|filter| may_be(filter, state))).collect();
    let condition = filter.map(|filter| filter.sql(&JOBS, ROW, target)).transpose()?;
    let limit = usize::try_from(paging.limit).unwrap_or(usize::MAX);
    let mut rows = Vec::new();
    for part in order.parts(target, after.as_deref()) {
        let missing = (limit + 1).saturating_sub(rows.len());
        if missing == 0 {
            break;
        }
        let narrow = |select: &mut SelectStatement| condition.iter().chain(&part).cloned().for_each(|one| _ = select.and_where(one));
        let sorted = |select: &mut SelectStatement| {
            order.apply(target, select);
            select.limit(missing as u64);
        };
        rows.extend(ledger.list(tenant, &states, ROW, narrow, sorted).await?);
    }
    let more = rows.len() > limit;
    rows.truncate(limit);
    let record = |job: &JobView| serde_json::to_value(job).ok().and_then(|job| job.as_object().cloned()).unwrap_or_default();
    let next_cursor = rows.last().filter(|_| more).map(|last| order.cursor(&record(last)));
    Ok(Page { data: rows, next_cursor })
}

/// Whether a filter may hold for jobs in this state: the ledger reads no others.
fn may_be(filter: &Filter, state: &str) -> bool {
    match filter {
        Filter::And(parts) => parts.iter().all(|part| may_be(part, state)),
        Filter::Or(parts) => parts.iter().any(|part| may_be(part, state)),
        Filter::Leaf(leaf) if matches!(&leaf.place.what, What::Field(field) if field.name == "state") => {
            let record = [("state".to_owned(), state.into())].into_iter().collect();
            filter.holds(&Seen { record: &record, related: &|_| Vec::new() })
        }
        Filter::Leaf(_) => true,
    }
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
