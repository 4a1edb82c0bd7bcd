use std::{
    io::{Cursor, Write},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use zip::{ZipWriter, write::SimpleFileOptions};

use super::*;

fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn opened(bytes: &[u8]) -> Result<Reader, Fault> {
    open(file(bytes).path(), &Options::default(), &Limits::default())
}

fn code(bytes: &[u8]) -> &'static str {
    match opened(bytes) {
        Ok(mut reader) => reader.find_map(Result::err).map_or("fine", |fault| fault.code()),
        Err(fault) => fault.code(),
    }
}

/// The columns, and the rows below them.
fn all(bytes: &[u8]) -> (Vec<String>, Vec<Vec<String>>) {
    let reader = opened(bytes).unwrap();
    let columns = reader.shape().columns.clone();
    (columns, reader.map(|row| row.unwrap().cells).collect())
}

/// What a writer wrote.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn written(format: Format, columns: &[&str], rows: &[Vec<Value>]) -> Vec<u8> {
    let kept = Kept::default();
    let columns: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
    let mut writer = writer(format, kept.clone(), &columns).unwrap();
    rows.iter().for_each(|row| writer.row(row).unwrap());
    writer.finish().unwrap();
    std::mem::take(&mut *kept.0.lock().unwrap())
}

/// A workbook of these parts, beside what every one has.
fn workbook(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let usual: [(&str, &[u8]); 2] = [
        (
            "xl/workbook.xml",
            br#"<workbook><workbookPr date1904="0"/><sheets><sheet name="One &amp; only" sheetId="1" r:id="r1"/></sheets></workbook>"#,
        ),
        ("xl/_rels/workbook.xml.rels", br#"<Relationships><Relationship Id="r1" Target="worksheets/sheet1.xml"/></Relationships>"#),
    ];
    for (name, bytes) in usual.iter().chain(parts) {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn what_is_no_table_says_what_it_is() {
    for (bytes, expected) in [
        (&b""[..], "empty"),
        (b"\n \n", "empty"),
        (b"%PDF-1.7\n", "not_a_table"),
        (b"\x89PNG\r\n\x1a\n", "not_a_table"),
        (b"<!DOCTYPE html><table>", "not_a_table"),
        (b"  <html>", "not_a_table"),
        (b"<?xml version='1.0'?><a/>", "not_a_table"),
        (b"{\"a\": 1}", "not_a_table"),
        (b"abc\0\0\0def", "not_a_table"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1....", "not_a_table"),
        (b"PK\x03\x04 and nothing", "broken"),
        (b"a,b\n\"never closed, 1\n2,3\n", "fine"), // short enough to be a cell
    ] {
        assert_eq!(code(bytes), expected, "{}", String::from_utf8_lossy(bytes));
    }
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("word/document.xml", SimpleFileOptions::default()).unwrap();
    assert_eq!(code(&zip.finish().unwrap().into_inner()), "not_a_table");
    let mut open_quote = b"a,b\n1,\"".to_vec();
    open_quote.extend(vec![b'x'; 5 << 20]);
    assert_eq!(code(&open_quote), "cell_too_long");
}

#[test]
fn texts_are_read_in_the_encoding_that_they_are_in() {
    let text = "nome;cidade\nJoão;São Paulo\nZoë;Ceará\n";
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let marked = |mark: &[u8], bytes: &[u8]| [mark, bytes].concat();
    for (bytes, encoding) in [
        (text.as_bytes().to_vec(), "UTF-8"),
        (marked(b"\xef\xbb\xbf", text.as_bytes()), "UTF-8"),
        (marked(b"\xff\xfe", &little), "UTF-16LE"),
        (marked(b"\xfe\xff", &big), "UTF-16BE"),
        (little, "UTF-16LE"),
        (big, "UTF-16BE"),
        (latin, "windows-1252"),
    ] {
        let reader = opened(&bytes).unwrap();
        assert_eq!(reader.shape().encoding.as_deref(), Some(encoding));
        assert_eq!(
            all(&bytes),
            (vec!["nome".into(), "cidade".into()], vec![vec!["João".into(), "São Paulo".into()], vec!["Zoë".into(), "Ceará".into()]])
        );
    }
    let mut late = b"name\n".to_vec();
    (0..20_000).for_each(|_| late.extend(b"plain\n"));
    late.extend(b"Jo\xe3o\n");
    assert_eq!(opened(&late).unwrap().shape().encoding.as_deref(), Some("windows-1252"), "told by all of it");
    let options = Options { encoding: Some("utf-8".into()), ..Options::default() };
    let kept = file(&late);
    let mut reader = open(kept.path(), &options, &Limits::default()).unwrap();
    let fault = reader.find_map(Result::err).unwrap();
    assert_eq!((fault.code(), fault.is_of_row(), fault.line()), ("garbled", true, Some(20_002)));
    let options = Options { encoding: Some("klingon".into()), ..Options::default() };
    assert_eq!(open(kept.path(), &options, &Limits::default()).unwrap_err().code(), "unknown_encoding");
}

#[test]
fn what_is_between_cells_is_told() {
    for (text, sign) in [
        ("a,b\n1,2\n", b','),
        ("a;b\n1,5;2,5\n3,1;4\n", b';'),
        ("a\tb\n1, 2\t3\n", b'\t'),
        ("a|b\n1|2\n", b'|'),
        ("sep=;\na;b\n1;2\n", b';'),
        ("alone\n1\n", b','),
        ("\"a, b\";c\n\"1, 2\";3\n", b';'),
    ] {
        assert_eq!(opened(text.as_bytes()).unwrap().shape().delimiter, Some(sign), "{text}");
    }
    let (columns, rows) = all("sep=;\r\na;;c;;\r\n1;\"two\r\nlines; \"\"quoted\"\"\";3\r\n\r\n4\r\n".as_bytes());
    assert_eq!(columns, ["a", "Column 2", "c"]);
    assert_eq!(rows, [vec!["1", "two\r\nlines; \"quoted\"", "3"], vec!["4", "", ""]]);
    let mut reader = opened(b"a,b\n1,2\n1,2,3\n\"x\ny\",2\n").unwrap();
    assert_eq!(reader.next().unwrap().unwrap().line, 2);
    let fault = reader.next().unwrap().unwrap_err();
    assert_eq!((fault.code(), fault.is_of_row(), reader.line()), ("too_many_cells", true, 3));
    assert_eq!(reader.next().unwrap().unwrap().line, 4, "it goes on");
    assert!(reader.next().is_none());
}

#[test]
fn formulas_come_back_as_texts() {
    let cells = ["=1+1", "@x", "-2+3", "+5511987654321", "'=x", "plain", "'tis", "a;b\n\"c\""];
    let rows: Vec<Vec<Value>> = cells.iter().map(|cell| vec![json!(cell), json!(7), json!(true), Value::Null]).collect();
    let csv = written(Format::Csv, &["text", "n", "yes", "none"], &rows);
    let text = String::from_utf8(csv.clone()).unwrap();
    assert!(text.contains("\r\n'=1+1,7,true,\r\n") && text.contains("\r\n+5511987654321,"), "{text}");
    let xlsx = written(Format::Xlsx, &["text", "n", "yes", "none"], &rows);
    for bytes in [csv, xlsx] {
        let (columns, read) = all(&bytes);
        assert_eq!(columns, ["text", "n", "yes", "none"]);
        let expected: Vec<Vec<String>> = cells.iter().map(|&cell| vec![cell.into(), "7".into(), "true".into(), String::new()]).collect();
        assert_eq!(read, expected);
    }
    let json: Value = serde_json::from_slice(&written(Format::Json, &["text", "n"], &[vec![json!("=1"), json!(2)]])).unwrap();
    assert_eq!(json, json!([{ "text": "=1", "n": 2 }]));
}

#[test]
fn workbooks_are_read_as_people_see_them() {
    let styles = br#"<styleSheet><numFmts><numFmt numFmtId="164" formatCode="dd\/mm\/yyyy"/><numFmt numFmtId="165" formatCode="&quot;day&quot; 0"/></numFmts>
        <cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="165"/></cellXfs></styleSheet>"#;
    let shared = br#"<sst><si><t>name</t></si><si><r><t>S&#227;o </t></r><r><t>Paulo &amp; Cia</t></r><rPh><t>no</t></rPh></si></sst>"#;
    let sheet = br#"<worksheet><sheetData><row r="2"><c r="A2" t="s"><v>0</v></c><c r="C2" t="inlineStr"><is><t>when</t></is></c><c r="D2" t="str"><v>n</v></c></row>
        <row r="4"><c r="A4" t="s"><v>1</v></c><c r="C4" s="1"><v>45000</v></c><c r="D4"><v>5511987654321</v></c></row>
        <row r="5"><c r="A5" t="b"><v>1</v></c><c r="C5" s="2"><v>45000.75</v></c><c r="D5"><f>1/4</f><v>0.25</v></c></row>
        <row r="6"><c r="A6" t="e"><v>#N/A</v></c><c r="D6" s="3"><v>3</v></c></row><row r="7"><c r="A7"/></row></sheetData></worksheet>"#;
    let bytes = workbook(&[("xl/styles.xml", styles), ("xl/sharedStrings.xml", shared), ("xl/worksheets/sheet1.xml", sheet)]);
    let reader = opened(&bytes).unwrap();
    assert_eq!((reader.shape().format, &reader.shape().sheets), (Format::Xlsx, &vec!["One & only".to_owned()]));
    assert_eq!(reader.map(|row| row.unwrap().line).collect::<Vec<_>>(), [4, 5, 6]);
    let (columns, rows) = all(&bytes);
    assert_eq!(columns, ["name", "Column 2", "when", "n"]);
    assert_eq!(
        rows,
        [["São Paulo & Cia", "", "2023-03-15", "5511987654321"], ["true", "", "2023-03-15 18:00:00", "0.25"], ["", "", "", "3"]]
    );
    let options = Options { sheet: Some("Two".into()), ..Options::default() };
    assert_eq!(open(file(&bytes).path(), &options, &Limits::default()).unwrap_err().code(), "no_such_sheet");
}

#[test]
fn bombs_are_refused_while_they_unpack() {
    let zeros = vec![b' '; 300 << 20];
    for part in ["xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/styles.xml"] {
        let mut parts = vec![(part, zeros.as_slice())];
        if part != "xl/worksheets/sheet1.xml" {
            parts.push(("xl/worksheets/sheet1.xml", b"<worksheet/>"));
        }
        assert_eq!(code(&workbook(&parts)), "bomb", "{part}");
    }
    let cell = format!("<sst><si><t>{}</t></si></sst>", "x".repeat(1 << 20));
    let row = "<row><c t=\"s\"><v>0</v></c></row>".repeat(100);
    let many = workbook(&[("xl/sharedStrings.xml", cell.as_bytes()), ("xl/worksheets/sheet1.xml", format!("<sheetData>{row}").as_bytes())]);
    assert_eq!(code(&many), "cell_too_long", "a text that many cells share counts for each");
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for n in 0..10_100 {
        zip.start_file(format!("x{n}"), SimpleFileOptions::default()).unwrap();
    }
    assert_eq!(code(&zip.finish().unwrap().into_inner()), "bomb");
}
