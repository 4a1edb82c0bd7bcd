//! Tables in files: CSV and Excel workbooks in; CSV, workbooks and JSON out. One row after the other, in bounded memory, from files
//! that nobody has to trust: what a file is, is told from what is in it, and nothing is taken at its word.
//!
//! - `detect`: what a file is, in which encoding, with what between its cells; `delimited`: reading CSV; `workbook`: reading
//!   workbooks; `write`: writing; `formula`: cells that a spreadsheet would calculate.
//!
//! It blocks: whoever must not calls it from a thread of its own.

mod delimited;
mod detect;
mod fault;
mod formula;
mod workbook;
mod write;

use std::path::Path;

pub use fault::Fault;
pub use write::{Writer, writer};

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values, whatever separates them.
    Csv,
    /// An Excel workbook.
    Xlsx,
    /// A list of objects; only written.
    Json,
}

impl Format {
    /// Its name, and what file names end with.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
            Self::Json => "json",
        }
    }
}

/// How a file is to be read; what is left out is told from what is in it.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What is between cells.
    pub delimiter: Option<u8>,
    /// The encoding, by one of the names that browsers know it by.
    pub encoding: Option<String>,
    /// The sheet of a workbook.
    pub sheet: Option<String>,
}

/// What was told of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// What it is.
    pub format: Format,
    /// In which encoding, if it is a text.
    pub encoding: Option<String>,
    /// What is between its cells, if it is a text.
    pub delimiter: Option<u8>,
    /// The names of its sheets, if it is a workbook.
    pub sheets: Vec<String>,
    /// What its first row calls the columns; `Column 3` where it says nothing.
    pub columns: Vec<String>,
}

/// What no file may go beyond.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Characters of a cell: as many as a spreadsheet takes.
    pub cell: usize,
    /// Columns.
    pub columns: usize,
    /// Rows.
    pub rows: u64,
    /// Bytes that a workbook unpacks to.
    pub unpacked: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { cell: 32_767, columns: 500, rows: 5_000_000, unpacked: 2 << 30 }
    }
}

/// A row below the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The line on which it begins, the first is 1; in a workbook, its number.
    pub line: u64,
    /// Its cells, one for each column.
    pub cells: Vec<String>,
}

/// Reads a table row by row. Rows without anything in them are left out.
#[derive(Debug)]
pub struct Reader {
    shape: Shape,
    limits: Limits,
    line: u64,
    read: u64,
    rows: Rows,
}

#[derive(Debug)]
enum Rows {
    Delimited(Box<delimited::Rows>),
    Workbook(workbook::Rows),
}

/// Opens a file.
///
/// # Errors
/// It is no table, or none that can be read.
pub fn open(path: &Path, options: &Options, limits: &Limits) -> Result<Reader, Fault> {
    let (mut shape, mut rows) = match detect::what(path)? {
        Format::Xlsx => {
            let (sheets, rows) = workbook::open(path, options.sheet.as_deref(), *limits)?;
            let shape = Shape { format: Format::Xlsx, encoding: None, delimiter: None, sheets, columns: Vec::new() };
            (shape, Rows::Workbook(rows))
        }
        _ => {
            let (encoding, delimiter, rows) = delimited::open(path, options, *limits)?;
            let encoding = Some(encoding.name().to_owned());
            let shape = Shape { format: Format::Csv, encoding, delimiter: Some(delimiter), sheets: Vec::new(), columns: Vec::new() };
            (shape, Rows::Delimited(Box::new(rows)))
        }
    };
    let Some(first) = rows.next().transpose()? else { return Err(Fault::Empty) };
    shape.columns = named(first.cells, limits)?;
    Ok(Reader { shape, limits: *limits, line: first.line, read: 0, rows })
}

/// Columns by their names; those at the end that have none are none.
fn named(mut cells: Vec<String>, limits: &Limits) -> Result<Vec<String>, Fault> {
    while cells.last().is_some_and(|cell| cell.trim().is_empty()) {
        cells.pop();
    }
    if cells.len() > limits.columns {
        return Err(Fault::TooManyColumns { most: limits.columns });
    }
    let name = |(at, cell): (usize, String)| match cell.split_whitespace().collect::<Vec<_>>().join(" ") {
        name if name.is_empty() => format!("Column {}", at + 1),
        name => name.chars().take(200).collect(),
    };
    Ok(cells.into_iter().enumerate().map(name).collect())
}

impl Rows {
    fn next(&mut self) -> Option<Result<Row, Fault>> {
        match self {
            Self::Delimited(rows) => rows.next(),
            Self::Workbook(rows) => rows.next(),
        }
    }
}

impl Reader {
    /// What was told of the file.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The line of the row that was read last.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }
}

impl Iterator for Reader {
    type Item = Result<Row, Fault>;

    /// The next row. After a fault that is only one row's, it goes on.
    fn next(&mut self) -> Option<Self::Item> {
        let mut row = match self.rows.next()? {
            Ok(row) => row,
            Err(fault) => {
                self.line = fault.line().unwrap_or(self.line);
                return Some(Err(fault));
            }
        };
        self.line = row.line;
        self.read += 1;
        if self.read > self.limits.rows {
            return Some(Err(Fault::TooManyRows { most: self.limits.rows }));
        }
        let width = self.shape.columns.len();
        if row.cells.len() > width {
            if row.cells[width..].iter().any(|cell| !cell.trim().is_empty()) {
                return Some(Err(Fault::TooManyCells { line: row.line, cells: row.cells, columns: width }));
            }
            row.cells.truncate(width);
        }
        row.cells.resize(width, String::new());
        Some(Ok(row))
    }
}

#[cfg(test)]
mod tests;
