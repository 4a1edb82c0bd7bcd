//! Somebody who listens to what happens, over a WebSocket.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest, http::Response},
};

/// So long a frame that must come is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection.
pub struct Listener {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Listener {
    /// Opens one to the installation at `url`, and says nothing yet.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn connect(url: &str) -> Self {
        Self::knock(url, None).await.unwrap_or_else(|answer| panic!("refused with {}", answer.status()))
    }

    /// Opens one from a page of another site; the answer when it is refused.
    ///
    /// # Errors
    /// The answer.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn knock(url: &str, origin: Option<&str>) -> Result<Self, Box<Response<Option<Vec<u8>>>>> {
        let url = format!("{}/api/realtime", url.replacen("http", "ws", 1));
        let mut request = url.into_client_request().expect("an address");
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().expect("a header"));
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => Err(Box::new(answer)),
            Err(other) => panic!("no answer: {other}"),
        }
    }

    /// Opens one and says who they are.
    ///
    /// # Panics
    /// When they are not let in.
    pub async fn of(url: &str, token: &str) -> Self {
        let mut listener = Self::connect(url).await;
        listener.say(json!({ "type": "auth", "token": token })).await;
        let welcome = listener.next().await;
        assert_eq!(welcome["type"], "authenticated", "{welcome}");
        listener
    }

    /// Sends a frame. That the other side has gone is seen at the next frame.
    pub async fn say(&mut self, frame: Value) {
        self.say_text(frame.to_string()).await;
    }

    /// Sends a text.
    pub async fn say_text(&mut self, text: String) {
        _ = self.socket.send(Message::text(text)).await;
    }

    /// The next frame; at the end `{"type":"closed","code":…}`.
    ///
    /// # Panics
    /// When none comes.
    pub async fn next(&mut self) -> Value {
        let patience = tokio::time::Instant::now() + PATIENCE;
        loop {
            let message = tokio::time::timeout_at(patience, self.socket.next()).await.expect("a frame");
            match message {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).expect("JSON"),
                Some(Ok(Message::Close(frame))) => return json!({ "type": "closed", "code": frame.map(|frame| u16::from(frame.code)) }),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return json!({ "type": "closed", "code": null }),
            }
        }
    }

    /// The next frame of this type; those before it don't matter.
    ///
    /// # Panics
    /// When the connection ends before.
    pub async fn until(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
            assert_ne!(frame["type"], "closed", "{kind} was to come before the end");
        }
    }

    /// Subscribes; the answer.
    ///
    /// # Panics
    /// When there is none.
    pub async fn subscribe(&mut self, topics: &[&str], more: Value) -> Value {
        let mut frame = json!({ "type": "subscribe", "topics": topics });
        frame.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        self.say(frame).await;
        loop {
            let answer = self.next().await;
            if answer["type"] != "event" {
                return answer;
            }
        }
    }

    /// The events until one about this record, without that one.
    ///
    /// # Panics
    /// When the connection ends before.
    pub async fn before(&mut self, subject: &str) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let event = self.until("event").await;
            if event["subject_id"] == subject {
                return events;
            }
            events.push(event);
        }
    }
}
