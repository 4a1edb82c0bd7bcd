//! The job that takes the rows of a file: a part in each transaction, which keeps how far it is, so that a worker that dies repeats
//! nothing. It acts as whoever asked, with what they may do by then.

use std::{path::Path, sync::Arc};

use chrono::{SubsecRound, Utc};
use db::Db;
use entities::{ImportId, TenantId, import as table};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter};
use serde_json::{Value, json};

use super::{
    file::{self, FileShape},
    names::Names,
    part::{self, Done, Tried, Written},
    plan::{ImportOptions, Plan},
};
use crate::{
    Error, Result, Scope,
    engine::{
        Write,
        set::{Insert, Otherwise},
    },
    resource::{bulk::run::acting, custom::Customs, refused::Refused, registry},
    settings,
};

/// Rows of one transaction.
const PART: usize = 500;

/// An import that is under way, in the hands of its job.
pub struct Running {
    row: table::Model,
    plan: Arc<Plan>,
    names: Names,
    /// Nothing while a thread reads from it.
    reader: Option<tables::Reader>,
    tried: Option<Tried>,
    /// Parts taken since it was taken up.
    parts: u32,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("id", &self.row.id).field("line", &self.row.line).finish_non_exhaustive()
    }
}

/// What a job finds of an import.
#[derive(Debug)]
pub enum Found<T> {
    /// It is to be gone on with, as somebody.
    Running(Box<T>, Scope),
    /// There is nothing left to do.
    Done,
    /// It can't be gone on with: why.
    Refused(String),
}

pub(super) async fn row(db: &Db, tenant: TenantId, id: ImportId) -> Result<Option<table::Model>> {
    let of = table::Column::TenantId.eq(tenant).and(table::Column::Id.eq(id));
    Ok(table::Entity::find().filter(of).one(&db.write).await?)
}

/// Whether there is something left to do, before anybody fetches the file.
///
/// # Errors
/// The database's.
pub async fn is_open(db: &Db, tenant: TenantId, id: ImportId) -> Result<bool> {
    Ok(row(db, tenant, id).await?.is_some_and(|row| row.started_at.is_some() && row.finished_at.is_none()))
}

/// Takes up an import where it stands; its file is at `path`.
///
/// # Errors
/// The database's.
pub async fn take_up(db: &Db, tenant: TenantId, id: ImportId, path: &Path) -> Result<Found<Running>> {
    let open = row(db, tenant, id).await?.filter(|row| row.started_at.is_some() && row.finished_at.is_none());
    let Some(mut row) = open else { return Ok(Found::Done) };
    let refuse = |why: &str| Ok(Found::Refused(why.to_owned()));
    let Some(scope) = acting(db, tenant, row.user_id, row.token_id).await? else {
        return refuse("whoever asked for it may not sign in any more, or their token is not valid any more");
    };
    let Some(resource) = registry::find(&row.topic).filter(|resource| resource.bulk) else {
        return refuse("this version of SOMO can't do it");
    };
    let (options, shape) = kept(&row)?;
    let company = settings::company(&db.read, tenant).await?;
    let customs = Customs::of(&db.read, tenant.0).await?;
    let plan = match Plan::read(&scope, resource, &company, &customs, &shape, &options) {
        Ok(plan) => Arc::new(plan),
        Err(Error::Forbidden(_)) => return refuse("whoever asked for it may not do it any more"),
        Err(Error::Invalid(_)) => return refuse("a field that it writes is gone, or hidden from whoever asked for it"),
        Err(other) => return Err(other),
    };
    if plan.dry_run {
        // What was tried left nothing: it begins anew, and so does counting.
        row = table::Model { line: 0, created: 0, updated: 0, unchanged: 0, skipped: 0, failed: 0, ..row };
    }
    let (path, done) = (path.to_owned(), u64::try_from(row.line).unwrap_or(0));
    let opened = blocking(move || {
        let mut reader = file::reopen(&path, &shape)?;
        // Where it stood.
        while reader.line() < done && reader.next().is_some() {}
        Ok(reader)
    });
    let reader = match opened.await {
        Ok(reader) => Some(reader),
        Err(Error::Invalid(faults)) => {
            let said = faults.into_iter().next().map_or_else(String::new, |fault| fault.message);
            return Ok(Found::Refused(format!("the file can't be read: it {said}")));
        }
        Err(other) => return Err(other),
    };
    let tried = plan.dry_run.then(Tried::default);
    Ok(Found::Running(Box::new(Running { row, plan, names: Names::default(), reader, tried, parts: 0 }), scope))
}

/// What was asked for, and of what file.
pub(super) fn kept(row: &table::Model) -> Result<(ImportOptions, FileShape)> {
    let options = serde_json::from_value(row.options.clone()).map_err(anyhow::Error::from)?;
    let shape = serde_json::from_value(row.shape.clone()).map_err(anyhow::Error::from)?;
    Ok((options, shape))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(anyhow::Error::from)?
}

/// The next rows of a file, and the faults of those that are none.
pub(super) type Rows = (Vec<(u64, Vec<String>)>, Vec<(u64, Refused, Vec<String>)>);

/// Reads up to `limit` rows.
pub(super) fn read(reader: &mut tables::Reader, limit: usize) -> Result<Rows> {
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    while rows.len() + faults.len() < limit {
        match reader.next() {
            None => break,
            Some(Ok(row)) => rows.push((row.line, row.cells)),
            Some(Err(fault)) if fault.is_of_row() => {
                let refused = Refused { code: fault.code().to_owned(), pointer: None, message: fault.to_string() };
                let cells = if let tables::Fault::TooManyCells { cells, .. } = fault { cells } else { Vec::new() };
                faults.push((reader.line(), refused, cells));
            }
            Some(Err(fault)) => return Err(file::refused(&fault)),
        }
    }
    Ok((rows, faults))
}

impl Running {
    /// Takes the next rows and keeps how far it is, all in this transaction; whether those were the last. To be called while the
    /// job is held, so that nobody else does them.
    ///
    /// # Errors
    /// The database's; the file can't be read any further.
    pub async fn step(&mut self, write: &Write<'_>) -> Result<bool> {
        let mut reader = self.reader.take().ok_or_else(|| anyhow::anyhow!("a part that failed is not gone on with"))?;
        let (reader, (rows, broken)) = blocking(move || read(&mut reader, PART).map(|rows| (reader, rows))).await?;
        let line = reader.line();
        self.reader = Some(reader);
        let last = rows.len() + broken.len() < PART;
        let done = part::write(write, &self.plan, &mut self.names, &rows, self.tried.as_mut()).await?;
        let (mut traces, mut faults) = (Vec::new(), Vec::new());
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        for (Done { line, outcome }, (_, cells)) in done.into_iter().zip(&rows) {
            match outcome {
                Ok(written) => {
                    *match written {
                        Written::Created(_) => &mut self.row.created,
                        Written::Updated(..) => &mut self.row.updated,
                        Written::Unchanged(_) => &mut self.row.unchanged,
                        Written::Skipped(_) => &mut self.row.skipped,
                    } += 1;
                    traces.extend(written.trace().filter(|_| self.tried.is_none()).map(|trace| (line, trace)));
                }
                Err(refused) => faults.push((line, refused, cells.clone())),
            }
        }
        faults.extend(broken);
        self.row.failed += count(faults.len());
        self.row.line = i64::try_from(line).unwrap_or(i64::MAX);
        self.row.finished_at = last.then(|| Utc::now().trunc_subsecs(6));
        self.keep(write, traces, faults).await?;
        self.parts += 1;
        Ok(last)
    }

    /// Lets PostgreSQL look at the tables anew as they grow, after the parts 1, 4, 16, …: what it plans for an empty table goes through
    /// all of it, and each row that refers to a record asks whether that is there. To be called when a part is committed.
    ///
    /// # Errors
    /// The database's.
    pub async fn look_again(&self, db: &Db) -> Result<()> {
        let due = self.parts.is_power_of_two() && self.parts.trailing_zeros().is_multiple_of(2);
        if due && !db.is_sqlite() && self.tried.is_none() {
            let tables = self.plan.resource.tables().collect::<Vec<_>>().join(", ");
            db.write.execute_unprepared(&format!("analyze {tables}")).await?;
        }
        Ok(())
    }

    async fn keep(&self, write: &Write<'_>, traces: Vec<(u64, Trace)>, faults: Vec<(u64, Refused, Vec<String>)>) -> Result<()> {
        let kept = table::ActiveModel {
            line: Set(self.row.line),
            created: Set(self.row.created),
            updated: Set(self.row.updated),
            unchanged: Set(self.row.unchanged),
            skipped: Set(self.row.skipped),
            failed: Set(self.row.failed),
            finished_at: Set(self.row.finished_at),
            ..Default::default()
        };
        let (tenant, id) = (self.row.tenant_id.0, self.row.id.0);
        let of = table::Column::TenantId.eq(self.row.tenant_id).and(table::Column::Id.eq(self.row.id));
        table::Entity::update_many().set(kept).filter(of).exec(&***write).await?;
        let number = |line: u64| i64::try_from(line).unwrap_or(i64::MAX);
        let trace = |(line, (record, version, before)): (u64, Trace)| {
            vec![tenant.into(), id.into(), record.into(), number(line).into(), version.into(), before.into()]
        };
        let columns = vec!["tenant_id", "import_id", "record_id", "line", "version", "before"];
        let rows = traces.into_iter().map(trace).collect();
        write.insert(Insert { table: "import_records", columns, otherwise: Otherwise::Fail, rows }).await?;
        let fault = |(line, Refused { code, pointer, message }, cells): (u64, Refused, Vec<String>)| {
            vec![tenant.into(), id.into(), number(line).into(), code.into(), pointer.into(), message.into(), json!(cells).into()]
        };
        let columns = vec!["tenant_id", "import_id", "line", "code", "pointer", "message", "cells"];
        let rows = faults.into_iter().map(fault).collect();
        // A dry run that begins anew finds the same ones.
        let over = Otherwise::Replace(&["tenant_id", "import_id", "line"]);
        write.insert(Insert { table: "import_faults", columns, otherwise: over, rows }).await?;
        Ok(())
    }

    /// Whether nothing of it is kept.
    #[must_use]
    pub fn only_tries(&self) -> bool {
        self.tried.is_some()
    }

    /// How far it is, as the job board shows it.
    #[must_use]
    pub fn progress(&self) -> Value {
        let table::Model { row_count, created, updated, unchanged, skipped, failed, .. } = &self.row;
        json!({ "total": row_count, "done": created + updated + unchanged + skipped, "failed": failed })
    }
}

type Trace = (uuid::Uuid, i64, Option<Value>);
