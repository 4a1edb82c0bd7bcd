//! Invitations: an admin asks somebody to join by mail; the link in it is good for a week and once. Its token is made when the
//! mail is written, as that of a forgotten password's.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use db::Db;
use entities::{InvitationId, Role, TenantId, UserId, invitation as table, tenant};
use jobs::{Ledger, NewJob};
use poem_openapi::Object;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, SqlErr,
    sea_query::{Expr, SimpleExpr},
};
use serde::Serialize;
use serde_json::json;

use super::{
    admin, passwords,
    tokens::{fingerprint, secret},
};
use crate::{
    Error, Result, Scope,
    engine::{Event, Write},
    payloads::SendInvitation,
    scope::Actor,
    users::{self, Joining},
};

/// How long a link is good.
const LIFE: TimeDelta = TimeDelta::days(7);

/// Somebody who was asked to join, and hasn't yet.
#[derive(Clone, Debug, PartialEq, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// The address that it was mailed to; they will sign in with it.
    pub email: String,
    /// What they will be able to do.
    pub role: Role,
    /// Who asked them.
    pub invited_by: Option<UserId>,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When the link ends. It can be sent again then, too.
    pub expires_at: DateTime<Utc>,
}

impl From<table::Model> for Invitation {
    fn from(row: table::Model) -> Self {
        let table::Model { id, tenant_id: _, email, role, invited_by, token_hash: _, expires_at, created_at } = row;
        Self { id, email, role, invited_by, created_at, expires_at }
    }
}

/// Somebody to be asked to join.
#[derive(Clone, Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct InvitationCreate {
    /// Their address.
    #[oai(validator(min_length = 3, max_length = 254))]
    pub email: String,
    /// What they will be able to do.
    pub role: Role,
}

/// Somebody who joins.
#[derive(Object)]
#[oai(deny_unknown_fields)]
pub struct InvitationAccept {
    /// What stands in the link after `#`.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub token: String,
    /// What they are called.
    #[oai(validator(min_length = 1, max_length = 120))]
    pub name: String,
    /// The password that they want to sign in with, 8 characters at least.
    #[oai(validator(min_length = 1, max_length = 256))]
    pub password: String,
}

fn own(tenant: TenantId, id: InvitationId) -> SimpleExpr {
    table::Column::TenantId.eq(tenant).and(table::Column::Id.eq(id))
}

/// Those who haven't joined yet, the newest first. For admins.
///
/// # Errors
/// [`Error::Forbidden`]; the database's.
pub async fn list(db: &Db, scope: &Scope) -> Result<Vec<Invitation>> {
    admin(scope, "users:create")?;
    let find = table::Entity::find().filter(table::Column::TenantId.eq(scope.tenant)).order_by_desc(table::Column::Id);
    Ok(find.all(&db.read).await?.into_iter().map(Invitation::from).collect())
}

/// Asks somebody to join. For admins.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::Conflict`] when they are here, or were asked already; [`Error::Forbidden`]; the database's.
pub async fn create(ledger: &Ledger, scope: &Scope, new: InvitationCreate) -> Result<Invitation> {
    admin(scope, "users:create")?;
    let InvitationCreate { email, role } = new;
    let email = users::address(&email)?;
    if users::by_email(ledger.db(), &email).await?.is_some() {
        return Err(users::taken());
    }
    let write = Write::begin(ledger, scope).await?;
    let now = Utc::now().trunc_subsecs(6);
    let id = InvitationId::new();
    let row = table::ActiveModel {
        id: Set(id),
        tenant_id: Set(scope.tenant),
        email: Set(email),
        role: Set(role),
        invited_by: Set(scope.user()),
        token_hash: Set(None),
        expires_at: Set(now + LIFE),
        created_at: Set(now),
    };
    let made = table::Entity::insert(row).exec_with_returning(&**write).await.map_err(|error| match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => Error::conflict("already_invited", "they were asked already; send the mail again"),
        _ => error.into(),
    })?;
    note(&write, id, "created").await?;
    write.enqueue(NewJob::new(scope.tenant.0, &SendInvitation { invitation_id: id })).await?;
    write.commit(Invitation::from(made)).await
}

/// Mails another link, which is good for a week; the one before is good no more. For admins.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; the database's.
pub async fn resend(ledger: &Ledger, scope: &Scope, id: InvitationId) -> Result<Invitation> {
    admin(scope, "users:create")?;
    let write = Write::begin(ledger, scope).await?;
    let again = table::Entity::update_many()
        .col_expr(table::Column::ExpiresAt, Expr::value(Utc::now().trunc_subsecs(6) + LIFE))
        .filter(own(scope.tenant, id))
        .exec_with_returning(&**write)
        .await?;
    let row = again.into_iter().next().ok_or(Error::NotFound("invitation"))?;
    note(&write, id, "resent").await?;
    write.enqueue(NewJob::new(scope.tenant.0, &SendInvitation { invitation_id: id })).await?;
    write.commit(Invitation::from(row)).await
}

/// Takes an invitation back: its link is good no more. For admins.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; the database's.
pub async fn revoke(ledger: &Ledger, scope: &Scope, id: InvitationId) -> Result<()> {
    admin(scope, "users:create")?;
    let write = Write::begin(ledger, scope).await?;
    if table::Entity::delete_many().filter(own(scope.tenant, id)).exec(&**write).await?.rows_affected == 0 {
        return Err(Error::NotFound("invitation"));
    }
    note(&write, id, "revoked").await?;
    write.commit(()).await
}

/// A mail to be written.
pub struct Letter {
    /// To whom.
    pub email: String,
    /// What the link has.
    pub token: String,
    /// Which company asks.
    pub tenant: tenant::Model,
}

/// What is to be mailed; a link that was mailed before is good no more. `None` when it was accepted or taken back meanwhile.
///
/// # Errors
/// The database's.
pub async fn letter(ledger: &Ledger, tenant: TenantId, id: InvitationId) -> Result<Option<Letter>> {
    let token = secret("somo_invite_");
    let tx = ledger.begin().await?;
    let set = table::Entity::update_many()
        .col_expr(table::Column::TokenHash, Expr::value(fingerprint(&token)))
        .filter(own(tenant, id).and(table::Column::ExpiresAt.gt(Utc::now())))
        .exec_with_returning(&*tx)
        .await?;
    let tenant = tenant::Entity::find_by_id(tenant).one(&*tx).await?;
    tx.commit().await?;
    Ok(set.into_iter().next().zip(tenant).map(|(row, tenant)| Letter { email: row.email, token, tenant }))
}

/// Joins with a link's token.
///
/// # Errors
/// [`Error::Invalid`] for a link that is unknown, used or expired, and for a password that is too short; [`Error::Conflict`] when
/// the address is in use by now; the database's.
pub async fn accept(ledger: &Ledger, who: InvitationAccept) -> Result<()> {
    let over = || Error::field("/token", "invalid", "the link is unknown, used or expired; ask for another mail");
    let name = who.name.trim();
    if name.is_empty() {
        return Err(Error::field("/name", "required", "is required"));
    }
    let open = table::Column::TokenHash.eq(fingerprint(&who.token)).and(table::Column::ExpiresAt.gt(Utc::now()));
    let row = table::Entity::find().filter(open.clone()).one(&ledger.db().read).await?.ok_or_else(over)?;
    let password_hash = passwords::hash(&who.password).await?;
    let scope = Scope::system(row.tenant_id, Actor::System);
    let write = Write::begin(ledger, &scope).await?;
    if table::Entity::delete_many().filter(open).exec(&**write).await?.rows_affected == 0 {
        return Err(over());
    }
    users::add(&write, Joining { email: &row.email, name, password_hash, role: row.role }).await?;
    note(&write, row.id, "accepted").await?;
    write.commit(()).await
}

async fn note(write: &Write<'_>, id: InvitationId, action: &'static str) -> Result<()> {
    write.record(Event { topic: "invitations", subject_id: id.0, action, data: json!({}) }).await
}
