//! Signing in: passwords, sessions with rotating refresh tokens, personal access tokens.
//!
//! Access tokens (JWT) are made and read in `api`; here is what stands behind them in SQL.

pub mod passwords;
pub mod tokens;

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use db::Db;
use entities::{Role, SessionId, TenantId, UserId, session, user};
use jobs::{Ledger, NewJob};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, prelude::Expr};
use serde_json::json;

use crate::{
    Error, Result, Scope,
    engine::{Event, Write},
    payloads::{Notice, SendMail},
    resource::access::Grants,
    scope::Actor,
};
use tokens::{fingerprint, secret};

/// How long somebody stays signed in without coming back.
const SESSION: TimeDelta = TimeDelta::days(30);

/// Where a request came from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The address.
    pub address: Option<String>,
    /// The program.
    pub user_agent: Option<String>,
}

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
}

const WRONG: Error = Error::Unauthorized { code: "invalid_credentials", message: "the e-mail or the password is wrong" };

/// Signs in. A new place gets a mail.
///
/// # Errors
/// [`Error::Unauthorized`], the same for an unknown address and a wrong password; the database's.
pub async fn login(ledger: &Ledger, email: &str, password: &str, origin: Origin) -> Result<SignedIn> {
    let email = email.trim().to_lowercase();
    let found = user::Entity::find().filter(user::Column::Email.eq(email)).one(&ledger.db().read).await?;
    // Hashed for nobody too, so that an unknown address takes as long.
    let hash = found.as_ref().map(|user| user.password_hash.clone());
    let right = passwords::verify(password, hash).await?;
    let Some(user) = found.filter(|user| right && user.disabled_at.is_none()) else { return Err(WRONG) };

    let same_place = session::Column::TenantId
        .eq(user.tenant_id)
        .and(session::Column::UserId.eq(user.id))
        .and(session::Column::Address.eq(origin.address.clone()))
        .and(session::Column::UserAgent.eq(origin.user_agent.clone()));
    let known = session::Entity::find().filter(same_place).one(&ledger.db().read).await?.is_some();

    let scope = Scope { role: user.role, ..Scope::system(user.tenant_id, Actor::User(user.id)) };
    let write = Write::begin(ledger, &scope).await?;
    let refresh_token = secret("somo_rt_");
    let session = session::ActiveModel {
        id: Set(SessionId::new()),
        tenant_id: Set(user.tenant_id),
        user_id: Set(user.id),
        refresh_hash: Set(fingerprint(&refresh_token)),
        user_agent: Set(origin.user_agent.clone()),
        address: Set(origin.address.clone()),
        expires_at: Set(Utc::now() + SESSION),
        revoked_at: Set(None),
        created_at: Set(Utc::now()),
    };
    let session = session::Entity::insert(session).exec_with_returning(&**write).await?.id;
    write.record(Event { topic: "sessions", subject_id: session.0, action: "created", data: json!({}) }).await?;
    if !known {
        let notice = Notice::Login { at: Utc::now(), address: origin.address, user_agent: origin.user_agent };
        write.enqueue(NewJob::new(user.tenant_id.0, &SendMail { user_id: user.id, notice })).await?;
    }
    write.commit(()).await?;
    Ok(SignedIn { session, user: user.id, tenant: user.tenant_id, refresh_token })
}

/// A new refresh token for a valid one, which is used up.
///
/// # Errors
/// [`Error::Unauthorized`] for one that is unknown, used up, expired or revoked; the database's.
pub async fn refresh(ledger: &Ledger, refresh_token: &str) -> Result<SignedIn> {
    const INVALID: Error = Error::Unauthorized { code: "invalid_refresh_token", message: "sign in again" };
    let tx = ledger.begin().await?;
    let next = secret("somo_rt_");
    let valid = session::Column::RefreshHash
        .eq(fingerprint(refresh_token))
        .and(session::Column::RevokedAt.is_null())
        .and(session::Column::ExpiresAt.gt(Utc::now()));
    let rotated = session::Entity::update_many()
        .col_expr(session::Column::RefreshHash, Expr::value(fingerprint(&next)))
        .col_expr(session::Column::ExpiresAt, Expr::value(Utc::now() + SESSION))
        .filter(valid)
        .exec_with_returning(&*tx)
        .await?;
    let Some(session) = rotated.into_iter().next() else { return Err(INVALID) };
    if account(&*tx, session.tenant_id, session.user_id).await?.is_none() {
        return Err(INVALID);
    }
    tx.commit().await?;
    Ok(SignedIn { session: session.id, user: session.user_id, tenant: session.tenant_id, refresh_token: next })
}

/// Ends the session of a refresh token. An unknown one is no error: the caller wants to be out.
///
/// # Errors
/// The database's.
pub async fn logout(ledger: &Ledger, refresh_token: &str) -> Result<()> {
    let tx = ledger.begin().await?;
    let own = session::Column::RefreshHash.eq(fingerprint(refresh_token)).and(session::Column::RevokedAt.is_null());
    session::Entity::update_many().col_expr(session::Column::RevokedAt, Expr::value(Utc::now())).filter(own).exec(&*tx).await?;
    tx.commit().await?;
    Ok(())
}

/// What a request's scope is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Who.
    pub user: UserId,
    /// Of which tenant.
    pub tenant: TenantId,
    /// What they may do at most.
    pub role: Role,
}

async fn account(db: &impl sea_orm::ConnectionTrait, tenant: TenantId, user: UserId) -> Result<Option<Account>> {
    let own = user::Column::TenantId.eq(tenant).and(user::Column::Id.eq(user)).and(user::Column::DisabledAt.is_null());
    let found = user::Entity::find().filter(own).one(db).await?;
    Ok(found.map(|row| Account { user: row.id, tenant: row.tenant_id, role: row.role }))
}

/// What a user may see and do by themselves, for what is done on their behalf; `None` for one who may not sign in.
///
/// # Errors
/// The database's.
pub async fn scope_of(db: &Db, tenant: TenantId, user: UserId) -> Result<Option<Scope>> {
    scope_on(&db.read, tenant, user).await
}

/// [`scope_of`], as a transaction sees it.
pub(crate) async fn scope_on(conn: &impl sea_orm::ConnectionTrait, tenant: TenantId, user: UserId) -> Result<Option<Scope>> {
    let Some(Account { role, .. }) = account(conn, tenant, user).await? else { return Ok(None) };
    let grants = Arc::new(Grants::of(conn, tenant, user).await?);
    Ok(Some(Scope { role, grants, ..Scope::system(tenant, Actor::User(user)) }))
}

/// The account behind a session that is still valid.
///
/// # Errors
/// The database's.
pub async fn session_account(db: &Db, tenant: TenantId, session: SessionId, user: UserId) -> Result<Option<Account>> {
    let valid = session::Column::TenantId
        .eq(tenant)
        .and(session::Column::Id.eq(session))
        .and(session::Column::UserId.eq(user))
        .and(session::Column::RevokedAt.is_null())
        .and(session::Column::ExpiresAt.gt(Utc::now()));
    if session::Entity::find().filter(valid).one(&db.read).await?.is_none() {
        return Ok(None);
    }
    account(&db.read, tenant, user).await
}
