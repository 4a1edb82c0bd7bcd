//! When the next message may go: GCRA over rows that all workers share.
//!
//! A row keeps the theoretical arrival time (TAT) of the next message of a key. A message that comes too early takes its
//! slot at once and waits for it, so that nobody asks twice and nobody overtakes.

use chrono::{DateTime, TimeDelta, Utc};
use entities::{DeviceId, whatsapp_rate as table};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect,
    prelude::Expr,
    sea_query::{LockType, OnConflict},
};

use super::devices::DeviceSettings;
use crate::{Result, engine::Write};

/// The key of the device's own row; the others are recipients.
const DEVICE: &str = "device";

/// Takes the slot of a message to `chat` and says when it is: not before `now`.
///
/// The recipient's limit is taken first. Only a message that it lets go now takes a slot of the device, or messages to one
/// impatient customer would push the device's slots far ahead for everybody.
///
/// # Errors
/// The database's.
pub async fn reserve(
    write: &Write<'_>,
    device: DeviceId,
    chat: &str,
    settings: &DeviceSettings,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>> {
    let slot = take(write, device, chat, settings.pair_per_second, settings.pair_burst, now).await?;
    if slot > now {
        return Ok(slot);
    }
    // A tenth of a second's worth at once: enough to be smooth over the workers, too little to be refused.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "settings are between 0.1 and 1000")]
    let burst = (settings.per_second / 10.0).ceil() as u32;
    take(write, device, DEVICE, settings.per_second, burst, now).await
}

async fn take(write: &Write<'_>, device: DeviceId, key: &str, per_second: f64, burst: u32, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    let tenant = write.scope.tenant;
    let new = table::ActiveModel { tenant_id: Set(tenant), device_id: Set(device), key: Set(key.to_owned()), tat_ms: Set(0) };
    let columns = [table::Column::TenantId, table::Column::DeviceId, table::Column::Key];
    let once = OnConflict::columns(columns).do_nothing().to_owned();
    let own = own(write, device, key);
    let find = || table::Entity::find().filter(own.clone()).lock(LockType::NoKeyUpdate).one(&***write);
    let row = match find().await? {
        Some(row) => row,
        None => {
            table::Entity::insert(new).on_conflict(once).exec_without_returning(&***write).await?;
            find().await?.ok_or_else(|| anyhow::anyhow!("a rate row vanished"))?
        }
    };
    let (slot_ms, tat_ms) = gcra(row.tat_ms, now.timestamp_millis(), per_second, burst);
    table::Entity::update_many().col_expr(table::Column::TatMs, Expr::value(tat_ms)).filter(own).exec(&***write).await?;
    Ok(now + TimeDelta::milliseconds(slot_ms - now.timestamp_millis()))
}

/// The message to `chat` has arrived at `now` at the latest. WhatsApp counts from there, not from when it left us: if it took
/// long and the next one is quick, that one would come too early for WhatsApp.
///
/// # Errors
/// The database's.
pub async fn arrived(write: &Write<'_>, device: DeviceId, chat: &str, settings: &DeviceSettings, now: DateTime<Utc>) -> Result<()> {
    let tat_ms = now.timestamp_millis() + 1 + interval(settings.pair_per_second); // the 1 is what the milliseconds cut off
    let earlier = own(write, device, chat).add(table::Column::TatMs.lt(tat_ms));
    table::Entity::update_many().col_expr(table::Column::TatMs, Expr::value(tat_ms)).filter(earlier).exec(&***write).await?;
    Ok(())
}

fn own(write: &Write<'_>, device: DeviceId, key: &str) -> Condition {
    let tenant = table::Column::TenantId.eq(write.scope.tenant);
    Condition::all().add(tenant).add(table::Column::DeviceId.eq(device)).add(table::Column::Key.eq(key))
}

/// Milliseconds between two messages.
fn interval(per_second: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "rates are between 0.01 and 1000 a second")]
    let interval = (1000.0 / per_second).ceil().max(1.0) as i64;
    interval
}

/// The slot and the next TAT, in milliseconds.
fn gcra(tat: i64, now: i64, per_second: f64, burst: u32) -> (i64, i64) {
    let interval = interval(per_second);
    let tat = tat.max(now);
    let slot = now.max(tat - (i64::from(burst.max(1)) - 1) * interval);
    (slot, tat + interval)
}

#[cfg(test)]
mod tests {
    use super::gcra;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let (mut tat, mut slots) = (0, Vec::new());
        for _ in 0..8 {
            let (slot, next) = gcra(tat, 1000, 20.0, 5);
            slots.push(slot - 1000);
            tat = next;
        }
        assert_eq!(slots, [0, 0, 0, 0, 0, 50, 100, 150]);
    }

    #[test]
    fn what_was_not_used_is_not_saved_beyond_the_burst() {
        let (_, tat) = gcra(0, 1000, 10.0, 2);
        let later = [0; 4].iter().scan(tat, |tat, _| {
            let (slot, next) = gcra(*tat, 60_000, 10.0, 2);
            *tat = next;
            Some(slot - 60_000)
        });
        assert_eq!(later.collect::<Vec<_>>(), [0, 0, 100, 200]);
    }
}
