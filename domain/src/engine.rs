//! The one way to write: the record, its event and the jobs that follow, in one transaction.

pub(crate) mod set;

use std::{ops::Deref, time::Duration};

use chrono::{SubsecRound, Utc};
use jobs::{Ledger, Tx};
use sea_orm::{ConnectionTrait, Statement};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{Error, Result, Scope, idempotency, resource::Record, webhooks};

/// A transaction in a scope. Dropped, it rolls back.
pub struct Write<'a> {
    tx: Tx,
    set: set::Set,
    quiet: bool,
    /// Who writes where.
    pub scope: &'a Scope,
}

/// Does all of a transaction again, up to three times, when the database gave it up so that another one could go on.
///
/// # Errors
/// Those of the work.
pub async fn again<T, F: Future<Output = Result<T>>>(work: impl Fn() -> F) -> Result<T> {
    for pause in [10, 40, 160] {
        match work().await {
            Err(Error::Db(error)) if db::is_stuck(&error) => tokio::time::sleep(Duration::from_millis(pause)).await,
            done => return done,
        }
    }
    work().await
}

/// Something that happened to a record.
#[derive(Clone, Debug)]
pub struct Event {
    /// The resource.
    pub topic: &'static str,
    /// The record.
    pub subject_id: Uuid,
    /// What happened.
    pub action: &'static str,
    /// The diff, or what else there is to know. No secrets.
    pub data: Value,
}

/// Writes an event and asks in the same breath whether any webhook of the tenant listens: whoever has none pays no statement
/// for it, and one that was made before this statement hears of it, in whatever process it was made.
const INSERT: &str = "insert into events (id, tenant_id, topic, subject_id, action, actor_kind, actor_id, data)
values ($1, $2, $3, $4, $5, $6, $7, $8)
returning (select count(*) from (select 1 from webhooks where tenant_id = $2 and state in ('active', 'failing') limit 1) one) as heard";

impl<'a> Write<'a> {
    /// Begins one.
    ///
    /// # Errors
    /// The database doesn't answer.
    pub async fn begin(ledger: &Ledger, scope: &'a Scope) -> Result<Self> {
        Ok(Self::within(ledger.begin().await?, scope))
    }

    /// Takes over a transaction that a job has begun.
    #[must_use]
    pub fn within(tx: Tx, scope: &'a Scope) -> Self {
        Self { tx, set: set::Set::default(), quiet: false, scope }
    }

    /// Tells nobody of each record: who is given thousands at once doesn't want a notification of every one.
    #[must_use]
    pub fn quietly(self) -> Self {
        Self { quiet: true, ..self }
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Notes what happened.
    ///
    /// # Errors
    /// The database's.
    pub async fn record(&self, event: Event) -> Result<()> {
        self.record_of(event, None).await
    }

    /// [`Write::record`], of a record that is at hand as the event leaves it.
    pub(crate) async fn record_of(&self, event: Event, record: Option<&Record>) -> Result<()> {
        let (id, at) = (Uuid::now_v7(), Utc::now().trunc_subsecs(6));
        if self.gathers() {
            self.let_wait(set::Gone { id, at, event, record: record.cloned() });
            return Ok(());
        }
        let (actor_kind, actor_id) = self.scope.actor.parts();
        let values = [
            id.into(),
            self.scope.tenant.0.into(),
            event.topic.into(),
            event.subject_id.into(),
            event.action.into(),
            actor_kind.into(),
            actor_id.into(),
            event.data.clone().into(),
        ];
        let insert = Statement::from_sql_and_values(self.tx.get_database_backend(), INSERT, values);
        let row = self.tx.query_one_raw(insert).await?;
        let heard = row.map(|row| row.try_get::<i64>("", "heard")).transpose()?;
        if heard.is_some_and(|webhooks| webhooks > 0) {
            webhooks::announce(self, webhooks::Happened { id, at, event: &event, record }).await?;
        }
        Ok(())
    }

    /// Commits, wakes the relays, and keeps `answer` for a repeated request, all or nothing.
    ///
    /// # Errors
    /// The database's; nothing was written then.
    pub async fn commit<T: Serialize>(self, answer: T) -> Result<T> {
        if let Some(claim) = &self.scope.idempotency {
            let kept = serde_json::to_value(&answer).map_err(anyhow::Error::from)?;
            idempotency::keep(&self.tx, self.scope.tenant, claim, kept).await?;
        }
        self.tx.commit().await?;
        Ok(answer)
    }

    /// The transaction, for a job that finishes itself in it.
    #[must_use]
    pub fn into_tx(self) -> Tx {
        self.tx
    }
}

impl Deref for Write<'_> {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}
