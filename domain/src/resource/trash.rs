//! The trash is emptied: records that have lain in it for long are deleted for good, one by one, as people would.

use chrono::{DateTime, Utc};
use entities::TenantId;
use jobs::Ledger;
use sea_orm::{
    ConnectionTrait,
    sea_query::{Alias, Expr, ExprTrait, Order, Query},
};
use serde_json::Value;
use uuid::Uuid;

use super::{Resource, access::Act, registry, write};
use crate::{Error, Result, Scope, engine::Write, scope::Actor};

/// Records at once.
const BATCH: u64 = 200;

/// Deletes what was put into the trash before `until`; how many. What other records need stays where it is.
///
/// # Errors
/// The database's; what was deleted before stays deleted.
pub async fn empty(ledger: &Ledger, until: DateTime<Utc>) -> Result<u64> {
    let mut deleted = 0;
    for resource in registry::all().iter().filter(|resource| resource.made) {
        let mut last = Uuid::nil();
        loop {
            let column = |name: &'static str| Expr::col(Alias::new(name));
            let find = Query::select()
                .from(Alias::new(resource.topic))
                .columns(["tenant_id", "id"].map(Alias::new))
                .and_where(column("deleted_at").lt(until))
                .and_where(column("id").gt(last))
                .order_by(Alias::new("id"), Order::Asc)
                .limit(BATCH)
                .to_owned();
            let rows = ledger.db().read.query_all(&find).await?;
            for row in &rows {
                last = row.try_get("", "id")?;
                deleted += u64::from(delete(ledger, resource, row.try_get("", "tenant_id")?, last).await?);
            }
            if rows.is_empty() {
                break;
            }
        }
    }
    Ok(deleted)
}

/// Whether it was deleted.
async fn delete(ledger: &Ledger, resource: &'static Resource, tenant: TenantId, id: Uuid) -> Result<bool> {
    let scope = Scope::system(tenant, Actor::System);
    let write = Write::begin(ledger, &scope).await?;
    // Somebody may have taken it out meanwhile.
    let found = write::load(&write, resource, Act::Delete, id, true).await?;
    if found.is_none_or(|record| record["deleted_at"] == Value::Null) {
        return Ok(false);
    }
    match write::purge(&write, resource, id, None).await {
        Ok(()) => write.commit(true).await,
        Err(Error::Conflict { .. } | Error::Invalid(_)) => Ok(false),
        // The next round deletes it.
        Err(Error::Db(error)) if db::is_stuck(&error) => Ok(false),
        Err(error) => Err(error),
    }
}
