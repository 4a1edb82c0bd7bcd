//! Cells that a spreadsheet would calculate: text that begins with one of a few signs. In CSV files they are written with an
//! apostrophe before them, which spreadsheets don't show, and read without it.

/// What makes a text a formula.
const SIGNS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A text as a CSV file keeps it.
pub(crate) fn escaped(text: &str) -> String {
    let begins = |text: &str| text.starts_with(SIGNS);
    // An apostrophe that was there already must come back.
    let apostrophe = text.strip_prefix('\'').is_some_and(|rest| begins(rest) || rest.starts_with('\''));
    if apostrophe || begins(text) && !is_number(text) { format!("'{text}") } else { text.to_owned() }
}

/// The text of a cell of a CSV file.
pub(crate) fn unescaped(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(SIGNS) || rest.starts_with('\'') => rest,
        _ => cell,
    }
}

/// Numbers begin with signs too, those of phones among them; nothing is calculated of them.
fn is_number(text: &str) -> bool {
    text.strip_prefix(['+', '-']).is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_digit()) && rest.chars().all(|c| c.is_ascii_digit() || c == ' ' || c == '.')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_texts_and_come_back() {
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-2+3", "'-2+3"),
            ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
            ("\t=1", "'\t=1"),
            ("'=1", "''=1"),
            ("''x", "'''x"),
            ("'tis", "'tis"),
            ("+5511987654321", "+5511987654321"),
            ("-12.50", "-12.50"),
            ("a=b", "a=b"),
            ("", ""),
        ] {
            assert_eq!(escaped(text), cell);
            assert_eq!(unescaped(cell), text);
        }
    }
}
