//! Realtime: people are told what happens, in order, each once, and only what they may see.

mod access;
mod connections;
mod events;
mod presence;
mod resume;

use domain::events as stream;
use domain::{
    Scope,
    engine::{Event, Write},
    entities::TenantId,
    scope::Actor,
};
use serde_json::{Value, json};
use tests::app::{Person, TestApp};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Gives events their places, as a worker does; ends with it.
struct Placer(JoinHandle<()>);

impl Placer {
    fn of(app: &TestApp) -> Self {
        Self(tokio::spawn(stream::run(app.ledger.clone())))
    }
}

impl Drop for Placer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn contact(app: &TestApp, who: &Person, body: Value) -> String {
    app.post(who, "/api/contacts", body).await.is(201).id()
}

/// Something happens to a record, and this is all there is to tell.
async fn happens(app: &TestApp, tenant: TenantId, topic: &'static str, data: Value) -> String {
    let (scope, subject_id) = (Scope::system(tenant, Actor::System), Uuid::now_v7());
    let write = Write::begin(&app.ledger, &scope).await.unwrap();
    write.record(Event { topic, subject_id, action: "updated", data }).await.unwrap();
    write.commit(()).await.unwrap();
    subject_id.to_string()
}

fn after(event: &Value) -> Value {
    json!({ "after": event["id"] })
}
