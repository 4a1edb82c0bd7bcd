use std::sync::Arc;

use domain::{
    Error,
    entities::ExportId,
    export::{self, AuditExportRequest, Export},
    page::Page,
};
use jobs::Ledger;
use object_store::ObjectStore;
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

pub(crate) struct Exports {
    pub(crate) ledger: Ledger,
    pub(crate) store: Arc<dyn ObjectStore>,
}

/// Some exports.
#[derive(Object)]
struct ExportPage {
    /// Newest first.
    data: Vec<Export>,
    /// Where the next page begins.
    page: PageInfo,
}

#[derive(ApiResponse)]
enum Asked {
    /// A job writes it. GET /api/exports/{id} says how far it is.
    #[oai(status = 202)]
    Asked(Json<Export>),
}

#[derive(ApiResponse)]
enum Deleted {
    /// It is deleted.
    #[oai(status = 204)]
    Deleted,
}

#[OpenApi]
impl Exports {
    /// Take out the audit log as a file. That is noted in it too.
    #[oai(path = "/audit/export", method = "post", operation_id = "audit_export", tag = "Tag::Audit")]
    async fn audit(&self, caller: Caller, body: Json<AuditExportRequest>) -> Answer<Asked> {
        Ok(Asked::Asked(Json(export::audit(&self.ledger, &caller.scope(), body.0).await?)))
    }

    /// Your exports, newest first. Nobody else sees them.
    #[oai(path = "/exports", method = "get", operation_id = "exports_list", tag = "Tag::Exports")]
    async fn list(
        &self,
        caller: Caller,
        /// How many, 1 to 200.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u64>>,
        /// Where the page before ended.
        #[oai(validator(max_length = 500))]
        cursor: Query<Option<String>>,
    ) -> Answer<Json<ExportPage>> {
        let Page { data, next_cursor } = export::list(&self.ledger, &caller.scope(), paging(limit.0, cursor.0)).await?;
        Ok(Json(ExportPage { data, page: PageInfo { next_cursor, total: None } }))
    }

    /// How far an export is. It is there for 7 days.
    #[oai(path = "/exports/:id", method = "get", operation_id = "exports_get", tag = "Tag::Exports")]
    async fn get(
        &self,
        caller: Caller,
        /// Which export.
        id: Path<ExportId>,
    ) -> Answer<Json<Export>> {
        Ok(Json(export::get(&self.ledger, &caller.scope(), id.0).await?))
    }

    /// The file, once it is written.
    #[oai(path = "/exports/:id/content", method = "get", operation_id = "exports_content", tag = "Tag::Exports")]
    async fn content(
        &self,
        caller: Caller,
        /// Which export.
        id: Path<ExportId>,
    ) -> Answer<Download> {
        let scope = caller.scope();
        let export = export::get(&self.ledger, &scope, id.0).await?;
        if export.finished_at.is_none() {
            return Err(Error::conflict("not_done", "it is not written; GET /api/exports/{id} says how far it is").into());
        }
        let bytes = files::bytes(&self.store, export::storage_key(scope.tenant, export.id)).await?;
        let name = format!("{}-{}.{}", export.topic, export.created_at.format("%Y-%m-%d"), export.format.ending());
        Ok(Download { bytes, mime_type: export.format.mime_type().to_owned(), disposition: files::disposition(&name, "export") })
    }

    /// Delete an export and its file.
    #[oai(path = "/exports/:id", method = "delete", operation_id = "exports_delete", tag = "Tag::Exports")]
    async fn delete(
        &self,
        caller: Caller,
        /// Which export.
        id: Path<ExportId>,
    ) -> Answer<Deleted> {
        export::delete(&self.ledger, &caller.scope(), id.0).await?;
        Ok(Deleted::Deleted)
    }
}
