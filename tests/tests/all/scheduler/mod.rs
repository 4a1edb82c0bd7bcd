//! The scheduler as processes.

mod occurrences;
