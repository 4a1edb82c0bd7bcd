//! Who is at a record: what a connection says of itself there, and what it is told of others.

use domain::{
    Error,
    realtime::{Place, State, Wanted},
};
use poem::web::websocket::WebSocketStream;
use serde_json::json;

use super::{
    frames::Closing,
    socket::{Connection, closing},
};

impl Connection {
    /// Says to those who watch a record what they do there.
    pub(super) async fn be(&mut self, place: Place, state: State) -> Result<(), Error> {
        let (presence, limit) = (self.seat.hub.presence.clone(), self.realtime.limits.subscriptions);
        match state {
            State::Gone if !self.seat.said.remove(&place) => return Ok(()),
            // Wherever they were, they may leave.
            State::Gone => {}
            State::Viewing | State::Typing => {
                presence.check(&self.principal.scope(None), &place).await?;
                if self.seat.said.len() >= limit && !self.seat.said.contains(&place) {
                    return Err(Error::conflict("too_many_records", "you are at too many records; say gone at some of them"));
                }
                self.seat.said.insert(place.clone());
            }
        }
        presence.say(&self.seat.client, &self.principal.name, &place, state);
        Ok(())
    }

    /// From now on they are told who is at a record.
    pub(super) async fn watch(
        &mut self,
        socket: &mut WebSocketStream,
        name: &str,
        place: Place,
        wanted: &Wanted,
    ) -> Result<Result<(), Error>, Closing> {
        let presence = self.seat.hub.presence.clone();
        let checked = async {
            self.room_for(name)?;
            if !wanted.topics.is_empty() || wanted.filter.is_some() || wanted.view_id.is_some() {
                return Err(Error::field("/presence", "invalid", "stands alone; subscribe to topics with another frame"));
            }
            presence.check(&self.principal.scope(None), &place).await
        };
        if let Err(error) = checked.await {
            return Ok(Err(error));
        }
        self.unwatch(name);
        let present = presence.watch(&self.seat.client, &place).await;
        self.seat.watched.insert(name.to_owned(), place.clone());
        let answer = json!({ "type": "subscribed", "subscription": name, "presence": place, "present": present });
        self.send(socket, answer.to_string()).await.map(Ok)
    }

    /// They don't want to be told any more; whether they did.
    pub(super) fn unwatch(&mut self, name: &str) -> bool {
        let Some(place) = self.seat.watched.remove(name) else { return false };
        if !self.seat.watched.values().any(|other| *other == place) {
            self.seat.hub.presence.unwatch(&self.seat.client, &place);
        }
        true
    }

    /// Looks again at whether they see the records that they watch.
    pub(super) async fn look_around(&mut self, socket: &mut WebSocketStream) -> Result<(), Closing> {
        for (name, place) in self.seat.watched.clone() {
            match self.seat.hub.presence.check(&self.principal.scope(None), &place).await {
                Ok(()) => {}
                Err(Error::Db(error)) => return Err(closing(&error.into())),
                Err(error) => {
                    self.unwatch(&name);
                    self.refuse(socket, &name, error).await?;
                }
            }
        }
        Ok(())
    }
}
