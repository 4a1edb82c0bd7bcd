//! Pages of a list, by keyset: a cursor names the last row seen, so that rows written meanwhile shift nothing.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use chrono::{DateTime, Datelike, Utc};
use serde::{Serialize, de::DeserializeOwned};

use crate::Error;

/// What part of a list.
#[derive(Clone, Debug)]
pub struct Paging {
    /// How many rows, 1 to 200.
    pub limit: u64,
    /// After which row, as the page before said.
    pub cursor: Option<String>,
}

/// Part of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next_cursor: Option<String>,
}

fn invalid() -> Error {
    Error::field("/cursor", "invalid", "is not a cursor of this list; leave it out to start at the beginning")
}

/// Whether every database can keep a time: years of four digits.
#[must_use]
pub fn plausible(at: DateTime<Utc>) -> bool {
    (1..=9999).contains(&at.year())
}

/// Where a list in the order of a time stands: rows without one come last.
pub type Moment<I> = (Option<DateTime<Utc>>, I);

impl Paging {
    /// Where it begins.
    ///
    /// # Errors
    /// The cursor is not one of this list.
    pub fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, Error> {
        let decode = |cursor: &String| BASE64.decode(cursor).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or_else(invalid);
        self.cursor.as_ref().map(decode).transpose()
    }

    /// [`Paging::after`] for a list in the order of a time.
    ///
    /// # Errors
    /// As there.
    pub fn after_time<I: DeserializeOwned>(&self) -> Result<Option<Moment<I>>, Error> {
        match self.after::<Moment<I>>()? {
            Some((Some(at), _)) if !plausible(at) => Err(invalid()),
            other => Ok(other),
        }
    }

    /// The page made of up to `limit + 1` rows that were read.
    pub fn page<T, K: Serialize>(&self, mut rows: Vec<T>, key: impl Fn(&T) -> K) -> Page<T> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next_cursor = last.map(|row| BASE64.encode(serde_json::to_vec(&key(row)).expect("a key is plain")));
        Page { data: rows, next_cursor }
    }
}

impl<T> Page<T> {
    /// The same page of something else.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page { data: self.data.into_iter().map(change).collect(), next_cursor: self.next_cursor }
    }
}
