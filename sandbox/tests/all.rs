//! The sandbox over real HTTP: what it takes, what it refuses, what it tells, and how it misbehaves.

mod bodies;
mod channel;
mod faults;
mod support;
mod webhooks;
