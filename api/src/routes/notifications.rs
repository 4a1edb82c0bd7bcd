use domain::{
    collaboration::notifications::{self, Notification},
    entities::NotificationId,
    page::Page,
};
use jobs::Ledger;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::PageInfo;
use crate::{Tag, guard::Caller, paging, problem::Answer};

pub(crate) struct Notifications {
    pub(crate) ledger: Ledger,
}

/// Some of what you were told.
#[derive(Object)]
struct NotificationPage {
    /// Newest first.
    data: Vec<Notification>,
    /// Where the next page begins.
    page: PageInfo,
}

/// How much there is to read.
#[derive(Object)]
struct UnreadCount {
    /// So many notifications.
    count: u64,
}

#[derive(ApiResponse)]
enum Noted {
    /// All of it is read.
    #[oai(status = 204)]
    Read,
}

#[OpenApi(prefix_path = "/notifications", tag = "Tag::Notifications")]
impl Notifications {
    /// What you were told, newest first: mentions, comments on records that you follow, records that are yours now, deals won and
    /// lost. It is kept for 90 days.
    #[oai(path = "/", method = "get", operation_id = "notifications_list")]
    async fn list(
        &self,
        caller: Caller,
        /// Only what you haven't read.
        unread: Query<Option<bool>>,
        /// How many, 1 to 200.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u64>>,
        /// Where the page before ended.
        #[oai(validator(max_length = 500))]
        cursor: Query<Option<String>>,
    ) -> Answer<Json<NotificationPage>> {
        let page = notifications::list(self.ledger.db(), &caller.scope(), unread.0 == Some(true), paging(limit.0, cursor.0)).await?;
        let Page { data, next_cursor } = page;
        Ok(Json(NotificationPage { data, page: PageInfo { next_cursor, total: None } }))
    }

    /// How much of it you haven't read.
    #[oai(path = "/unread-count", method = "get", operation_id = "notifications_unread")]
    async fn unread(&self, caller: Caller) -> Answer<Json<UnreadCount>> {
        Ok(Json(UnreadCount { count: notifications::unread(self.ledger.db(), &caller.scope()).await? }))
    }

    /// You have read one.
    #[oai(path = "/:id/read", method = "post", operation_id = "notifications_read")]
    async fn read(
        &self,
        caller: Caller,
        /// Which notification.
        id: Path<NotificationId>,
    ) -> Answer<Json<Notification>> {
        Ok(Json(notifications::read(&self.ledger, &caller.scope(), id.0).await?))
    }

    /// You have read all of it.
    #[oai(path = "/read-all", method = "post", operation_id = "notifications_read_all")]
    async fn read_all(&self, caller: Caller) -> Answer<Noted> {
        notifications::read_all(&self.ledger, &caller.scope()).await?;
        Ok(Noted::Read)
    }
}
