//! Sessions: one for each sign-in, kept alive by refresh tokens of which each is good once.
//!
//! A used-up token that comes again was copied: whoever has the other one may be a thief, and nobody can tell which of the two
//! is. So the session ends and its owner signs in anew. But two tabs of one browser, or one whose answer was lost, send the
//! same token twice without any harm. Therefore a token's successor is made of it and of a salt that is kept: for ten
//! seconds the same token gets the same successor again, and all of them go on with it. A thief who comes within those seconds
//! gains nothing by it: of two who go on with one token, the second to use it is found out.
//!
//! All tokens of a session begin with its first one, so that each of them, however old, finds the session without being kept.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use chrono::{DateTime, TimeDelta, Utc};
use db::Db;
use entities::{SessionId, TenantId, UserId, session as table};
use jobs::Ledger;
use poem_openapi::Object;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    sea_query::{Expr, SimpleExpr},
};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    Account, Origin, account,
    tokens::{fingerprint, secret},
};
use crate::{
    Error, Result, Scope,
    engine::{Event, Write},
    scope::Actor,
};

/// How long somebody stays signed in without coming back.
const LIFE: TimeDelta = TimeDelta::days(30);
/// So long the same token gets the same successor again.
const GRACE: TimeDelta = TimeDelta::seconds(10);

/// Somebody who signed in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Their session.
    pub session: SessionId,
    /// Who.
    pub user: UserId,
    /// Of which tenant.
    pub tenant: TenantId,
    /// The refresh token, to be shown once.
    pub refresh_token: String,
    /// By what their browser is known from now on; only after a sign-in.
    pub device: Option<String>,
}

/// A place where somebody is signed in.
#[derive(Clone, Debug, PartialEq, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// The program, as it calls itself.
    pub user_agent: Option<String>,
    /// The address that they signed in from.
    pub address: Option<String>,
    /// Whether it is the one that asks.
    pub current: bool,
    /// When they signed in.
    pub created_at: DateTime<Utc>,
    /// When it was last renewed: every ten minutes while it is used.
    pub last_seen_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
}

/// Those that are not over.
fn live() -> SimpleExpr {
    table::Column::RevokedAt.is_null().and(table::Column::ExpiresAt.gt(Utc::now()))
}

fn of(tenant: TenantId, user: UserId) -> SimpleExpr {
    table::Column::TenantId.eq(tenant).and(table::Column::UserId.eq(user))
}

/// Begins the session of somebody who has proved who they are, with a browser that is known to be theirs, or will be.
pub(super) async fn begin(write: &Write<'_>, user: UserId, origin: Origin) -> Result<SignedIn> {
    let (tenant, now, refresh_token) = (write.scope.tenant, Utc::now(), secret("somo_rt_"));
    let device = origin.device.unwrap_or_else(|| secret("somo_device_"));
    let id = SessionId::new();
    let row = table::ActiveModel {
        id: Set(id),
        tenant_id: Set(tenant),
        user_id: Set(user),
        refresh_hash: Set(fingerprint(&refresh_token)),
        family_hash: Set(Some(fingerprint(family(&refresh_token)))),
        user_agent: Set(origin.user_agent),
        address: Set(origin.address),
        expires_at: Set(now + LIFE),
        last_seen_at: Set(Some(now)),
        device_hash: Set(Some(fingerprint(&device))),
        created_at: Set(now),
        ..Default::default()
    };
    table::Entity::insert(row).exec_without_returning(&***write).await?;
    write.record(Event { topic: "sessions", subject_id: id.0, action: "created", data: json!({}) }).await?;
    Ok(SignedIn { session: id, user, tenant, refresh_token, device: Some(device) })
}

/// Whether somebody signed in with this browser before.
pub(super) async fn knows(db: &Db, tenant: TenantId, user: UserId, device: &str) -> Result<bool> {
    let with_it = of(tenant, user).and(table::Column::DeviceHash.eq(fingerprint(device)));
    Ok(table::Entity::find().filter(with_it).one(&db.read).await?.is_some())
}

/// A token's successor.
///
/// # Errors
/// [`Error::Unauthorized`] for a token that is unknown, expired or revoked, and for one that was used up; the database's.
pub async fn refresh(ledger: &Ledger, token: &str) -> Result<SignedIn> {
    const INVALID: Error = Error::Unauthorized { code: "invalid_refresh_token", message: "sign in again" };
    let tx = ledger.begin().await?;
    let (now, salt) = (Utc::now(), secret(""));
    let next = successor(token, &salt);
    let rotated = table::Entity::update_many()
        .col_expr(table::Column::FamilyHash, Expr::value(fingerprint(family(token))))
        .col_expr(table::Column::RefreshHash, Expr::value(fingerprint(&next)))
        .col_expr(table::Column::PreviousHash, Expr::value(fingerprint(token)))
        .col_expr(table::Column::Salt, Expr::value(salt))
        .col_expr(table::Column::RotatedAt, Expr::value(now))
        .col_expr(table::Column::LastSeenAt, Expr::value(now))
        .col_expr(table::Column::ExpiresAt, Expr::value(now + LIFE))
        .filter(table::Column::RefreshHash.eq(fingerprint(token)).and(live()))
        .exec_with_returning(&*tx)
        .await?;
    let (session, refresh_token) = match rotated.into_iter().next() {
        Some(session) => (session, next),
        None => {
            let related = table::Column::FamilyHash.eq(fingerprint(family(token))).and(live());
            let Some(session) = table::Entity::find().filter(related).one(&*tx).await? else { return Err(INVALID) };
            if session.rotated_at.is_none_or(|at| now - at > GRACE) {
                let scope = Scope::system(session.tenant_id, Actor::User(session.user_id));
                let write = Write::within(tx, &scope);
                revoke(&write, table::Column::Id.eq(session.id), "token_reused").await?;
                write.commit(()).await?;
                tracing::warn!(session = %session.id, "a refresh token was used twice: its session has ended");
                return Err(INVALID);
            }
            let same = session.previous_hash == Some(fingerprint(token));
            let Some(salt) = session.salt.as_deref().filter(|_| same) else { return Err(INVALID) };
            let next = successor(token, salt);
            (session, next)
        }
    };
    if account(&*tx, session.tenant_id, session.user_id).await?.is_none() {
        return Err(INVALID);
    }
    tx.commit().await?;
    Ok(SignedIn { session: session.id, user: session.user_id, tenant: session.tenant_id, refresh_token, device: None })
}

/// What all tokens of a session begin with: the first of them.
fn family(token: &str) -> &str {
    token.split_once('.').map_or(token, |(family, _)| family)
}

fn successor(token: &str, salt: &str) -> String {
    let own = Sha256::new().chain_update(token).chain_update(salt).finalize();
    format!("{}.{}", family(token), BASE64.encode(own))
}

/// Ends the session of a refresh token. An unknown one is no error: the caller wants to be out.
///
/// # Errors
/// The database's.
pub async fn logout(ledger: &Ledger, token: &str) -> Result<()> {
    let tx = ledger.begin().await?;
    let own = table::Column::RefreshHash.eq(fingerprint(token)).or(table::Column::FamilyHash.eq(fingerprint(family(token))));
    let Some(session) = table::Entity::find().filter(own).one(&*tx).await? else { return Ok(()) };
    let scope = Scope::system(session.tenant_id, Actor::User(session.user_id));
    let write = Write::within(tx, &scope);
    revoke(&write, table::Column::Id.eq(session.id), "signed_out").await?;
    write.commit(()).await
}

/// Where the caller is signed in, the one seen last first. `current` is the session that asks, if it is one.
///
/// # Errors
/// [`Error::Forbidden`] for a token that may not; the database's.
pub async fn list(db: &Db, scope: &Scope, current: Option<SessionId>) -> Result<Vec<Session>> {
    let own = of(scope.tenant, super::own(scope, "account:read")?).and(live());
    let rows = table::Entity::find().filter(own).order_by_desc(table::Column::LastSeenAt).order_by_desc(table::Column::Id).all(&db.read);
    let shown = |row: table::Model| Session {
        id: row.id,
        user_agent: row.user_agent,
        address: row.address,
        current: current == Some(row.id),
        created_at: row.created_at,
        last_seen_at: row.last_seen_at.unwrap_or(row.created_at),
        expires_at: row.expires_at,
    };
    Ok(rows.await?.into_iter().map(shown).collect())
}

/// Ends one of the caller's sessions.
///
/// # Errors
/// [`Error::NotFound`] for one that is over or not theirs; [`Error::Forbidden`] for a token that may not; the database's.
pub async fn end(ledger: &Ledger, scope: &Scope, id: SessionId) -> Result<()> {
    let user = super::own(scope, "account:write")?;
    let write = Write::begin(ledger, scope).await?;
    if revoke(&write, of(scope.tenant, user).and(table::Column::Id.eq(id)), "ended").await? == 0 {
        return Err(Error::NotFound("session"));
    }
    write.commit(()).await
}

/// Ends all of the caller's sessions but the one that asks.
///
/// # Errors
/// [`Error::Forbidden`] for a token that may not; the database's.
pub async fn end_others(ledger: &Ledger, scope: &Scope, current: Option<SessionId>) -> Result<()> {
    let user = super::own(scope, "account:write")?;
    let write = Write::begin(ledger, scope).await?;
    end_all(&write, user, current).await?;
    write.commit(()).await
}

/// Ends all sessions of a user but one.
pub(super) async fn end_all(write: &Write<'_>, user: UserId, but: Option<SessionId>) -> Result<()> {
    let all = of(write.scope.tenant, user);
    let others = match but {
        Some(id) => all.and(table::Column::Id.ne(id)),
        None => all,
    };
    revoke(write, others, "ended").await.map(|_| ())
}

/// Revokes those that are not over yet; how many they were.
async fn revoke(write: &Write<'_>, which: SimpleExpr, action: &'static str) -> Result<usize> {
    let revoked = table::Entity::update_many()
        .col_expr(table::Column::RevokedAt, Expr::value(Utc::now()))
        .filter(which.and(live()))
        .exec_with_returning(&***write)
        .await?;
    for session in &revoked {
        write.record(Event { topic: "sessions", subject_id: session.id.0, action, data: json!({}) }).await?;
    }
    Ok(revoked.len())
}

/// The account behind a session that is still valid.
///
/// # Errors
/// The database's.
pub async fn session_account(db: &Db, tenant: TenantId, session: SessionId, user: UserId) -> Result<Option<Account>> {
    let valid = of(tenant, user).and(table::Column::Id.eq(session)).and(live());
    if table::Entity::find().filter(valid).one(&db.read).await?.is_none() {
        return Ok(None);
    }
    account(&db.read, tenant, user).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_one_successor_for_each_salt_and_all_are_one_family() {
        let first = secret("somo_rt_");
        let (second, other) = (successor(&first, "a"), successor(&first, "b"));
        assert_eq!(second, successor(&first, "a"));
        assert_ne!(second, other);
        let third = successor(&second, "a");
        assert_ne!(third, second);
        assert!([&first, &second, &other, &third].iter().all(|token| family(token) == first));
    }
}
