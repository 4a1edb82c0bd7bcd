//! Finding records by words, with a text index in SQL.
//!
//! Each searched field of a record is a row of `search_texts`, written in the transaction that writes the record. Its text is
//! without case and accents, and has two spaces before each word: so everything that is looked for has at least three
//! characters, which is what both databases' indexes are made of.
//! - `texts`: what is kept; [`mod@rebuild`] makes it anew.
//! - `words`: what is asked; [`everywhere`] asks all resources at once.

pub mod everywhere;
pub mod rebuild;
pub(crate) mod texts;
pub(crate) mod words;
