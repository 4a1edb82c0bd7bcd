//! Columns with few values.

use poem_openapi::Enum;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

macro_rules! enums {
    ($($(#[$doc:meta])* $name:ident { $($(#[$case_doc:meta])* $case:ident = $value:literal)+ })+) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Enum, Serialize, Deserialize)]
        #[sea_orm(rs_type = "String", db_type = "Text")]
        #[serde(rename_all = "snake_case")]
        #[oai(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$case_doc])* #[sea_orm(string_value = $value)] $case,)+
        }

        impl $name {
            /// As in SQL and JSON.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$case => $value,)+ }
            }
        }
    )+ };
}

enums! {
    /// What a user may do at most.
    Role {
        /// Everything in the tenant.
        Admin = "admin"
        /// Works with conversations and contacts.
        Agent = "agent"
        /// Looks.
        Viewer = "viewer"
        /// Nothing but what their roles grant.
        Member = "member"
    }
    /// How a device reaches WhatsApp.
    Provider {
        /// Meta's Cloud API.
        Cloud = "cloud"
        /// The multi-device protocol of a phone.
        Web = "web"
    }
    /// Whether a device works.
    DeviceStatus {
        /// Not yet known.
        Connecting = "connecting"
        /// It works.
        Connected = "connected"
        /// WhatsApp asked to send less.
        Slowed = "slowed"
        /// WhatsApp stopped it.
        Stopped = "stopped"
        /// Its token is refused.
        Unauthorized = "unauthorized"
        /// It can't be reached.
        Disconnected = "disconnected"
    }
    /// Where a conversation stands.
    ConversationStatus {
        /// Somebody is on it.
        Open = "open"
        /// Waits for somebody.
        Pending = "pending"
        /// Put off.
        Snoozed = "snoozed"
        /// Over.
        Resolved = "resolved"
    }
    /// Which way a message went.
    Direction {
        /// From the customer.
        In = "in"
        /// To the customer.
        Out = "out"
    }
    /// Where a message is.
    MessageStatus {
        /// Received from the customer.
        Received = "received"
        /// Waits for its turn.
        Queued = "queued"
        /// Being given to WhatsApp right now.
        Handed = "handed"
        /// WhatsApp may or may not have it; a status from WhatsApp settles it. It is never sent again by itself.
        Unknown = "unknown"
        /// WhatsApp has it.
        Accepted = "accepted"
        /// WhatsApp has sent it.
        Sent = "sent"
        /// It is on the customer's phone.
        Delivered = "delivered"
        /// The customer has seen it.
        Read = "read"
        /// It will not arrive.
        Failed = "failed"
    }
    /// Whether a file is here.
    MediaState {
        /// Being fetched.
        Pending = "pending"
        /// Here.
        Stored = "stored"
        /// It could not be fetched.
        Failed = "failed"
    }
    /// What becomes of occurrences that were missed while no scheduler ran.
    CatchUp {
        /// Each of them is run.
        All = "all"
        /// The last of them is run.
        Latest = "latest"
        /// None of them.
        Skip = "skip"
    }
    /// What somebody is told.
    NotificationKind {
        /// A comment mentions them.
        Mentioned = "mentioned"
        /// Somebody commented on a record that they follow.
        Commented = "commented"
        /// A record is theirs now.
        Assigned = "assigned"
        /// A deal that they follow is won.
        Won = "won"
        /// A deal that they follow is lost.
        Lost = "lost"
        /// A webhook is told nothing any more: it failed for days, or its address is gone for good.
        WebhookPaused = "webhook_paused"
    }
    /// Whether a webhook is told what happens.
    WebhookState {
        /// It is, and its last delivery arrived.
        Active = "active"
        /// It is, but nothing has arrived for a while.
        Failing = "failing"
        /// Somebody turned it off.
        Disabled = "disabled"
        /// It failed for days.
        Paused = "paused"
        /// Its address said that it is gone for good.
        Ended = "ended"
    }
    /// What became of something that a webhook is told.
    WebhookDeliveryState {
        /// It waits for its first or its next try.
        Pending = "pending"
        /// It arrived.
        Delivered = "delivered"
        /// It was tried as often as it may be.
        Failed = "failed"
        /// It was given up before: nobody listens any more.
        Cancelled = "cancelled"
    }
}

impl MessageStatus {
    /// How far a message is; one never goes back, and a failure never undoes an arrival.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Queued => 0,
            Self::Handed => 1,
            Self::Unknown => 2,
            Self::Accepted => 3,
            Self::Sent => 4,
            Self::Failed => 5,
            Self::Delivered => 6,
            Self::Read => 7,
            Self::Received => 8,
        }
    }

    /// Whether a message in this status becomes `next` when WhatsApp says so.
    #[must_use]
    pub fn rises_to(self, next: Self) -> bool {
        next.rank() > self.rank()
    }
}
