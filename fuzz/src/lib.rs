//! What must hold of any bytes that come from outside: nothing panics, nothing grows without end, and what was taken says the same
//! when it is said again. One function for each door: [`webhook`], [`table`], [`filter`], [`payload`].
//!
//! Fuzzing calls them (`script/fuzz`, with the small package in `libfuzzer/`), and the tests of this crate call them with what is in
//! `corpus/`: seeds, and whatever was found. To add a door: a function here, three lines in `libfuzzer/`, a folder of seeds.

use std::io::Write;

use domain::{
    entities::{TenantId, UserId},
    payloads,
    resource::{
        Record, Resource,
        custom::Customs,
        filter::{Asker, Filter, memory::Seen, sql::Target},
        registry,
    },
    scope::{Actor, Scope},
};
use jobs::Job;
use sea_orm::{
    DbBackend,
    sea_query::{Alias, PostgresQueryBuilder, Query, SqliteQueryBuilder},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

/// A delivery of Meta's: whatever it says, what is read of it is said once for each change.
pub fn webhook(bytes: &[u8]) {
    let Ok(delivery) = serde_json::from_slice::<Value>(bytes) else { return };
    let told = whatsapp::cloud::webhook::parse(&delivery);
    assert_eq!(told.len(), whatsapp::cloud::webhook::parse(&delivery).len());
}

/// A file that should be a table: rows are as wide as its columns, and lines only go on.
pub fn table(bytes: &[u8]) {
    let Ok(mut file) = tempfile::NamedTempFile::new() else { return };
    if file.write_all(bytes).is_err() {
        return;
    }
    let limits = tables::Limits { unpacked: 8 << 20, ..tables::Limits::default() };
    let Ok(mut reader) = tables::open(file.path(), &tables::Options::default(), &limits) else { return };
    let (width, mut line) = (reader.shape().columns.len(), 0);
    while let Some(row) = reader.next() {
        match row {
            Ok(row) => {
                assert_eq!(row.cells.len(), width);
                assert!(reader.shape().format == tables::Format::Xlsx || row.line > line, "{} after {line}", row.line);
                line = row.line;
            }
            Err(fault) if fault.is_of_row() => {}
            Err(_) => return,
        }
    }
}

/// A filter: one that is read is a condition for both databases, and holds or doesn't in memory.
pub fn filter(bytes: &[u8]) {
    let Ok(given) = serde_json::from_slice::<Value>(bytes) else { return };
    let tenant = TenantId(Uuid::from_u128(1));
    let scope = Scope::system(tenant, Actor::User(UserId(Uuid::from_u128(2))));
    let asker = Asker {
        user: Some(Uuid::from_u128(2)),
        team: vec![Uuid::from_u128(2)],
        now: chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::days(20_000),
        zone: chrono_tz::America::Sao_Paulo,
        week_start: chrono::Weekday::Mon,
        customs: Customs::default(),
    };
    for resource in registry::all() {
        let Ok(filter) = Filter::read(resource, &scope, &asker, &given, "/filter") else { continue };
        _ = filter.holds(&Seen { record: &sample(resource), related: &|_| Vec::new() });
        for backend in [DbBackend::Postgres, DbBackend::Sqlite] {
            let Ok(condition) = filter.sql(resource, "row_", Target { backend, scope: &scope }) else { continue };
            let mut select = Query::select();
            select.from_as(Alias::new(resource.topic), "row_").and_where(condition);
            // Values go beside the statement, never into it.
            let (sql, _) = match backend {
                DbBackend::Sqlite => select.build(SqliteQueryBuilder),
                _ => select.build(PostgresQueryBuilder),
            };
            assert!(!sql.contains('\0') && !sql.contains(';'), "{sql}");
        }
    }
}

fn sample(resource: &Resource) -> Record {
    resource.fields.iter().map(|field| (field.name.to_owned(), field.sample())).collect()
}

/// A job's payload, behind the kind of its job and a line's end: what is read says the same again.
pub fn payload(bytes: &[u8]) {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return };
    let Ok(kind) = std::str::from_utf8(&bytes[..end]) else { return };
    let Ok(payload) = serde_json::from_slice::<Value>(&bytes[end + 1..]) else { return };
    macro_rules! each {
        ($($job:ident)+) => { $(if kind == payloads::$job::KIND { again::<payloads::$job>(&payload); })+ };
    }
    each! {
        SendMessage MarkRead IngestWebhook FetchMedia SyncContact SendMail SendInvitation RemindActivity DeliverWebhook
        RollUpStatistics CheckDevices DeleteFile Purge RunBulk RunImport RevertImport RunExport RebuildSearch
    }
}

fn again<J: Job + DeserializeOwned + Serialize>(payload: &Value) {
    let Ok(job) = serde_json::from_value::<J>(payload.clone()) else { return };
    let Ok(said) = serde_json::to_value(&job) else { panic!("{} can't be said", J::KIND) };
    let Ok(again) = serde_json::from_value::<J>(said.clone()) else { panic!("{said} can't be read") };
    assert_eq!(serde_json::to_value(&again).ok(), Some(said));
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// Calls a door with everything in its folder; how much there was.
    fn replayed(folder: &str, door: fn(&[u8])) -> usize {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(folder);
        let files = fs::read_dir(&folder).expect("a folder of seeds").map(|file| file.expect("a seed").path());
        files.map(|file| door(&fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())))).count()
    }

    #[test]
    fn deliveries_that_were_found_are_taken() {
        assert!(replayed("webhook", webhook) > 5);
    }

    #[test]
    fn tables_that_were_found_are_taken() {
        assert!(replayed("table", table) > 5);
    }

    #[test]
    fn filters_that_were_found_are_taken() {
        assert!(replayed("filter", filter) > 5);
    }

    #[test]
    fn payloads_that_were_found_are_taken() {
        assert!(replayed("payload", payload) > 5);
    }
}
