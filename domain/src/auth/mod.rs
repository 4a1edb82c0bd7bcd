//! Signing in: passwords, second factors, sessions with rotating refresh tokens, personal access tokens; what people
//! change of their account, forgotten passwords, invitations.
//!
//! Access tokens (JWT) are made and read in `api`; here is what stands behind them in SQL.

pub mod account;
mod attempts;
pub mod invitations;
pub mod passwords;
pub mod recovery;
pub mod second_factor;
pub mod sessions;
pub mod tokens;
pub mod totp;

use std::{collections::HashSet, sync::Arc};

use chrono::Utc;
use db::Db;
use entities::{Role, SessionId, TenantId, TokenId, UserId, session, user};
use jobs::{Ledger, NewJob};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, Statement};
use uuid::Uuid;

use crate::{
    Error, Result, Scope,
    engine::Write,
    payloads::{Notice, SendMail},
    realtime::Credential,
    resource::access::Grants,
    scope::Actor,
    seal::Sealer,
};
use attempts::Attempt;
pub use attempts::network;
use sessions::SignedIn;

/// Where a request came from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The address.
    pub address: Option<String>,
    /// The program.
    pub user_agent: Option<String>,
    /// By what the browser says that it is known.
    pub device: Option<String>,
}

const WRONG: Error = Error::Unauthorized { code: "invalid_credentials", message: "the e-mail or the password is wrong" };

/// What somebody proves with who they are.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// Their address.
    pub email: &'a str,
    /// Their password.
    pub password: &'a str,
    /// A code of their authenticator, or a recovery code.
    pub totp: Option<&'a str>,
}

/// Signs in. A new place gets a mail.
///
/// # Errors
/// [`Error::Unauthorized`], the same for an unknown address and a wrong password; [`Error::TooManyRequests`]; the database's.
pub async fn login(ledger: &Ledger, sealer: &Sealer, who: Credentials<'_>, mut origin: Origin) -> Result<SignedIn> {
    let Credentials { email, password, totp } = who;
    let email = email.trim().to_lowercase();
    let db = ledger.db();
    let found = user::Entity::find().filter(user::Column::Email.eq(email.clone())).one(&db.read).await?;
    let theirs = match (&found, &origin.device) {
        (Some(user), Some(device)) => sessions::knows(db, user.tenant_id, user.id, device).await?,
        _ => false,
    };
    // What nobody signed in with may be anybody's.
    origin.device = origin.device.filter(|_| theirs);
    let attempt = Attempt::of(&email, origin.address.as_deref(), origin.device.as_deref());
    attempt.check(db).await?;
    // Hashed for nobody too, so that an unknown address takes as long.
    let hash = found.as_ref().map(|user| user.password_hash.clone());
    let right = passwords::verify(password, hash).await?;
    let Some(user) = found.filter(|user| right && user.disabled_at.is_none()) else {
        attempt.failed(db).await?;
        return Err(WRONG);
    };
    second_factor::accept(ledger, sealer, &user, totp).await?;
    attempt.succeeded(db).await?;
    // When too many sign in at once, the next time does it.
    let renewed = if passwords::outdated(&user.password_hash) { passwords::renewed(password).await.ok() } else { None };

    let same_place = session::Column::TenantId
        .eq(user.tenant_id)
        .and(session::Column::UserId.eq(user.id))
        .and(session::Column::Address.eq(origin.address.clone()))
        .and(session::Column::UserAgent.eq(origin.user_agent.clone()));
    let known = theirs || session::Entity::find().filter(same_place).one(&db.read).await?.is_some();

    let scope = Scope { role: user.role, ..Scope::system(user.tenant_id, Actor::User(user.id)) };
    let write = Write::begin(ledger, &scope).await?;
    if let Some(hash) = renewed {
        account::renew_hash(&write, &user, hash).await?;
    }
    let signed_in = sessions::begin(&write, user.id, origin.clone()).await?;
    if !known {
        let notice = Notice::Login { at: Utc::now(), address: origin.address, user_agent: origin.user_agent };
        write.enqueue(NewJob::new(user.tenant_id.0, &SendMail { user_id: user.id, notice })).await?;
    }
    write.commit(()).await?;
    Ok(signed_in)
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

/// Whose account it is that the caller looks after, if they may: everybody signed in, and a token with the ability.
fn own(scope: &Scope, ability: &'static str) -> Result<UserId> {
    scope.require(ability)?;
    scope.user().ok_or(Error::NotFound("user"))
}

/// That the caller is an admin, and that a token of theirs has the ability.
fn admin(scope: &Scope, ability: &'static str) -> Result<()> {
    scope.require(ability)?;
    if scope.role == Role::Admin { Ok(()) } else { Err(Error::Forbidden(ability)) }
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

/// Those of these credentials that are good, of people whose accounts are on.
pub(crate) async fn valid(db: &Db, mut credentials: Vec<Credential>) -> Result<HashSet<Credential>> {
    credentials.sort_unstable();
    credentials.dedup();
    let mut valid = HashSet::new();
    for some in credentials.chunks(500) {
        let (mut sessions, mut tokens) = (Vec::new(), Vec::new());
        for credential in some {
            match credential {
                Credential::Session(id) => sessions.push(id.0),
                Credential::Token(id) => tokens.push(id.0),
            }
        }
        valid.extend(good(db, "sessions", sessions).await?.into_iter().map(|id| Credential::Session(SessionId(id))));
        valid.extend(good(db, "personal_access_tokens", tokens).await?.into_iter().map(|id| Credential::Token(TokenId(id))));
    }
    Ok(valid)
}

/// Those rows of a table of credentials that are good.
async fn good(db: &Db, table: &str, ids: Vec<Uuid>) -> Result<Vec<Uuid>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let places: Vec<_> = (2..ids.len() + 2).map(|n| format!("${n}")).collect();
    let find = format!(
        "select c.id from {table} c join users u on u.tenant_id = c.tenant_id and u.id = c.user_id
          where c.revoked_at is null and (c.expires_at is null or c.expires_at > $1) and u.disabled_at is null and c.id in ({})",
        places.join(", ")
    );
    let values = [Utc::now().into()].into_iter().chain(ids.into_iter().map(Into::into));
    let rows = db.read.query_all_raw(Statement::from_sql_and_values(db.backend(), find, values)).await?;
    rows.iter().map(|row| Ok(row.try_get("", "id")?)).collect()
}
