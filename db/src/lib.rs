//! Opens PostgreSQL and SQLite the way SOMO needs them: durable, quick and read pools, the right transaction mode.
