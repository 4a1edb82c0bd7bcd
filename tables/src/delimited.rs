//! Texts with something between their cells.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use encoding_rs::Encoding;
use encoding_rs_io::{DecodeReaderBytes, DecodeReaderBytesBuilder};

use crate::{Fault, Limits, Options, Row, detect, formula};

/// Of a text, so much is looked at for what is between its cells.
const SAMPLE: u64 = 64 * 1024;
/// What the reader may have read ahead of a row.
const AHEAD: u64 = 1 << 20;

/// The rows of a text.
#[derive(Debug)]
pub(crate) struct Rows {
    reader: csv::Reader<Bounded>,
    record: csv::StringRecord,
    /// How much may be read before a row is there.
    left: Arc<AtomicU64>,
    limits: Limits,
}

/// Ends what never ends: a quotation mark that nobody closed would take the rest of the file into one cell.
#[derive(Debug)]
struct Bounded {
    inner: DecodeReaderBytes<File, Vec<u8>>,
    left: Arc<AtomicU64>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let left = self.left.load(Ordering::Relaxed);
        if read as u64 > left {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a row that never ends"));
        }
        self.left.store(left - read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

fn decoded(path: &Path, encoding: &'static Encoding) -> io::Result<DecodeReaderBytes<File, Vec<u8>>> {
    let file = File::open(path)?;
    Ok(DecodeReaderBytesBuilder::new().encoding(Some(encoding)).bom_override(true).strip_bom(true).build(file))
}

/// Opens a text.
pub(crate) fn open(path: &Path, options: &Options, limits: Limits) -> Result<(&'static Encoding, u8, Rows), Fault> {
    let encoding = match &options.encoding {
        Some(name) => Encoding::for_label(name.as_bytes()).ok_or_else(|| Fault::UnknownEncoding { name: name.clone() })?,
        None => detect::encoding(path)?,
    };
    let mut sample = Vec::new();
    decoded(path, encoding)?.take(SAMPLE).read_to_end(&mut sample)?;
    let sample = String::from_utf8_lossy(&sample);
    let delimiter = options.delimiter.unwrap_or_else(|| detect::delimiter(&sample));
    // A row of cells that are as long as they may be.
    let most = limits.cell as u64 * 4 * 16 + AHEAD;
    let left = Arc::new(AtomicU64::new(most));
    let bounded = Bounded { inner: decoded(path, encoding)?, left: left.clone() };
    let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(bounded);
    let mut rows = Rows { reader, record: csv::StringRecord::new(), left, limits };
    if sample.starts_with("sep=") {
        rows.record()?; // says what is between cells, and is no row
    }
    Ok((encoding, delimiter, rows))
}

impl Rows {
    /// The next record; whether there is one.
    fn record(&mut self) -> Result<bool, Fault> {
        let line = self.reader.position().line();
        self.left.store(self.limits.cell as u64 * 4 * 16 + AHEAD, Ordering::Relaxed);
        self.reader.read_record(&mut self.record).map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => Fault::CellTooLong { line, most: self.limits.cell },
            csv::ErrorKind::Io(error) => Fault::Io(error),
            _ => Fault::Garbled { line },
        })
    }

    pub(crate) fn next(&mut self) -> Option<Result<Row, Fault>> {
        loop {
            match self.record() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(fault) => return Some(Err(fault)),
            }
            if self.record.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            let line = self.record.position().map_or(0, csv::Position::line);
            if self.record.iter().any(|cell| cell.len() > self.limits.cell && cell.chars().count() > self.limits.cell) {
                return Some(Err(Fault::CellTooLong { line, most: self.limits.cell }));
            }
            // What stands for bytes that are no letters: a text has it where it was read in the wrong encoding.
            if self.record.iter().any(|cell| cell.contains('\u{fffd}')) {
                return Some(Err(Fault::Garbled { line }));
            }
            return Some(Ok(Row { line, cells: self.record.iter().map(|cell| formula::unescaped(cell).to_owned()).collect() }));
        }
    }
}
