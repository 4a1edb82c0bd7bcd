use std::sync::Arc;

use domain::{
    Error,
    entities::{DeviceId, MediaId},
    whatsapp::{
        media::{self, NewFile},
        messages::MediaView,
    },
};
use jobs::Ledger;
use object_store::{ObjectStore, path::Path as Key};
use poem::Body;
use poem_openapi::{
    ApiResponse, Multipart, OpenApi,
    param::Path,
    payload::{Binary, Json},
    types::multipart::Upload,
};

use crate::{Tag, files, guard::Caller, problem::Answer};

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

/// A file to be sent.
#[derive(Multipart)]
struct NewMedia {
    /// Through which device it will be sent.
    device_id: DeviceId,
    /// The file, with its name and type; up to 100 MB.
    file: Upload,
}

#[derive(ApiResponse)]
enum Added {
    /// The file. Its id goes into a message as `media_id`.
    #[oai(status = 201)]
    File(Json<MediaView>),
}

#[OpenApi(prefix_path = "/whatsapp/media", tag = "Tag::Messages")]
impl Media {
    /// Upload a file to be sent.
    #[oai(path = "/", method = "post", operation_id = "whatsapp_media_create")]
    async fn create(&self, caller: Caller, form: NewMedia) -> Answer<Added> {
        let scope = caller.scope();
        scope.require("messages:send")?;
        let NewMedia { device_id, file } = form;
        let id = MediaId::new();
        let mime_type = file.content_type().unwrap_or(files::UNKNOWN).chars().take(100).collect();
        let file_name = file.file_name().map(|name| name.chars().take(200).collect());
        let key = Key::from(media::storage_key(scope.tenant, id));
        let (size, sha256) = files::keep(&self.store, key.clone(), file).await.map_err(Error::Internal)?;
        let new = NewFile { id, device_id, mime_type, file_name, size, sha256 };
        match media::add(&self.ledger, &scope, new).await {
            Ok(added) => Ok(Added::File(Json(added))),
            Err(error) => {
                files::discard(&self.store, &key).await;
                Err(error.into())
            }
        }
    }

    /// A file of a message.
    ///
    /// It is never shown in place: what a customer sends can't run in the panel's origin.
    #[oai(path = "/:id", method = "get", operation_id = "whatsapp_media_get")]
    async fn get(&self, caller: Caller, id: Path<MediaId>) -> Answer<File> {
        let (file, key) = media::stored_file(self.ledger.db(), &caller.scope(), id.0).await?;
        let bytes = files::bytes(&self.store, key).await?;
        let kind = file.mime_type.unwrap_or_else(|| files::UNKNOWN.into());
        let printable = |text: String| text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect::<String>();
        let disposition = files::disposition(&file.file_name.unwrap_or_default(), &id.0.to_string());
        Ok(File::Bytes(Binary(bytes), printable(kind), disposition))
    }
}
