//! What is in a file: how it is read, its columns, the first of its rows.

use std::path::Path;

use poem_openapi::Object;
use serde::{Deserialize, Serialize};
use tables::{Fault, Limits, Options, Reader};

use crate::{Error, Result};

/// Cells of a column that are shown.
const SAMPLES: usize = 5;
/// Rows that are looked at to tell what a column is.
const LOOKED_AT: usize = 200;

/// How a file is read.
#[derive(Clone, Debug, Default, PartialEq, Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(default)]
pub struct FileShape {
    /// `csv` or `xlsx`, by what is in it.
    pub format: String,
    /// In which encoding its texts are: `UTF-8`, `UTF-16LE`, `windows-1252`, …
    pub encoding: Option<String>,
    /// What is between its cells: `,`, `;`, `|` or a tab.
    pub delimiter: Option<String>,
    /// Which of its sheets is read.
    pub sheet: Option<String>,
    /// All of its sheets.
    pub sheets: Vec<String>,
    /// Its columns.
    pub columns: Vec<FileColumn>,
    /// How many rows it has below the names of its columns.
    pub rows: u64,
    /// How many of those are none: with more cells than there are columns.
    pub broken_rows: u64,
}

/// A column of a file.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
pub struct FileColumn {
    /// What its first row calls it.
    pub name: String,
    /// What is in it: its first cells that are not empty.
    pub samples: Vec<String>,
}

/// How the caller says a file is to be read; what is left out is told from what is in it.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The encoding.
    pub encoding: Option<String>,
    /// What is between cells.
    pub delimiter: Option<String>,
    /// The sheet.
    pub sheet: Option<String>,
}

/// Reads all of a file, to say what is in it. It blocks.
///
/// # Errors
/// [`Error::Invalid`] when it is no table, or one that can't be read.
pub fn look(path: &Path, reading: &Reading) -> Result<FileShape> {
    let Reading { encoding, delimiter, sheet } = reading;
    let delimiter = delimiter.as_deref().map(delimiter_of).transpose()?;
    let options = Options { delimiter, encoding: encoding.clone(), sheet: sheet.clone() };
    let reader = open(path, &options)?;
    let shape = reader.shape().clone();
    let mut columns: Vec<FileColumn> = shape.columns.iter().map(|name| FileColumn { name: name.clone(), samples: Vec::new() }).collect();
    let (mut rows, mut broken) = (0u64, 0u64);
    for row in reader {
        rows += 1;
        match row {
            Ok(row) if rows <= LOOKED_AT as u64 => {
                for (column, cell) in columns.iter_mut().zip(&row.cells) {
                    if column.samples.len() < SAMPLES && !cell.trim().is_empty() {
                        column.samples.push(super::cells::short(cell));
                    }
                }
            }
            Ok(_) => {}
            Err(fault) if fault.is_of_row() => broken += 1,
            Err(fault) => return Err(refused(&fault)),
        }
    }
    if rows == 0 {
        return Err(Error::field("/file", "empty", "has no rows below the names of its columns"));
    }
    Ok(FileShape {
        format: shape.format.as_str().to_owned(),
        encoding: shape.encoding,
        delimiter: shape.delimiter.map(|byte| char::from(byte).to_string()),
        sheet: sheet.clone().or_else(|| shape.sheets.first().cloned()),
        sheets: shape.sheets,
        columns,
        rows,
        broken_rows: broken,
    })
}

/// Opens a file again that was looked at. It blocks.
pub(super) fn reopen(path: &Path, shape: &FileShape) -> Result<Reader> {
    let delimiter = shape.delimiter.as_deref().and_then(|sign| sign.bytes().next());
    let options = Options { delimiter, encoding: shape.encoding.clone(), sheet: shape.sheet.clone() };
    open(path, &options)
}

fn open(path: &Path, options: &Options) -> Result<Reader> {
    tables::open(path, options, &Limits::default()).map_err(|fault| refused(&fault))
}

fn delimiter_of(sign: &str) -> Result<u8> {
    match sign {
        "," | ";" | "|" | "\t" => Ok(sign.as_bytes()[0]),
        "tab" => Ok(b'\t'),
        _ => Err(Error::field("/delimiter", "invalid", "is none of , ; | and tab")),
    }
}

/// A file that is no table.
pub(super) fn refused(fault: &Fault) -> Error {
    Error::field("/file", fault.code(), fault.to_string())
}
