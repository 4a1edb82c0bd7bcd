//! Job handlers, one file per job.
