//! Attachments: files on a record. A row says what is known of one; its bytes lie in the object store, where they are put before the
//! row is written, and from where a job takes them once the row is gone.

use chrono::{DateTime, SubsecRound, Utc};
use db::Db;
use entities::{AttachmentId, TenantId, UserId, attachment as table};
use jobs::{Ledger, NewJob};
use poem_openapi::Object;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{TOPICS, names, seen};
use crate::{
    Error, Result, Scope,
    engine::{Event, Write, again},
    page::{Page, Paging},
    payloads::DeleteFile,
    resource::{Record, Resource, access::Act, registry, write},
};

/// A file on a record.
#[derive(Clone, Debug, PartialEq, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct Attachment {
    /// Its id.
    pub id: AttachmentId,
    /// Its name.
    pub file_name: String,
    /// Its type, as whoever put it there said.
    pub mime_type: String,
    /// Bytes.
    pub size: i64,
    /// SHA-256, in hex.
    pub sha256: String,
    /// Who put it there.
    pub uploader_id: Option<UserId>,
    /// What they are called; left out for somebody whom you may not see.
    pub uploader: Option<String>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A file whose bytes are in the store already: one that is never added after a crash is only a file that nobody knows.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// Its id, which its key in the store was made of.
    pub id: AttachmentId,
    /// Its name.
    pub file_name: String,
    /// Its type, e.g. `image/png`.
    pub mime_type: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256, in hex.
    pub sha256: String,
}

/// Where the bytes of a file lie in the object store. Made of ids only, so no name from outside can lead elsewhere.
#[must_use]
pub fn storage_key(tenant: TenantId, id: AttachmentId) -> String {
    format!("{tenant}/{id}")
}

/// What somebody has to be allowed who puts files on records of a topic: to be known before the file comes.
#[must_use]
pub fn ability(topic: &str) -> Option<&'static str> {
    registry::find(topic).filter(|resource| TOPICS.contains(&resource.topic)).map(|resource| resource.ability(Act::Edit))
}

/// The files on a record, newest first.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; [`Error::Invalid`] for a foreign cursor; the database's.
pub async fn list(db: &Db, scope: &Scope, resource: &'static Resource, id: Uuid, paging: Paging) -> Result<Page<Attachment>> {
    seen(&db.read, scope, resource, id).await?;
    let mut find = of(scope, resource, id);
    if let Some(after) = paging.after::<AttachmentId>()? {
        find = find.filter(table::Column::Id.lt(after));
    }
    let rows = find.order_by_desc(table::Column::Id).limit(paging.limit + 1).all(&db.read).await?;
    let Page { data, next_cursor } = paging.page(rows, |row| row.id);
    Ok(Page { data: shown(&db.read, scope, data).await?, next_cursor })
}

/// A file on a record.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; the database's.
pub async fn get(db: &Db, scope: &Scope, resource: &'static Resource, id: Uuid, file: AttachmentId) -> Result<Attachment> {
    seen(&db.read, scope, resource, id).await?;
    let row = of(scope, resource, id).filter(table::Column::Id.eq(file)).one(&db.read).await?;
    shown(&db.read, scope, row.into_iter().collect()).await?.pop().ok_or(Error::NotFound("attachment"))
}

/// Puts a file on a record: whoever may edit it does.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; [`Error::Conflict`] when the record is in the trash; the database's.
pub async fn add(ledger: &Ledger, scope: &Scope, resource: &'static Resource, id: Uuid, new: NewFile) -> Result<Attachment> {
    again(|| async {
        let NewFile { id: file, file_name, mime_type, size, sha256 } = new.clone();
        let write = Write::begin(ledger, scope).await?;
        edited(&write, resource, id).await?;
        let row = table::ActiveModel {
            id: Set(file),
            tenant_id: Set(scope.tenant),
            topic: Set(resource.topic.into()),
            subject_id: Set(id),
            file_name: Set(file_name),
            mime_type: Set(mime_type),
            size: Set(i64::try_from(size).unwrap_or(i64::MAX)),
            sha256: Set(sha256),
            uploader_id: Set(scope.user()),
            created_at: Set(Utc::now().trunc_subsecs(6)),
        };
        let row = table::Entity::insert(row).exec_with_returning(&**write).await?;
        tell(&write, &row, resource, "attached").await?;
        let added = shown(&**write, scope, vec![row]).await?.pop();
        let added = added.ok_or_else(|| anyhow::anyhow!("an attachment that is shown is one"))?;
        write.commit(added).await
    })
    .await
}

/// Takes a file off a record: whoever may edit it does.
///
/// # Errors
/// As [`add`].
pub async fn delete(ledger: &Ledger, scope: &Scope, resource: &'static Resource, id: Uuid, file: AttachmentId) -> Result<()> {
    again(|| async {
        let write = Write::begin(ledger, scope).await?;
        edited(&write, resource, id).await?;
        let row = of(scope, resource, id).filter(table::Column::Id.eq(file)).one(&**write).await?.ok_or(Error::NotFound("attachment"))?;
        remove(&write, file).await?;
        tell(&write, &row, resource, "detached").await?;
        write.commit(()).await
    })
    .await
}

/// Those of a record that is deleted for good go with it.
pub(super) async fn forget(write: &Write<'_>, resource: &Resource, id: Uuid) -> Result<()> {
    for row in of(write.scope, resource, id).all(&***write).await? {
        remove(write, row.id).await?;
    }
    Ok(())
}

async fn remove(write: &Write<'_>, file: AttachmentId) -> Result<()> {
    let row = table::Entity::delete_many().filter(table::Column::TenantId.eq(write.scope.tenant)).filter(table::Column::Id.eq(file));
    row.exec(&***write).await?;
    write.enqueue(NewJob::new(write.scope.tenant.0, &DeleteFile { attachment_id: file })).await?;
    Ok(())
}

/// The record, for whoever may edit it. Until the transaction ends, nobody deletes it.
async fn edited(write: &Write<'_>, resource: &'static Resource, id: Uuid) -> Result<Record> {
    let record = write::locked(write, resource, Act::Edit, id, None).await?;
    match record.get("deleted_at") {
        Some(Value::String(_)) => Err(Error::conflict("in_trash", format!("the {} is in the trash; restore it first", resource.name))),
        _ => Ok(record),
    }
}

fn of(scope: &Scope, resource: &Resource, id: Uuid) -> sea_orm::Select<table::Entity> {
    table::Entity::find()
        .filter(table::Column::TenantId.eq(scope.tenant))
        .filter(table::Column::Topic.eq(resource.topic))
        .filter(table::Column::SubjectId.eq(id))
}

async fn tell(write: &Write<'_>, row: &table::Model, resource: &Resource, action: &'static str) -> Result<()> {
    let data = json!({ "attachment_id": row.id, "file_name": row.file_name });
    write.record(Event { topic: resource.topic, subject_id: row.subject_id, action, data }).await
}

async fn shown(conn: &impl ConnectionTrait, scope: &Scope, rows: Vec<table::Model>) -> Result<Vec<Attachment>> {
    let names = names(conn, scope, rows.iter().filter_map(|row| row.uploader_id)).await?;
    let attachment = |row: table::Model| {
        let table::Model { id, tenant_id: _, topic: _, subject_id: _, file_name, mime_type, size, sha256, uploader_id, created_at } = row;
        let uploader = uploader_id.and_then(|user| names.get(&user).cloned());
        Attachment { id, file_name, mime_type, size, sha256, uploader_id, uploader, created_at }
    };
    Ok(rows.into_iter().map(attachment).collect())
}
