//! The payloads of all jobs: ids, never copies of records. Their names and shapes outlive releases: a snapshot test holds them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use entities::{
    AttachmentId, BulkRunId, ContactId, ConversationId, DeviceId, ExportId, ImportId, InboxId, InvitationId, MediaId, MessageId,
    PasswordResetId, UserId, WebhookDeliveryId,
};
use jobs::{Job, Priority, queue};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! payloads {
    ($($(#[$doc:meta])* $name:ident = $kind:literal, $queue:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* } $(with { $($constant:ident: $constant_type:ty = $value:expr,)* })?);+ $(;)?) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
            pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

            impl Job for $name {
                const KIND: &'static str = $kind;
                const QUEUE: &'static str = queue::$queue;
                $($(const $constant: $constant_type = $value;)*)?
            }
        )+

        /// The queue of a kind, for schedules that name only the kind.
        #[must_use]
        pub fn queue_of(kind: &str) -> Option<&'static str> {
            match kind { $($kind => Some(queue::$queue),)+ _ => None }
        }
    };
}

payloads! {
    /// Hands a queued message to WhatsApp.
    SendMessage = "whatsapp.send_message", WHATSAPP_SEND {
        /// Which.
        message_id: MessageId,
    } with { PRIORITY: Priority = Priority::Urgent, };

    /// Tells WhatsApp that a conversation was read, or that somebody is typing.
    MarkRead = "whatsapp.mark_read", WHATSAPP_SEND {
        /// Which.
        conversation_id: ConversationId,
        /// Whether somebody is typing.
        typing: bool,
    } with { MAX_ATTEMPTS: i16 = 3, };

    /// Takes a change from the inbox into its conversation.
    IngestWebhook = "whatsapp.ingest_webhook", WHATSAPP_RECEIVE {
        /// Which.
        inbox_id: InboxId,
    } with { PRIORITY: Priority = Priority::Urgent, };

    /// Fetches a file from WhatsApp.
    FetchMedia = "whatsapp.fetch_media", WHATSAPP_MEDIA {
        /// Which.
        media_id: MediaId,
    } with { TIMEOUT: Duration = Duration::from_secs(300), MAX_ATTEMPTS: i16 = 8, };

    /// Completes a contact from what it is called elsewhere.
    SyncContact = "contacts.sync", CONTACT_SYNC {
        /// Which.
        contact_id: ContactId,
    };

    /// Sends a notice to a user by mail.
    SendMail = "mail.send", MAIL_SEND {
        /// To whom.
        user_id: UserId,
        /// What about.
        notice: Notice,
    };

    /// Mails somebody the link with which they join.
    SendInvitation = "mail.invite", MAIL_SEND {
        /// Which invitation.
        invitation_id: InvitationId,
    };

    /// Reminds whom an activity concerns of it.
    RemindActivity = "activities.remind", NOTIFICATIONS {
        /// Which.
        activity_id: Uuid,
        /// For which time: one that has moved meanwhile has a job of its own.
        at: DateTime<Utc>,
    };

    /// Tells a webhook what happened: one try. The pauses between them are the webhook's own.
    DeliverWebhook = "webhooks.deliver", WEBHOOKS {
        /// Which.
        delivery_id: WebhookDeliveryId,
    } with { TIMEOUT: Duration = Duration::from_secs(30), MAX_ATTEMPTS: i16 = 12, };

    /// Rolls up the hours and days that messages were written in since a time.
    RollUpStatistics = "statistics.roll_up", STATISTICS {
        /// Hours back from now; two cover late statuses.
        hours: u32,
    } with { TIMEOUT: Duration = Duration::from_secs(600), };

    /// Asks every device how it is.
    CheckDevices = "whatsapp.check_devices", MAINTENANCE {} with { TIMEOUT: Duration = Duration::from_secs(600), };

    /// Takes a file out of the store that was on a record.
    DeleteFile = "files.delete", MAINTENANCE {
        /// Which.
        attachment_id: AttachmentId,
    };

    /// Deletes what is over: finished jobs, ingested deliveries, old keys.
    Purge = "maintenance.purge", MAINTENANCE {} with { TIMEOUT: Duration = Duration::from_secs(600), };

    /// Does to many records what somebody asked for.
    RunBulk = "records.bulk", IMPORTS {
        /// What, and to which.
        bulk_run_id: BulkRunId,
    } with { TIMEOUT: Duration = Duration::from_secs(600), PRIORITY: Priority = Priority::Bulk, };

    /// Takes the rows of a file.
    RunImport = "records.import", IMPORTS {
        /// Which file, and what is made of it.
        import_id: ImportId,
    } with { TIMEOUT: Duration = Duration::from_secs(600), PRIORITY: Priority = Priority::Bulk, };

    /// Takes back what an import wrote.
    RevertImport = "records.import.revert", IMPORTS {
        /// Which one.
        import_id: ImportId,
    } with { TIMEOUT: Duration = Duration::from_secs(600), PRIORITY: Priority = Priority::Bulk, };

    /// Writes a file that somebody asked for.
    RunExport = "records.export", EXPORTS {
        /// Which one.
        export_id: ExportId,
    } with { TIMEOUT: Duration = Duration::from_secs(3600), PRIORITY: Priority = Priority::Bulk, };

    /// Takes records into the text index, from a place on. The migration that makes the index enqueues it.
    RebuildSearch = "search.rebuild", MAINTENANCE {
        /// In which resource to go on; from the beginning, if none is named.
        topic: Option<String>,
        /// After which of its records.
        after: Option<Uuid>,
    } with { TIMEOUT: Duration = Duration::from_secs(600), PRIORITY: Priority = Priority::Bulk, };
}

/// What a user is told by mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum Notice {
    /// Somebody signed in as them from a new place.
    Login {
        /// When.
        at: DateTime<Utc>,
        /// From which address.
        address: Option<String>,
        /// With which program.
        user_agent: Option<String>,
    },
    /// They forgot their password, and get a link.
    PasswordReset {
        /// Which.
        reset_id: PasswordResetId,
    },
    /// They have another password.
    PasswordChanged {
        /// Since when.
        at: DateTime<Utc>,
    },
    /// A device doesn't work any more.
    DeviceDown {
        /// Which.
        device_id: DeviceId,
    },
    /// An activity is due soon.
    Activity {
        /// Which.
        activity_id: Uuid,
        /// For which time they are reminded.
        at: DateTime<Utc>,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Jobs written by one release are run by the next: a change here needs a new kind.
    #[test]
    fn payloads_keep_their_shape() {
        let id = Uuid::nil();
        let nil = id.to_string();
        assert_eq!(json!(SendMessage { message_id: MessageId(id) }), json!({ "message_id": nil }));
        assert_eq!(
            json!(MarkRead { conversation_id: ConversationId(id), typing: false }),
            json!({ "conversation_id": nil, "typing": false })
        );
        assert_eq!(json!(IngestWebhook { inbox_id: InboxId(id) }), json!({ "inbox_id": nil }));
        assert_eq!(json!(FetchMedia { media_id: MediaId(id) }), json!({ "media_id": nil }));
        assert_eq!(json!(SyncContact { contact_id: ContactId(id) }), json!({ "contact_id": nil }));
        assert_eq!(json!(RollUpStatistics { hours: 2 }), json!({ "hours": 2 }));
        assert_eq!(json!(CheckDevices {}), json!({}));
        assert_eq!(json!(DeleteFile { attachment_id: AttachmentId(id) }), json!({ "attachment_id": nil }));
        assert_eq!(json!(DeliverWebhook { delivery_id: WebhookDeliveryId(id) }), json!({ "delivery_id": nil }));
        assert_eq!(json!(Purge {}), json!({}));
        assert_eq!(json!(RunBulk { bulk_run_id: BulkRunId(id) }), json!({ "bulk_run_id": nil }));
        assert_eq!(json!(RunImport { import_id: ImportId(id) }), json!({ "import_id": nil }));
        assert_eq!(json!(RunExport { export_id: ExportId(id) }), json!({ "export_id": nil }));
        assert_eq!(json!(RevertImport { import_id: ImportId(id) }), json!({ "import_id": nil }));
        assert_eq!(json!(RebuildSearch { topic: None, after: None }), json!({ "topic": null, "after": null }));
        assert_eq!(json!(RebuildSearch { topic: Some("deals".into()), after: Some(id) }), json!({ "topic": "deals", "after": nil }));
        let mail = SendMail { user_id: UserId(id), notice: Notice::DeviceDown { device_id: DeviceId(id) } };
        assert_eq!(json!(mail), json!({ "user_id": nil, "notice": { "about": "device_down", "device_id": nil } }));
        assert_eq!(json!(SendInvitation { invitation_id: InvitationId(id) }), json!({ "invitation_id": nil }));
        let reset = Notice::PasswordReset { reset_id: PasswordResetId(id) };
        assert_eq!(json!(reset), json!({ "about": "password_reset", "reset_id": nil }));
        let at: DateTime<Utc> = "2026-12-01T12:30:00Z".parse().expect("a time");
        assert_eq!(json!(RemindActivity { activity_id: id, at }), json!({ "activity_id": nil, "at": "2026-12-01T12:30:00Z" }));
        let notice = json!({ "about": "activity", "activity_id": nil, "at": "2026-12-01T12:30:00Z" });
        assert_eq!(json!(Notice::Activity { activity_id: id, at }), notice);
        assert_eq!(json!(Notice::PasswordChanged { at }), json!({ "about": "password_changed", "at": "2026-12-01T12:30:00Z" }));
    }
}
