//! Tenants and their users.

pub(crate) mod role;
pub(crate) mod team;
pub(crate) mod user;

use chrono::{SubsecRound, Utc};
use entities::{Role, TenantId, UserId, tenant, user as table};
use jobs::Ledger;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, SqlErr};
use serde_json::json;

use crate::{
    Error, Result, Scope,
    auth::passwords,
    engine::{Event, Write},
    resource::{Action, Change, Record, registry, search::texts},
    scope::Actor,
};

/// A user to be made.
#[derive(Clone, Debug)]
pub struct NewUser<'a> {
    /// Their address; it signs in.
    pub email: &'a str,
    /// Their password.
    pub password: &'a str,
    /// Their name; the address's first part when empty.
    pub name: &'a str,
    /// What they may do.
    pub role: Role,
    /// The name of their tenant, made when it is new.
    pub tenant: &'a str,
}

/// Makes a user, and their tenant when it is new.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::Conflict`] when the address is taken; the database's.
pub async fn create(ledger: &Ledger, new: NewUser<'_>) -> Result<(TenantId, UserId)> {
    let password_hash = passwords::hash(new.password).await?;
    made(ledger, new, password_hash).await
}

/// [`create`], for somebody who had a password elsewhere: `new.password` is its hash, argon2 or bcrypt.
///
/// # Errors
/// Those of [`create`]; [`Error::Invalid`] for what nobody can sign in with.
pub async fn take_over(ledger: &Ledger, new: NewUser<'_>) -> Result<(TenantId, UserId)> {
    if !passwords::usable(new.password) {
        let message = "takes an argon2 hash, or a bcrypt hash ($2a$, $2b$, $2y$) with a cost of at most 14";
        return Err(Error::field("/password_hash", "invalid", message));
    }
    let hash = new.password.to_owned();
    made(ledger, new, hash).await
}

async fn made(ledger: &Ledger, new: NewUser<'_>, password_hash: String) -> Result<(TenantId, UserId)> {
    let email = address(new.email)?;
    let slug = slug(new.tenant);
    if slug.is_empty() {
        return Err(Error::field("/tenant", "invalid", "needs a letter or digit"));
    }
    let existing = tenant::Entity::find().filter(tenant::Column::Slug.eq(slug.clone())).one(&ledger.db().read).await?;
    let tenant_id = existing.as_ref().map_or_else(TenantId::new, |tenant| tenant.id);
    let scope = Scope::system(tenant_id, Actor::System);
    let write = Write::begin(ledger, &scope).await?;
    if existing.is_none() {
        let row =
            tenant::ActiveModel { id: Set(tenant_id), name: Set(new.tenant.trim().to_owned()), slug: Set(slug), ..Default::default() };
        tenant::Entity::insert(row).exec_without_returning(&**write).await?;
        write.record(Event { topic: "tenants", subject_id: tenant_id.0, action: "created", data: json!({}) }).await?;
    }
    let name = if new.name.is_empty() { email.split('@').next().unwrap_or_default() } else { new.name };
    let id = add(&write, Joining { email: &email, name, password_hash, role: new.role }).await?;
    write.commit(()).await?;
    Ok((tenant_id, id))
}

/// Somebody who comes to a tenant.
pub(crate) struct Joining<'a> {
    /// As [`address`] gives it.
    pub(crate) email: &'a str,
    pub(crate) name: &'a str,
    pub(crate) password_hash: String,
    pub(crate) role: Role,
}

/// Adds them to the scope's tenant.
pub(crate) async fn add(write: &Write<'_>, new: Joining<'_>) -> Result<UserId> {
    let Joining { email, name, password_hash, role } = new;
    let id = UserId::new();
    let now = Utc::now().trunc_subsecs(6);
    let row = table::ActiveModel {
        id: Set(id),
        tenant_id: Set(write.scope.tenant),
        name: Set(name.to_owned()),
        email: Set(email.to_owned()),
        password_hash: Set(password_hash),
        role: Set(role),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    table::Entity::insert(row).exec_without_returning(&***write).await.map_err(|error| match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => taken(),
        _ => error.into(),
    })?;
    let after = [("name".to_owned(), json!(name)), ("email".to_owned(), json!(email))].into_iter().collect();
    let change = Change { action: Action::Create, id: id.0, before: Record::new(), after };
    texts::keep(write, registry::named("users"), &change).await?;
    write.record(Event { topic: "users", subject_id: id.0, action: "created", data: json!({ "role": role }) }).await?;
    Ok(id)
}

/// An address as it is kept.
///
/// # Errors
/// [`Error::Invalid`] for what is none.
pub(crate) fn address(email: &str) -> Result<String> {
    let email = email.trim().to_lowercase();
    let plausible = email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.ends_with('.'));
    if !(plausible || email.ends_with("@localhost")) || email.len() > 254 || email.contains(char::is_whitespace) {
        return Err(Error::field("/email", "invalid", "is not an e-mail address"));
    }
    Ok(email)
}

/// Why an address can't be had.
pub(crate) fn taken() -> Error {
    Error::conflict("email_taken", "somebody signs in with this e-mail already")
}

/// Whether nobody was made yet.
///
/// # Errors
/// The database's.
pub async fn none(ledger: &Ledger) -> Result<bool> {
    Ok(table::Entity::find().count(&ledger.db().read).await? == 0)
}

/// The user of a scope, with their tenant.
///
/// # Errors
/// [`Error::NotFound`]; the database's.
pub async fn me(db: &db::Db, scope: &Scope) -> Result<(table::Model, tenant::Model)> {
    let id = scope.user().ok_or(Error::NotFound("user"))?;
    let own = table::Column::TenantId.eq(scope.tenant).and(table::Column::Id.eq(id));
    let user = table::Entity::find().filter(own).one(&db.read).await?.ok_or(Error::NotFound("user"))?;
    let tenant = tenant::Entity::find_by_id(scope.tenant).one(&db.read).await?.ok_or(Error::NotFound("tenant"))?;
    Ok((user, tenant))
}

/// The user with this address.
///
/// # Errors
/// The database's.
pub async fn by_email(db: &db::Db, email: &str) -> Result<Option<table::Model>> {
    Ok(table::Entity::find().filter(table::Column::Email.eq(email.trim().to_lowercase())).one(&db.read).await?)
}

fn slug(name: &str) -> String {
    let kept: String = name.trim().to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    kept.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}
