//! The HTTP API against a real server, on both databases.

mod access;
mod accounts;
mod attachments;
mod board;
mod brands;
mod calendar;
mod collaboration;
mod contacts;
mod conversations;
mod deals;
mod devices;
mod events;
mod files;
mod health;
mod idempotency;
mod invitations;
mod migrations;
mod problems;
mod saved_views;
mod schedules;
mod second_factor;
mod sending;
mod sessions;
mod settings;
mod sign_in;
mod webhook;
