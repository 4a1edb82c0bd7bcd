//! What would become of the first rows of a file: they are written, looked at, and taken back.

use std::path::PathBuf;

use entities::ImportId;
use jobs::Ledger;
use poem_openapi::Object;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    file,
    names::Names,
    own,
    part::{self, Tried},
    plan::ImportOptions,
    planned, run,
};
use crate::{
    Error, Result, Scope,
    engine::Write,
    resource::{refused::Refused, registry, rows},
};

/// Rows that are shown.
const ROWS: usize = 20;

/// What would become of the first rows of a file.
#[derive(Clone, Debug, PartialEq, Object, Serialize)]
pub struct ImportPreview {
    /// The rows, in the order of the file.
    pub rows: Vec<PreviewedRow>,
}

/// What would become of a row.
#[derive(Clone, Debug, PartialEq, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct PreviewedRow {
    /// Its line in the file.
    pub line: u64,
    /// The row, as it is in the file.
    pub cells: Vec<String>,
    /// `created`, `updated`, `unchanged`, `skipped` or `failed`.
    pub outcome: String,
    /// The record as it would be.
    pub record: Option<Value>,
    /// Why it could not be taken: stable, for programs.
    pub code: Option<String>,
    /// The field that it is about.
    pub pointer: Option<String>,
    /// For people: what to do.
    pub message: Option<String>,
}

/// What would become of the first rows; the file is at `path`.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] names what is wrong with the options; the database's.
pub async fn preview(ledger: &Ledger, scope: &Scope, id: ImportId, path: PathBuf, options: Option<ImportOptions>) -> Result<ImportPreview> {
    let row = own(&ledger.db().read, scope, id).await?;
    let (kept, shape) = run::kept(&row)?;
    let resource = registry::find(&row.topic).ok_or(Error::NotFound("import"))?;
    // Never committed.
    let write = Write::begin(ledger, scope).await?.quietly();
    let plan = planned(&write, resource, &shape, &options.unwrap_or(kept)).await?;
    let read = tokio::task::spawn_blocking(move || file::reopen(&path, &shape).and_then(|mut reader| run::read(&mut reader, ROWS)));
    let (lines, broken) = read.await.map_err(anyhow::Error::from)??;
    let done = part::write(&write, &plan, &mut Names::default(), &lines, Some(&mut Tried::default())).await?;
    let mut shown = Vec::with_capacity(lines.len());
    let failed = |line, cells, Refused { code, pointer, message }: Refused| PreviewedRow {
        line,
        cells,
        outcome: "failed".to_owned(),
        record: None,
        code: Some(code),
        pointer,
        message: Some(message),
    };
    for (part::Done { line, outcome }, (_, cells)) in done.into_iter().zip(lines) {
        shown.push(match outcome {
            Err(refused) => failed(line, cells, refused),
            Ok(written) => {
                let mut records = [written.record().clone()];
                rows::show(&**write, scope, resource, &[], &mut records).await?;
                let [record] = records;
                let record: Map<String, Value> = record;
                let outcome = written.word().to_owned();
                PreviewedRow { line, cells, outcome, record: Some(json!(record)), code: None, pointer: None, message: None }
            }
        });
    }
    shown.extend(broken.into_iter().map(|(line, refused, cells)| failed(line, cells, refused)));
    shown.sort_by_key(|row| row.line);
    Ok(ImportPreview { rows: shown })
}
