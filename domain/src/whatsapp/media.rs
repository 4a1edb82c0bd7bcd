//! Files of messages: what is known of them here, where their bytes lie.

use chrono::Utc;
use db::Db;
use entities::{DeviceId, MediaId, MediaState, TenantId, whatsapp_media as table};
use jobs::Ledger;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, prelude::Expr};
use serde_json::json;

use super::{devices, messages::MediaView};
use crate::{
    Error, Result, Scope,
    engine::{Event, Write},
};

fn own(tenant: TenantId, id: MediaId) -> sea_orm::sea_query::SimpleExpr {
    table::Column::TenantId.eq(tenant).and(table::Column::Id.eq(id))
}

/// Where the bytes of a file lie in the object store. Made of ids only, so no name from outside can lead elsewhere.
#[must_use]
pub fn storage_key(tenant: TenantId, id: MediaId) -> String {
    format!("{tenant}/{id}")
}

/// One file's row.
///
/// # Errors
/// The database's.
pub async fn row(db: &impl ConnectionTrait, tenant: TenantId, id: MediaId) -> Result<Option<table::Model>> {
    Ok(table::Entity::find().filter(own(tenant, id)).one(db).await?)
}

/// A stored file: what is known of it and its key in the object store.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when it is not here (yet); the database's.
pub async fn stored_file(db: &Db, scope: &Scope, id: MediaId) -> Result<(MediaView, String)> {
    scope.require("messages:read")?;
    let row = row(&db.read, scope.tenant, id).await?.ok_or(Error::NotFound("media"))?;
    match (row.state, row.storage_key.clone()) {
        (MediaState::Stored, Some(key)) => Ok((row.into(), key)),
        (MediaState::Failed, _) => {
            let why = row.error.unwrap_or_default();
            Err(Error::conflict("media_failed", format!("the file could not be fetched: {why}")))
        }
        _ => Err(Error::conflict("media_pending", "the file is being fetched; ask again in a moment")),
    }
}

/// The file is in the store.
///
/// # Errors
/// The database's.
pub async fn stored(write: &Write<'_>, id: MediaId, mime_type: &str, size: u64, sha256: &str) -> Result<()> {
    let tenant = write.scope.tenant;
    table::Entity::update_many()
        .col_expr(table::Column::State, Expr::value(MediaState::Stored.as_str()))
        .col_expr(table::Column::StorageKey, Expr::value(storage_key(tenant, id)))
        .col_expr(table::Column::MimeType, Expr::value(mime_type))
        .col_expr(table::Column::Size, Expr::value(i64::try_from(size).unwrap_or(i64::MAX)))
        .col_expr(table::Column::Sha256, Expr::value(sha256))
        .col_expr(table::Column::Error, Expr::value(None::<String>))
        .col_expr(table::Column::UpdatedAt, Expr::value(Utc::now()))
        .filter(own(tenant, id))
        .exec(&***write)
        .await?;
    tell(write, id, "media_stored").await
}

/// WhatsApp has a file of ours, and calls it so.
///
/// # Errors
/// The database's.
pub async fn uploaded(write: &Write<'_>, id: MediaId, provider_media_id: &str) -> Result<()> {
    table::Entity::update_many()
        .col_expr(table::Column::ProviderMediaId, Expr::value(provider_media_id))
        .col_expr(table::Column::UpdatedAt, Expr::value(Utc::now()))
        .filter(own(write.scope.tenant, id))
        .exec(&***write)
        .await?;
    Ok(())
}

/// A file of the team's own, to be sent. Its bytes are in the store already: one that is never sent after a crash is only
/// a file that nobody knows.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// Its id, which its key in the store was made of.
    pub id: MediaId,
    /// Through which device it will be sent.
    pub device_id: DeviceId,
    /// Its type, e.g. `image/png`.
    pub mime_type: String,
    /// Its name.
    pub file_name: Option<String>,
    /// Bytes.
    pub size: u64,
    /// SHA-256, in hex.
    pub sha256: String,
}

/// Adds a file to be sent.
///
/// # Errors
/// [`Error::Invalid`] for an unknown device; the database's.
pub async fn add(ledger: &Ledger, scope: &Scope, new: NewFile) -> Result<MediaView> {
    scope.require("messages:send")?;
    let NewFile { id, device_id, mime_type, file_name, size, sha256 } = new;
    let write = Write::begin(ledger, scope).await?;
    devices::row(&**write, scope.tenant, device_id).await.map_err(|error| match error {
        Error::NotFound(_) => Error::field("/device_id", "not_found", "there is no such device"),
        other => other,
    })?;
    let row = table::ActiveModel {
        id: Set(id),
        tenant_id: Set(scope.tenant),
        device_id: Set(device_id),
        mime_type: Set(Some(mime_type)),
        file_name: Set(file_name),
        size: Set(Some(i64::try_from(size).unwrap_or(i64::MAX))),
        sha256: Set(Some(sha256)),
        state: Set(MediaState::Stored),
        storage_key: Set(Some(storage_key(scope.tenant, id))),
        created_at: Set(Utc::now()),
        updated_at: Set(Utc::now()),
        ..Default::default()
    };
    let row = table::Entity::insert(row).exec_with_returning(&**write).await?;
    write.record(Event { topic: "media", subject_id: id.0, action: "created", data: json!({ "size": size }) }).await?;
    write.commit(MediaView::from(row)).await
}

/// The file can't be had.
///
/// # Errors
/// The database's.
pub async fn failed(write: &Write<'_>, id: MediaId, reason: &str) -> Result<()> {
    table::Entity::update_many()
        .col_expr(table::Column::State, Expr::value(MediaState::Failed.as_str()))
        .col_expr(table::Column::Error, Expr::value(reason))
        .col_expr(table::Column::UpdatedAt, Expr::value(Utc::now()))
        .filter(own(write.scope.tenant, id))
        .exec(&***write)
        .await?;
    tell(write, id, "media_failed").await
}

async fn tell(write: &Write<'_>, id: MediaId, action: &'static str) -> Result<()> {
    let Some(message) = row(&***write, write.scope.tenant, id).await?.and_then(|row| row.message_id) else { return Ok(()) };
    write.record(Event { topic: "messages", subject_id: message.0, action, data: json!({ "media_id": id }) }).await
}
