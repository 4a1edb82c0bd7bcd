//! The rows that could not be taken: as they are in the file, and why. As a file too, which can be mended and uploaded again.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use db::Db;
use entities::{ImportId, import_fault as table};
use poem_openapi::Object;
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use serde_json::Value;

use super::{own, run};
use crate::{
    Result, Scope,
    page::{Page, Paging},
};

/// Rows of one part of the file.
const PART: u64 = 1_000;

/// A row that could not be taken.
#[derive(Clone, Debug, PartialEq, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct ImportFault {
    /// Its line in the file.
    pub line: u64,
    /// Stable, for programs: `required`, `invalid`, `not_found`, …
    pub code: String,
    /// The field, where it is about one.
    pub pointer: Option<String>,
    /// For people: what to do.
    pub message: String,
    /// The row, as it is in the file.
    pub cells: Vec<String>,
}

/// The rows that could not be taken, in the order of the file.
///
/// # Errors
/// [`crate::Error::NotFound`]; [`crate::Error::Invalid`] for a foreign cursor; the database's.
pub async fn faults(db: &Db, scope: &Scope, id: ImportId, paging: Paging) -> Result<Page<ImportFault>> {
    own(&db.read, scope, id).await?;
    let after = paging.after::<u64>()?;
    let rows = read(db, scope, id, after, paging.limit + 1).await?;
    Ok(paging.page(rows, |row| row.line))
}

async fn read(db: &Db, scope: &Scope, id: ImportId, after: Option<u64>, limit: u64) -> Result<Vec<ImportFault>> {
    let of = table::Column::TenantId.eq(scope.tenant).and(table::Column::ImportId.eq(id));
    let mut find = table::Entity::find().filter(of);
    if let Some(after) = after {
        find = find.filter(table::Column::Line.gt(i64::try_from(after).unwrap_or(i64::MAX)));
    }
    let rows = find.order_by_asc(table::Column::Line).limit(limit).all(&db.read).await?;
    let fault = |row: table::Model| {
        let table::Model { tenant_id: _, import_id: _, line, code, pointer, message, cells } = row;
        let cells = serde_json::from_value(cells).unwrap_or_default();
        ImportFault { line: u64::try_from(line).unwrap_or(0), code, pointer, message, cells }
    };
    Ok(rows.into_iter().map(fault).collect())
}

/// What is written until somebody takes it.
#[derive(Clone, Default)]
struct Taken(Arc<Mutex<Vec<u8>>>);

impl Taken {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Taken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same as a CSV file, part by part: the columns of the file, and behind them the line and what was wrong.
///
/// # Errors
/// [`crate::Error::NotFound`]; the database's. What goes wrong later ends the file.
pub async fn sheet(db: Db, scope: Scope, id: ImportId) -> Result<impl futures::Stream<Item = io::Result<Vec<u8>>> + Send + 'static> {
    let (_, shape) = run::kept(&own(&db.read, &scope, id).await?)?;
    let mut columns: Vec<String> = shape.columns.into_iter().map(|column| column.name).collect();
    let width = columns.len();
    columns.extend(["SOMO line".to_owned(), "SOMO error".to_owned()]);
    let taken = Taken::default();
    let writer = tables::writer(tables::Format::Csv, taken.clone(), &columns).map_err(anyhow::Error::from)?;
    let begun = (Some(writer), None, taken, db, scope);
    Ok(futures::stream::try_unfold(begun, move |(writer, after, taken, db, scope)| async move {
        let Some(mut writer) = writer else { return Ok(None) };
        let rows = read(&db, &scope, id, after, PART).await.map_err(io::Error::other)?;
        for row in &rows {
            let mut cells: Vec<Value> = row.cells.iter().map(|cell| Value::from(cell.as_str())).collect();
            cells.resize(width.max(cells.len()), Value::Null);
            cells.truncate(width);
            cells.extend([Value::from(row.line), Value::from(row.message.as_str())]);
            writer.row(&cells).map_err(io::Error::other)?;
        }
        let last = (rows.len() as u64) < PART;
        let after = rows.last().map(|row| row.line).or(after);
        let writer = if last {
            writer.finish().map_err(io::Error::other)?;
            None
        } else {
            Some(writer)
        };
        Ok(Some((taken.take(), (writer, after, taken, db, scope))))
    }))
}
