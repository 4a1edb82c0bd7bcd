//! Our side: what is written to customers, and what there is to see of it.

use std::time::Duration;

use domain::{
    entities::{self, ContactId, MessageId, MessageStatus},
    page::Paging,
    whatsapp::{
        conversations::{self, Conversation},
        devices::{self, Device},
        messages::{self, Message, MessageSend},
    },
};
use jobs::JobView;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::Value;
use whatsapp::message::Content;

use super::World;

impl World {
    /// Writes a text to a customer.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn say(&self, customer: &str, text: &str) -> MessageId {
        self.send(customer, Content::text(text)).await
    }

    /// Writes a message to a customer.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn send(&self, customer: &str, content: Content) -> MessageId {
        let new = MessageSend { device_id: self.device, to: customer.into(), reply_to: None, content };
        messages::send(&self.ledger, &self.scope, new).await.expect("the message is taken").id
    }

    /// A message with its history.
    ///
    /// # Panics
    /// When it isn't there.
    pub async fn message(&self, id: MessageId) -> Message {
        messages::get(self.ledger.db(), &self.scope, id).await.expect("a message")
    }

    /// The statuses that a message has had, in order.
    ///
    /// # Panics
    /// When it isn't there.
    pub async fn history(&self, id: MessageId) -> Vec<MessageStatus> {
        self.message(id).await.status_history.expect("a history").into_iter().map(|step| step.status).collect()
    }

    /// Waits until a worker process has brought a message there.
    ///
    /// # Panics
    /// When that takes longer than half a minute.
    pub async fn becomes(&self, id: MessageId, status: MessageStatus) -> Message {
        for _ in 0..3000 {
            let message = self.message(id).await;
            if message.status == status {
                return message;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not {status:?}, but {:#?}", self.message(id).await);
    }

    /// All conversations.
    ///
    /// # Panics
    /// When the database doesn't answer.
    pub async fn conversations(&self) -> Vec<Conversation> {
        let paging = Paging { limit: 100, cursor: None };
        conversations::list(self.ledger.db(), &self.scope, conversations::Wanted::default(), paging).await.expect("a list").data
    }

    /// The messages of a conversation, oldest first.
    ///
    /// # Panics
    /// When the database doesn't answer.
    pub async fn said_in(&self, conversation: &Conversation) -> Vec<Message> {
        let paging = Paging { limit: 100, cursor: None };
        let mut page = messages::of_conversation(self.ledger.db(), &self.scope, conversation.id, paging).await.expect("a list");
        page.data.reverse();
        page.data
    }

    /// The number.
    ///
    /// # Panics
    /// When it isn't there.
    pub async fn device(&self) -> Device {
        devices::get(self.ledger.db(), &self.scope, self.device).await.expect("a device")
    }

    /// The contacts, as `(id, first name)`; the identities and the phones of all of them.
    ///
    /// # Panics
    /// When the database doesn't answer.
    pub async fn contacts(&self) -> (Vec<(ContactId, String)>, Vec<String>, Vec<String>) {
        let db = &self.ledger.db().write;
        let contacts = entities::contact::Entity::find().all(db).await.expect("contacts");
        let identities = entities::contact_identity::Entity::find().all(db).await.expect("identities");
        let phones = entities::contact_phone::Entity::find().all(db).await.expect("phones");
        let mut identities: Vec<_> = identities.into_iter().map(|row| format!("{} {}", row.kind, row.value)).collect();
        identities.sort();
        (contacts.into_iter().map(|row| (row.id, row.first_name)).collect(), identities, phones.into_iter().map(|row| row.number).collect())
    }

    /// What happened to records of a topic, oldest first: action, data.
    ///
    /// # Panics
    /// When the database doesn't answer.
    pub async fn events(&self, topic: &str) -> Vec<(String, Value)> {
        let of_topic = entities::event::Column::Topic.eq(topic);
        let rows = entities::event::Entity::find().filter(of_topic).order_by_asc(entities::event::Column::Seq);
        rows.all(&self.ledger.db().write).await.expect("events").into_iter().map(|row| (row.action, row.data)).collect()
    }

    /// The newest job of a kind.
    ///
    /// # Panics
    /// When there is none.
    pub async fn job(&self, kind: &str) -> JobView {
        let jobs = jobs::testing::newest(&self.ledger, self.tenant.0, 10_000).await.expect("the database answers");
        jobs.into_iter().find(|job| job.kind == kind).expect("a job")
    }
}
