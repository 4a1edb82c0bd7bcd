//! Tables into files, one row after the other.

use std::{
    fmt::Display,
    io::{self, Seek, Write},
};

use rust_xlsxwriter::{Format as Style, Workbook};
use serde_json::Value;

use crate::{Fault, Format, formula};

/// Rows of a sheet, the names of its columns among them.
const SHEET: u32 = 1_048_576;
/// Characters of a cell of a workbook.
const CELL: usize = 32_767;

/// Writes a table row by row.
pub struct Writer(Kind);

enum Kind {
    Csv(Box<csv::Writer<Box<dyn Write + Send>>>),
    Xlsx { book: Box<Workbook>, out: Box<dyn Write + Send>, columns: Vec<String>, row: u32, sheets: usize },
    Json { out: Box<dyn Write + Send>, columns: Vec<String>, any: bool },
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

fn wrong(error: impl Display) -> Fault {
    Fault::NotWritten(error.to_string())
}

/// Begins a table with these columns. CSV is UTF-8 with its mark, as spreadsheets want it.
///
/// # Errors
/// It can't be written.
pub fn writer(format: Format, out: impl Write + Send + 'static, columns: &[String]) -> Result<Writer, Fault> {
    let mut out: Box<dyn Write + Send> = Box::new(out);
    Ok(Writer(match format {
        Format::Csv => {
            out.write_all("\u{feff}".as_bytes())?;
            let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
            csv.write_record(columns.iter().map(|column| formula::escaped(column))).map_err(wrong)?;
            Kind::Csv(Box::new(csv))
        }
        Format::Xlsx => {
            let mut book = Box::new(Workbook::new());
            sheet(&mut book, columns)?;
            Kind::Xlsx { book, out, columns: columns.to_vec(), row: 1, sheets: 1 }
        }
        Format::Json => {
            out.write_all(b"[")?;
            Kind::Json { out, columns: columns.to_vec(), any: false }
        }
    }))
}

fn sheet(book: &mut Workbook, columns: &[String]) -> Result<(), Fault> {
    let sheet = book.add_worksheet_with_constant_memory().map_err(wrong)?;
    for (column, name) in (0u16..).zip(columns) {
        sheet.write_string_with_format(0, column, name, &Style::new().set_bold()).map_err(wrong)?;
    }
    Ok(())
}

/// A value as a text.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Writer {
    /// Writes a row: one value for each column.
    ///
    /// # Errors
    /// It can't be written.
    pub fn row(&mut self, cells: &[Value]) -> Result<(), Fault> {
        match &mut self.0 {
            Kind::Csv(csv) => {
                let cell = |value: &Value| match value {
                    Value::String(text) => formula::escaped(text),
                    other => text(other),
                };
                csv.write_record(cells.iter().map(cell)).map_err(wrong)
            }
            Kind::Xlsx { book, columns, row, sheets, .. } => {
                if *row == SHEET {
                    sheet(book, columns)?;
                    (*row, *sheets) = (1, *sheets + 1);
                }
                let sheet = book.worksheet_from_index(*sheets - 1).map_err(wrong)?;
                for (column, value) in (0u16..).zip(cells) {
                    match value {
                        Value::Null => continue,
                        Value::Bool(truth) => sheet.write_boolean(*row, column, *truth).map_err(wrong)?,
                        Value::Number(number) if number.as_f64().is_some_and(|number| number.abs() < 1e15) => {
                            sheet.write_number(*row, column, number.as_f64().unwrap_or_default()).map_err(wrong)?
                        }
                        // A text is a text there, whatever it begins with.
                        other => sheet.write_string(*row, column, text(other).chars().take(CELL).collect::<String>()).map_err(wrong)?,
                    };
                }
                *row += 1;
                Ok(())
            }
            Kind::Json { out, columns, any } => {
                out.write_all(if *any { b",\n" } else { b"\n" })?;
                *any = true;
                let object: serde_json::Map<String, Value> = columns.iter().cloned().zip(cells.iter().cloned()).collect();
                serde_json::to_writer(&mut *out, &object).map_err(wrong)
            }
        }
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// It can't be written.
    pub fn finish(self) -> Result<(), Fault> {
        match self.0 {
            Kind::Csv(mut csv) => Ok(csv.flush()?),
            Kind::Xlsx { mut book, mut out, .. } => {
                let mut file = tempfile::tempfile()?;
                book.save_to_writer(&mut file).map_err(wrong)?;
                file.rewind()?;
                io::copy(&mut file, &mut out)?;
                Ok(out.flush()?)
            }
            Kind::Json { mut out, .. } => {
                out.write_all(b"\n]\n")?;
                Ok(out.flush()?)
            }
        }
    }
}
