//! Ids that can't be mixed up.

use poem_openapi::NewType;
use sea_orm::{DeriveValueType, entity::prelude::*};
use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)+) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, NewType, DeriveValueType)]
        #[serde(transparent)]
        #[oai(to_header = false)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new one; later ones sort after it.
            #[must_use]
            #[expect(clippy::new_without_default, reason = "every call gives another one")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl sea_orm::TryFromU64 for $name {
            fn try_from_u64(_: u64) -> Result<Self, DbErr> {
                Err(DbErr::ConvertFromU64(stringify!($name)))
            }
        }
    )+ };
}

ids! {
    /// A tenant's id.
    TenantId
    /// A user's id.
    UserId
    /// A session's id.
    SessionId
    /// A personal access token's id.
    TokenId
    /// A contact's id.
    ContactId
    /// A WhatsApp device's id.
    DeviceId
    /// A conversation's id.
    ConversationId
    /// A message's id.
    MessageId
    /// A media file's id.
    MediaId
    /// An inbox row's id.
    InboxId
    /// A schedule's id.
    ScheduleId
    /// A comment's id.
    CommentId
    /// A notification's id.
    NotificationId
    /// An attachment's id.
    AttachmentId
    /// A webhook's id.
    WebhookId
    /// The id of what a webhook is told.
    WebhookDeliveryId
    /// The id of one try to deliver it.
    WebhookAttemptId
    /// The id of a run over many records.
    BulkRunId
    /// An export's id.
    ExportId
    /// An import's id.
    ImportId
    /// The id of records that became one.
    MergeId
    /// A mailed link's id: another password.
    PasswordResetId
    /// A mailed link's id: an invitation.
    InvitationId
}
