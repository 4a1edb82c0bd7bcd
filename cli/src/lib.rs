//! The somo binary.
