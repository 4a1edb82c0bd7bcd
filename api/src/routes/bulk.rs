use domain::{
    entities::BulkRunId,
    page::Page,
    resource::bulk::{
        BulkFault,
        run::{self, BulkRun},
    },
};
use jobs::Ledger;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::PageInfo;
use crate::{Tag, guard::Caller, paging, problem::Answer};

pub(crate) struct BulkRuns {
    pub(crate) ledger: Ledger,
}

/// Some of the records to which something could not be done.
#[derive(Object)]
struct BulkFaultPage {
    /// In the order of their ids.
    data: Vec<BulkFault>,
    /// Where the next page begins.
    page: PageInfo,
}

#[OpenApi(prefix_path = "/bulk", tag = "Tag::Jobs")]
impl BulkRuns {
    /// How far something is that you asked to be done to many records. It is told of for 30 days; admins see everybody's.
    #[oai(path = "/:id", method = "get", operation_id = "bulk_get")]
    async fn get(
        &self,
        caller: Caller,
        /// Which run.
        id: Path<BulkRunId>,
    ) -> Answer<Json<BulkRun>> {
        Ok(Json(run::get(&self.ledger, &caller.scope(), id.0).await?))
    }

    /// The records to which it could not be done, and why.
    #[oai(path = "/:id/errors", method = "get", operation_id = "bulk_errors")]
    async fn errors(
        &self,
        caller: Caller,
        /// Which run.
        id: Path<BulkRunId>,
        /// How many, 1 to 200.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u64>>,
        /// Where the page before ended.
        #[oai(validator(max_length = 500))]
        cursor: Query<Option<String>>,
    ) -> Answer<Json<BulkFaultPage>> {
        let page = run::faults(self.ledger.db(), &caller.scope(), id.0, paging(limit.0, cursor.0)).await?;
        let Page { data, next_cursor } = page;
        Ok(Json(BulkFaultPage { data, page: PageInfo { next_cursor, total: None } }))
    }
}
