//! What people may see of the ledger and do to it: list, look, retry, cancel, pause.

use std::time::Duration;

use chrono::{DateTime, Utc};
use db::{DbBackend, DbErr};
use sea_orm::{
    ConnectionTrait, FromQueryResult,
    sea_query::{Alias, Asterisk, Expr, ExprTrait, Query, SelectStatement, UnionType},
};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{Lane, Ledger};

/// A job as the board shows it.
#[derive(Clone, Debug, PartialEq, FromQueryResult, Serialize)]
#[expect(missing_docs, reason = "the columns of the table, documented there")]
pub struct JobView {
    pub seq: i64,
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub queue: String,
    pub route: String,
    pub kind: String,
    pub payload: Value,
    pub priority: i16,
    pub order_key: Option<String>,
    pub unique_key: Option<String>,
    pub run_at: DateTime<Utc>,
    pub state: String,
    pub attempts: i16,
    pub max_attempts: i16,
    pub worker: Option<String>,
    pub progress: Option<Value>,
    pub last_error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
}

const COLUMNS: &str = "seq, id, tenant_id, queue, route, kind, payload, priority, order_key, unique_key, run_at, state, attempts,
    max_attempts, worker, progress, last_error, created_at, started_at, finished_at";

/// The states of a job.
pub const STATES: [&str; 7] = ["pending", "held", "dispatched", "running", "done", "dead", "cancelled"];

/// Where a tenant's jobs stand, in the words of the partial index that holds each part in order; those in flight are few.
const SHELVES: [(&[&str], &str); 5] = [
    (&["pending", "held"], "state in ('pending', 'held')"),
    (&["dispatched", "running"], "state in ('dispatched', 'running')"),
    (&["done"], "state in ('done', 'dead', 'cancelled') and state = 'done'"),
    (&["dead"], "state in ('done', 'dead', 'cancelled') and state = 'dead'"),
    (&["cancelled"], "state in ('done', 'dead', 'cancelled') and state = 'cancelled'"),
];

/// A queue's figures.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueView {
    /// Its name.
    pub name: String,
    /// Since when it is paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// Waiting, delayed ones included.
    pub pending: i64,
    /// Behind an earlier job of their line.
    pub held: i64,
    /// Released, not yet claimed.
    pub dispatched: i64,
    /// Running.
    pub running: i64,
    /// Given up.
    pub dead: i64,
    /// How long the longest-waiting due job has waited.
    pub oldest_pending_seconds: Option<f64>,
}

/// Why something can't be done to a job.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    /// The tenant has no such job.
    #[error("no such job")]
    NotFound,
    /// Its state doesn't allow it. The text says why.
    #[error("{0}")]
    Conflict(&'static str),
    /// The database's.
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl Ledger {
    /// The tenant's job with this id.
    ///
    /// # Errors
    /// The database's.
    pub async fn find(&self, tenant: Uuid, id: Uuid) -> Result<Option<JobView>, DbErr> {
        let find = format!("select {COLUMNS} from jobs where tenant_id = $1 and id = $2");
        let row = self.db().read.query_one_raw(self.sql().statement(&find, [tenant.into(), id.into()])).await?;
        row.map(|row| JobView::from_query_result(&row, "")).transpose()
    }

    /// The tenant's jobs in these states. `narrow` says which of them, `order` in what order and how many; statements call a
    /// job `alias`.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(
        &self,
        tenant: Uuid,
        states: &[&str],
        alias: &'static str,
        narrow: impl Fn(&mut SelectStatement),
        order: impl Fn(&mut SelectStatement),
    ) -> Result<Vec<JobView>, DbErr> {
        let mut all: Option<SelectStatement> = None;
        for (at, (_, shelf)) in SHELVES.iter().enumerate().filter(|(_, (on, _))| states.iter().any(|state| on.contains(state))) {
            let mut part = Query::select();
            part.columns(COLUMNS.split(',').map(|column| Alias::new(column.trim())))
                .from_as("jobs", alias)
                .and_where(Expr::col((alias, "tenant_id")).eq(tenant))
                .and_where(Expr::cust(*shelf));
            narrow(&mut part);
            order(&mut part);
            let part = Query::select().column(Asterisk).from_subquery(part, Alias::new(format!("shelf_{at}"))).to_owned();
            match &mut all {
                Some(all) => _ = all.union(UnionType::All, part),
                None => all = Some(part),
            }
        }
        let Some(all) = all else { return Ok(Vec::new()) }; // no such state
        let mut list = Query::select();
        order(list.column(Asterisk).from_subquery(all, alias));
        self.db().read.query_all(&list).await?.iter().map(|row| JobView::from_query_result(row, "")).collect()
    }

    /// Runs a dead or cancelled job again, with all its attempts.
    ///
    /// # Errors
    /// [`BoardError`].
    pub async fn retry(&self, tenant: Uuid, id: Uuid) -> Result<JobView, BoardError> {
        let now = self.now_sql();
        let retry = format!(
            "update jobs set state = 'pending', attempts = 0, run_at = {now}, finished_at = null
             where tenant_id = $1 and id = $2 and state in ('dead', 'cancelled') returning {COLUMNS}"
        );
        let done = self.db().write.query_one_raw(self.sql().statement(&retry, [tenant.into(), id.into()])).await;
        let row = match done {
            Err(error) if matches!(error.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_))) => {
                return Err(BoardError::Conflict("another unfinished job has its unique key"));
            }
            other => other?,
        };
        let Some(row) = row else { return Err(self.why_not(tenant, id, "only a dead or cancelled job can be retried").await?) };
        let job = JobView::from_query_result(&row, "")?;
        self.wake().lanes([Lane::route(&job.queue, &job.route)]);
        Ok(job)
    }

    /// Ends an unfinished job. One that runs can't write its effects any more.
    ///
    /// # Errors
    /// [`BoardError`].
    pub async fn cancel(&self, tenant: Uuid, id: Uuid) -> Result<JobView, BoardError> {
        let now = self.now_sql();
        let cancel = format!(
            "update jobs set state = 'cancelled', finished_at = {now}, lease_until = null
             where tenant_id = $1 and id = $2 and state in ('pending', 'held', 'dispatched', 'running') returning {COLUMNS}"
        );
        let row = self.db().write.query_one_raw(self.sql().statement(&cancel, [tenant.into(), id.into()])).await?;
        let Some(row) = row else { return Err(self.why_not(tenant, id, "the job is finished").await?) };
        let job = JobView::from_query_result(&row, "")?;
        if let Some(key) = &job.order_key {
            self.wake_lines(&job.queue, std::slice::from_ref(key)).await?;
        }
        Ok(job)
    }

    async fn why_not(&self, tenant: Uuid, id: Uuid, why: &'static str) -> Result<BoardError, DbErr> {
        Ok(if self.find(tenant, id).await?.is_some() { BoardError::Conflict(why) } else { BoardError::NotFound })
    }

    /// Every queue with its figures.
    ///
    /// # Errors
    /// The database's.
    pub async fn queues(&self) -> Result<Vec<QueueView>, DbErr> {
        self.figures(None).await
    }

    /// Every queue with the figures of one tenant's jobs.
    ///
    /// # Errors
    /// The database's.
    pub async fn queues_of(&self, tenant: Uuid) -> Result<Vec<QueueView>, DbErr> {
        self.figures(Some(tenant)).await
    }

    async fn figures(&self, tenant: Option<Uuid>) -> Result<Vec<QueueView>, DbErr> {
        let age = match self.db().backend() {
            DbBackend::Sqlite => "cast((julianday('now') - julianday(min(case when state = 'pending' then run_at end))) * 86400 as real)",
            _ => "cast(extract(epoch from now() - min(case when state = 'pending' then run_at end)) as float8)",
        };
        let whose = if tenant.is_some() { "tenant_id = $1 and" } else { "" };
        let figures = format!(
            "select queue, state, count(*) as n, {age} as age from (
                select queue, state, run_at from jobs where {whose} state in ('pending', 'held')
                union all select queue, state, run_at from jobs where {whose} state in ('dispatched', 'running')
                union all select queue, state, run_at from jobs
                where {whose} state in ('done', 'dead', 'cancelled') and state = 'dead'
             ) board group by queue, state"
        );
        let values: Vec<sea_orm::Value> = tenant.into_iter().map(Into::into).collect();
        let db = &self.db().read;
        let rows = db.query_all_raw(sea_orm::Statement::from_sql_and_values(self.db().backend(), figures, values)).await?;
        let paused = db.query_all_raw(self.sql().statement("select name, paused_at from job_queues", [])).await?;
        let mut queues: Vec<QueueView> = crate::queue::ALL.iter().map(|name| QueueView::empty(name)).collect();
        let place = |queues: &mut Vec<QueueView>, name: String| match queues.iter().position(|queue| queue.name == name) {
            Some(at) => at,
            None => {
                queues.push(QueueView::empty(&name));
                queues.len() - 1
            }
        };
        for row in rows {
            let at = place(&mut queues, row.try_get("", "queue")?);
            let (queue, count) = (&mut queues[at], row.try_get("", "n")?);
            match row.try_get::<String>("", "state")?.as_str() {
                "pending" => {
                    queue.pending = count;
                    // Jobs of the future have not waited.
                    queue.oldest_pending_seconds = row.try_get::<Option<f64>>("", "age")?.filter(|age| *age >= 0.0);
                }
                "held" => queue.held = count,
                "dispatched" => queue.dispatched = count,
                "running" => queue.running = count,
                _ => queue.dead = count,
            }
        }
        for row in paused {
            let at = place(&mut queues, row.try_get("", "name")?);
            queues[at].paused_at = row.try_get("", "paused_at")?;
        }
        Ok(queues)
    }

    /// Starts no more jobs of a queue, in any process. What was released and not started goes back; what runs, finishes.
    ///
    /// # Errors
    /// The database's.
    pub async fn pause(&self, queue: &str) -> Result<(), DbErr> {
        let now = self.now_sql();
        let tx = self.db().begin().await?;
        let pause = format!(
            "insert into job_queues (name, paused_at) values ($1, {now})
             on conflict (name) do update set paused_at = coalesce(job_queues.paused_at, {now})"
        );
        tx.execute_raw(self.sql().statement(&pause, [queue.into()])).await?;
        let back = match self.db().backend() {
            DbBackend::Sqlite => "update jobs set state = 'pending', lease_until = null where queue = $1 and state = 'dispatched'",
            _ => {
                "update jobs set state = 'pending', lease_until = null where seq = any(array(
                    select seq from jobs where queue = $1 and state = 'dispatched' for update skip locked))"
            }
        };
        tx.execute_raw(self.sql().statement(back, [queue.into()])).await?;
        tx.commit().await
    }

    /// Starts them again.
    ///
    /// # Errors
    /// The database's.
    pub async fn resume(&self, queue: &str) -> Result<(), DbErr> {
        let resume = "update job_queues set paused_at = null where name = $1";
        self.db().write.execute_raw(self.sql().statement(resume, [queue.into()])).await?;
        self.wake().lanes([Lane::queue(queue)]);
        Ok(())
    }

    /// How many processes gave a sign of life within `age`.
    ///
    /// # Errors
    /// The database's.
    pub async fn workers_alive(&self, age: Duration) -> Result<i64, DbErr> {
        let since = Utc::now() - age;
        let count = "select count(*) as n from job_workers where seen_at > $1";
        let row = self.db().read.query_one_raw(self.sql().statement(count, [since.into()])).await?;
        row.map_or(Ok(0), |row| row.try_get("", "n"))
    }

    fn now_sql(&self) -> &'static str {
        match self.db().backend() {
            DbBackend::Sqlite => "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')",
            _ => "now()",
        }
    }
}

impl QueueView {
    fn empty(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            paused_at: None,
            pending: 0,
            held: 0,
            dispatched: 0,
            running: 0,
            dead: 0,
            oldest_pending_seconds: None,
        }
    }
}
