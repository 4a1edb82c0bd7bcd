//! Calls: that somebody talked to somebody by phone.

pub(crate) mod call;
pub(crate) mod outcome;
