//! Typed settings: defaults, then somo.toml, then SOMO_* variables; checked at start.
