//! Makes the index of what is there: after an upgrade, or when an operator wants it. While it runs, people may write; done
//! twice, it changes nothing.

use std::collections::HashMap;

use db::DbBackend;
use jobs::Ledger;
use sea_orm::{
    ConnectionTrait,
    sea_query::{Alias, Expr, ExprTrait, LockType, Order, Query},
};
use uuid::Uuid;

use super::texts::{self, TEXTS};
use crate::{
    Result, Scope,
    engine::again,
    resource::{
        Resource,
        custom::Customs,
        registry,
        rows::{self, ROW},
    },
    scope::Actor,
};

/// Records at once; meanwhile nobody can change them.
const BATCH: u64 = 200;

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// In which resource.
    pub topic: &'static str,
    /// After which of its records, by their ids; after the nil id at its beginning.
    pub after: Uuid,
}

impl Place {
    /// The beginning.
    ///
    /// # Panics
    /// There is none: there are resources.
    #[must_use]
    pub fn first() -> Self {
        Self { topic: registry::all()[0].topic, after: Uuid::nil() }
    }

    /// A place that was kept. One in a resource that is no more is the beginning.
    #[must_use]
    pub fn kept(topic: Option<&str>, after: Option<Uuid>) -> Self {
        let known = topic.and_then(registry::find);
        known.map_or_else(Self::first, |resource| Self { topic: resource.topic, after: after.unwrap_or_default() })
    }
}

/// Does some records more: where the next ones are, and how many it were.
///
/// # Errors
/// The database's; what was done before stays done.
pub async fn step(ledger: &Ledger, place: Place) -> Result<(Option<Place>, usize)> {
    let resource = registry::named(place.topic);
    let (last, done) = again(|| batch(ledger, resource, place.after)).await?;
    if let Some(last) = last {
        return Ok((Some(Place { after: last, ..place }), done));
    }
    clear(ledger, resource).await?;
    let next = registry::all().iter().skip_while(|one| one.topic != resource.topic).nth(1);
    Ok((next.map(|next| Place { topic: next.topic, after: Uuid::nil() }), done))
}

/// The records after `after`; the last of them, if there were any.
async fn batch(ledger: &Ledger, resource: &'static Resource, after: Uuid) -> Result<(Option<Uuid>, usize)> {
    let tx = ledger.begin().await?;
    let mut find = Query::select();
    find.from(Alias::new(resource.topic))
        .columns(["tenant_id", "id"])
        .and_where(Expr::col("id").gt(after))
        .order_by("id", Order::Asc)
        .limit(BATCH);
    // What somebody is changing comes with their change.
    if tx.get_database_backend() == DbBackend::Postgres {
        find.lock(LockType::NoKeyUpdate);
    }
    let mut tenants: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    let rows = tx.query_all(&find).await?;
    let mut last = None;
    for row in &rows {
        let id = row.try_get("", "id")?;
        tenants.entry(row.try_get("", "tenant_id")?).or_default().push(id);
        last = Some(id);
    }
    for (tenant, ids) in tenants {
        renew(&*tx, resource, tenant, ids).await?;
    }
    tx.commit().await?;
    Ok((last, rows.len()))
}

/// Writes what is missing or wrong of a tenant's records, and nothing else.
async fn renew(conn: &impl ConnectionTrait, resource: &'static Resource, tenant: Uuid, ids: Vec<Uuid>) -> Result<()> {
    let known = Query::select()
        .from(TEXTS)
        .columns(["record_id", "field", "text"])
        .and_where(Expr::col("tenant_id").eq(tenant))
        .and_where(Expr::col("record_id").is_in(ids.iter().copied()))
        .to_owned();
    let mut known: HashMap<(Uuid, String), String> = conn
        .query_all(&known)
        .await?
        .iter()
        .map(|row| Ok(((row.try_get("", "record_id")?, row.try_get("", "field")?), row.try_get("", "text")?)))
        .collect::<std::result::Result<_, sea_orm::DbErr>>()?;
    let scope = Scope::system(entities::TenantId(tenant), Actor::System);
    let customs = Customs::with_trashed(conn, tenant).await?;
    let mut select = rows::select(resource);
    select.and_where(Resource::of(ROW, tenant)).and_where(Resource::column(ROW, "id").is_in(ids));
    let mut wrong = Vec::new();
    for record in rows::read(conn, &scope, resource, &select).await? {
        let id = rows::id_of(&record);
        for (field, text) in texts::of(resource, &customs, &record) {
            if known.remove(&(id, field.clone())).is_none_or(|known| known != text) {
                wrong.push((id, field, text));
            }
        }
    }
    texts::forget(conn, tenant, known.into_keys().collect()).await?;
    texts::store(conn, tenant, resource.topic, wrong).await
}

/// Deletes what is kept of records that are no more.
async fn clear(ledger: &Ledger, resource: &'static Resource) -> Result<()> {
    let own = Query::select()
        .expr(Expr::cust("1"))
        .from_as(Alias::new(resource.topic), ROW)
        .and_where(Resource::column(ROW, "tenant_id").equals((TEXTS, "tenant_id")))
        .and_where(Resource::column(ROW, "id").equals((TEXTS, "record_id")))
        .to_owned();
    let delete =
        Query::delete().from_table(TEXTS).and_where(Expr::col("topic").eq(resource.topic)).and_where(Expr::exists(own).not()).to_owned();
    ledger.db().write.execute(&delete).await?;
    Ok(())
}
