use std::sync::Arc;

use domain::{
    Error,
    entities::ImportId,
    files::at_hand,
    page::Page,
    resource::import::{self, Import, ImportFault, ImportOptions, ImportPreview},
};
use futures::TryStreamExt;
use jobs::Ledger;
use object_store::ObjectStore;
use poem::Body;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::PageInfo;
use crate::{
    Tag,
    files::{self, Download},
    guard::Caller,
    paging,
    problem::Answer,
};

pub(crate) struct Imports {
    pub(crate) ledger: Ledger,
    pub(crate) store: Arc<dyn ObjectStore>,
}

/// Some imports.
#[derive(Object)]
struct ImportPage {
    /// Newest first.
    data: Vec<Import>,
    /// Where the next page begins.
    page: PageInfo,
}

/// Some of the rows that could not be taken.
#[derive(Object)]
struct ImportFaultPage {
    /// In the order of the file.
    data: Vec<ImportFault>,
    /// Where the next page begins.
    page: PageInfo,
}

#[derive(ApiResponse)]
enum Started {
    /// A job does it. GET /api/imports/{id} says how far it is.
    #[oai(status = 202)]
    Started(Json<Import>),
}

#[derive(ApiResponse)]
enum Forgotten {
    /// It is forgotten.
    #[oai(status = 204)]
    Forgotten,
}

#[OpenApi(prefix_path = "/imports", tag = "Tag::Imports")]
impl Imports {
    /// Your imports; for admins, everybody's.
    #[oai(path = "/", method = "get", operation_id = "imports_list")]
    async fn list(
        &self,
        caller: Caller,
        /// How many, 1 to 200.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u64>>,
        /// Where the page before ended.
        #[oai(validator(max_length = 500))]
        cursor: Query<Option<String>>,
    ) -> Answer<Json<ImportPage>> {
        let Page { data, next_cursor } = import::list(&self.ledger, &caller.scope(), paging(limit.0, cursor.0)).await?;
        Ok(Json(ImportPage { data, page: PageInfo { next_cursor, total: None } }))
    }

    /// What is in a file, what is made of it, and how far that is. It is told of for 30 days.
    #[oai(path = "/:id", method = "get", operation_id = "imports_get")]
    async fn get(
        &self,
        caller: Caller,
        /// Which import.
        id: Path<ImportId>,
    ) -> Answer<Json<Import>> {
        Ok(Json(import::get(&self.ledger, &caller.scope(), id.0).await?))
    }

    /// What would become of the first rows of a file. Nothing is written.
    #[oai(path = "/:id/preview", method = "post", operation_id = "imports_preview")]
    async fn preview(
        &self,
        caller: Caller,
        /// Which import.
        id: Path<ImportId>,
        body: Json<ImportOptions>,
    ) -> Answer<Json<ImportPreview>> {
        let scope = caller.scope();
        let import = import::get(&self.ledger, &scope, id.0).await?;
        let file = at_hand(&*self.store, &import::storage_key(scope.tenant, import.id)).await.map_err(Error::Internal)?;
        let file = file.ok_or_else(|| Error::conflict("file_missing", "the file is not in the store any more; upload it again"))?;
        Ok(Json(import::preview(&self.ledger, &scope, id.0, file.path().to_owned(), Some(body.0)).await?))
    }

    /// Make records of the rows of a file, or try it with `dry_run`: a job does it.
    ///
    /// A row that can't be taken keeps no other from being taken. It acts as you, with what you may do by then; nobody is notified of
    /// each record. What was only tried can be started again.
    #[oai(path = "/:id/start", method = "post", operation_id = "imports_start")]
    async fn start(
        &self,
        caller: Caller,
        /// Which import.
        id: Path<ImportId>,
        body: Json<ImportOptions>,
    ) -> Answer<Started> {
        Ok(Started::Started(Json(import::start(&self.ledger, &caller.scope(), id.0, Some(body.0)).await?)))
    }

    /// Take back what an import wrote: a job puts what it made into the trash, and what it changed is as it was. A record that somebody
    /// has changed since stays.
    #[oai(path = "/:id/revert", method = "post", operation_id = "imports_revert")]
    async fn revert(
        &self,
        caller: Caller,
        /// Which import.
        id: Path<ImportId>,
    ) -> Answer<Started> {
        Ok(Started::Started(Json(import::revert(&self.ledger, &caller.scope(), id.0).await?)))
    }

    /// The rows that could not be taken, and why.
    #[oai(path = "/:id/errors", method = "get", operation_id = "imports_errors")]
    async fn errors(
        &self,
        caller: Caller,
        /// Which import.
        id: Path<ImportId>,
        /// How many, 1 to 200.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u64>>,
        /// Where the page before ended.
        #[oai(validator(max_length = 500))]
        cursor: Query<Option<String>>,
    ) -> Answer<Json<ImportFaultPage>> {
        let page = import::faults(self.ledger.db(), &caller.scope(), id.0, paging(limit.0, cursor.0)).await?;
        let Page { data, next_cursor } = page;
        Ok(Json(ImportFaultPage { data, page: PageInfo { next_cursor, total: None } }))
    }

    /// The rows that could not be taken, as a CSV file to be mended and uploaded again with `fixes`.
    #[oai(path = "/:id/errors/content", method = "get", operation_id = "imports_errors_content")]
    async fn errors_content(
        &self,
        caller: Caller,
        /// Which import.
        id: Path<ImportId>,
    ) -> Answer<Download> {
        let rows = import::sheet(self.ledger.db().clone(), caller.scope(), id.0).await?;
        let bytes = Body::from_bytes_stream(rows.map_ok(bytes::Bytes::from));
        let disposition = files::disposition(&format!("errors-{}.csv", id.0), "errors.csv");
        Ok(Download { bytes, mime_type: "text/csv; charset=utf-8".to_owned(), disposition })
    }

    /// Forget an import and its file. The records that it wrote stay.
    #[oai(path = "/:id", method = "delete", operation_id = "imports_delete")]
    async fn delete(
        &self,
        caller: Caller,
        /// Which import.
        id: Path<ImportId>,
    ) -> Answer<Forgotten> {
        import::delete(&self.ledger, &caller.scope(), id.0).await?;
        Ok(Forgotten::Forgotten)
    }
}
