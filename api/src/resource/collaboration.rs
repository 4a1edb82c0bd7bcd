//! What people do around a record, once for all resources around whose records they do it.

use domain::{
    Error,
    collaboration::{
        comments::{self, Comment, Edit, NewComment},
        followers::{self, Follower},
        reactions,
    },
    entities::{CommentId, UserId},
    page::Page,
    resource::Resource,
};
use jobs::Ledger;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

use super::answers::Gone;
use crate::{guard::Caller, paging, problem::Answer, routes::PageInfo};

/// The operations around the records of one resource.
pub(super) struct Collaboration {
    pub(super) ledger: Ledger,
    pub(super) resource: &'static Resource,
}

/// A comment to be written.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
struct CommentCreate {
    /// What it says.
    #[oai(validator(min_length = 1, max_length = 10000))]
    body: String,
    /// The comment that it answers; an answer itself can't be answered.
    parent_id: Option<CommentId>,
    /// Whom it addresses: users who see the record. They are told, and follow it from then on.
    #[oai(validator(max_items = 50))]
    mentions: Option<Vec<UserId>>,
}

impl poem_openapi::types::Example for CommentCreate {
    fn example() -> Self {
        Self { body: "They want the blue ones after all.".into(), parent_id: None, mentions: None }
    }
}

/// What is changed of a comment: a member that is left out stays.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
struct CommentUpdate {
    /// What it says.
    #[oai(validator(min_length = 1, max_length = 10000))]
    body: Option<String>,
    /// Whom it addresses: users who see the record.
    #[oai(validator(max_items = 50))]
    mentions: Option<Vec<UserId>>,
}

impl poem_openapi::types::Example for CommentUpdate {
    fn example() -> Self {
        Self { body: Some("They want the green ones after all.".into()), mentions: None }
    }
}

/// Some of the comments on a record.
#[derive(Object)]
struct CommentPage {
    /// Newest first.
    data: Vec<Comment>,
    /// Where the next page begins.
    page: PageInfo,
}

/// Who follows a record.
#[derive(Object)]
struct Followers {
    /// All of them.
    data: Vec<Follower>,
}

#[derive(ApiResponse)]
enum Written {
    /// The new comment.
    #[oai(status = 201)]
    Written(Json<Comment>),
}

/// Who is meant: `me` is nobody else.
fn who(user: &str) -> Result<Option<UserId>, Error> {
    match user {
        "me" => Ok(None),
        id => {
            Uuid::parse_str(id).map(|id| Some(UserId(id))).map_err(|_| Error::field("/user_id", "invalid", "takes the id of a user, or me"))
        }
    }
}

#[OpenApi]
impl Collaboration {
    /// The comments on a {one}, newest first.
    #[oai(path = "/:id/comments", method = "get", operation_id = "comments_list")]
    async fn comments(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
        /// How many, 1 to 200.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u64>>,
        /// Where the page before ended.
        #[oai(validator(max_length = 500))]
        cursor: Query<Option<String>>,
    ) -> Answer<Json<CommentPage>> {
        let page = comments::list(self.ledger.db(), &caller.scope(), self.resource, id.0, paging(limit.0, cursor.0)).await?;
        let Page { data, next_cursor } = page;
        Ok(Json(CommentPage { data, page: PageInfo { next_cursor, total: None } }))
    }

    /// Comment on a {one}. Whoever sees it may; its followers are told.
    #[oai(path = "/:id/comments", method = "post", operation_id = "comments_create")]
    async fn comment(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
        body: Json<CommentCreate>,
    ) -> Answer<Written> {
        let CommentCreate { body, parent_id, mentions } = body.0;
        let new = NewComment { body, parent_id, mentions: mentions.unwrap_or_default() };
        Ok(Written::Written(Json(comments::create(&self.ledger, &caller.scope(), self.resource, id.0, new).await?)))
    }

    /// Change a comment on a {one}. Only its author may.
    #[oai(path = "/:id/comments/:comment_id", method = "patch", operation_id = "comments_update")]
    async fn edit(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
        /// Which comment.
        comment_id: Path<CommentId>,
        body: Json<CommentUpdate>,
    ) -> Answer<Json<Comment>> {
        let CommentUpdate { body, mentions } = body.0;
        let edit = Edit { body, mentions };
        Ok(Json(comments::update(&self.ledger, &caller.scope(), self.resource, id.0, comment_id.0, edit).await?))
    }

    /// Delete a comment on a {one}. Its author and admins may; its place stays while it is answered.
    #[oai(path = "/:id/comments/:comment_id", method = "delete", operation_id = "comments_delete")]
    async fn uncomment(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
        /// Which comment.
        comment_id: Path<CommentId>,
    ) -> Answer<Gone> {
        comments::delete(&self.ledger, &caller.scope(), self.resource, id.0, comment_id.0).await?;
        Ok(Gone::Gone)
    }

    /// Leave an emoji on a comment on a {one}, once.
    #[oai(path = "/:id/comments/:comment_id/reactions/:emoji", method = "put", operation_id = "comments_react")]
    async fn react(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
        /// Which comment.
        comment_id: Path<CommentId>,
        /// The emoji, e.g. `👍`.
        #[oai(validator(max_length = 16))]
        emoji: Path<String>,
    ) -> Answer<Json<Comment>> {
        Ok(Json(reactions::put(&self.ledger, &caller.scope(), self.resource, id.0, comment_id.0, &emoji.0).await?))
    }

    /// Take your emoji off a comment on a {one}.
    #[oai(path = "/:id/comments/:comment_id/reactions/:emoji", method = "delete", operation_id = "comments_unreact")]
    async fn unreact(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
        /// Which comment.
        comment_id: Path<CommentId>,
        /// The emoji, e.g. `👍`.
        #[oai(validator(max_length = 16))]
        emoji: Path<String>,
    ) -> Answer<Json<Comment>> {
        Ok(Json(reactions::take(&self.ledger, &caller.scope(), self.resource, id.0, comment_id.0, &emoji.0).await?))
    }

    /// Who follows a {one}: its owner, whoever commented on it or was mentioned, whoever wanted to.
    #[oai(path = "/:id/followers", method = "get", operation_id = "followers_list")]
    async fn followers(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
    ) -> Answer<Json<Followers>> {
        Ok(Json(Followers { data: followers::list(self.ledger.db(), &caller.scope(), self.resource, id.0).await? }))
    }

    /// Follow a {one}, or let somebody else follow it who sees it.
    #[oai(path = "/:id/followers/:user_id", method = "put", operation_id = "followers_follow")]
    async fn follow(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
        /// Who: `me`, or the id of a user; others need you to be allowed to edit it.
        #[oai(validator(max_length = 36))]
        user_id: Path<String>,
    ) -> Answer<Json<Follower>> {
        Ok(Json(followers::set(&self.ledger, &caller.scope(), self.resource, id.0, who(&user_id)?, true).await?))
    }

    /// Follow a {one} no more. Whoever leaves it isn't brought back by a comment or a mention.
    #[oai(path = "/:id/followers/:user_id", method = "delete", operation_id = "followers_leave")]
    async fn leave(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
        /// Who: `me`, or the id of a user; others need you to be allowed to edit it.
        #[oai(validator(max_length = 36))]
        user_id: Path<String>,
    ) -> Answer<Gone> {
        followers::set(&self.ledger, &caller.scope(), self.resource, id.0, who(&user_id)?, false).await?;
        Ok(Gone::Gone)
    }
}
