//! Dragging on the board: a deal gets a place between two others of a stage, and only this deal is written.

use db::DbBackend;
use jobs::Ledger;
use sea_orm::{
    ConnectionTrait, Statement,
    sea_query::{ExprTrait, Order, Query, SelectStatement},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    is_open,
    position::{between, spread},
};
use crate::{
    Error, Result, Scope,
    engine::{Write, again},
    resource::{Record, Resource, access::Act, registry, related, rows::ROW, transact, write},
};

/// Where on the board.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// In which stage.
    pub stage_id: Uuid,
    /// Right before this deal of the stage.
    pub before: Option<Uuid>,
    /// Right after this one; at the end of the stage, if neither is named.
    pub after: Option<Uuid>,
}

/// Where a deal stands: deals with the same text stand in the order of their ids.
type Standing = (String, Uuid);

/// Puts a deal in its place.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; [`Error::Invalid`] names a stage or a neighbour that is not there;
/// [`Error::Conflict`] when the neighbours have changed places; the database's.
pub async fn put(ledger: &Ledger, scope: &Scope, id: Uuid, place: Place) -> Result<Record> {
    let deals = registry::named("deals");
    again(|| async {
        let write = Write::begin(ledger, scope).await?;
        // One at a time in a stage: two who drop into the same gap get two places. Before the deal is locked, as everybody does.
        related::alone(&write, &format!("stage={}", place.stage_id)).await?;
        let deal = write::locked(&write, deals, Act::Edit, id, None).await?;
        let entered = deal["stage_id"] != json!(place.stage_id);
        let own = deal["position"].as_str().unwrap_or_default();
        let gap = gap(&write, id, place).await?;
        let position = match free(&gap, own, entered) {
            Some(position) => position,
            None => {
                rebalance(&write, id, place.stage_id).await?;
                let gap = self::gap(&write, id, place).await?;
                free(&gap, own, entered).ok_or_else(|| anyhow::anyhow!("a stage that was just rebalanced has no room"))?
            }
        };
        let body = [("stage_id".to_owned(), json!(place.stage_id))].into_iter().collect();
        let kept = [("position".to_owned(), json!(position))].into_iter().collect();
        let record = write::update_with(&write, deals, id, &body, kept, None).await?;
        transact::answered(write, deals, record).await
    })
    .await
}

/// The end of a stage, for a deal that enters it.
pub(super) async fn end(write: &Write<'_>, stage: Option<Uuid>, but: Uuid) -> Result<String> {
    let last = match stage {
        Some(stage) => nearest(write, stage, but, None, Order::Desc).await?.map(|(position, _)| position),
        None => None,
    };
    // Without room there it shares the last one's place, until somebody drops another between them.
    Ok(between(last.as_deref(), None).or(last).unwrap_or_default())
}

/// A text in the gap, the deal's own if that is there already.
fn free((low, high): &(Option<Standing>, Option<Standing>), own: &str, entered: bool) -> Option<String> {
    let (low, high) = (low.as_ref().map(|(text, _)| text.as_str()), high.as_ref().map(|(text, _)| text.as_str()));
    if !entered && low.is_none_or(|low| low < own) && high.is_none_or(|high| own < high) {
        return Some(own.to_owned());
    }
    let found = between(low, high)?;
    // The text that it had in another stage would look as if nobody had given it a place.
    if found == own { between(Some(&found), high) } else { Some(found) }
}

/// The deals between which the place is.
async fn gap(write: &Write<'_>, id: Uuid, place: Place) -> Result<(Option<Standing>, Option<Standing>)> {
    let after = match place.after {
        Some(after) => Some(neighbour(write, id, place.stage_id, after, "/after").await?),
        None => None,
    };
    let before = match place.before {
        Some(before) => Some(neighbour(write, id, place.stage_id, before, "/before").await?),
        None => None,
    };
    Ok(match (after, before) {
        (Some(after), Some(before)) if before <= after => {
            return Err(Error::conflict("moved", "the two deals have changed places meanwhile; look again"));
        }
        // Others may stand between the two: those that somebody else just put there, or that the caller didn't ask for.
        (Some(after), _) => {
            let next = nearest(write, place.stage_id, id, Some(&after), Order::Asc).await?;
            (Some(after), next)
        }
        (None, Some(before)) => (nearest(write, place.stage_id, id, Some(&before), Order::Desc).await?, Some(before)),
        (None, None) => (nearest(write, place.stage_id, id, None, Order::Desc).await?, None),
    })
}

/// Where a deal stands that the caller names.
async fn neighbour(write: &Write<'_>, id: Uuid, stage: Uuid, named: Uuid, pointer: &str) -> Result<Standing> {
    if named == id {
        return Err(Error::field(pointer, "invalid", "is the deal itself"));
    }
    let mut find = standing(write, stage);
    find.and_where(write.scope.within(registry::named("deals"), Act::View, ROW)?).and_where(Resource::column(ROW, "id").eq(named));
    let found = write.query_one(&find).await?.map(|row| read(&row)).transpose()?;
    found.ok_or_else(|| Error::field(pointer, "not_found", "there is no such open deal in this stage"))
}

/// The next open deal after a place, or before it in the other order; without a place the first one.
async fn nearest(write: &Write<'_>, stage: Uuid, but: Uuid, of: Option<&Standing>, order: Order) -> Result<Option<Standing>> {
    let mut find = standing(write, stage);
    let (position, id) = (Resource::column(ROW, "position"), Resource::column(ROW, "id"));
    if let Some((text, one)) = of {
        let beyond = match order {
            Order::Desc => position.clone().lt(text.as_str()).or(position.clone().eq(text.as_str()).and(id.clone().lt(*one))),
            _ => position.clone().gt(text.as_str()).or(position.clone().eq(text.as_str()).and(id.clone().gt(*one))),
        };
        find.and_where(beyond);
    }
    find.and_where(id.clone().ne(but)).order_by_expr(position, order.clone()).order_by_expr(id, order).limit(1);
    write.query_one(&find).await?.map(|row| read(&row)).transpose()
}

/// The open deals of a stage.
fn standing(write: &Write<'_>, stage: Uuid) -> SelectStatement {
    Query::select()
        .from_as("deals", ROW)
        .expr_as(Resource::column(ROW, "position"), "position")
        .expr_as(Resource::column(ROW, "id"), "id")
        .and_where(Resource::of(ROW, write.scope.tenant.0))
        .and_where(Resource::column(ROW, "stage_id").eq(stage))
        .and_where(is_open())
        .and_where(Resource::column(ROW, "deleted_at").is_null())
        .to_owned()
}

fn read(row: &sea_orm::QueryResult) -> Result<Standing> {
    Ok((row.try_get("", "position")?, row.try_get("", "id")?))
}

/// Gives the other open deals of a stage new texts, with room between them. They stand as they stood, so nothing has happened
/// to them that an event would tell; only their ETags are others.
async fn rebalance(write: &Write<'_>, but: Uuid, stage: Uuid) -> Result<()> {
    let mut find = standing(write, stage);
    find.and_where(Resource::column(ROW, "id").ne(but))
        .order_by_expr(Resource::column(ROW, "position"), Order::Asc)
        .order_by_expr(Resource::column(ROW, "id"), Order::Asc);
    if write.get_database_backend() == DbBackend::Postgres {
        find.lock(sea_orm::sea_query::LockType::NoKeyUpdate);
    }
    let rows = write.query_all(&find).await?;
    let sql = "update deals set position = $3, version = version + 1 where tenant_id = $1 and id = $2";
    for (row, position) in rows.iter().zip(spread(rows.len())) {
        let (_, id) = read(row)?;
        let values = [write.scope.tenant.0.into(), id.into(), position.into()];
        write.execute_raw(Statement::from_sql_and_values(write.get_database_backend(), sql, values)).await?;
    }
    Ok(())
}
