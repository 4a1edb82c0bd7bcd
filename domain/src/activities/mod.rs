//! Activities: what somebody is going to do.
//!
//! What an activity is, is in `activity`; the [`calendar`] shows those of some days.

pub(crate) mod activity;
pub(crate) mod activity_type;
pub mod calendar;
