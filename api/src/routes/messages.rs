use domain::{
    entities::MessageId,
    whatsapp::messages::{self, Message, MessageSend},
};
use jobs::Ledger;
use poem_openapi::{ApiResponse, OpenApi, param::Path, payload::Json};

use crate::{Tag, guard::Caller, problem::Answer};

pub(crate) struct Messages {
    pub(crate) ledger: Ledger,
}

#[derive(ApiResponse)]
enum Queued {
    /// The message, `queued`. Its status follows.
    #[oai(status = 202)]
    Message(Json<Message>),
}

#[OpenApi(prefix_path = "/whatsapp/messages", tag = "Tag::Messages")]
impl Messages {
    /// Send a message.
    ///
    /// Give exactly one content, under the name of its `type`. Outside the 24 hours after the customer's last message only a
    /// template may be sent; anything else is refused with 409 `window_closed`, and nothing is queued.
    #[oai(path = "/send", method = "post", operation_id = "whatsapp_messages_send")]
    async fn send(&self, caller: Caller, body: Json<MessageSend>) -> Answer<Queued> {
        Ok(Queued::Message(Json(messages::send(&self.ledger, &caller.scope(), body.0).await?)))
    }

    /// A message with its status history.
    #[oai(path = "/:id", method = "get", operation_id = "whatsapp_messages_get")]
    async fn get(&self, caller: Caller, id: Path<MessageId>) -> Answer<Json<Message>> {
        Ok(Json(messages::get(self.ledger.db(), &caller.scope(), id.0).await?))
    }
}
