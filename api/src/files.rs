//! Files on their way: up into the store, and down as downloads.

use std::sync::Arc;

use domain::Error;
use object_store::{ObjectStore, ObjectStoreExt, buffered::BufWriter, path::Path as Key};
use poem::{
    Body, IntoResponse, Response,
    http::{HeaderValue, header},
};
use poem_openapi::{
    ApiResponse,
    payload::{Binary, Payload},
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{Type, multipart::Upload},
};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The type of a file that nobody knows more of.
pub(crate) const UNKNOWN: &str = "application/octet-stream";

/// Streams an upload into the store; its size and SHA-256.
pub(crate) async fn keep(store: &Arc<dyn ObjectStore>, key: Key, file: Upload) -> anyhow::Result<(u64, String)> {
    let mut reader = file.into_async_read();
    let mut writer = BufWriter::new(store.clone(), key);
    let (mut size, mut sha256, mut part) = (0u64, Sha256::new(), vec![0; 64 * 1024]);
    loop {
        let read = reader.read(&mut part).await?;
        if read == 0 {
            break;
        }
        sha256.update(&part[..read]);
        writer.write_all(&part[..read]).await?;
        size += read as u64;
    }
    writer.shutdown().await?;
    Ok((size, hex::encode(sha256.finalize())))
}

/// Takes a file out of the store again whose row could not be written.
pub(crate) async fn discard(store: &Arc<dyn ObjectStore>, key: &Key) {
    if let Err(error) = store.delete(key).await {
        tracing::warn!(%error, "a file that nobody refers to stays in the store");
    }
}

/// The bytes of a file.
pub(crate) async fn bytes(store: &Arc<dyn ObjectStore>, key: String) -> Result<Body, Error> {
    let found = store.get(&Key::from(key)).await.map_err(|error| match error {
        object_store::Error::NotFound { .. } => Error::conflict("media_missing", "the file is not in the store any more"),
        other => Error::Internal(other.into()),
    })?;
    Ok(Body::from_bytes_stream(found.into_stream()))
}

/// `Content-Disposition`: always a download, under a name that can't lead anywhere.
pub(crate) fn disposition(name: &str, otherwise: &str) -> String {
    let plain: String = name.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '/')).collect();
    format!("attachment; filename=\"{}\"", if plain.is_empty() { otherwise } else { &plain })
}

/// A file of somebody's, of whatever type they said: never shown in place, and without a right if it is all the same.
pub(crate) struct Download {
    pub(crate) bytes: Body,
    pub(crate) mime_type: String,
    pub(crate) disposition: String,
}

impl IntoResponse for Download {
    fn into_response(self) -> Response {
        let kind = HeaderValue::from_str(&self.mime_type).unwrap_or(HeaderValue::from_static(UNKNOWN));
        let mut response = Binary(self.bytes).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, kind);
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
        if let Ok(disposition) = HeaderValue::from_str(&self.disposition) {
            headers.insert(header::CONTENT_DISPOSITION, disposition);
        }
        response
    }
}

impl ApiResponse for Download {
    fn meta() -> MetaResponses {
        let header = |name: &str, description| MetaHeader {
            name: name.to_owned(),
            description: Some(description),
            required: true,
            deprecated: false,
            schema: String::schema_ref(),
        };
        let content = vec![MetaMediaType { content_type: "*/*", schema: Binary::<Body>::schema_ref() }];
        let headers = vec![
            header("Content-Disposition", "Its name; it is always a download.".to_owned()),
            header("Content-Security-Policy", "A sandbox, whatever is in the file.".to_owned()),
        ];
        let found =
            MetaResponse { description: "The file's bytes, of its own type.", status: Some(200), status_range: None, content, headers };
        MetaResponses { responses: vec![found] }
    }

    fn register(_: &mut Registry) {}
}
