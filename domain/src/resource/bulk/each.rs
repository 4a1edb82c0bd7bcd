//! One record after the other, in one transaction: what one of them is refused for is undone by itself.

use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{Bulk, BulkFault, Deed};
use crate::{
    Result,
    engine::Write,
    resource::{
        lists,
        refused::{Refused, refused},
        write,
    },
};

/// Does it to these records; those to which it could not be done.
pub(super) async fn all(write: &Write<'_>, bulk: &Bulk, ids: &[Uuid]) -> Result<Vec<BulkFault>> {
    let mut faults = Vec::new();
    for id in ids {
        write.execute_unprepared("savepoint one_record").await?;
        let done = one(write, bulk, *id).await;
        let undo = bulk.dry_run || done.is_err();
        if let Err(error) = done {
            let Refused { code, pointer, message } = refused(error)?;
            faults.push(BulkFault { id: *id, code, pointer, message });
        }
        if undo {
            write.execute_unprepared("rollback to savepoint one_record").await?;
        }
        write.execute_unprepared("release savepoint one_record").await?;
    }
    Ok(faults)
}

async fn one(write: &Write<'_>, bulk: &Bulk, id: Uuid) -> Result<()> {
    let resource = bulk.resource;
    match &bulk.deed {
        Deed::Edit(changes) => write::update(write, resource, id, changes, None).await?,
        Deed::Tag(tags) => lists::put(write, resource, id, lists::field(resource, "tags")?, tags, &[]).await?,
        Deed::Untag(tags) => lists::put(write, resource, id, lists::field(resource, "tags")?, &[], tags).await?,
        Deed::Delete => write::trash(write, resource, id, None).await?,
        Deed::Restore => write::restore(write, resource, id).await?,
    };
    Ok(())
}
