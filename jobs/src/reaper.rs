//! Returns what was lost: expired leases, undelivered messages, lines left asleep by a crash. Any number may run.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use db::DbErr;
use sea_orm::ConnectionTrait;

use crate::{Lane, Ledger};

impl Ledger {
    /// Expired leases and undelivered messages become pending, or dead when the attempts are used up. How many.
    ///
    /// # Errors
    /// The database's.
    pub async fn reap(&self) -> Result<usize, DbErr> {
        let sql = self.sql();
        let rows = self.db().quick.query_all_raw(sql.statement(sql.reap, [])).await?;
        let (mut lanes, mut lines) = (BTreeSet::new(), HashMap::<String, Vec<String>>::new());
        for row in &rows {
            let queue: String = row.try_get("", "queue")?;
            match (row.try_get::<String>("", "state")?.as_str(), row.try_get("", "order_key")?) {
                ("dead", Some(key)) => lines.entry(queue).or_default().push(key),
                ("dead", None) => {}
                _ => _ = lanes.insert(Lane::route(queue, row.try_get::<String>("", "route")?)),
            }
        }
        for (queue, keys) in lines {
            self.wake_lines(&queue, &keys).await?;
        }
        self.wake().lanes(lanes);
        Ok(rows.len())
    }

    /// Wakes every line that has a parked job: the backstop of rule 5, for a process that died between its commit and its
    /// second look.
    ///
    /// # Errors
    /// The database's.
    pub async fn sweep(&self) -> Result<(), DbErr> {
        let sql = self.sql();
        let mut lines = HashMap::<String, Vec<String>>::new();
        for row in self.db().read.query_all_raw(sql.statement(sql.sleeping, [])).await? {
            lines.entry(row.try_get("", "queue")?).or_default().push(row.try_get("", "order_key")?);
        }
        for (queue, keys) in lines {
            for keys in keys.chunks(1000) {
                self.wake_lines(&queue, keys).await?;
            }
        }
        Ok(())
    }

    /// Deletes up to `most` jobs that were done or cancelled more than `age` ago; dead ones stay for somebody to look at.
    /// How many it deleted.
    ///
    /// # Errors
    /// The database's.
    pub async fn trim(&self, age: Duration, most: i64) -> Result<u64, DbErr> {
        let sql = self.sql();
        let until = chrono::Utc::now() - age;
        let first = uuid::Builder::from_unix_timestamp_millis(u64::try_from(until.timestamp_millis()).unwrap_or(0), &[0; 10]).into_uuid();
        let trim = sql.statement(sql.trim, [age.as_secs_f64().into(), most.into(), first.into()]);
        Ok(self.db().quick.execute_raw(trim).await?.rows_affected())
    }
}

/// Reaps every `every`, sweeps every tenth time, for ever.
pub async fn run(ledger: Ledger, every: Duration) {
    for round in 0u64.. {
        tokio::time::sleep(every).await;
        let done = async {
            let lost = ledger.reap().await?;
            if lost > 0 {
                tracing::info!(lost, "jobs were returned");
            }
            if round.is_multiple_of(10) { ledger.sweep().await } else { Ok(()) }
        };
        if let Err(error) = done.await {
            tracing::warn!(%error, "the reaper could not look");
        }
    }
}
