//! The job ledger: SQL decides, Redis delivers.
