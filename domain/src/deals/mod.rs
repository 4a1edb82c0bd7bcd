//! Deals: what may be sold to whom, and how far it is.

pub(crate) mod deal;
pub(crate) mod lost_reason;
pub(crate) mod pipeline;
pub(crate) mod stage;
