//! Serves the built panel.
