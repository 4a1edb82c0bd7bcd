//! One of those who are told: what they asked for, and what waits for them.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use entities::{SessionId, TenantId, TokenId, UserId};
use tokio::sync::{Notify, mpsc, watch};
use uuid::Uuid;

use super::interest::{Interest, Wanted};

/// Something to be sent, the same text for whoever gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The event that it tells of.
    pub id: Option<Uuid>,
    /// JSON.
    pub text: Arc<str>,
}

/// What somebody is signed in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Credential {
    /// A session.
    Session(SessionId),
    /// A personal token.
    Token(TokenId),
}

/// Why somebody is told no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// They didn't take what was for them.
    SlowReader,
    /// They are signed out, or their account is off.
    Revoked,
    /// The process ends.
    Restarting,
}

impl End {
    /// As clients are told.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SlowReader => "slow_reader",
            Self::Revoked => "revoked",
            Self::Restarting => "restarting",
        }
    }
}

/// How much may wait for one.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Frames.
    pub frames: usize,
    /// Bytes.
    pub bytes: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { frames: 1000, bytes: 1 << 20 }
    }
}

#[derive(Clone)]
pub(super) struct Subscription {
    pub(super) name: String,
    pub(super) wanted: Arc<Wanted>,
    pub(super) interest: Arc<Interest>,
    /// What is up to here comes from the database.
    pub(super) from: i64,
}

/// One who is told.
pub struct Client {
    /// Which connection.
    pub id: Uuid,
    /// Of which tenant.
    pub tenant: TenantId,
    /// Who.
    pub user: UserId,
    credential: Mutex<Credential>,
    subscriptions: Mutex<Vec<Subscription>>,
    queue: mpsc::Sender<Frame>,
    waiting: AtomicUsize,
    bytes: usize,
    end: watch::Sender<Option<End>>,
    stale: Notify,
}

/// Where they get it from.
pub struct Inbox {
    queue: mpsc::Receiver<Frame>,
    client: Arc<Client>,
}

impl Client {
    pub(super) fn new(tenant: TenantId, user: UserId, credential: Credential, room: Room) -> (Arc<Self>, Inbox) {
        let (queue, frames) = mpsc::channel(room.frames.max(1));
        let client = Arc::new(Self {
            id: Uuid::now_v7(),
            tenant,
            user,
            credential: Mutex::new(credential),
            subscriptions: Mutex::default(),
            queue,
            waiting: AtomicUsize::new(0),
            bytes: room.bytes,
            end: watch::Sender::new(None),
            stale: Notify::new(),
        });
        (client.clone(), Inbox { queue: frames, client })
    }

    /// What they are signed in with.
    ///
    /// # Panics
    /// Never: nothing panics while holding it.
    #[must_use]
    pub fn credential(&self) -> Credential {
        *self.credential.lock().expect("nothing panics while holding it")
    }

    /// They have signed in anew.
    ///
    /// # Panics
    /// Never: nothing panics while holding it.
    pub fn renew(&self, credential: Credential) {
        *self.credential.lock().expect("nothing panics while holding it") = credential;
    }

    pub(super) fn subscriptions(&self) -> MutexGuard<'_, Vec<Subscription>> {
        self.subscriptions.lock().expect("nothing panics while holding it")
    }

    /// What they asked for, by their names for it.
    #[must_use]
    pub fn wanted(&self) -> HashMap<String, Arc<Wanted>> {
        self.subscriptions().iter().map(|one| (one.name.clone(), one.wanted.clone())).collect()
    }

    /// They see it otherwise now.
    pub fn see(&self, name: &str, interest: Interest) {
        if let Some(one) = self.subscriptions().iter_mut().find(|one| one.name == name) {
            one.interest = Arc::new(interest);
        }
    }

    /// They don't want it any more; whether they did.
    #[must_use]
    pub fn unsubscribe(&self, name: &str) -> bool {
        let mut all = self.subscriptions();
        let before = all.len();
        all.retain(|one| one.name != name);
        all.len() < before
    }

    /// Puts a frame into their inbox; when it is full they are let go.
    pub fn push(&self, frame: Frame) {
        let size = frame.text.len();
        let waiting = self.waiting.fetch_add(size, Relaxed);
        if waiting > 0 && waiting + size > self.bytes || self.queue.try_send(frame).is_err() {
            self.end(End::SlowReader);
        }
    }

    /// They are told no more.
    pub fn end(&self, why: End) {
        self.end.send_if_modified(|end| {
            let first = end.is_none();
            *end = end.or(Some(why));
            first
        });
    }

    /// Why they are told no more, if so.
    #[must_use]
    pub fn ended(&self) -> Option<End> {
        *self.end.borrow()
    }

    /// Waits until they are told no more.
    pub async fn over(&self) -> End {
        let mut end = self.end.subscribe();
        let why = end.wait_for(Option::is_some).await.ok().and_then(|end| *end);
        why.unwrap_or(End::Restarting)
    }

    pub(super) fn spoil(&self) {
        self.stale.notify_one();
    }

    /// Waits until what they may see is to be looked at again.
    pub async fn stale(&self) {
        self.stale.notified().await;
    }
}

impl Inbox {
    /// The next frame. Not lost when it isn't waited for to the end.
    pub async fn next(&mut self) -> Option<Frame> {
        let frame = self.queue.recv().await?;
        self.client.waiting.fetch_sub(frame.text.len(), Relaxed);
        Some(frame)
    }

    /// Another one that is there already.
    pub fn ready(&mut self) -> Option<Frame> {
        let frame = self.queue.try_recv().ok()?;
        self.client.waiting.fetch_sub(frame.text.len(), Relaxed);
        Some(frame)
    }
}
