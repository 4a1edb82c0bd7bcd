//! HTTP: poem-openapi routes, authentication, errors, webhook intake.
