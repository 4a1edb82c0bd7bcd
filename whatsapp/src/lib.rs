//! WhatsApp behind one [`Channel`](channel::Channel): what can be sent, how it is sent, what comes back.
//!
//! - [`message`]: what a message says; the HTTP API takes these types as they are.
//! - [`cloud`]: Meta's Cloud API over HTTP, its webhooks and its errors.
//! - [`phone`]: one spelling for each number.
//!
//! No database and no rules of the CRM here. Another provider is another folder that implements the trait.

pub mod channel;
pub mod cloud;
pub mod message;
pub mod phone;
