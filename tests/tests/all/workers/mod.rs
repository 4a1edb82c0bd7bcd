//! Messages out and in through the handlers, against the sandbox, on both databases.

mod care;
mod errors;
mod files;
mod inbound;
mod mail;
mod outbound;
mod pace;
mod reminders;
