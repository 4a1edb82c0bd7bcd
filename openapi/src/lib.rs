//! The OpenAPI document as a file: the panel's types are made from it, and a change to the contract shows in a review.
//!
//! `somo openapi` writes it; `somo openapi --check`, and a test here, fail when the file is not what the code says.

use std::path::Path;

use anyhow::{Context, bail};

/// The document as the file has it: sorted, indented, with a line feed at its end.
#[must_use]
pub fn text() -> String {
    format!("{:#}\n", api::document())
}

/// Writes the document.
///
/// # Errors
/// The file can't be written.
pub fn write(path: impl AsRef<Path>) -> anyhow::Result<()> {
    let path = path.as_ref();
    std::fs::write(path, text()).with_context(|| format!("{} can't be written", path.display()))
}

/// Whether the file is what the code says.
///
/// # Errors
/// It can't be read, or differs; the first difference is told.
pub fn check(path: impl AsRef<Path>) -> anyhow::Result<()> {
    let path = path.as_ref();
    let found =
        std::fs::read_to_string(path).with_context(|| format!("{} can't be read; run `somo openapi` to write it", path.display()))?;
    match difference(&found, &text()) {
        None => Ok(()),
        Some(difference) => bail!("{} is out of date: {difference}\nRun `somo openapi` and commit the file.", path.display()),
    }
}

/// The first line that differs, in words.
fn difference(found: &str, expected: &str) -> Option<String> {
    if found == expected {
        return None;
    }
    let (mut found, mut expected) = (found.lines(), expected.lines());
    for line in 1.. {
        match (found.next(), expected.next()) {
            (Some(found), Some(expected)) if found == expected => {}
            (None, None) => break,
            (found, expected) => {
                let shown = |line: Option<&str>| line.map_or_else(|| "nothing".to_owned(), |line| format!("`{}`", line.trim()));
                return Some(format!("line {line} has {}, the code says {}", shown(found), shown(expected)));
            }
        }
    }
    Some("only its line ends differ".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_current() {
        check(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json")).expect("the file is current");
    }

    #[test]
    fn the_first_difference_is_told() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(difference("a\n  b\n", "a\nc\n").as_deref(), Some("line 2 has `b`, the code says `c`"));
        assert_eq!(difference("a\n", "a\nc\n").as_deref(), Some("line 2 has nothing, the code says `c`"));
        assert_eq!(difference("a", "a\n").as_deref(), Some("only its line ends differ"));
    }
}
