use std::sync::Arc;

use domain::{Error, entities::MediaId, whatsapp::media};
use jobs::Ledger;
use object_store::{ObjectStore, ObjectStoreExt, path::Path as Key};
use poem::Body;
use poem_openapi::{
    ApiResponse, OpenApi,
    param::Path,
    payload::Binary,
};

use crate::{Tag, guard::Caller, problem::Answer};

pub(crate) struct Media {
    pub(crate) ledger: Ledger,
    pub(crate) store: Arc<dyn ObjectStore>,
}

#[derive(ApiResponse)]
enum File {
    /// The file's bytes, always as a download.
    #[oai(status = 200, content_type = "application/octet-stream")]
    Bytes(
        Binary<Body>,
        /// Its type, as WhatsApp gave it.
        #[oai(header = "X-Media-Type")]
        String,
        /// Its name.
        #[oai(header = "Content-Disposition")]
        String,
    ),
}

#[OpenApi(prefix_path = "/whatsapp/media", tag = "Tag::Messages")]
impl Media {
    /// A file of a message.
    ///
    /// It is never shown in place: what a customer sends can't run in the panel's origin.
    #[oai(path = "/:id", method = "get", operation_id = "whatsapp_media_get")]
    async fn get(&self, caller: Caller, id: Path<MediaId>) -> Answer<File> {
        let (file, key) = media::stored_file(self.ledger.db(), &caller.scope(), id.0).await?;
        let found = self.store.get(&Key::from(key)).await.map_err(|error| match error {
            object_store::Error::NotFound { .. } => Error::conflict("media_missing", "the file is not in the store any more"),
            other => Error::Internal(other.into()),
        })?;
        let kind = file.mime_type.unwrap_or_else(|| "application/octet-stream".into());
        let name: String = file.file_name.unwrap_or_default().chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '/')).collect();
        let name = if name.is_empty() { id.0.to_string() } else { name };
        let printable = |text: String| text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect::<String>();
        Ok(File::Bytes(Binary(Body::from_bytes_stream(found.into_stream())), printable(kind), format!("attachment; filename=\"{name}\"")))
    }
}
