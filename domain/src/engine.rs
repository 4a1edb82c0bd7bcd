//! The one way to write: the record, its event and the jobs that follow, in one transaction.

use std::{ops::Deref, time::Duration};

use jobs::{Ledger, Tx};
use sea_orm::ActiveValue::Set;
use sea_orm::EntityTrait;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{Error, Result, Scope, idempotency};

/// A transaction in a scope. Dropped, it rolls back.
pub struct Write<'a> {
    tx: Tx,
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

impl<'a> Write<'a> {
    /// Begins one.
    ///
    /// # Errors
    /// The database doesn't answer.
    pub async fn begin(ledger: &Ledger, scope: &'a Scope) -> Result<Self> {
        Ok(Self { tx: ledger.begin().await?, scope })
    }

    /// Takes over a transaction that a job has begun.
    #[must_use]
    pub fn within(tx: Tx, scope: &'a Scope) -> Self {
        Self { tx, scope }
    }

    /// Notes what happened.
    ///
    /// # Errors
    /// The database's.
    pub async fn record(&self, event: Event) -> Result<()> {
        let (actor_kind, actor_id) = self.scope.actor.parts();
        let event = entities::event::ActiveModel {
            id: Set(Uuid::now_v7()),
            tenant_id: Set(self.scope.tenant),
            topic: Set(event.topic.into()),
            subject_id: Set(event.subject_id),
            action: Set(event.action.into()),
            actor_kind: Set(actor_kind.into()),
            actor_id: Set(actor_id),
            data: Set(event.data),
            ..Default::default()
        };
        entities::event::Entity::insert(event).exec_without_returning(&*self.tx).await?;
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
