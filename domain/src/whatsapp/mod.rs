//! WhatsApp in the CRM: devices, conversations, messages, the way in and the way out.
//!
//! A message goes out: [`messages::send`] writes it with its job, the handler in `workers` hands it over and calls
//! [`delivery`]. One comes in: [`webhook::keep`] writes the delivery with a job, the handler calls [`ingest`].

pub mod conversations;
pub mod delivery;
pub mod devices;
pub mod ingest;
pub mod media;
pub mod messages;
pub mod rates;
pub mod statistics;
pub mod webhook;
