//! Repeated requests: the same key gets the same answer, and the work is done once.
//!
//! A key is claimed before the work, in a transaction of its own; the answer is kept in the transaction of the work. So a
//! crash before the commit leaves a claim that soon runs out, and one after it leaves the answer. A request that is slower
//! than that finds the answer of whoever took over, and writes nothing.
//!
//! An answer may have a secret that is shown this once: as it was given, it is kept sealed. The one that the work kept has none.

use chrono::{TimeDelta, Utc};
use entities::{TenantId, idempotency_key as table};
use jobs::{Ledger, Tx};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, prelude::Expr, sea_query::OnConflict};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Error, Result, seal::Sealer};

/// A key that this request holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Who sent it.
    pub actor: Uuid,
    /// What they called it.
    pub key: String,
}

/// What there is under a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Begun {
    /// Nothing: the request is to be done.
    Fresh(Claim),
    /// The answer.
    Replay {
        /// Its HTTP status; `None` when it was kept with the work, and nobody lived to give it.
        status: Option<u16>,
        /// Its body.
        body: Value,
    },
    /// Another request with the key is under way.
    InFlight,
    /// The key was used for another request.
    Mismatch,
}

/// How long a claim holds without an answer: this is how long a client asks in vain after an API process was killed.
const PATIENCE: TimeDelta = TimeDelta::seconds(15);

/// The one member of an answer that is kept sealed.
const SEALED: &str = "sealed";

/// Claims `key` for the request with this fingerprint.
///
/// # Errors
/// The database's.
pub async fn begin(ledger: &Ledger, sealer: &Sealer, tenant: TenantId, actor: Uuid, key: &str, fingerprint: &str) -> Result<Begun> {
    let tx = ledger.begin().await?;
    let now = Utc::now();
    let new = table::ActiveModel {
        tenant_id: Set(tenant),
        actor_id: Set(actor),
        key: Set(key.to_owned()),
        fingerprint: Set(fingerprint.to_owned()),
        locked_until: Set(now + PATIENCE),
        status: Set(None),
        response: Set(None),
        created_at: Set(now),
    };
    let columns = [table::Column::TenantId, table::Column::ActorId, table::Column::Key];
    let once = OnConflict::columns(columns).do_nothing().to_owned();
    let new = table::Entity::insert(new).on_conflict(once).exec_without_returning(&*tx).await?;
    let claim = Claim { actor, key: key.to_owned() };
    let begun = if new == 1 {
        Begun::Fresh(claim)
    } else {
        match table::Entity::find().filter(of(tenant, &claim)).one(&*tx).await? {
            Some(row) if row.fingerprint != fingerprint => Begun::Mismatch,
            Some(table::Model { response: Some(body), status, .. }) => {
                let body = match body.get(SEALED).and_then(Value::as_str) {
                    Some(sealed) => serde_json::from_slice(&sealer.open(sealed)?).map_err(anyhow::Error::from)?,
                    None => body,
                };
                Begun::Replay { status: status.and_then(|status| u16::try_from(status).ok()), body }
            }
            Some(row) if row.locked_until > now => Begun::InFlight,
            _ => {
                // Whoever claimed it died before the commit. One of those who see that takes over.
                let seen = of(tenant, &claim).and(table::Column::LockedUntil.lte(now)).and(table::Column::Response.is_null());
                let again = table::Entity::update_many().col_expr(table::Column::LockedUntil, Expr::value(now + PATIENCE)).filter(seen);
                if again.exec(&*tx).await?.rows_affected == 1 { Begun::Fresh(claim) } else { Begun::InFlight }
            }
        }
    };
    tx.commit().await?;
    Ok(begun)
}

/// Keeps the answer in the transaction of the work. Only where there is none: somebody may have taken the key over from a
/// request that was slow, and the work of one of them must not be done.
pub(crate) async fn keep(tx: &Tx, tenant: TenantId, claim: &Claim, answer: Value) -> Result<()> {
    let unanswered = of(tenant, claim).and(table::Column::Response.is_null());
    let kept = table::Entity::update_many().col_expr(table::Column::Response, Expr::value(answer)).filter(unanswered);
    match kept.exec(&**tx).await?.rows_affected {
        1 => Ok(()),
        _ => Err(Error::conflict("request_in_flight", "another request with this Idempotency-Key was faster; ask again for its answer")),
    }
}

/// Notes the status and the body of the answer as it was given; or, after a refusal, that the key is free again.
///
/// # Errors
/// The database's.
pub async fn end(ledger: &Ledger, sealer: &Sealer, tenant: TenantId, claim: &Claim, status: u16, body: Option<Value>) -> Result<()> {
    let tx = ledger.begin().await?;
    if (200..300).contains(&status) {
        let status = i16::try_from(status).unwrap_or(200);
        table::Entity::update_many()
            .col_expr(table::Column::Status, Expr::value(status))
            .col_expr(
                table::Column::Response,
                Expr::value(body.map_or(Value::Null, |body| json!({ SEALED: sealer.seal(body.to_string().as_bytes()) }))),
            )
            .filter(of(tenant, claim))
            .exec(&*tx)
            .await?;
    } else {
        let refused = of(tenant, claim).and(table::Column::Response.is_null());
        table::Entity::delete_many().filter(refused).exec(&*tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

fn of(tenant: TenantId, claim: &Claim) -> sea_orm::sea_query::SimpleExpr {
    table::Column::TenantId.eq(tenant).and(table::Column::ActorId.eq(claim.actor)).and(table::Column::Key.eq(claim.key.as_str()))
}
