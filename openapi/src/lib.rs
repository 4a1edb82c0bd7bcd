//! Writes and checks openapi.json.
