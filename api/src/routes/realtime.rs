use std::sync::Arc;

use domain::{Error, realtime::Wanted};
use poem::{
    Request,
    web::{
        cookie::CookieJar,
        websocket::{BoxWebSocketUpgraded, WebSocket, WebSocketConfig},
    },
};
use poem_openapi::{
    OpenApi,
    param::{Header, Query},
};
use uuid::Uuid;

use crate::{
    Guard, Tag,
    guard::bearer,
    problem::Answer,
    realtime::{Events, Realtime, serve},
};

/// The cookie that the panel's page listens with, since a browser's `EventSource` sends no header.
pub(crate) const COOKIE: &str = "somo_events";

/// Where it is sent.
pub(crate) const EVENTS: &str = "/api/events";

pub(crate) struct Listening {
    pub(crate) realtime: Realtime,
    pub(crate) guard: Arc<Guard>,
}

#[OpenApi(tag = "Tag::Realtime")]
impl Listening {
    /// A WebSocket over which you are told what happens. The first frame says who you are, `{"type":"auth","token":…}`; then
    /// `{"type":"subscribe","topics":["conversations","deals"],"after":…}`. docs/realtime.md has all frames.
    #[oai(path = "/realtime", method = "get", operation_id = "realtime_connect")]
    async fn connect(&self, socket: WebSocket) -> BoxWebSocketUpgraded {
        let (realtime, guard) = (self.realtime.clone(), self.guard.clone());
        // Whoever sends a little too much is told so; of what is far too much nothing is read.
        let frame = realtime.frame_bytes().saturating_mul(4);
        let config = WebSocketConfig::default().max_message_size(Some(frame)).max_frame_size(Some(frame));
        socket.config(config).on_upgrade(move |socket| serve(realtime, guard, socket)).boxed()
    }

    /// What happens, as server-sent events. A browser's `EventSource` comes back by itself, with `Last-Event-ID`, and misses
    /// nothing; it has the cookie of the sign-in, everybody else sends a token.
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the address")]
    #[oai(path = "/events", method = "get", operation_id = "events_stream")]
    async fn stream(
        &self,
        request: &Request,
        cookies: &CookieJar,
        /// About which resources, with commas between them: `conversations,deals`.
        #[oai(validator(max_length = 2000))]
        topics: Query<Option<String>>,
        /// The id of the last event that you have seen: you are sent what came since. Left out: only what happens from now on.
        #[oai(validator(max_length = 100))]
        after: Query<Option<String>>,
        /// The same, as browsers send it; it goes before `after`.
        #[oai(name = "Last-Event-ID", validator(max_length = 100))]
        last: Header<Option<String>>,
        /// Of which records: a filter as lists take it, of the record itself, with one topic.
        #[oai(validator(max_length = 2500))]
        filter: Query<Option<String>>,
        /// Of which records: those of a saved view, with one topic.
        view_id: Query<Option<Uuid>>,
    ) -> Answer<Events> {
        const NOBODY: Error =
            Error::Unauthorized { code: "unauthorized", message: "sign in, or send a valid token as Authorization: Bearer …" };
        let cookie = || cookies.get(COOKIE).map(|cookie| cookie.value_str().to_owned());
        let token = bearer(request).map(str::to_owned).or_else(cookie).filter(|token| !token.is_empty()).ok_or(NOBODY)?;
        self.guard.principal(&token).await?;
        let topics = topics.0.unwrap_or_default().split(',').map(str::trim).filter(|topic| !topic.is_empty()).map(str::to_owned).collect();
        let read = |text: String| serde_json::from_str(&text).map_err(|_| Error::field("/filter", "invalid", "is no JSON"));
        let wanted = Wanted { topics, filter: filter.0.map(read).transpose()?, view_id: view_id.0 };
        let after = last.0.or(after.0).filter(|id| !id.is_empty());
        Ok(Events::begin(&self.realtime, &self.guard, token, wanted, after.as_deref()).await?)
    }
}
