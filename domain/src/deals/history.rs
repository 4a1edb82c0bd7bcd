//! How long a deal was in which stage.

use chrono::{DateTime, Utc};
use db::Db;
use sea_orm::{ConnectionTrait, Statement};
use uuid::Uuid;

use super::deals;
use crate::{
    Result, Scope,
    resource::{list, registry, rows},
};

/// A deal's time in a stage.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Which stage.
    pub stage_id: Uuid,
    /// What it is called; nothing for one that the caller may not see.
    pub label: Option<String>,
    /// Since when.
    pub entered_at: DateTime<Utc>,
    /// Until when; nothing while the deal is there.
    pub left_at: Option<DateTime<Utc>>,
    /// How long, in seconds; until now while it is there.
    pub seconds: i64,
}

/// The stages that a deal was in, first to last.
///
/// # Errors
/// [`crate::Error::NotFound`]; [`crate::Error::Forbidden`]; the database's.
pub async fn of(db: &Db, scope: &Scope, id: Uuid) -> Result<Vec<Visit>> {
    let deals = deals(scope, &["stage_id"])?;
    list::get(db, scope, deals, id, Vec::new()).await?;
    let sql = "select stage_id, entered_at, left_at from deal_stage_visits where tenant_id = $1 and deal_id = $2 order by entered_at, id";
    let visits = db.read.query_all_raw(Statement::from_sql_and_values(db.backend(), sql, [scope.tenant.0.into(), id.into()])).await?;
    let mut visits = visits
        .iter()
        .map(|row| {
            let (entered_at, left_at): (DateTime<Utc>, Option<DateTime<Utc>>) =
                (row.try_get("", "entered_at")?, row.try_get("", "left_at")?);
            let seconds = (left_at.unwrap_or_else(Utc::now) - entered_at).num_seconds().max(0);
            Ok(Visit { stage_id: row.try_get("", "stage_id")?, label: None, entered_at, left_at, seconds })
        })
        .collect::<Result<Vec<_>>>()?;
    let mut ids: Vec<Uuid> = visits.iter().map(|visit| visit.stage_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let stages = registry::named("stages");
    let known = rows::seen(&db.read, scope, stages, ids).await?;
    for visit in &mut visits {
        visit.label = known.get(&visit.stage_id).map(|stage| stages.label_of(stage));
    }
    Ok(visits)
}
