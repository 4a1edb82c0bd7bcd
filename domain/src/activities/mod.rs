//! Activities: what somebody is going to do.

pub(crate) mod activity;
pub(crate) mod activity_type;
