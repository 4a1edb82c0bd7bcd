//! The tables as sea-orm entities, with ids and enums of their own.
//!
//! What a column means stands in the migrations. No rules here: those are in `domain`. To add a table: its migration, a
//! file here, a line below.
#![expect(missing_docs, reason = "columns are explained where they are made, in the migrations")]

mod enums;
mod ids;

pub mod attachment;
pub mod bulk_fault;
pub mod bulk_run;
pub mod calendar_feed;
pub mod comment;
pub mod comment_mention;
pub mod comment_reaction;
pub mod contact;
pub mod contact_email;
pub mod contact_identity;
pub mod contact_phone;
pub mod event;
pub mod export;
pub mod follower;
pub mod idempotency_key;
pub mod import;
pub mod import_fault;
pub mod import_record;
pub mod invitation;
pub mod merge;
pub mod merge_move;
pub mod merge_record;
pub mod notification;
pub mod password_reset;
pub mod personal_access_token;
pub mod recovery_code;
pub mod schedule;
pub mod second_factor;
pub mod session;
pub mod setting;
pub mod sign_in_failure;
pub mod tenant;
pub mod user;
pub mod webhook;
pub mod webhook_attempt;
pub mod webhook_delivery;
pub mod whatsapp_attendant;
pub mod whatsapp_auto_response;
pub mod whatsapp_conversation;
pub mod whatsapp_device;
pub mod whatsapp_inbox;
pub mod whatsapp_media;
pub mod whatsapp_message;
pub mod whatsapp_message_event;
pub mod whatsapp_queue;
pub mod whatsapp_rate;
pub mod whatsapp_statistic;

pub use enums::*;
pub use ids::*;
