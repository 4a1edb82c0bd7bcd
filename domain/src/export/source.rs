//! Where the rows of an export come from.

use db::Db;
use serde_json::{Value, json};

use super::{AuditExportRequest, ExportRequest, records::Records};
use crate::{
    Result, Scope, audit,
    page::{Page, Paging},
    resource::Resource,
};

/// Rows of one page.
pub(super) const PAGE: u64 = 500;

/// Where rows come from, page by page.
pub(super) enum Source {
    /// The records of a resource.
    Records(Box<Records>),
    /// The audit log.
    Audit {
        /// Which events.
        wanted: audit::Wanted,
        /// Where the last page ended.
        cursor: Option<String>,
        /// Whether that was all.
        over: bool,
    },
}

impl Source {
    pub(super) async fn records(db: &Db, scope: &Scope, resource: &'static Resource, request: ExportRequest) -> Result<Self> {
        Ok(Self::Records(Box::new(Records::of(db, scope, resource, request).await?)))
    }

    pub(super) fn audit(scope: &Scope, request: AuditExportRequest) -> Result<Self> {
        scope.require("audit:read")?;
        let AuditExportRequest { format: _, topic, subject_id, action, actor_id, from, to } = request;
        let wanted = audit::Wanted { topic, subject_id, action, actor_kind: None, actor_id, from, to };
        Ok(Self::Audit { wanted, cursor: None, over: false })
    }

    /// What the columns are called.
    pub(super) fn columns(&self) -> Vec<String> {
        match self {
            Self::Records(records) => records.names(),
            Self::Audit { .. } => {
                let names = ["at", "topic", "subject_id", "action", "actor_kind", "actor_id", "cause_id", "data", "id"];
                names.map(str::to_owned).to_vec()
            }
        }
    }

    /// The next rows; none when there are no more.
    pub(super) async fn next(&mut self, db: &Db, scope: &Scope, plain: bool) -> Result<Vec<Vec<Value>>> {
        match self {
            Self::Records(records) => records.next(db, scope, plain).await,
            Self::Audit { over: true, .. } => Ok(Vec::new()),
            Self::Audit { wanted, cursor, over } => {
                let paging = Paging { limit: PAGE, cursor: cursor.take() };
                let Page { data, next_cursor } = audit::list(db, scope, wanted.clone(), paging).await?;
                (*over, *cursor) = (next_cursor.is_none(), next_cursor);
                let row = |event: entities::event::Model| {
                    let data = if plain { Value::String(event.data.to_string()) } else { event.data };
                    vec![
                        json!(event.created_at.to_rfc3339()),
                        json!(event.topic),
                        json!(event.subject_id),
                        json!(event.action),
                        json!(event.actor_kind),
                        json!(event.actor_id),
                        json!(event.cause_id),
                        data,
                        json!(event.id),
                    ]
                };
                Ok(data.into_iter().map(row).collect())
            }
        }
    }
}
