//! What people change of their own account: how they are called, in which language and time they read, their password.

use chrono::{SubsecRound, Utc};
use chrono_tz::Tz;
use entities::{SessionId, TenantId, UserId, password_reset, tenant, user as table};
use jobs::{Ledger, NewJob};
use poem_openapi::{Object, types::MaybeUndefined};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter,
    sea_query::{Expr, SimpleExpr},
};
use serde_json::{Value, json};

use super::{own, passwords, second_factor::proven, sessions};
use crate::{
    Error, Result, Scope,
    engine::{Event, Write},
    payloads::{Notice, SendMail},
    resource::{Record, registry, transact},
    scope::Actor,
    users,
};

/// Changes to your own account; what is left out stays, null is the company's.
#[derive(Clone, Debug, Default, Object)]
#[oai(rename = "MeUpdate", deny_unknown_fields)]
pub struct AccountUpdate {
    /// What you are called.
    #[oai(validator(min_length = 1, max_length = 120))]
    pub name: Option<String>,
    /// Your language.
    pub locale: MaybeUndefined<String>,
    /// Your time zone, such as `America/Sao_Paulo`.
    pub time_zone: MaybeUndefined<String>,
}

/// Changes the caller's account.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::Forbidden`] for a token that may not; the database's.
pub async fn update(ledger: &Ledger, scope: &Scope, change: AccountUpdate) -> Result<(table::Model, tenant::Model)> {
    let user = own(scope, "account:write")?;
    let AccountUpdate { name, locale, time_zone } = change;
    if time_zone.value().is_some_and(|zone| zone.parse::<Tz>().is_err()) {
        return Err(Error::field("/time_zone", "invalid", "takes a time zone such as America/Sao_Paulo"));
    }
    let mut body = Record::new();
    body.extend(name.map(|name| ("name".to_owned(), json!(name))));
    for (field, value) in [("locale", locale), ("time_zone", time_zone)] {
        match value {
            MaybeUndefined::Undefined => {}
            MaybeUndefined::Null => drop(body.insert(field.to_owned(), Value::Null)),
            MaybeUndefined::Value(value) => drop(body.insert(field.to_owned(), json!(value))),
        }
    }
    // Whoever may not change users may change these of themselves.
    let as_self = Scope::system(scope.tenant, scope.actor);
    transact::update(ledger, &as_self, registry::named("users"), user.0, &body, None).await?;
    users::me(ledger.db(), scope).await
}

/// Changes the caller's password. Their other sessions end.
///
/// # Errors
/// [`Error::Invalid`] for a wrong password and for a new one that is too short; [`Error::Forbidden`] for a token that may not;
/// the database's.
pub async fn change_password(ledger: &Ledger, scope: &Scope, session: Option<SessionId>, current: &str, password: &str) -> Result<()> {
    let user = proven(ledger.db(), scope, current, "/current_password").await?.id;
    let hash = passwords::hash(password).await?;
    let write = Write::begin(ledger, scope).await?;
    set_password(&write, user, hash, session).await?;
    write.commit(()).await
}

/// Another password: all sessions but this one end, links for resetting it are good no more, and the user is told.
pub(super) async fn set_password(write: &Write<'_>, user: UserId, hash: String, but: Option<SessionId>) -> Result<()> {
    let (tenant, now) = (write.scope.tenant, Utc::now().trunc_subsecs(6));
    let set = table::Entity::update_many()
        .col_expr(table::Column::PasswordHash, Expr::value(hash))
        .col_expr(table::Column::UpdatedAt, Expr::value(now))
        .filter(table::Column::TenantId.eq(tenant).and(table::Column::Id.eq(user)).and(table::Column::DisabledAt.is_null()))
        .exec(&***write)
        .await?;
    if set.rows_affected == 0 {
        return Err(Error::NotFound("user"));
    }
    password_reset::Entity::delete_many().filter(resets_of(tenant, user)).exec(&***write).await?;
    sessions::end_all(write, user, but).await?;
    write.record(Event { topic: "accounts", subject_id: user.0, action: "password_changed", data: json!({}) }).await?;
    let told = SendMail { user_id: user, notice: Notice::PasswordChanged { at: now } };
    write.enqueue(NewJob::new(tenant.0, &told)).await?;
    Ok(())
}

/// The same password, hashed anew; unless it was changed meanwhile. Nobody notices: sessions go on.
pub(super) async fn renew_hash(write: &Write<'_>, user: &table::Model, hash: String) -> Result<()> {
    let same = table::Column::PasswordHash.eq(user.password_hash.clone());
    table::Entity::update_many()
        .col_expr(table::Column::PasswordHash, Expr::value(hash))
        .filter(table::Column::TenantId.eq(write.scope.tenant).and(table::Column::Id.eq(user.id)).and(same))
        .exec(&***write)
        .await?;
    Ok(())
}

pub(super) fn resets_of(tenant: TenantId, user: UserId) -> SimpleExpr {
    password_reset::Column::TenantId.eq(tenant).and(password_reset::Column::UserId.eq(user))
}

/// Somebody who acts for themselves without being signed in.
pub(super) fn themselves(tenant: TenantId, user: UserId) -> Scope {
    Scope::system(tenant, Actor::User(user))
}
