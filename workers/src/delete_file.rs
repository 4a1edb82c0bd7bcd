//! Takes a file out of the store whose row is gone.

use domain::{collaboration::attachments, entities::TenantId, payloads::DeleteFile};
use jobs::{Outcome, Run};
use object_store::{Error, ObjectStoreExt, path::Path};

use crate::Context;

pub(crate) async fn run(context: Context, run: Run, DeleteFile { attachment_id }: DeleteFile) -> anyhow::Result<Outcome> {
    let key = Path::from(attachments::storage_key(TenantId(run.tenant), attachment_id));
    match context.store.delete(&key).await {
        // An attempt before this one may have done it.
        Ok(()) | Err(Error::NotFound { .. }) => Ok(Outcome::Done),
        Err(error) => Ok(Outcome::retry(error.to_string())),
    }
}
