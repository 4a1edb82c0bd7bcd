//! What a file is: by what is in it, never by its name.

use std::{
    fs::File,
    io::{Read, Seek},
    path::Path,
};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::{Fault, Format};

/// What other files begin with.
const OTHERS: &[(&[u8], &str)] = &[
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"\x1f\x8b", "a compressed file"),
    (b"7z\xbc\xaf\x27\x1c", "a compressed file"),
    (b"Rar!", "a compressed file"),
    (b"{\\rtf", "a text document"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"SQLite format 3", "a database"),
];

/// So much of a text is asked which encoding it is in, when it is not UTF-8.
const ASKED: u64 = 16 << 20;

/// What a file is.
pub(crate) fn what(path: &Path) -> Result<Format, Fault> {
    let mut start = Vec::new();
    File::open(path)?.take(8192).read_to_end(&mut start)?;
    let is = |what| Err(Fault::NotATable { what });
    if start.is_empty() {
        return Err(Fault::Empty);
    }
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        return Ok(Format::Xlsx);
    }
    if start.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        let mut all = Vec::new();
        File::open(path)?.take(1 << 20).read_to_end(&mut all)?;
        let protected: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
        return match all.windows(protected.len()).any(|part| part == protected) {
            true => is("a workbook with a password"),
            false => is("an old Excel workbook (.xls)"),
        };
    }
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| start.starts_with(magic)) {
        return is(what);
    }
    if unmarked(&start).is_some() || Encoding::for_bom(&start).is_some() {
        return Ok(Format::Csv);
    }
    let text = String::from_utf8_lossy(&start);
    let text = text.trim_start();
    let tag = |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    if tag("<!doctype html") || tag("<html") || tag("<table") || tag("<head") {
        return is("a web page");
    }
    if tag("<?xml") || tag("<svg") {
        return is("an XML document");
    }
    if text.starts_with("[{") || text.starts_with('{') && text[1..].trim_start().starts_with('"') {
        return is("a JSON document");
    }
    if start.contains(&0) {
        return is("a file of bytes, no text");
    }
    if text.trim().is_empty() && start.len() < 8192 {
        return Err(Fault::Empty);
    }
    Ok(Format::Csv)
}

/// UTF-16 without its mark: every second byte of a text of our letters is zero.
fn unmarked(start: &[u8]) -> Option<&'static Encoding> {
    let pairs = start.len() / 2;
    let zeros = |at: usize| start.iter().skip(at).step_by(2).filter(|byte| **byte == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    match pairs {
        0..4 => None,
        _ if second * 10 > pairs * 6 && first * 20 < pairs => Some(UTF_16LE),
        _ if first * 10 > pairs * 6 && second * 20 < pairs => Some(UTF_16BE),
        _ => None,
    }
}

/// In which encoding a text is: what its mark says, UTF-8 if all of it is, else what it looks like.
pub(crate) fn encoding(path: &Path) -> Result<&'static Encoding, Fault> {
    let mut file = File::open(path)?;
    let mut start = vec![0; 8192];
    let length = file.read(&mut start)?;
    start.truncate(length);
    if let Some((encoding, _)) = Encoding::for_bom(&start) {
        return Ok(encoding);
    }
    if let Some(encoding) = unmarked(&start) {
        return Ok(encoding);
    }
    file.rewind()?;
    if is_utf8(&mut file)? {
        return Ok(UTF_8);
    }
    file.rewind()?;
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    let (mut part, mut asked) = (vec![0; 64 * 1024], 0u64);
    loop {
        let read = file.read(&mut part)?;
        asked += read as u64;
        let last = read == 0 || asked > ASKED;
        detector.feed(&part[..read], last);
        if last {
            return Ok(detector.guess(None, Utf8Detection::Deny));
        }
    }
}

fn is_utf8(file: &mut File) -> Result<bool, Fault> {
    let (mut buffer, mut kept) = (vec![0; 64 * 1024 + 4], 0);
    loop {
        let read = file.read(&mut buffer[kept..])?;
        if read == 0 {
            return Ok(kept == 0);
        }
        let length = kept + read;
        kept = match std::str::from_utf8(&buffer[..length]) {
            Ok(_) => 0,
            Err(error) if error.error_len().is_none() => {
                let whole = error.valid_up_to();
                buffer.copy_within(whole..length, 0);
                length - whole
            }
            Err(_) => return Ok(false),
        };
    }
}

/// What is between the cells of a text: what gives its rows the same number of cells, and most of them.
pub(crate) fn delimiter(sample: &str) -> u8 {
    if let Some(sign) = sample.strip_prefix("sep=").and_then(|rest| rest.bytes().next()) {
        return sign;
    }
    let score = |sign: u8| {
        let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(sign).from_reader(sample.as_bytes());
        let mut widths: Vec<usize> = reader.into_records().take(100).filter_map(|row| row.ok().map(|row| row.len())).collect();
        // The last one may be cut.
        if widths.len() > 2 {
            widths.pop();
        }
        let first = widths.first().copied().unwrap_or(1);
        let same = widths.iter().filter(|width| **width == first).count();
        if first < 2 { 0 } else { same * 1000 / widths.len().max(1) * 1000 + first.min(900) }
    };
    // Of those that are as good, the first.
    [b',', b';', b'\t', b'|'].into_iter().rev().max_by_key(|sign| score(*sign)).unwrap_or(b',')
}
