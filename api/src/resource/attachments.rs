//! Files on a record, once for all resources on whose records people put them.

use std::sync::Arc;

use domain::{
    Error,
    collaboration::attachments::{self, Attachment, NewFile},
    entities::AttachmentId,
    page::Page,
    resource::Resource,
};
use jobs::Ledger;
use object_store::{ObjectStore, path::Path as Key};
use poem_openapi::{
    ApiResponse, Multipart, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::multipart::Upload,
};
use uuid::Uuid;

use super::answers::Gone;
use crate::{
    files::{self, Download},
    guard::Caller,
    paging,
    problem::Answer,
    routes::PageInfo,
};

/// The operations on the files of one resource's records.
pub(super) struct Attachments {
    pub(super) ledger: Ledger,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) resource: &'static Resource,
}

/// A file to be put on a record.
#[derive(Multipart)]
struct NewAttachment {
    /// The file, with its name and type; up to 100 MB.
    file: Upload,
}

/// Some of the files on a record.
#[derive(Object)]
struct AttachmentPage {
    /// Newest first.
    data: Vec<Attachment>,
    /// Where the next page begins.
    page: PageInfo,
}

#[derive(ApiResponse)]
enum Attached {
    /// The file.
    #[oai(status = 201)]
    Attached(Json<Attachment>),
}

#[OpenApi]
impl Attachments {
    /// The files on a {one}, newest first.
    #[oai(path = "/:id/attachments", method = "get", operation_id = "attachments_list")]
    async fn attachments(
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
    ) -> Answer<Json<AttachmentPage>> {
        let page = attachments::list(self.ledger.db(), &caller.scope(), self.resource, id.0, paging(limit.0, cursor.0)).await?;
        let Page { data, next_cursor } = page;
        Ok(Json(AttachmentPage { data, page: PageInfo { next_cursor, total: None } }))
    }

    /// Put a file on a {one}. Whoever may edit it may.
    #[oai(path = "/:id/attachments", method = "post", operation_id = "attachments_create")]
    async fn attach(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
        form: NewAttachment,
    ) -> Answer<Attached> {
        let (scope, NewAttachment { file }) = (caller.scope(), form);
        let new = AttachmentId::new();
        let mime_type = file.content_type().unwrap_or(files::UNKNOWN).chars().take(100).collect();
        let named = file.file_name().map(|name| name.chars().filter(|c| !c.is_control()).take(200).collect());
        let file_name = named.filter(|name: &String| !name.is_empty()).unwrap_or_else(|| new.to_string());
        let key = Key::from(attachments::storage_key(scope.tenant, new));
        let (size, sha256) = files::keep(&self.store, key.clone(), file).await.map_err(Error::Internal)?;
        let file = NewFile { id: new, file_name, mime_type, size, sha256 };
        match attachments::add(&self.ledger, &scope, self.resource, id.0, file).await {
            Ok(added) => Ok(Attached::Attached(Json(added))),
            Err(error) => {
                files::discard(&self.store, &key).await;
                Err(error.into())
            }
        }
    }

    /// What is known of a file on a {one}.
    #[oai(path = "/:id/attachments/:attachment_id", method = "get", operation_id = "attachments_get")]
    async fn attachment(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
        /// Which file.
        attachment_id: Path<AttachmentId>,
    ) -> Answer<Json<Attachment>> {
        Ok(Json(attachments::get(self.ledger.db(), &caller.scope(), self.resource, id.0, attachment_id.0).await?))
    }

    /// A file on a {one}, as a download.
    #[oai(path = "/:id/attachments/:attachment_id/content", method = "get", operation_id = "attachments_content")]
    async fn content(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
        /// Which file.
        attachment_id: Path<AttachmentId>,
    ) -> Answer<Download> {
        let scope = caller.scope();
        let file = attachments::get(self.ledger.db(), &scope, self.resource, id.0, attachment_id.0).await?;
        let bytes = files::bytes(&self.store, attachments::storage_key(scope.tenant, file.id)).await?;
        let disposition = files::disposition(&file.file_name, &file.id.to_string());
        Ok(Download { bytes, mime_type: file.mime_type, disposition })
    }

    /// Take a file off a {one}. Whoever may edit it may.
    #[oai(path = "/:id/attachments/:attachment_id", method = "delete", operation_id = "attachments_delete")]
    async fn detach(
        &self,
        caller: Caller,
        /// Which {one}.
        id: Path<Uuid>,
        /// Which file.
        attachment_id: Path<AttachmentId>,
    ) -> Answer<Gone> {
        attachments::delete(&self.ledger, &caller.scope(), self.resource, id.0, attachment_id.0).await?;
        Ok(Gone::Gone)
    }
}
