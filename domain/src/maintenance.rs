//! Deleting what is over, in batches that nobody has to wait for.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use jobs::Ledger;
use sea_orm::{ConnectionTrait, Statement, Value};

use crate::{
    Result, export,
    resource::{import, trash},
};

/// Ingested deliveries are kept so long, for somebody who wonders what WhatsApp said.
const INBOX: TimeDelta = TimeDelta::days(7);
/// A request may be repeated under its key for so long.
const KEYS: TimeDelta = TimeDelta::hours(24);
/// Sessions and mailed links that ended are kept for so long.
const SESSIONS: TimeDelta = TimeDelta::days(30);
/// Records lie in the trash for so long.
const TRASH: TimeDelta = TimeDelta::days(30);
/// What somebody was told is kept for so long, read or not.
const NOTIFICATIONS: TimeDelta = TimeDelta::days(90);
/// What webhooks were told is kept for so long: longer than it may be tried again.
const DELIVERIES: TimeDelta = TimeDelta::days(30);
/// What was done to many records at once is told of for so long.
const BULK: TimeDelta = TimeDelta::days(30);
/// Imports are told of for so long, and can be taken back.
const IMPORTS: TimeDelta = TimeDelta::days(30);
/// Jobs that are done stay on the board for so long.
const JOBS: Duration = Duration::from_secs(7 * 24 * 3600);

/// Rate limits that have recovered, failed sign-ins and worker processes that were killed are forgotten after so long.
const SILENT: TimeDelta = TimeDelta::days(1);

/// Rows at once.
const BATCH: i64 = 1000;
/// Batches of each kind in one run: the next one comes soon.
const ROUNDS: u32 = 50;

/// How many rows were deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Finished jobs.
    pub jobs: u64,
    /// Ingested deliveries.
    pub inbox: u64,
    /// Answers for repeated requests.
    pub keys: u64,
    /// Sessions.
    pub sessions: u64,
    /// Notifications.
    pub notifications: u64,
    /// What webhooks were told.
    pub deliveries: u64,
    /// Records in the trash.
    pub records: u64,
}

/// Deletes finished jobs, ingested deliveries, old answers, sessions and notifications, what has lain in the trash for long, and what else nobody asks for any more.
///
/// # Errors
/// The database's; what was deleted before stays deleted.
pub async fn purge(ledger: &Ledger) -> Result<Purged> {
    let now = Utc::now();
    delete(ledger, "job_workers", "name", "seen_at", now - SILENT).await?;
    delete(ledger, "whatsapp_rates", "tenant_id, device_id, key", "tat_ms", (now - SILENT).timestamp_millis()).await?;
    delete(ledger, "bulk_runs", "id", "created_at", now - BULK).await?;
    delete(ledger, "sign_in_failures", "key", "failed_at", now - SILENT).await?;
    export::forget_old(ledger, now).await?;
    import::forget_old(ledger, now - IMPORTS).await?;
    for links in ["password_resets", "invitations"] {
        delete(ledger, links, "id", "expires_at", now - SESSIONS).await?;
    }
    let mut jobs = 0;
    for _ in 0..ROUNDS {
        let gone = ledger.trim(JOBS, BATCH).await?;
        jobs += gone;
        if gone == 0 {
            break;
        }
    }
    Ok(Purged {
        jobs,
        inbox: delete(ledger, "whatsapp_inbox", "id", "processed_at", now - INBOX).await?,
        keys: delete(ledger, "idempotency_keys", "tenant_id, actor_id, key", "created_at", now - KEYS).await?,
        sessions: delete(ledger, "sessions", "id", "expires_at", now - SESSIONS).await?,
        notifications: delete(ledger, "notifications", "id", "created_at", now - NOTIFICATIONS).await?,
        deliveries: delete(ledger, "webhook_deliveries", "id", "created_at", now - DELIVERIES).await?,
        records: trash::empty(ledger, now - TRASH).await?,
    })
}

/// Deletes the rows of `table` whose `time` is before `until`, found by their `key`.
async fn delete(ledger: &Ledger, table: &str, key: &str, time: &str, until: impl Into<Value>) -> Result<u64> {
    let batch = format!("delete from {table} where ({key}) in (select {key} from {table} where {time} < $1 order by {time} limit $2)");
    let (db, until) = (ledger.db(), until.into());
    let mut deleted = 0;
    for _ in 0..ROUNDS {
        let batch = Statement::from_sql_and_values(db.backend(), &batch, [until.clone(), BATCH.into()]);
        let gone = db.write.execute_raw(batch).await?.rows_affected();
        deleted += gone;
        if gone == 0 {
            break;
        }
    }
    Ok(deleted)
}
