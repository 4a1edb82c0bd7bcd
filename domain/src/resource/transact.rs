//! What people do to records, each in a transaction of its own. Workflows, imports and bulk work call [`super::write`] in theirs.

use jobs::Ledger;
use serde_json::Value;
use uuid::Uuid;

use super::{Record, Resource, access::Act, lists, rows, write};
use crate::{
    Result, Scope,
    engine::{Write, again},
};

/// Commits, and answers with the record as the caller gets to see it.
pub(crate) async fn answered(write: Write<'_>, resource: &'static Resource, record: Record) -> Result<Record> {
    let mut records = [record];
    rows::show(&**write, write.scope, resource, &[], &mut records).await?;
    let [record] = records;
    write.commit(record).await
}

/// [`write::create`].
///
/// # Errors
/// As there.
pub async fn create(ledger: &Ledger, scope: &Scope, resource: &'static Resource, body: &Record) -> Result<Record> {
    again(|| async {
        let write = Write::begin(ledger, scope).await?;
        let record = write::create(&write, resource, body).await?;
        answered(write, resource, record).await
    })
    .await
}

/// [`write::update`].
///
/// # Errors
/// As there.
pub async fn update(
    ledger: &Ledger,
    scope: &Scope,
    resource: &'static Resource,
    id: Uuid,
    body: &Record,
    version: Option<i64>,
) -> Result<Record> {
    again(|| async {
        let write = Write::begin(ledger, scope).await?;
        let record = write::update(&write, resource, id, body, version).await?;
        answered(write, resource, record).await
    })
    .await
}

/// [`write::upsert`]: whether it is new, and the record.
///
/// # Errors
/// As there.
pub async fn upsert(
    ledger: &Ledger,
    scope: &Scope,
    resource: &'static Resource,
    field: &str,
    key: &str,
    body: &Record,
) -> Result<(bool, Record)> {
    again(|| async {
        let write = Write::begin(ledger, scope).await?;
        let (new, record) = write::upsert(&write, resource, field, key, body).await?;
        Ok((new, answered(write, resource, record).await?))
    })
    .await
}

/// [`write::trash`], or [`write::purge`] when it is for good.
///
/// # Errors
/// As there.
pub async fn delete(
    ledger: &Ledger,
    scope: &Scope,
    resource: &'static Resource,
    id: Uuid,
    for_good: bool,
    version: Option<i64>,
) -> Result<()> {
    again(|| async {
        let write = Write::begin(ledger, scope).await?;
        match for_good {
            true => write::purge(&write, resource, id, version).await?,
            false => _ = write::trash(&write, resource, id, version).await?,
        }
        write.commit(()).await
    })
    .await
}

/// [`write::restore`].
///
/// # Errors
/// As there.
pub async fn restore(ledger: &Ledger, scope: &Scope, resource: &'static Resource, id: Uuid) -> Result<Record> {
    again(|| async {
        let write = Write::begin(ledger, scope).await?;
        let record = write::restore(&write, resource, id).await?;
        answered(write, resource, record).await
    })
    .await
}

/// [`write::duplicate`].
///
/// # Errors
/// As there.
pub async fn duplicate(ledger: &Ledger, scope: &Scope, resource: &'static Resource, id: Uuid) -> Result<Record> {
    again(|| async {
        let write = Write::begin(ledger, scope).await?;
        let record = write::duplicate(&write, resource, id).await?;
        answered(write, resource, record).await
    })
    .await
}

/// Puts things on one of a record's lists and takes others off it: names of tags, or ids of other records.
///
/// # Errors
/// As [`write::update`].
pub async fn put(
    ledger: &Ledger,
    scope: &Scope,
    resource: &'static Resource,
    id: Uuid,
    field: &str,
    (on, off): (Vec<Value>, Vec<Value>),
) -> Result<Record> {
    scope.may(resource, Act::Edit)?;
    let field = lists::field(resource, field)?;
    again(|| async {
        let write = Write::begin(ledger, scope).await?;
        let record = lists::put(&write, resource, id, field, &on, &off).await?;
        answered(write, resource, record).await
    })
    .await
}
