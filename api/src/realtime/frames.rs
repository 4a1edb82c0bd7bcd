//! Frames as they are on the wire.

use domain::{
    Error,
    realtime::{End, Place, State},
};
use poem::web::websocket::CloseCode;
use poem_openapi::types::ToJSON;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::problem::Failure;

/// What a client may send.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Asked {
    /// Who they are: the first frame, and again before the token ends.
    Auth { token: String },
    /// What they want to be told.
    Subscribe {
        subscription: Option<String>,
        #[serde(default)]
        topics: Vec<String>,
        /// Of one record: who is there.
        presence: Option<Place>,
        after: Option<String>,
        filter: Option<Value>,
        view_id: Option<Uuid>,
    },
    /// What they don't want to be told any more.
    Unsubscribe { subscription: String },
    /// What they do at a record.
    Presence { topic: String, subject_id: Uuid, state: State },
    /// Whether anybody is there.
    Ping {},
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// As the hub has it.
    End(End),
    /// They never said who they are.
    AuthTimeout,
    /// They are nobody.
    Unauthorized,
    /// Their access token has ended.
    Expired,
    /// There are too many.
    TooManyConnections,
    /// They send too much.
    TooManyFrames,
    /// Nothing is heard of them.
    Idle,
    /// They sent what is no frame of text, or one that is too large.
    BadFrame,
    /// The database is away.
    Unavailable,
}

impl Closing {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::End(end) => end.as_str(),
            Self::AuthTimeout => "auth_timeout",
            Self::Unauthorized => "unauthorized",
            Self::Expired => "expired",
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyFrames => "too_many_frames",
            Self::Idle => "idle",
            Self::BadFrame => "bad_frame",
            Self::Unavailable => "unavailable",
        }
    }

    /// The code that the connection is closed with.
    pub(super) fn code(self) -> CloseCode {
        CloseCode::from(match self {
            Self::End(End::Restarting) => 1012,
            Self::End(End::SlowReader) => 4008,
            Self::AuthTimeout | Self::Idle => 4408,
            Self::Unauthorized | Self::Expired | Self::End(End::Revoked) => 4401,
            Self::TooManyConnections | Self::TooManyFrames => 4429,
            Self::BadFrame => 1003,
            Self::Unavailable => 1013,
        })
    }

    pub(super) fn frame(self) -> String {
        json!({ "type": "closing", "reason": self.reason() }).to_string()
    }
}

/// `after` names no event that is kept.
pub(super) fn too_old() -> Error {
    Error::conflict("too_old", "the event in after is not kept any more; load what you show again, and subscribe without after")
}

/// What can't be done, in the words of a problem.
pub(super) fn error(error: Error, subscription: Option<&str>) -> String {
    let draft = Failure(error).draft();
    let mut frame = json!({ "type": "error", "code": draft.code, "message": draft.detail });
    if let Some(errors) = draft.errors {
        frame["errors"] = errors.to_json().unwrap_or_default();
    }
    if let Some(name) = subscription {
        frame["subscription"] = json!(name);
    }
    frame.to_string()
}

/// An event that somebody has seen.
pub(super) fn event_id(text: &str) -> Result<Uuid, Error> {
    Uuid::parse_str(text).map_err(|_| Error::field("/after", "invalid", "takes the id of an event that you were sent"))
}
