//! A forgotten password: a link by mail, good for an hour and once.
//!
//! Nobody learns whether an address has an account: the answer is always the same, and takes as long. The link's token is made
//! when the mail is written and only its fingerprint is kept, so that no job and no row has it.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use entities::{PasswordResetId, TenantId, password_reset as table, user};
use jobs::{Ledger, NewJob};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, sea_query::Expr};
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::{
    account::{resets_of, set_password, themselves},
    passwords,
    tokens::{fingerprint, secret},
};
use crate::{
    Error, Result,
    engine::{Event, Write},
    payloads::{Notice, SendMail},
    users,
};

/// How long a link is good.
const LIFE: TimeDelta = TimeDelta::hours(1);
/// Who asks again within this time gets no other mail.
const PAUSE: TimeDelta = TimeDelta::minutes(1);
/// How long the answer takes, whether there is such an account or not.
const ANSWER: Duration = Duration::from_millis(300);

/// Mails a link to whoever has this address, if anybody has.
///
/// # Errors
/// The database's.
pub async fn forgotten(ledger: &Ledger, email: &str) -> Result<()> {
    let answer = Instant::now() + ANSWER;
    let asked = ask(ledger, email).await;
    sleep_until(answer).await;
    asked
}

async fn ask(ledger: &Ledger, email: &str) -> Result<()> {
    let db = ledger.db();
    let Some(user::Model { tenant_id, id: user_id, .. }) = users::by_email(db, email).await?.filter(|user| user.disabled_at.is_none())
    else {
        return Ok(());
    };
    let now = Utc::now();
    let recent = resets_of(tenant_id, user_id).and(table::Column::CreatedAt.gt(now - PAUSE));
    if table::Entity::find().filter(recent).one(&db.read).await?.is_some() {
        return Ok(());
    }
    let scope = themselves(tenant_id, user_id);
    let write = Write::begin(ledger, &scope).await?;
    let id = PasswordResetId::new();
    let row = table::ActiveModel {
        id: Set(id),
        tenant_id: Set(tenant_id),
        user_id: Set(user_id),
        token_hash: Set(None),
        expires_at: Set(now + LIFE),
        created_at: Set(now),
    };
    table::Entity::insert(row).exec_without_returning(&**write).await?;
    write.record(Event { topic: "accounts", subject_id: user_id.0, action: "password_forgotten", data: json!({}) }).await?;
    write.enqueue(NewJob::new(tenant_id.0, &SendMail { user_id, notice: Notice::PasswordReset { reset_id: id } })).await?;
    write.commit(()).await
}

/// The token for the mail; one that was mailed before is good no more. `None` when the link is over.
///
/// # Errors
/// The database's.
pub async fn token(ledger: &Ledger, tenant: TenantId, id: PasswordResetId) -> Result<Option<String>> {
    let token = secret("somo_reset_");
    let tx = ledger.begin().await?;
    let open = table::Column::TenantId.eq(tenant).and(table::Column::Id.eq(id)).and(table::Column::ExpiresAt.gt(Utc::now()));
    let set =
        table::Entity::update_many().col_expr(table::Column::TokenHash, Expr::value(fingerprint(&token))).filter(open).exec(&*tx).await?;
    tx.commit().await?;
    Ok((set.rows_affected == 1).then_some(token))
}

/// Sets another password with a link's token. All sessions of the user end.
///
/// # Errors
/// [`Error::Invalid`] for a link that is unknown, used or expired, and for a password that is too short; the database's.
pub async fn reset(ledger: &Ledger, token: &str, password: &str) -> Result<()> {
    let over = || Error::field("/token", "invalid", "the link is unknown, used or expired; ask for another mail");
    let open = table::Column::TokenHash.eq(fingerprint(token)).and(table::Column::ExpiresAt.gt(Utc::now()));
    let row = table::Entity::find().filter(open.clone()).one(&ledger.db().read).await?.ok_or_else(over)?;
    let hash = passwords::hash(password).await?;
    let scope = themselves(row.tenant_id, row.user_id);
    let write = Write::begin(ledger, &scope).await?;
    if table::Entity::delete_many().filter(open).exec(&**write).await?.rows_affected == 0 {
        return Err(over());
    }
    match set_password(&write, row.user_id, hash, None).await {
        Err(Error::NotFound(_)) => Err(over()),
        other => other,
    }?;
    write.commit(()).await
}
