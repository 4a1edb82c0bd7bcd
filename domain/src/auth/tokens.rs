//! Personal access tokens, for programs. Only their SHA-256 is kept: they are long and random, so nothing slower is needed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use chrono::Utc;
use db::Db;
use entities::{TenantId, TokenId, UserId, personal_access_token as table, user};
use jobs::Ledger;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, QueryFilter};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Account, account};
use crate::{
    Error, Result, Scope,
    engine::{Event, Write},
    scope::{self, Actor, covers},
};

/// What personal access tokens begin with, so that scanners of leaked secrets know them.
pub const PREFIX: &str = "somo_pat_";

/// A fresh secret of 256 bits.
#[must_use]
pub fn secret(prefix: &str) -> String {
    format!("{prefix}{}", BASE64.encode(rand::random::<[u8; 32]>()))
}

/// What is kept of a secret.
#[must_use]
pub fn fingerprint(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

/// A token for the user with this address; it is shown once.
///
/// # Errors
/// [`Error::NotFound`] for an unknown address, [`Error::Invalid`] for abilities that don't exist; the database's.
pub async fn create(ledger: &Ledger, email: &str, name: &str, abilities: Vec<String>) -> Result<String> {
    for (at, ability) in abilities.iter().enumerate() {
        if !scope::abilities().any(|known| covers(ability, known)) {
            let message = format!("there is no ability {ability}; there are *, {}", scope::abilities().collect::<Vec<_>>().join(", "));
            return Err(Error::field(format!("/abilities/{at}"), "invalid", message));
        }
    }
    let email = email.trim().to_lowercase();
    let user = user::Entity::find().filter(user::Column::Email.eq(email)).one(&ledger.db().read).await?.ok_or(Error::NotFound("user"))?;
    let scope = Scope::system(user.tenant_id, Actor::System);
    let write = Write::begin(ledger, &scope).await?;
    let token = secret(PREFIX);
    let id = TokenId::new();
    let row = table::ActiveModel {
        id: Set(id),
        tenant_id: Set(user.tenant_id),
        user_id: Set(user.id),
        name: Set(name.to_owned()),
        token_hash: Set(fingerprint(&token)),
        abilities: Set(json!(abilities)),
        created_at: Set(Utc::now()),
        ..Default::default()
    };
    table::Entity::insert(row).exec_without_returning(&**write).await?;
    write.record(Event { topic: "tokens", subject_id: id.0, action: "created", data: json!({ "abilities": abilities }) }).await?;
    write.commit(()).await?;
    Ok(token)
}

/// What a token may do that somebody used earlier; `None` when it is expired or revoked.
pub(crate) async fn abilities_of(db: &Db, tenant: TenantId, id: TokenId) -> Result<Option<Vec<String>>> {
    let valid = table::Column::TenantId
        .eq(tenant)
        .and(table::Column::Id.eq(id))
        .and(table::Column::RevokedAt.is_null())
        .and(table::Column::ExpiresAt.is_null().or(table::Column::ExpiresAt.gt(Utc::now())));
    let Some(row) = table::Entity::find().filter(valid).one(&db.read).await? else { return Ok(None) };
    Ok(Some(serde_json::from_value(row.abilities).map_err(anyhow::Error::from)?))
}

/// Who a token belongs to, which one it is and what it may do. `None` when it is unknown, expired or revoked.
///
/// # Errors
/// The database's.
pub async fn token_account(db: &Db, token: &str) -> Result<Option<(Account, TokenId, Vec<String>)>> {
    let now = Utc::now();
    let valid = table::Column::TokenHash
        .eq(fingerprint(token))
        .and(table::Column::RevokedAt.is_null())
        .and(table::Column::ExpiresAt.is_null().or(table::Column::ExpiresAt.gt(now)));
    let Some(row) = table::Entity::find().filter(valid).one(&db.read).await? else { return Ok(None) };
    let abilities = serde_json::from_value(row.abilities).map_err(anyhow::Error::from)?;
    let owner: UserId = row.user_id;
    Ok(account(&db.read, row.tenant_id, owner).await?.map(|account| (account, row.id, abilities)))
}
