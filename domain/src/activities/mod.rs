//! Activities: what somebody is going to do.
//!
//! What an activity is, is in `activity`; the [`calendar`] shows those of some days; the [`feed`] brings them into people's
//! calendar programs, in the words of `ical`; the [`reminder`] tells of one before it begins.

pub(crate) mod activity;
pub(crate) mod activity_type;
pub mod calendar;
pub mod feed;
mod ical;
pub mod reminder;
