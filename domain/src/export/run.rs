//! The job that writes a file: page by page, with what whoever asked may see by then. A worker that dies leaves nothing; the next
//! one begins anew.

use std::{
    fs::File,
    io::BufWriter,
    path::Path,
    sync::{Mutex, PoisonError},
};

use chrono::{SubsecRound, Utc};
use db::Db;
use entities::{ExportId, TenantId, export as table};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, QueryFilter};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::{AUDIT, ExportFormat, source::Source};
use crate::{
    Error, Result, Scope,
    engine::Write,
    resource::{bulk::run::acting, registry},
};

/// An export that is being written, in the hands of its job.
pub struct Exporting {
    row: table::Model,
    scope: Scope,
    source: Source,
    plain: bool,
    /// Nothing while a thread writes with it. Only ever taken by whoever has all of this: the lock lets it be held across waits.
    writer: Mutex<Option<tables::Writer>>,
    file: NamedTempFile,
    rows: i64,
}

impl std::fmt::Debug for Exporting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporting").field("id", &self.row.id).field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// What a job finds of an export.
#[derive(Debug)]
pub enum Found {
    /// It is to be written.
    Running(Box<Exporting>),
    /// There is nothing left to do.
    Done,
    /// It can't be written: why.
    Refused(&'static str),
}

/// Takes one up, from its beginning.
///
/// # Errors
/// The database's; the disk's.
pub async fn take_up(db: &Db, tenant: TenantId, id: ExportId) -> Result<Found> {
    let of = table::Column::TenantId.eq(tenant).and(table::Column::Id.eq(id)).and(table::Column::FinishedAt.is_null());
    let Some(row) = table::Entity::find().filter(of).one(&db.write).await? else { return Ok(Found::Done) };
    let Some(scope) = acting(db, tenant, row.user_id, row.token_id).await? else {
        return Ok(Found::Refused("whoever asked for it may not sign in any more, or their token is not valid any more"));
    };
    let source = async {
        if row.topic == AUDIT {
            let request = serde_json::from_value(row.request.clone()).map_err(anyhow::Error::from)?;
            return Source::audit(&scope, request);
        }
        let resource = registry::find(&row.topic).ok_or(Error::NotFound("export"))?;
        let request = serde_json::from_value(row.request.clone()).map_err(anyhow::Error::from)?;
        Source::records(db, &scope, resource, request).await
    };
    let source = match source.await {
        Ok(source) => source,
        Err(Error::Forbidden(_)) => return Ok(Found::Refused("whoever asked for it may not see it any more")),
        Err(Error::Invalid(_)) => return Ok(Found::Refused("a field is gone, or hidden from whoever asked for it")),
        Err(Error::NotFound(_)) => return Ok(Found::Refused("this version of SOMO can't do it, or the saved view is gone")),
        Err(other) => return Err(other),
    };
    let format: ExportFormat = serde_json::from_value(Value::String(row.format.clone())).unwrap_or_default();
    let file = NamedTempFile::new().map_err(anyhow::Error::from)?;
    let out = BufWriter::new(File::create(file.path()).map_err(anyhow::Error::from)?);
    let writer = tables::writer(format.as_table(), out, &source.columns()).map_err(anyhow::Error::from)?;
    let plain = format != ExportFormat::Json;
    Ok(Found::Running(Box::new(Exporting { row, scope, source, plain, writer: Mutex::new(Some(writer)), file, rows: 0 })))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::result::Result<T, tables::Fault> + Send + 'static) -> Result<T> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(anyhow::Error::from)?.map_err(anyhow::Error::from)?)
}

impl Exporting {
    /// Writes the next rows; whether those were the last.
    ///
    /// # Errors
    /// The database's; the disk's.
    pub async fn step(&mut self, db: &Db) -> Result<bool> {
        let rows = self.source.next(db, &self.scope, self.plain).await?;
        let writer = self
            .writer
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .ok_or_else(|| anyhow::anyhow!("a file that failed is not gone on with"))?;
        if rows.is_empty() {
            blocking(move || writer.finish()).await?;
            return Ok(true);
        }
        self.rows += i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let write = move || {
            let mut writer = writer;
            rows.iter().try_for_each(|row| writer.row(row)).map(|()| writer)
        };
        self.writer = Mutex::new(Some(blocking(write).await?));
        Ok(false)
    }

    /// The file, once its last rows are in it.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// As whom it is written.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Keeps that the file is in the store.
    ///
    /// # Errors
    /// The database's.
    pub async fn finish(&self, write: &Write<'_>) -> Result<()> {
        let size = std::fs::metadata(self.file.path()).map_err(anyhow::Error::from)?.len();
        let kept = table::ActiveModel {
            row_count: Set(self.rows),
            size: Set(Some(i64::try_from(size).unwrap_or(i64::MAX))),
            finished_at: Set(Some(Utc::now().trunc_subsecs(6))),
            ..Default::default()
        };
        let of = table::Column::TenantId.eq(self.row.tenant_id).and(table::Column::Id.eq(self.row.id));
        table::Entity::update_many().set(kept).filter(of).exec(&***write).await?;
        Ok(())
    }

    /// How far it is, as the job board shows it.
    #[must_use]
    pub fn progress(&self) -> Value {
        json!({ "done": self.rows })
    }
}
