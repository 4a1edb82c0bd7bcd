//! One record after the other, in one transaction: what one of them is refused for is undone by itself.

use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{Bulk, BulkFault, Deed};
use crate::{
    Error, Result,
    engine::Write,
    resource::{lists, write},
};

/// Does it to these records; those to which it could not be done.
pub(super) async fn all(write: &Write<'_>, bulk: &Bulk, ids: &[Uuid]) -> Result<Vec<BulkFault>> {
    let mut faults = Vec::new();
    for id in ids {
        write.execute_unprepared("savepoint one_record").await?;
        let done = one(write, bulk, *id).await;
        let undo = bulk.dry_run || done.is_err();
        if let Err(error) = done {
            faults.push(fault(*id, error)?);
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

/// What a record is refused for. What is no fault of the record's is none of it: it ends all of the transaction.
fn fault(id: Uuid, error: Error) -> Result<BulkFault> {
    let message = error.to_string();
    let (code, pointer, message) = match error {
        Error::NotFound(_) => ("not_found", None, message),
        Error::Forbidden(_) => ("forbidden", None, message),
        Error::Changed => ("changed", None, message),
        Error::Conflict { code, message } => (code, None, message),
        Error::Invalid(faults) => {
            let said = |fault: &crate::FieldError| format!("{} {}", fault.pointer.trim_start_matches('/'), fault.message);
            let message = faults.iter().map(said).collect::<Vec<_>>().join("; ");
            let first = faults.into_iter().next();
            (first.as_ref().map_or("invalid", |fault| fault.code), first.map(|fault| fault.pointer), message)
        }
        other => return Err(other),
    };
    Ok(BulkFault { id, code: code.to_owned(), pointer, message })
}
