//! Slows down who tries passwords: after a few wrong ones for an account from an address, and after many from an address for
//! whatever accounts, each next one has to wait twice as long.
//!
//! A browser that its owner signed in with before is known by a cookie and counted by itself. So the owner gets in while
//! somebody else is guessing, from the same office too. Nobody learns by it which accounts there are: those that don't exist are
//! counted all the same.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use db::Db;
use entities::sign_in_failure as table;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Statement};

use super::tokens::fingerprint;
use crate::{Error, Result};

/// Failures are forgotten when there was none for so long.
const FORGOTTEN: TimeDelta = TimeDelta::hours(1);

/// Somebody who tries to sign in.
pub(super) struct Attempt {
    counted: Vec<Counted>,
}

struct Counted {
    key: String,
    /// So many failures cost nothing.
    free: i64,
    /// The longest that somebody waits, in seconds.
    longest: i64,
    /// Whether a success wipes it out. Of an address it doesn't: who tries other people's passwords may have one of their own.
    wiped: bool,
}

impl Attempt {
    /// For an account, from an address; or with a browser that is known to be its owner's.
    pub(super) fn of(email: &str, address: Option<&str>, device: Option<&str>) -> Self {
        let few = |key: String| Counted { key: fingerprint(&key), free: 5, longest: 900, wiped: true };
        if let Some(device) = device {
            return Self { counted: vec![few(format!("device\n{email}\n{device}"))] };
        }
        let address: Option<IpAddr> = address.and_then(|address| address.parse().ok());
        let place = address.map(|ip| network(ip).to_string()).unwrap_or_default();
        let mut counted = vec![few(format!("account\n{email}\n{place}"))];
        // From the machine itself comes whoever a proxy lets in that SOMO was not told of.
        if address.is_some_and(|ip| !ip.is_loopback()) {
            counted.push(Counted { key: fingerprint(&format!("address\n{place}")), free: 50, longest: 60, wiped: false });
        }
        Self { counted }
    }

    /// Whether it may be made now.
    pub(super) async fn check(&self, db: &Db) -> Result<()> {
        let keys = self.counted.iter().map(|one| one.key.as_str());
        let (rows, now) = (table::Entity::find().filter(table::Column::Key.is_in(keys)).all(&db.read).await?, Utc::now());
        let waits = rows.iter().filter_map(|row| {
            let counted = self.counted.iter().find(|one| one.key == row.key)?;
            Some(counted.until(row.failures, row.failed_at) - now)
        });
        match waits.max().map_or(0, |wait| wait.num_milliseconds()) {
            ..=0 => Ok(()),
            wait => Err(Error::TooManyRequests { retry_after: u64::try_from(wait / 1000).unwrap_or_default() + 1 }),
        }
    }

    /// It failed.
    pub(super) async fn failed(&self, db: &Db) -> Result<()> {
        let count = "insert into sign_in_failures (key, failures, failed_at) values ($1, 1, $2) on conflict (key) do update set
            failures = case when sign_in_failures.failed_at < $3 then 1 else sign_in_failures.failures + 1 end,
            failed_at = excluded.failed_at";
        let now = Utc::now();
        for Counted { key, .. } in &self.counted {
            let values = [key.as_str().into(), now.into(), (now - FORGOTTEN).into()];
            db.quick.execute_raw(Statement::from_sql_and_values(db.backend(), count, values)).await?;
        }
        Ok(())
    }

    /// It succeeded.
    pub(super) async fn succeeded(&self, db: &Db) -> Result<()> {
        let wiped = self.counted.iter().filter(|one| one.wiped).map(|one| one.key.as_str());
        table::Entity::delete_many().filter(table::Column::Key.is_in(wiped)).exec(&db.quick).await?;
        Ok(())
    }
}

impl Counted {
    /// When the next one may be tried.
    fn until(&self, failures: i64, failed_at: DateTime<Utc>) -> DateTime<Utc> {
        let seconds = match failures - self.free {
            ..0 => 0,
            over => (1 << over.min(20)).min(self.longest),
        };
        failed_at + TimeDelta::seconds(seconds)
    }
}

/// The addresses that somebody has who has this one: of IPv6, a whole /64.
#[must_use]
pub fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_wait_up_to_the_longest() {
        let counted = Counted { key: String::new(), free: 5, longest: 900, wiped: true };
        let at = Utc::now();
        let wait = |failures| (counted.until(failures, at) - at).num_seconds();
        assert_eq!([4, 5, 6, 9, 14, 15, 70, i64::MAX].map(wait), [0, 1, 2, 16, 512, 900, 900, 900]);
    }

    #[test]
    fn an_address_stands_for_its_network() {
        let of = |text: &str| network(text.parse().expect("an address")).to_string();
        assert_eq!(of("203.0.113.7"), "203.0.113.7");
        assert_eq!(of("::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
