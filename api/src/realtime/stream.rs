//! Server-sent events for one who is connected.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime},
};

use domain::{
    Error,
    realtime::{End, Frame, Interest, Start, Wanted},
};
use futures::stream::{self, BoxStream, StreamExt};
use poem::{
    IntoResponse, Response,
    http::HeaderValue,
    web::sse::{Event, SSE},
};
use poem_openapi::{
    ApiResponse, Object,
    payload::EventStream,
    registry::{MetaResponses, Registry},
};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::{
    Realtime, Refusal, Seat,
    frames::{Closing, event_id, too_old},
    socket::next_look,
};
use crate::guard::{Guard, Principal};

/// So often a comment is sent where there is nothing else, so that nobody on the way takes it for dead.
const ALIVE: Duration = Duration::from_secs(15);

/// Something that happened, as `data` of a server-sent event and as a frame of the WebSocket.
#[derive(Object)]
#[oai(rename = "RealtimeEvent")]
struct Told {
    /// `event`.
    #[oai(rename = "type")]
    kind: String,
    /// Its id: go on after it.
    id: Uuid,
    /// Which resource, such as `deals`.
    topic: String,
    /// What happened: `created`, `updated`, `deleted`, `restored`, `purged`, or what else can happen to one.
    action: String,
    /// Which record.
    subject_id: Uuid,
    /// What changed, as the record's timeline has it.
    data: Value,
}

/// Events without an end.
pub(crate) struct Events(BoxStream<'static, Event>);

impl IntoResponse for Events {
    fn into_response(self) -> Response {
        let mut response = SSE::new(self.0).keep_alive(ALIVE).into_response();
        // nginx would keep them back until it has a buffer full.
        response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
        response
    }
}

impl ApiResponse for Events {
    fn meta() -> MetaResponses {
        <EventStream<BoxStream<'static, Told>> as ApiResponse>::meta()
    }

    fn register(registry: &mut Registry) {
        <EventStream<BoxStream<'static, Told>> as ApiResponse>::register(registry);
    }
}

/// One who listens.
struct Listener {
    realtime: Realtime,
    guard: Arc<Guard>,
    token: String,
    principal: Arc<Principal>,
    seat: Seat,
    /// What comes before they are told live.
    start: Option<Start>,
    ready: VecDeque<Frame>,
    look: Instant,
    over: bool,
}

impl Events {
    /// Everything of `wanted` that happens from now on, or has since `after`.
    pub(crate) async fn begin(
        realtime: &Realtime,
        guard: &Arc<Guard>,
        token: String,
        wanted: Wanted,
        after: Option<&str>,
    ) -> Result<Self, Error> {
        let principal = guard.principal(&token).await?;
        let after = after.map(event_id).transpose()?;
        let interest = Interest::read(realtime.ledger.db(), &principal.scope(None), &wanted).await?;
        let seat = realtime.enter(&principal).map_err(|refusal| match refusal {
            Refusal::Unauthorized => Error::Forbidden("events"),
            Refusal::TooMany => Error::TooManyRequests { retry_after: 10 },
            Refusal::Restarting => Error::Unavailable("the process ends; ask again in a moment"),
        })?;
        let start = realtime.hub.start(&seat.client, String::new(), wanted, interest, after).await?.ok_or_else(too_old)?;
        // Said at once, so that who breaks off before anything happens knows where to go on.
        let hello = Event::message("{}").id(start.after.to_string()).event_type("ready");
        let listener = Listener {
            realtime: realtime.clone(),
            guard: guard.clone(),
            token,
            principal,
            seat,
            start: Some(start),
            ready: VecDeque::new(),
            look: next_look(),
            over: false,
        };
        let told = stream::unfold(listener, |mut listener| async move { Some((listener.next().await?, listener)) });
        Ok(Self(stream::iter([hello]).chain(told).boxed()))
    }
}

impl Listener {
    async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        match self.frame().await {
            Ok(Frame { id, text }) => {
                metrics::counter!("somo_realtime_frames_total").increment(1);
                let event = Event::message(text.to_string());
                Some(id.into_iter().fold(event, |event, id| event.id(id.to_string())))
            }
            Err(closing) => {
                self.over = true;
                Some(Event::message(closing.frame()).event_type("closing"))
            }
        }
    }

    async fn frame(&mut self) -> Result<Frame, Closing> {
        let client = self.seat.client.clone();
        loop {
            if let Some(end) = client.ended() {
                return Err(Closing::End(end));
            }
            if let Some(frame) = self.ready.pop_front() {
                return Ok(frame);
            }
            if let Some(start) = &mut self.start {
                match self.realtime.hub.missed(&client, start).await {
                    Ok(Some(frames)) => self.ready.extend(frames),
                    Ok(None) => self.start = None,
                    Err(error) => {
                        tracing::warn!(%error, "what somebody has missed could not be read");
                        return Err(Closing::Unavailable);
                    }
                }
                continue;
            }
            let until = self.principal.until.map(|until| Duration::from_secs(u64::try_from(until).unwrap_or(0)));
            let ends = until.map(|until| (SystemTime::UNIX_EPOCH + until).duration_since(SystemTime::now()).unwrap_or_default());
            tokio::select! {
                biased;
                end = client.over() => return Err(Closing::End(end)),
                () = tokio::time::sleep(ends.unwrap_or_default()), if ends.is_some() => return Err(Closing::Expired),
                () = client.stale() => self.look = self.look.min(Instant::now() + Duration::from_millis(rand::random_range(0..500))),
                () = sleep_until(self.look) => self.look_again().await?,
                Some(frame) = self.seat.inbox.next() => return Ok(frame),
            }
        }
    }

    async fn look_again(&mut self) -> Result<(), Closing> {
        self.look = next_look();
        let db = self.realtime.ledger.db();
        let seen = async {
            self.principal = self.guard.renewed(&self.token).await?;
            for (name, wanted) in self.seat.client.wanted() {
                self.seat.client.see(&name, Interest::read(db, &self.principal.scope(None), &wanted).await?);
            }
            Ok(())
        };
        match seen.await {
            Ok(()) => Ok(()),
            Err(Error::Unauthorized { .. } | Error::Invalid(_) | Error::Forbidden(_)) => Err(Closing::End(End::Revoked)),
            Err(error) => {
                tracing::warn!(%error, "what somebody may see could not be looked at");
                Err(Closing::Unavailable)
            }
        }
    }
}
