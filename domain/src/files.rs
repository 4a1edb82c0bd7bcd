//! Files of the object store, for what has to read them from a place on the disk.

use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;

/// A copy of a file, which is gone when it is dropped; nothing when the store doesn't have it.
///
/// # Errors
/// The store doesn't answer; the disk is full.
pub async fn at_hand(store: &dyn ObjectStore, key: &str) -> anyhow::Result<Option<NamedTempFile>> {
    let found = match store.get(&Path::from(key)).await {
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        found => found?,
    };
    let file = NamedTempFile::new()?;
    let mut copy = tokio::fs::File::create(file.path()).await?;
    let mut bytes = found.into_stream();
    while let Some(part) = futures::TryStreamExt::try_next(&mut bytes).await? {
        copy.write_all(&part).await?;
    }
    copy.flush().await?;
    Ok(Some(file))
}
