//! The WebSocket of one who is connected.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use domain::{
    Error,
    realtime::{Frame, Interest, Place, Wanted},
};
use futures::{SinkExt, StreamExt};
use poem::web::websocket::{Message, WebSocketStream};
use serde_json::json;
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    Realtime, Refusal, Seat, credential,
    frames::{self, Asked, Closing, event_id, too_old},
};
use crate::guard::{Guard, Principal};

/// So long somebody has to say who they are.
const AUTH: Duration = Duration::from_secs(10);
/// So often they are asked whether they are there.
const PING: Duration = Duration::from_secs(20);
/// And so long they may be silent.
const SILENCE: Duration = Duration::from_secs(60);
/// So long a frame may take to be sent; what waits meanwhile is bounded besides.
const SENDING: Duration = Duration::from_secs(30);
/// So often what they may see is looked at again, whatever happens.
const LOOK: Duration = Duration::from_secs(60);
/// So often they may send a frame, and so many of them at once.
const PACE: Duration = Duration::from_millis(100);
const AT_ONCE: u32 = 300;
/// Frames that go out together.
const TOGETHER: usize = 256;
/// A name of a subscription is no longer than this.
const NAME: usize = 100;

/// Tells somebody until they go, or have to.
pub(crate) async fn serve(realtime: Realtime, guard: Arc<Guard>, mut socket: WebSocketStream) {
    let closing = match come_in(&realtime, &guard, &mut socket).await {
        Ok(mut connection) => connection.run(&mut socket).await,
        Err(closing) => Err(closing),
    };
    if let Err(closing) = closing {
        goodbye(&mut socket, closing).await;
    }
}

async fn goodbye(socket: &mut WebSocketStream, closing: Closing) {
    let say = async {
        socket.send(Message::Text(closing.frame())).await?;
        socket.send(Message::Close(Some((closing.code(), closing.reason().into())))).await?;
        // Until they have answered: a connection that is cut takes with it what they have not read yet.
        while let Some(Ok(_)) = socket.next().await {}
        Ok::<_, std::io::Error>(())
    };
    _ = timeout(Duration::from_secs(2), say).await; // they may be gone, or not read
}

/// The next frame of text; `None` when they are gone.
fn text(message: Option<Result<Message, std::io::Error>>, limit: usize) -> Result<Option<String>, Closing> {
    match message {
        Some(Ok(Message::Text(text))) if text.len() > limit => Err(Closing::BadFrame),
        Some(Ok(Message::Text(text))) => Ok(Some(text)),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(Some(String::new())),
        Some(Ok(Message::Binary(_))) => Err(Closing::BadFrame),
        // A frame that is far too large: nothing behind it can be read.
        Some(Err(error)) if error.kind() == std::io::ErrorKind::Other => Err(Closing::BadFrame),
        Some(Ok(Message::Close(_)) | Err(_)) | None => Ok(None),
    }
}

fn texts(frames: &[Frame]) -> Vec<Message> {
    frames.iter().map(|frame| Message::Text(frame.text.to_string())).collect()
}

/// The first frame says who they are.
async fn come_in(realtime: &Realtime, guard: &Arc<Guard>, socket: &mut WebSocketStream) -> Result<Connection, Closing> {
    let first = timeout(AUTH, async {
        loop {
            match text(socket.next().await, realtime.limits.frame_bytes)? {
                Some(text) if text.is_empty() => {}
                Some(text) => return Ok(text),
                None => return Err(Closing::Unauthorized),
            }
        }
    });
    let first = first.await.map_err(|_| Closing::AuthTimeout)??;
    let Ok(Asked::Auth { token }) = serde_json::from_str(&first) else { return Err(Closing::Unauthorized) };
    let principal = guard.principal(&token).await.map_err(|error| closing(&error))?;
    let seat = realtime.enter(&principal).map_err(|refusal| match refusal {
        Refusal::Unauthorized => Closing::Unauthorized,
        Refusal::TooMany => Closing::TooManyConnections,
        Refusal::Restarting => Closing::End(domain::realtime::End::Restarting),
    })?;
    let (now, realtime, guard) = (Instant::now(), realtime.clone(), guard.clone());
    let connection = Connection { realtime, guard, seat, token, principal, names: 0, heard: now, look: next_look(), due: now };
    let welcome = connection.welcome();
    connection.send(socket, welcome).await?;
    Ok(connection)
}

/// Who can't be asked about is told to come back.
pub(super) fn closing(error: &Error) -> Closing {
    match error {
        Error::Unauthorized { .. } => Closing::Unauthorized,
        error => {
            tracing::warn!(%error, "somebody could not be let in");
            Closing::Unavailable
        }
    }
}

/// One who is connected.
pub(super) struct Connection {
    pub(super) realtime: Realtime,
    guard: Arc<Guard>,
    pub(super) seat: Seat,
    token: String,
    pub(super) principal: Arc<Principal>,
    /// How many subscriptions were named for them.
    names: u32,
    /// When anything came from them.
    heard: Instant,
    /// When what they may see is looked at again.
    look: Instant,
    /// When all that they have sent would be due at an even pace.
    due: Instant,
}

/// Not of all at once, though they may have come at once.
pub(super) fn next_look() -> Instant {
    Instant::now() + LOOK.mul_f64(rand::random_range(0.75..1.25))
}

impl Connection {
    async fn run(&mut self, socket: &mut WebSocketStream) -> Result<(), Closing> {
        let mut ping = tokio::time::interval(PING);
        loop {
            let ends = self.ends();
            let client = self.seat.client.clone();
            tokio::select! {
                biased;
                end = client.over() => return Err(Closing::End(end)),
                () = sleep_until(ends.unwrap_or_else(|| Instant::now() + LOOK)), if ends.is_some() => return Err(Closing::Expired),
                () = client.stale() => self.look = self.look.min(Instant::now() + Duration::from_millis(rand::random_range(0..500))),
                () = sleep_until(self.look) => self.look_again(socket).await?,
                _ = ping.tick() => {
                    if self.heard.elapsed() > SILENCE {
                        return Err(Closing::Idle);
                    }
                    self.put(socket, vec![Message::Ping(Vec::new())]).await?;
                }
                message = socket.next() => {
                    self.heard = Instant::now();
                    match text(message, self.realtime.limits.frame_bytes)? {
                        None => return Ok(()),
                        Some(text) if text.is_empty() => {}
                        Some(text) => self.hear(socket, &text).await?,
                    }
                }
                frame = self.seat.inbox.next() => {
                    let mut frames: Vec<_> = frame.into_iter().collect();
                    while frames.len() < TOGETHER && let Some(frame) = self.seat.inbox.ready() {
                        frames.push(frame);
                    }
                    metrics::counter!("somo_realtime_frames_total").increment(frames.len() as u64);
                    self.put(socket, texts(&frames)).await?;
                }
            }
        }
    }

    /// Sends, unless they have to go meanwhile: whoever doesn't read mustn't keep their place.
    async fn put(&self, socket: &mut WebSocketStream, messages: Vec<Message>) -> Result<(), Closing> {
        let client = &self.seat.client;
        let send = async {
            for message in messages {
                socket.feed(message).await?;
            }
            socket.flush().await
        };
        tokio::select! {
            end = client.over() => Err(Closing::End(end)),
            // An error: they are gone, which is seen at the next look for what they say.
            sent = timeout(SENDING, send) => sent.map(|_| ()).map_err(|_| Closing::End(domain::realtime::End::SlowReader)),
        }
    }

    pub(super) async fn send(&self, socket: &mut WebSocketStream, text: String) -> Result<(), Closing> {
        self.put(socket, vec![Message::Text(text)]).await
    }

    /// When their token ends.
    fn ends(&self) -> Option<Instant> {
        let until = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(self.principal.until?).unwrap_or(0));
        Some(Instant::now() + until.duration_since(SystemTime::now()).unwrap_or_default())
    }

    fn welcome(&self) -> String {
        json!({ "type": "authenticated", "user_id": self.seat.client.user, "expires_at": self.principal.expires_at() }).to_string()
    }

    async fn hear(&mut self, socket: &mut WebSocketStream, text: &str) -> Result<(), Closing> {
        self.due = self.due.max(Instant::now()) + PACE;
        if self.due > Instant::now() + PACE * AT_ONCE {
            return Err(Closing::TooManyFrames);
        }
        let asked = match serde_json::from_str(text) {
            Ok(asked) => asked,
            Err(fault) => {
                let fault = Error::conflict("bad_frame", format!("the frame can't be read: {fault}"));
                return self.send(socket, frames::error(fault, None)).await;
            }
        };
        match asked {
            Asked::Auth { token } => self.sign_in_again(socket, token).await,
            Asked::Ping {} => self.send(socket, json!({ "type": "pong" }).to_string()).await,
            Asked::Unsubscribe { subscription } => {
                let answer = match self.unwatch(&subscription) || self.seat.client.unsubscribe(&subscription) {
                    true => json!({ "type": "unsubscribed", "subscription": subscription }).to_string(),
                    false => frames::error(Error::NotFound("subscription"), Some(&subscription)),
                };
                self.send(socket, answer).await
            }
            Asked::Presence { topic, subject_id, state } => match self.be(Place { topic, subject_id }, state).await {
                Ok(()) => Ok(()),
                Err(error) => self.send(socket, frames::error(error, None)).await,
            },
            Asked::Subscribe { subscription, topics, presence, after, filter, view_id } => {
                let name = subscription.unwrap_or_else(|| {
                    self.names += 1;
                    self.names.to_string()
                });
                let wanted = Wanted { topics, filter: filter.filter(|filter| !filter.is_null()), view_id };
                let begun = match presence {
                    Some(place) => self.watch(socket, &name, place, &wanted).await?,
                    None => self.subscribe(socket, &name, wanted, after.as_deref()).await?,
                };
                match begun {
                    Ok(()) => Ok(()),
                    Err(Error::Db(error)) => Err(closing(&error.into())),
                    Err(error) => self.send(socket, frames::error(error, Some(&name))).await,
                }
            }
        }
    }

    async fn sign_in_again(&mut self, socket: &mut WebSocketStream, token: String) -> Result<(), Closing> {
        let principal = self.guard.principal(&token).await.map_err(|error| closing(&error))?;
        match credential(&principal) {
            Some((user, credential)) if user == self.seat.client.user && principal.tenant == self.seat.client.tenant => {
                self.seat.client.renew(credential);
                self.token = token;
                self.principal = principal;
                self.look_again(socket).await?;
                self.send(socket, self.welcome()).await
            }
            _ => {
                let fault = Error::conflict("other_user", "the token is somebody else's; open another connection for them");
                self.send(socket, frames::error(fault, None)).await
            }
        }
    }

    /// Whether there is room for a subscription of this name.
    pub(super) fn room_for(&self, name: &str) -> Result<(), Error> {
        if !(1..=NAME).contains(&name.len()) {
            return Err(Error::field("/subscription", "invalid", format!("takes 1 to {NAME} characters")));
        }
        let (all, watched, limit) = (self.seat.client.wanted(), &self.seat.watched, self.realtime.limits.subscriptions);
        if all.len() + watched.len() >= limit && !all.contains_key(name) && !watched.contains_key(name) {
            let message = format!("a connection has at most {limit}; one may have many topics");
            return Err(Error::conflict("too_many_subscriptions", message));
        }
        Ok(())
    }

    /// Subscribes, and sends what they have missed. The outer error ends the connection.
    async fn subscribe(
        &mut self,
        socket: &mut WebSocketStream,
        name: &str,
        wanted: Wanted,
        after: Option<&str>,
    ) -> Result<Result<(), Error>, Closing> {
        let client = self.seat.client.clone();
        let begun = async {
            self.room_for(name)?;
            let after = after.map(event_id).transpose()?;
            let interest = Interest::read(self.realtime.ledger.db(), &self.principal.scope(None), &wanted).await?;
            let topics = interest.topics();
            let start = self.realtime.hub.start(&client, name.to_owned(), wanted, interest, after).await?.ok_or_else(too_old)?;
            Ok((topics, start))
        };
        let (topics, mut start) = match begun.await {
            Ok(begun) => begun,
            Err(error) => return Ok(Err(error)),
        };
        let answer = json!({ "type": "subscribed", "subscription": name, "topics": topics, "after": start.after });
        self.send(socket, answer.to_string()).await?;
        loop {
            match self.realtime.hub.missed(&client, &mut start).await {
                Ok(None) => return Ok(Ok(())),
                Ok(Some(frames)) => self.put(socket, texts(&frames)).await?,
                // They were promised everything from there on.
                Err(error) => return Err(closing(&error)),
            }
        }
    }

    /// Looks again at who they are and what they may see.
    async fn look_again(&mut self, socket: &mut WebSocketStream) -> Result<(), Closing> {
        self.look = next_look();
        self.principal = match self.guard.renewed(&self.token).await {
            Ok(principal) => principal,
            Err(Error::Unauthorized { .. }) => return Err(Closing::End(domain::realtime::End::Revoked)),
            Err(error) => return Err(closing(&error)),
        };
        let scope = self.principal.scope(None);
        for (name, wanted) in self.seat.client.wanted() {
            match Interest::read(self.realtime.ledger.db(), &scope, &wanted).await {
                Ok(interest) => self.seat.client.see(&name, interest),
                Err(Error::Db(error)) => return Err(closing(&error.into())),
                Err(error) => {
                    _ = self.seat.client.unsubscribe(&name);
                    self.refuse(socket, &name, error).await?;
                }
            }
        }
        self.look_around(socket).await
    }

    /// They are told no more of something that they may not see any more.
    pub(super) async fn refuse(&self, socket: &mut WebSocketStream, name: &str, error: Error) -> Result<(), Closing> {
        self.send(socket, json!({ "type": "unsubscribed", "subscription": name }).to_string()).await?;
        self.send(socket, frames::error(error, Some(name))).await
    }
}
