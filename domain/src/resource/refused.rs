//! What a record is refused for, where many are written and each is told of by itself.

use crate::{Error, FieldError, Result};

/// Why a record was not written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    /// Stable, for programs.
    pub(crate) code: String,
    /// The field, where it is about one.
    pub(crate) pointer: Option<String>,
    /// For people.
    pub(crate) message: String,
}

/// What is no fault of the record's is none of it: it ends all of the transaction.
pub(crate) fn refused(error: Error) -> Result<Refused> {
    let message = error.to_string();
    let (code, pointer, message) = match error {
        Error::NotFound(_) => ("not_found", None, message),
        Error::Forbidden(_) => ("forbidden", None, message),
        Error::Changed => ("changed", None, message),
        Error::Conflict { code, message } => (code, None, message),
        Error::Invalid(faults) => {
            let said = |fault: &FieldError| format!("{} {}", fault.pointer.trim_start_matches('/'), fault.message);
            let message = faults.iter().map(said).collect::<Vec<_>>().join("; ");
            let first = faults.into_iter().next();
            (first.as_ref().map_or("invalid", |fault| fault.code), first.map(|fault| fault.pointer), message)
        }
        other => return Err(other),
    };
    Ok(Refused { code: code.to_owned(), pointer, message })
}
