//! The statements of the ledger, per database: the whole of what can happen to a job row.
//!
//! Both databases take the same parameters. A list of row numbers is one text (`{1,2}` or `[1,2]`), a batch of rows is one
//! JSON array. A statement here either skips rows that somebody else has locked or touches only rows whose token it
//! holds, so that no two of them can deadlock. Times are the database's own clock.

mod postgres;
mod sqlite;

pub(crate) use postgres::{LOCK_RELAY, RELEASE};
use sea_orm::{DbBackend, Statement, Value};
pub(crate) use sqlite::steps;

/// One database's wording.
#[derive(Debug)]
pub(crate) struct Dialect {
    backend: DbBackend,
    /// id, tenant, queue, route, kind, payload, priority, max_attempts, order_key, unique_key, delay s, run_at, cause, depth
    pub(crate) enqueue: &'static str,
    /// queue, route → a row when something is due
    pub(crate) due: &'static str,
    /// queue, order keys as a JSON array of texts: the head of each line, if it is parked, becomes pending
    pub(crate) wake_lines: &'static str,
    /// list of seq, worker, lease s, token → the claimed rows
    pub(crate) claim: &'static str,
    /// batch of {seq, token, outcome, wait, error} → seq, queue, route, order_key, state
    pub(crate) finish: &'static str,
    /// seq, token → a row when it was ours
    pub(crate) finish_one: &'static str,
    /// seq, token → a row when it is ours; nobody changes it until the transaction ends
    pub(crate) hold: &'static str,
    /// list of seq: released but never claimed
    pub(crate) take_back: &'static str,
    /// batch of {seq, token}, lease s
    pub(crate) renew: &'static str,
    /// batch of {seq, token}: claimed but never started
    pub(crate) give_back: &'static str,
    /// worker that runs nothing any more: what it still has was claimed and never started → id, kind, queue, route
    pub(crate) let_go: &'static str,
    /// seq, token, progress → a row when it was ours
    pub(crate) progress: &'static str,
    /// → queue, route, order_key, state of what was returned
    pub(crate) reap: &'static str,
    /// → queue, order_key of lines with a parked job
    pub(crate) sleeping: &'static str,
    /// seconds, how many, the first id of that time → trims finished jobs. Ids begin with the time at which they were given, so
    /// theirs is the index: a job that was made later can't have finished earlier.
    pub(crate) trim: &'static str,
}

pub(crate) fn dialect(backend: DbBackend) -> &'static Dialect {
    match backend {
        DbBackend::Sqlite => &sqlite::DIALECT,
        _ => &postgres::DIALECT,
    }
}

impl Dialect {
    pub(crate) fn statement<const N: usize>(&self, sql: &str, values: [Value; N]) -> Statement {
        Statement::from_sql_and_values(self.backend, sql, values)
    }

    /// Row numbers as one parameter.
    pub(crate) fn list(&self, seqs: &[i64]) -> Value {
        let (open, close) = if self.backend == DbBackend::Sqlite { ('[', ']') } else { ('{', '}') };
        let mut text = String::with_capacity(seqs.len() * 8 + 2);
        text.push(open);
        for (at, seq) in seqs.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            text.push_str(&seq.to_string());
        }
        text.push(close);
        text.into()
    }
}
