//! What can go wrong, in terms of the domain. The api turns it into problem+json in one place.

use db::DbErr;

/// A result of the domain.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tenant has no such thing.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// Fields that can't be taken as they are.
    #[error("{} fields are invalid", .0.len())]
    Invalid(Vec<FieldError>),
    /// The state of things doesn't allow it.
    #[error("{message}")]
    Conflict {
        /// Stable, for programs.
        code: &'static str,
        /// For people: what to do.
        message: String,
    },
    /// The record is not the one that the caller has seen.
    #[error("somebody else has changed it")]
    Changed,
    /// The caller may not do this.
    #[error("needs the ability {0}")]
    Forbidden(&'static str),
    /// The caller didn't prove who they are.
    #[error("{message}")]
    Unauthorized {
        /// Stable, for programs.
        code: &'static str,
        /// For people.
        message: &'static str,
    },
    /// Too often; again after so many seconds.
    #[error("too many requests")]
    TooManyRequests {
        /// Seconds.
        retry_after: u64,
    },
    /// Something needed is away for now.
    #[error("{0}")]
    Unavailable(&'static str),
    /// The database's.
    #[error(transparent)]
    Db(#[from] DbErr),
    /// A fault of ours.
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

/// A field that can't be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Where, as a JSON pointer into the body.
    pub pointer: String,
    /// Stable, for programs: `required`, `too_long`, `invalid`, `not_found`, …
    pub code: &'static str,
    /// For people: what to do.
    pub message: String,
}

impl Error {
    /// One wrong field.
    #[must_use]
    pub fn field(pointer: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError { pointer: pointer.into(), code, message: message.into() }])
    }

    /// A state that doesn't allow it.
    #[must_use]
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::Conflict { code, message: message.into() }
    }
}
