use domain::{
    entities::{ContactId, ConversationId, ConversationStatus, DeviceId},
    page::Page,
    whatsapp::{
        conversations::{self, Conversation, Wanted},
        messages::{self, Message},
    },
};
use jobs::Ledger;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use crate::{Tag, guard::Caller, paging, problem::Answer};

pub(crate) struct Conversations {
    pub(crate) ledger: Ledger,
}

/// Where the next page begins.
#[derive(Object)]
pub(crate) struct PageInfo {
    /// To be sent as `cursor`; null at the end.
    #[oai(skip_serializing_if_is_none = false)]
    pub(crate) next_cursor: Option<String>,
    /// How many there are on all pages, if that was asked.
    #[oai(skip_serializing_if_is_none)]
    pub(crate) total: Option<u64>,
}

/// Part of the conversations.
#[derive(Object)]
struct ConversationPage {
    /// The one that changed last first.
    data: Vec<Conversation>,
    /// Where the next page begins.
    page: PageInfo,
}

/// Part of a conversation.
#[derive(Object)]
struct MessagePage {
    /// Newest first.
    data: Vec<Message>,
    /// Where the next page begins.
    page: PageInfo,
}

#[derive(ApiResponse)]
enum Shown {
    /// WhatsApp is told.
    #[oai(status = 202)]
    Accepted,
}

#[OpenApi(prefix_path = "/whatsapp/conversations", tag = "Tag::Conversations")]
impl Conversations {
    /// Conversations, the one that changed last first.
    #[oai(path = "/", method = "get", operation_id = "whatsapp_conversations_list")]
    async fn list(
        &self,
        caller: Caller,
        /// Only through this device.
        device_id: Query<Option<DeviceId>>,
        /// Only in this state.
        status: Query<Option<ConversationStatus>>,
        /// Only with this contact.
        contact_id: Query<Option<ContactId>>,
        /// How many, 1 to 200.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u64>>,
        /// Where the page before ended.
        #[oai(validator(max_length = 500))]
        cursor: Query<Option<String>>,
    ) -> Answer<Json<ConversationPage>> {
        let wanted = Wanted { device_id: device_id.0, status: status.0, contact_id: contact_id.0 };
        let Page { data, next_cursor } = conversations::list(self.ledger.db(), &caller.scope(), wanted, paging(limit.0, cursor.0)).await?;
        Ok(Json(ConversationPage { data, page: PageInfo { next_cursor, total: None } }))
    }

    /// One conversation.
    #[oai(path = "/:id", method = "get", operation_id = "whatsapp_conversations_get")]
    async fn get(&self, caller: Caller, id: Path<ConversationId>) -> Answer<Json<Conversation>> {
        Ok(Json(conversations::get(self.ledger.db(), &caller.scope(), id.0).await?))
    }

    /// Its messages, newest first.
    #[oai(path = "/:id/messages", method = "get", operation_id = "whatsapp_conversations_messages")]
    async fn messages(
        &self,
        caller: Caller,
        id: Path<ConversationId>,
        /// How many, 1 to 200.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u64>>,
        /// Where the page before ended.
        #[oai(validator(max_length = 500))]
        cursor: Query<Option<String>>,
    ) -> Answer<Json<MessagePage>> {
        let Page { data, next_cursor } =
            messages::of_conversation(self.ledger.db(), &caller.scope(), id.0, paging(limit.0, cursor.0)).await?;
        Ok(Json(MessagePage { data, page: PageInfo { next_cursor, total: None } }))
    }

    /// Mark it as read; the customer sees that.
    #[oai(path = "/:id/read", method = "post", operation_id = "whatsapp_conversations_read")]
    async fn read(&self, caller: Caller, id: Path<ConversationId>) -> Answer<Json<Conversation>> {
        Ok(Json(conversations::mark_read(&self.ledger, &caller.scope(), id.0).await?))
    }

    /// Show the customer that somebody is typing, for up to 25 seconds.
    #[oai(path = "/:id/typing", method = "post", operation_id = "whatsapp_conversations_typing")]
    async fn typing(&self, caller: Caller, id: Path<ConversationId>) -> Answer<Shown> {
        conversations::show_typing(&self.ledger, &caller.scope(), id.0).await?;
        Ok(Shown::Accepted)
    }
}
