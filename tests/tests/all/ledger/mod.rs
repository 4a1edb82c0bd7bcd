//! The job ledger: one conformance suite over both databases and all transports, then what only some of them can show.

mod conformance;
mod fairness;
mod risks;
mod routes;
mod several;
mod traps;
