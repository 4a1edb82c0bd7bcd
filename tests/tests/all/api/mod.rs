//! The HTTP API against a real server, on both databases.

mod access;
mod board;
mod brands;
mod calendar;
mod conversations;
mod deals;
mod devices;
mod events;
mod files;
mod health;
mod idempotency;
mod migrations;
mod problems;
mod schedules;
mod sending;
mod settings;
mod sign_in;
mod webhook;
