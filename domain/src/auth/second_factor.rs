//! A second factor: the codes of an authenticator, each good once, and recovery codes for who has lost it.
//!
//! Whoever knows a password could try all codes, so after a few wrong ones only one is taken in half a minute. Recovery codes
//! are too long for that and are always taken: the owner gets in while somebody else is guessing.

use chrono::{DateTime, TimeDelta, Utc};
use data_encoding::BASE32_NOPAD as BASE32;
use db::Db;
use entities::{TenantId, UserId, recovery_code, second_factor as table, user};
use jobs::Ledger;
use poem_openapi::Object;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter,
    sea_query::{Expr, OnConflict, SimpleExpr},
};
use serde_json::json;

use super::{admin, own, passwords, tokens::fingerprint, totp};
use crate::{
    Error, Result, Scope,
    engine::{Event, Write},
    scope::Actor,
    seal::Sealer,
    users,
};

/// Recovery codes of one user.
const CODES: usize = 10;
/// So many wrong codes in a row are nobody's business.
const FAILURES: i64 = 5;
/// After them, one is taken in this time.
const PAUSE: TimeDelta = TimeDelta::seconds(30);

/// Your second factor.
#[derive(Clone, Debug, PartialEq, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct SecondFactor {
    /// Whether a sign-in asks for it.
    pub enabled: bool,
    /// Since when.
    pub enabled_at: Option<DateTime<Utc>>,
    /// How many recovery codes are left.
    pub recovery_codes: u64,
}

/// What an authenticator has to know.
#[derive(Object)]
pub struct Enrolment {
    /// To be typed.
    pub secret: String,
    /// To be shown as a QR code: `otpauth://totp/…`.
    pub uri: String,
}

fn of(tenant: TenantId, user: UserId) -> SimpleExpr {
    table::Column::TenantId.eq(tenant).and(table::Column::UserId.eq(user))
}

async fn find(db: &Db, tenant: TenantId, user: UserId) -> Result<Option<table::Model>> {
    Ok(table::Entity::find_by_id((tenant, user)).one(&db.read).await?)
}

fn codes_of(tenant: TenantId, user: UserId) -> SimpleExpr {
    recovery_code::Column::TenantId.eq(tenant).and(recovery_code::Column::UserId.eq(user))
}

/// The caller's.
///
/// # Errors
/// [`Error::Forbidden`] for a token that may not; the database's.
pub async fn get(db: &Db, scope: &Scope) -> Result<SecondFactor> {
    let user = own(scope, "account:read")?;
    let enabled_at = find(db, scope.tenant, user).await?.and_then(|factor| factor.confirmed_at);
    let recovery_codes = recovery_code::Entity::find().filter(codes_of(scope.tenant, user)).count(&db.read).await?;
    Ok(SecondFactor { enabled: enabled_at.is_some(), enabled_at, recovery_codes })
}

/// Begins: an authenticator gets a secret. Nothing is asked for until it is confirmed.
///
/// # Errors
/// [`Error::Conflict`] when there is one already; [`Error::Invalid`] for a wrong password; [`Error::Forbidden`] for a token that
/// may not; the database's.
pub async fn begin(ledger: &Ledger, sealer: &Sealer, scope: &Scope, password: &str) -> Result<Enrolment> {
    let user = proven(ledger.db(), scope, password, "/password").await?;
    let secret = totp::secret();
    let write = Write::begin(ledger, scope).await?;
    let row = table::ActiveModel {
        tenant_id: Set(scope.tenant),
        user_id: Set(user.id),
        secret: Set(sealer.seal(&secret)),
        created_at: Set(Utc::now()),
        ..Default::default()
    };
    // One that is confirmed stays.
    let anew = OnConflict::columns([table::Column::TenantId, table::Column::UserId])
        .update_columns([table::Column::Secret, table::Column::CreatedAt])
        .action_and_where(table::Column::ConfirmedAt.is_null())
        .to_owned();
    if table::Entity::insert(row).on_conflict(anew).exec_without_returning(&**write).await? == 0 {
        return Err(Error::conflict("totp_enabled", "you have an authenticator already; disable it first"));
    }
    write.commit(()).await?;
    Ok(Enrolment { secret: totp::spelled(&secret), uri: totp::uri(&secret, &user.email) })
}

/// Confirms it with a code: from now on a sign-in asks for one. The recovery codes, to be shown once.
///
/// # Errors
/// [`Error::Conflict`] when nothing was begun; [`Error::Invalid`] for a wrong code; [`Error::Forbidden`] for a token that may
/// not; the database's.
pub async fn confirm(ledger: &Ledger, sealer: &Sealer, scope: &Scope, code: &str) -> Result<Vec<String>> {
    let user = own(scope, "account:write")?;
    let begun = find(ledger.db(), scope.tenant, user).await?.filter(|factor| factor.confirmed_at.is_none());
    let nothing = || Error::conflict("totp_not_begun", "begin with POST /api/auth/totp");
    let factor = begun.ok_or_else(nothing)?;
    let (secret, now) = (sealer.open(&factor.secret)?, Utc::now());
    let step = totp::step_of(&secret, &plain(code), now, 0)
        .ok_or_else(|| Error::field("/code", "wrong", "is not the code of now; look whether the clock of the authenticator is right"))?;
    let write = Write::begin(ledger, scope).await?;
    let confirmed = table::Entity::update_many()
        .col_expr(table::Column::ConfirmedAt, Expr::value(now))
        .col_expr(table::Column::LastStep, Expr::value(step))
        .filter(of(scope.tenant, user).and(table::Column::ConfirmedAt.is_null()).and(table::Column::Secret.eq(factor.secret)))
        .exec(&**write)
        .await?;
    if confirmed.rows_affected == 0 {
        return Err(nothing());
    }
    let codes = new_codes(&write, user).await?;
    note(&write, user, "enabled").await?;
    write.commit(()).await?;
    Ok(codes)
}

/// Ten new recovery codes; those there were are good no more.
///
/// # Errors
/// [`Error::Conflict`] without a second factor; [`Error::Invalid`] for a wrong password; [`Error::Forbidden`] for a token that
/// may not; the database's.
pub async fn renew_codes(ledger: &Ledger, scope: &Scope, password: &str) -> Result<Vec<String>> {
    let user = proven(ledger.db(), scope, password, "/password").await?.id;
    let write = Write::begin(ledger, scope).await?;
    // Holds it, so that nobody disables it meanwhile.
    let enabled = table::Entity::update_many()
        .col_expr(table::Column::Failures, Expr::value(0_i64))
        .filter(of(scope.tenant, user).and(table::Column::ConfirmedAt.is_not_null()))
        .exec(&**write)
        .await?;
    if enabled.rows_affected == 0 {
        return Err(Error::conflict("totp_not_enabled", "there is nothing to recover: you have no authenticator"));
    }
    let codes = new_codes(&write, user).await?;
    note(&write, user, "recovery_codes_renewed").await?;
    write.commit(()).await?;
    Ok(codes)
}

/// Ends it. To have none is no error.
///
/// # Errors
/// [`Error::Invalid`] for a wrong password; [`Error::Forbidden`] for a token that may not; the database's.
pub async fn disable(ledger: &Ledger, scope: &Scope, password: &str) -> Result<()> {
    let user = proven(ledger.db(), scope, password, "/password").await?.id;
    remove(ledger, scope, user, "disabled").await
}

/// Ends somebody else's, who has lost authenticator and codes. For admins.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; the database's.
pub async fn reset(ledger: &Ledger, scope: &Scope, user: UserId) -> Result<()> {
    admin(scope, "users:edit")?;
    let theirs = user::Column::TenantId.eq(scope.tenant).and(user::Column::Id.eq(user));
    user::Entity::find().filter(theirs).one(&ledger.db().read).await?.ok_or(Error::NotFound("user"))?;
    remove(ledger, scope, user, "reset").await
}

/// Whether `code` is good, which uses it up. Who has no second factor needs none.
pub(super) async fn accept(ledger: &Ledger, sealer: &Sealer, user: &user::Model, code: Option<&str>) -> Result<()> {
    let factor = find(ledger.db(), user.tenant_id, user.id).await?.filter(|factor| factor.confirmed_at.is_some());
    let Some(factor) = factor else { return Ok(()) };
    let Some(code) = code.map(plain).filter(|code| !code.is_empty()) else {
        let message = "send the code of your authenticator, or a recovery code, as totp";
        return Err(Error::Unauthorized { code: "totp_required", message });
    };
    let scope = Scope::system(user.tenant_id, Actor::User(user.id));
    let write = Write::begin(ledger, &scope).await?;
    let good = if code.bytes().all(|byte| byte.is_ascii_digit()) {
        by_authenticator(&write, sealer, &factor, &code).await?
    } else {
        let used = codes_of(user.tenant_id, user.id).and(recovery_code::Column::CodeHash.eq(fingerprint(&code)));
        let good = recovery_code::Entity::delete_many().filter(used).exec(&**write).await?.rows_affected == 1;
        if good {
            note(&write, user.id, "recovery_code_used").await?;
        }
        good
    };
    // A wrong one counts, too.
    write.commit(()).await?;
    if good { Ok(()) } else { Err(Error::Unauthorized { code: "invalid_totp", message: "the code is wrong, or was used" }) }
}

/// Whether it is a code of the authenticator that was not taken yet. Takes it, or counts that it was wrong.
async fn by_authenticator(write: &Write<'_>, sealer: &Sealer, factor: &table::Model, code: &str) -> Result<bool> {
    let (now, own) = (Utc::now(), of(factor.tenant_id, factor.user_id));
    if factor.failures >= FAILURES
        && let Some(wait) = factor.failed_at.map(|at| at + PAUSE - now).filter(|wait| *wait > TimeDelta::zero())
    {
        return Err(Error::TooManyRequests { retry_after: u64::try_from(wait.num_seconds()).unwrap_or_default() + 1 });
    }
    let secret = sealer.open(&factor.secret)?;
    let taken = match totp::step_of(&secret, code, now, factor.last_step) {
        // Two who send it at once: the second finds it taken.
        Some(step) => {
            table::Entity::update_many()
                .col_expr(table::Column::LastStep, Expr::value(step))
                .col_expr(table::Column::Failures, Expr::value(0_i64))
                .filter(own.clone().and(table::Column::LastStep.lt(step)))
                .exec(&***write)
                .await?
                .rows_affected
        }
        None => 0,
    };
    if taken == 0 {
        table::Entity::update_many()
            .col_expr(table::Column::Failures, Expr::col(table::Column::Failures).add(1))
            .col_expr(table::Column::FailedAt, Expr::value(now))
            .filter(own)
            .exec(&***write)
            .await?;
    }
    Ok(taken == 1)
}

/// The caller, who knows their password: a token alone doesn't change how somebody signs in.
pub(super) async fn proven(db: &Db, scope: &Scope, password: &str, pointer: &str) -> Result<user::Model> {
    own(scope, "account:write")?;
    let (user, _) = users::me(db, scope).await?;
    if passwords::verify(password, Some(user.password_hash.clone())).await? {
        Ok(user)
    } else {
        Err(Error::field(pointer, "wrong", "is not your password"))
    }
}

async fn new_codes(write: &Write<'_>, user: UserId) -> Result<Vec<String>> {
    let tenant = write.scope.tenant;
    recovery_code::Entity::delete_many().filter(codes_of(tenant, user)).exec(&***write).await?;
    let codes: Vec<String> = (0..CODES).map(|_| BASE32.encode(&rand::random::<[u8; 10]>()).to_lowercase()).collect();
    let rows = codes.iter().map(|code| recovery_code::ActiveModel {
        tenant_id: Set(tenant),
        user_id: Set(user),
        code_hash: Set(fingerprint(code)),
    });
    recovery_code::Entity::insert_many(rows).exec_without_returning(&***write).await?;
    // In groups, for people who type them.
    Ok(codes.iter().map(|code| [&code[..4], &code[4..8], &code[8..12], &code[12..]].join("-")).collect())
}

async fn remove(ledger: &Ledger, scope: &Scope, user: UserId, action: &'static str) -> Result<()> {
    let write = Write::begin(ledger, scope).await?;
    // Its recovery codes go with it.
    let gone = table::Entity::delete_many().filter(of(scope.tenant, user)).exec(&**write).await?;
    if gone.rows_affected > 0 {
        note(&write, user, action).await?;
    }
    write.commit(()).await
}

async fn note(write: &Write<'_>, user: UserId, action: &'static str) -> Result<()> {
    write.record(Event { topic: "second_factors", subject_id: user.0, action, data: json!({}) }).await
}

/// A code without what people put between its groups.
fn plain(code: &str) -> String {
    code.chars().filter(|c| !c.is_whitespace() && *c != '-').collect::<String>().to_lowercase()
}
