//! Cron occurrences become jobs, each exactly once.
