use domain::{
    entities::MergeId,
    page::Page,
    resource::merge::{self, Merge},
};
use jobs::Ledger;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use uuid::Uuid;

use super::PageInfo;
use crate::{Tag, guard::Caller, paging, problem::Answer};

pub(crate) struct Merges {
    pub(crate) ledger: Ledger,
}

/// Some merges.
#[derive(Object)]
struct MergePage {
    /// Newest first.
    data: Vec<Merge>,
    /// Where the next page begins.
    page: PageInfo,
}

#[OpenApi(prefix_path = "/merges", tag = "Tag::Merges")]
impl Merges {
    /// Your merges; for admins, everybody's.
    #[oai(path = "/", method = "get", operation_id = "merges_list")]
    async fn list(
        &self,
        caller: Caller,
        /// Only those that this record stayed in or became part of.
        record_id: Query<Option<Uuid>>,
        /// How many, 1 to 200.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u64>>,
        /// Where the page before ended.
        #[oai(validator(max_length = 500))]
        cursor: Query<Option<String>>,
    ) -> Answer<Json<MergePage>> {
        let page = merge::list(&self.ledger, &caller.scope(), record_id.0, paging(limit.0, cursor.0)).await?;
        let Page { data, next_cursor } = page;
        Ok(Json(MergePage { data, page: PageInfo { next_cursor, total: None } }))
    }

    /// Which records became one, and what that moved.
    #[oai(path = "/:id", method = "get", operation_id = "merges_get")]
    async fn get(
        &self,
        caller: Caller,
        /// Which merge.
        id: Path<MergeId>,
    ) -> Answer<Json<Merge>> {
        Ok(Json(merge::get(&self.ledger, &caller.scope(), id.0).await?))
    }

    /// Part records again that became one.
    ///
    /// Those in the trash are taken out of it, and whatever led to them leads to them again. What somebody has changed since stays.
    #[oai(path = "/:id/undo", method = "post", operation_id = "merges_undo")]
    async fn undo(
        &self,
        caller: Caller,
        /// Which merge.
        id: Path<MergeId>,
    ) -> Answer<Json<Merge>> {
        Ok(Json(merge::undo(&self.ledger, &caller.scope(), id.0).await?))
    }
}
