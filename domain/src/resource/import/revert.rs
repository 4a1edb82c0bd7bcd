//! Taking an import back: what it made goes to the trash, what it changed is as it was. A record that somebody has changed since
//! stays, and is told of.

use chrono::{SubsecRound, Utc};
use db::Db;
use entities::{ImportId, TenantId, import as table, import_record};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::{Value, json};
use uuid::Uuid;

use super::run::{Found, row};
use crate::{
    Result,
    engine::Write,
    resource::{Record, Resource, access::Act, bulk::run::acting, refused::refused, registry, write},
};

/// Records of one transaction.
const PART: u64 = 200;

/// An import that is being taken back, in the hands of its job.
#[derive(Debug)]
pub struct Reverting {
    row: table::Model,
    resource: &'static Resource,
}

/// Takes up where it stands.
///
/// # Errors
/// The database's.
pub async fn take_up(db: &Db, tenant: TenantId, id: ImportId) -> Result<Found<Reverting>> {
    let open = row(db, tenant, id).await?.filter(|row| row.revert_job_id.is_some() && row.reverted_at.is_none());
    let Some(row) = open else { return Ok(Found::Done) };
    let refuse = |why: &str| Ok(Found::Refused(why.to_owned()));
    let Some(scope) = acting(db, tenant, row.user_id, row.token_id).await? else {
        return refuse("whoever imported it may not sign in any more, or their token is not valid any more");
    };
    match registry::find(&row.topic) {
        Some(resource) => Ok(Found::Running(Box::new(Reverting { row, resource }), scope)),
        None => refuse("this version of SOMO can't do it"),
    }
}

impl Reverting {
    /// Takes back the next records and keeps how far it is, all in this transaction; whether those were the last.
    ///
    /// # Errors
    /// The database's.
    pub async fn step(&mut self, write: &Write<'_>) -> Result<bool> {
        let of = import_record::Column::TenantId.eq(self.row.tenant_id).and(import_record::Column::ImportId.eq(self.row.id));
        let mut next = import_record::Entity::find().filter(of.clone()).select_only().column(import_record::Column::RecordId).distinct();
        if let Some(after) = self.row.revert_after {
            next = next.filter(import_record::Column::RecordId.gt(after));
        }
        let ids: Vec<Uuid> = next.order_by_asc(import_record::Column::RecordId).limit(PART).into_tuple().all(&***write).await?;
        let find = import_record::Entity::find().filter(of.and(import_record::Column::RecordId.is_in(ids.iter().copied())));
        let traces = find.order_by_asc(import_record::Column::RecordId).order_by_asc(import_record::Column::Version).all(&***write).await?;
        for id in &ids {
            let of_record: Vec<&import_record::Model> = traces.iter().filter(|trace| trace.record_id == *id).collect();
            write.execute_unprepared("savepoint one_record").await?;
            let done = one(write, self.resource, *id, &of_record).await;
            if done.is_err() {
                write.execute_unprepared("rollback to savepoint one_record").await?;
            }
            write.execute_unprepared("release savepoint one_record").await?;
            match done {
                Ok(()) => self.row.reverted += 1,
                Err(error) => {
                    refused(error)?;
                    self.row.kept += 1;
                }
            }
        }
        let last = (ids.len() as u64) < PART;
        self.row.revert_after = ids.last().copied().or(self.row.revert_after);
        self.row.reverted_at = last.then(|| Utc::now().trunc_subsecs(6));
        let kept = table::ActiveModel {
            revert_after: Set(self.row.revert_after),
            reverted: Set(self.row.reverted),
            kept: Set(self.row.kept),
            reverted_at: Set(self.row.reverted_at),
            ..Default::default()
        };
        let of = table::Column::TenantId.eq(self.row.tenant_id).and(table::Column::Id.eq(self.row.id));
        table::Entity::update_many().set(kept).filter(of).exec(&***write).await?;
        Ok(last)
    }

    /// How far it is, as the job board shows it.
    #[must_use]
    pub fn progress(&self) -> Value {
        let total = self.row.created + self.row.updated;
        json!({ "total": total, "done": self.row.reverted, "failed": self.row.kept })
    }
}

/// Takes back what the import did to a record, unless somebody has changed it since.
async fn one(write: &Write<'_>, resource: &'static Resource, id: Uuid, traces: &[&import_record::Model]) -> Result<()> {
    let version = traces.last().map(|trace| trace.version);
    if traces.iter().any(|trace| trace.before.is_none()) {
        write::trash(write, resource, id, version).await?;
        return Ok(());
    }
    // What the first of its rows found.
    let mut before = Record::new();
    for trace in traces.iter().rev() {
        before.extend(trace.before.as_ref().and_then(Value::as_object).cloned().unwrap_or_default());
    }
    let record = write::locked(write, resource, Act::Edit, id, version).await?;
    if let Some(custom) = before.get_mut("custom") {
        // A merge keeps what is left out: what the import added is cleared.
        let added = record["custom"].as_object().into_iter().flatten().map(|(key, _)| (key.clone(), Value::Null));
        let mut whole: Record = added.collect();
        whole.extend(custom.as_object().cloned().unwrap_or_default());
        *custom = Value::Object(whole);
    }
    write::change(write, resource, record, &before, Record::new()).await?;
    Ok(())
}
