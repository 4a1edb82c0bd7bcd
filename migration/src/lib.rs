//! Schema history, forward and back, for PostgreSQL and SQLite.
