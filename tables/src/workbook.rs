//! Excel workbooks: a ZIP archive of XML. A thread unpacks the sheet and hands over its rows, so that nobody holds all of it.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    sync::{
        Mutex, PoisonError,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
};

use quick_xml::{
    Reader as Xml,
    events::{BytesStart, Event},
};
use zip::ZipArchive;

use crate::{Fault, Limits, Row};

/// Rows on their way from the thread.
const WAITING: usize = 512;
/// Files of an archive at most.
const ENTRIES: usize = 10_000;
/// What unpacks to more than so many times its size is a bomb, from so many bytes on.
const RATIO: u64 = 200;
const SMALL: u64 = 64 << 20;
/// Bytes of the texts that the cells share.
const SHARED: usize = 256 << 20;
/// Days before 1970 in the two ways in which workbooks count them.
const SINCE_1900: f64 = 25_569.0;
const SINCE_1904: f64 = 24_107.0;

/// Blocks, as all here does: whoever must not has a thread for it.
#[expect(clippy::disallowed_types, reason = "it blocks a thread that is there to be blocked")]
type Handed = std::sync::mpsc::Receiver<Result<Row, Fault>>;

/// The rows of a sheet.
#[derive(Debug)]
pub(crate) struct Rows(Mutex<Handed>);

impl Rows {
    pub(crate) fn next(&mut self) -> Option<Result<Row, Fault>> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).recv().ok()
    }
}

fn broken(why: impl ToString) -> Fault {
    Fault::Broken { why: why.to_string() }
}

/// Counts what is unpacked, and ends what is too much.
struct Counted<R> {
    inner: R,
    read: u64,
    most: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read += read as u64;
        if self.read > self.most {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a bomb"));
        }
        Ok(read)
    }
}

type Part<'a> = Xml<BufReader<Counted<Box<dyn Read + 'a>>>>;

/// An open workbook.
struct Book {
    archive: ZipArchive<BufReader<File>>,
    size: u64,
    limits: Limits,
}

/// What a cell means that is a number.
struct Styles {
    dates: Vec<bool>,
    epoch: f64,
}

/// The texts that cells share, one after the other.
#[derive(Default)]
struct Shared {
    all: String,
    ends: Vec<usize>,
}

/// Opens a workbook: the names of its sheets, and the rows of one.
pub(crate) fn open(path: &Path, wanted: Option<&str>, limits: Limits) -> Result<(Vec<String>, Rows), Fault> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let archive = ZipArchive::new(BufReader::new(file)).map_err(broken)?;
    if archive.len() > ENTRIES {
        return Err(Fault::Bomb);
    }
    if archive.index_for_name("xl/workbook.xml").is_none() {
        let other = ["word/document.xml", "ppt/presentation.xml", "mimetype"].iter().any(|name| archive.index_for_name(name).is_some());
        return Err(Fault::NotATable { what: if other { "another kind of document" } else { "a ZIP archive" } });
    }
    let mut book = Book { archive, size, limits };
    let (sheets, epoch) = book.sheets()?;
    let names: Vec<String> = sheets.iter().map(|(name, _)| name.clone()).collect();
    let at = match wanted {
        None => 0,
        Some(wanted) => names
            .iter()
            .position(|name| name == wanted)
            .ok_or_else(|| Fault::NoSuchSheet { name: wanted.chars().take(60).collect(), known: names.join(", ") })?,
    };
    let (_, id) = sheets.into_iter().nth(at).ok_or_else(|| broken("it has no sheets"))?;
    let target = book.target(&id)?;
    let styles = Styles { dates: book.dates()?, epoch };
    let shared = book.shared()?;
    let (give, take) = sync_channel(WAITING);
    thread::Builder::new().name("workbook".to_owned()).spawn(move || {
        if let Err(fault) = book.rows(&target, &styles, &shared, &give) {
            _ = give.send(Err(fault));
        }
    })?;
    Ok((names, Rows(Mutex::new(take))))
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = element.attributes().filter_map(Result::ok).find(|one| one.key.local_name().as_ref() == name)?;
    attribute.normalized_value(quick_xml::XmlVersion::Explicit1_0).ok().map(std::borrow::Cow::into_owned)
}

impl Book {
    /// A part of the archive, if it has it.
    fn part(&mut self, name: &str) -> Result<Option<Part<'_>>, Fault> {
        let Some(at) = self.archive.index_for_name(name) else { return Ok(None) };
        let entry = self.archive.by_index(at).map_err(|error| match error {
            zip::result::ZipError::UnsupportedArchive(zip::result::ZipError::PASSWORD_REQUIRED) => {
                Fault::NotATable { what: "a workbook with a password" }
            }
            other => broken(other),
        })?;
        // What it says of itself is not asked: only what comes out of it counts.
        let most = self.limits.unpacked.min((self.size * RATIO).max(SMALL));
        let entry: Box<dyn Read + '_> = Box::new(entry);
        Ok(Some(Xml::from_reader(BufReader::new(Counted { inner: entry, read: 0, most }))))
    }

    /// Each sheet's name and the id of its part; from when its days count.
    fn sheets(&mut self) -> Result<(Vec<(String, String)>, f64), Fault> {
        let mut xml = self.part("xl/workbook.xml")?.ok_or_else(|| broken("it has no sheets"))?;
        let (mut sheets, mut epoch) = (Vec::new(), SINCE_1900);
        each(&mut xml, |event| {
            if let Event::Start(element) | Event::Empty(element) = event {
                match element.local_name().as_ref() {
                    "sheet" => sheets.extend(attribute(&element, "name").zip(attribute(&element, "id"))),
                    "workbookPr" if attribute(&element, "date1904").is_some_and(|value| value == "1" || value == "true") => {
                        epoch = SINCE_1904
                    }
                    _ => {}
                }
            }
            Ok(true)
        })?;
        Ok((sheets, epoch))
    }

    fn target(&mut self, id: &str) -> Result<String, Fault> {
        let mut target = None;
        if let Some(mut xml) = self.part("xl/_rels/workbook.xml.rels")? {
            each(&mut xml, |event| {
                if let Event::Start(element) | Event::Empty(element) = event
                    && attribute(&element, "Id").as_deref() == Some(id)
                {
                    target = attribute(&element, "Target");
                }
                Ok(true)
            })?;
        }
        let target = target.ok_or_else(|| broken("its sheet is missing"))?;
        Ok(target.strip_prefix('/').map_or_else(|| format!("xl/{target}"), str::to_owned))
    }

    /// Of each style, whether numbers in it are days.
    fn dates(&mut self) -> Result<Vec<bool>, Fault> {
        let (mut own, mut dates, mut inside) = (Vec::new(), Vec::new(), false);
        let Some(mut xml) = self.part("xl/styles.xml")? else { return Ok(dates) };
        each(&mut xml, |event| {
            match event {
                Event::Start(element) | Event::Empty(element) => match element.local_name().as_ref() {
                    "numFmt" => {
                        let code = attribute(&element, "formatCode").unwrap_or_default();
                        own.extend(attribute(&element, "numFmtId").filter(|_| is_date(&code)));
                    }
                    "cellXfs" => inside = true,
                    "xf" if inside => {
                        let id = attribute(&element, "numFmtId").unwrap_or_default();
                        let known =
                            id.parse::<u32>().is_ok_and(|id| (14..=22).contains(&id) || (27..=36).contains(&id) || (45..=47).contains(&id));
                        dates.push(known || own.contains(&id));
                    }
                    _ => {}
                },
                Event::End(element) if element.local_name().as_ref() == "cellXfs" => inside = false,
                _ => {}
            }
            Ok(dates.len() < 100_000)
        })?;
        Ok(dates)
    }

    fn shared(&mut self) -> Result<Shared, Fault> {
        let mut shared = Shared::default();
        let Some(mut xml) = self.part("xl/sharedStrings.xml")? else { return Ok(shared) };
        let mut inside = Text::default();
        each(&mut xml, |event| {
            if let Event::End(element) = &event
                && element.local_name().as_ref() == "si"
            {
                shared.all.push_str(&inside.take());
                shared.ends.push(shared.all.len());
            }
            inside.see(&event);
            if shared.all.len() > SHARED || inside.text.len() > SHARED { Err(Fault::Bomb) } else { Ok(true) }
        })?;
        Ok(shared)
    }

    fn rows(&mut self, part: &str, styles: &Styles, shared: &Shared, give: &SyncSender<Result<Row, Fault>>) -> Result<(), Fault> {
        let limits = self.limits;
        let mut xml = self.part(part)?.ok_or_else(|| broken("its sheet is missing"))?;
        let (mut line, mut cells, mut at, mut style, mut kind) = (0u64, Vec::<String>::new(), 0usize, 0usize, String::new());
        let mut text = Text::default();
        each(&mut xml, |event| {
            match &event {
                Event::Start(element) | Event::Empty(element) => match element.local_name().as_ref() {
                    "row" => {
                        line = attribute(element, "r").and_then(|row| row.parse().ok()).filter(|row| *row > line).unwrap_or(line + 1);
                        cells = Vec::new();
                    }
                    "c" => {
                        at = attribute(element, "r").and_then(|cell| column(&cell)).unwrap_or(cells.len());
                        style = attribute(element, "s").and_then(|style| style.parse().ok()).unwrap_or(0);
                        kind = attribute(element, "t").unwrap_or_default();
                        text.take();
                        if at > limits.columns * 2 {
                            return Err(Fault::TooManyColumns { most: limits.columns });
                        }
                    }
                    _ => {}
                },
                Event::End(element) => match element.local_name().as_ref() {
                    "c" => {
                        let said = text.take();
                        let said = styles.read(&kind, style, said, shared)?;
                        if said.len() > limits.cell && said.chars().count() > limits.cell {
                            return Err(Fault::CellTooLong { line, most: limits.cell });
                        }
                        if !said.is_empty() {
                            if cells.len() <= at {
                                cells.resize(at + 1, String::new());
                            }
                            cells[at] = said;
                        }
                    }
                    "row" => {
                        let row = std::mem::take(&mut cells);
                        // Nobody listens any more.
                        if row.iter().any(|cell| !cell.trim().is_empty()) && give.send(Ok(Row { line, cells: row })).is_err() {
                            return Ok(false);
                        }
                    }
                    _ => {}
                },
                _ => {}
            }
            text.see(&event);
            if text.text.len() > limits.cell * 8 { Err(Fault::CellTooLong { line, most: limits.cell }) } else { Ok(true) }
        })
    }
}

/// Reads a part to its end, or until enough is known.
fn each<R: BufRead>(xml: &mut Xml<R>, mut see: impl FnMut(Event<'_>) -> Result<bool, Fault>) -> Result<(), Fault> {
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let event = xml.read_event_into(&mut buffer).map_err(|error| match error {
            quick_xml::Error::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => Fault::Bomb,
            other => broken(other),
        })?;
        if matches!(event, Event::Eof) || !see(event)? {
            return Ok(());
        }
    }
}

/// What stands in the elements that hold text; how it is to be pronounced is left out.
#[derive(Default)]
struct Text {
    text: String,
    open: bool,
    spoken: bool,
}

impl Text {
    fn see(&mut self, event: &Event<'_>) {
        match event {
            Event::Start(element) => match element.local_name().as_ref() {
                "t" | "v" => self.open = !self.spoken,
                "rPh" => self.spoken = true,
                _ => {}
            },
            Event::End(element) => match element.local_name().as_ref() {
                "t" | "v" => self.open = false,
                "rPh" => self.spoken = false,
                _ => {}
            },
            Event::Text(text) if self.open => self.text.push_str(&text.xml10_content()),
            Event::CData(text) if self.open => self.text.push_str(&text.xml10_content()),
            Event::GeneralRef(name) if self.open => self.text.extend(meant(&name.xml10_content())),
            _ => {}
        }
    }

    fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }
}

/// The letter that a reference means: `&amp;`, `&#10;`, `&#xA;`.
fn meant(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let code = name.strip_prefix('#')?;
            let code = code.strip_prefix('x').map_or_else(|| code.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok());
            code.and_then(char::from_u32)
        }
    }
}

/// The column of `BC12`, from 0.
fn column(cell: &str) -> Option<usize> {
    let letters = cell.bytes().take_while(u8::is_ascii_uppercase);
    let number = letters.take(4).fold(0usize, |number, letter| number * 26 + usize::from(letter - b'A') + 1);
    number.checked_sub(1)
}

/// Whether a format shows a number as a day or a time.
fn is_date(code: &str) -> bool {
    let (mut quoted, mut bracket, mut escaped) = (false, false, false);
    for c in code.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' | '_' => escaped = true,
            '"' => quoted = !quoted,
            '[' => bracket = true,
            ']' => bracket = false,
            'y' | 'm' | 'd' | 'h' | 's' | 'Y' | 'M' | 'D' | 'H' | 'S' if !quoted && !bracket => return true,
            _ => {}
        }
    }
    false
}

impl Styles {
    fn read(&self, kind: &str, style: usize, said: String, shared: &Shared) -> Result<String, Fault> {
        Ok(match kind {
            "s" if said.is_empty() => said,
            "s" => {
                let at: usize = said.trim().parse().map_err(|_| broken("a cell names no text"))?;
                let end = *shared.ends.get(at).ok_or_else(|| broken("a cell names no text"))?;
                let begin = at.checked_sub(1).map_or(0, |before| shared.ends[before]);
                shared.all[begin..end].to_owned()
            }
            "b" => (if said.trim() == "1" { "true" } else { "false" }).to_owned(),
            // What could not be calculated is nothing.
            "e" => String::new(),
            "str" | "inlineStr" | "d" => said,
            _ => match said.trim().parse::<f64>() {
                Ok(number) if self.dates.get(style).copied().unwrap_or(false) => self.moment(number).unwrap_or(said),
                Ok(number) if number.fract() == 0.0 && number.abs() < 1e15 => format!("{number:.0}"),
                Ok(number) if number.is_finite() => number.to_string(),
                _ => said,
            },
        })
    }

    /// A day, and the time if it has one.
    fn moment(&self, number: f64) -> Option<String> {
        if !(0.0..2_900_000.0).contains(&number) {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "within three million days")]
        let seconds = ((number - self.epoch) * 86_400.0).round() as i64;
        let moment = chrono::DateTime::from_timestamp(seconds, 0)?.naive_utc();
        let form = if seconds % 86_400 == 0 { "%Y-%m-%d" } else { "%Y-%m-%d %H:%M:%S" };
        Some(moment.format(form).to_string())
    }
}
