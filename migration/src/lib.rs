//! Schema history, forward and back, for PostgreSQL and SQLite.
//!
//! A migration is two SQL files, `sql/NNNN_name.up.sql` and `.down.sql`, written once for both databases: words in braces
//! (`{uuid}`, `{time}`, …) stand for each database's own; a line that begins with `--pg` or `--lite` is only for one.
//! Landed files never change: expand first, contract in a later one. To add one: two files and a line in `HISTORY`.

use db::{Db, DbBackend, DbErr};
use sea_orm_migration::{
    MigrationName, MigrationTrait, MigratorTrait, SchemaManager, async_trait,
    sea_orm::{ConnectionTrait, Statement},
};

struct Step {
    name: &'static str,
    up: &'static str,
    down: &'static str,
}

macro_rules! step {
    ($name:literal) => {
        Step { name: $name, up: include_str!(concat!("sql/", $name, ".up.sql")), down: include_str!(concat!("sql/", $name, ".down.sql")) }
    };
}

/// All migrations, oldest first.
const HISTORY: &[Step] = &[
    step!("0001_core"),
    step!("0002_jobs"),
    step!("0003_contacts"),
    step!("0004_whatsapp"),
    step!("0005_jobs_indexes"),
    step!("0006_crm"),
    step!("0007_deals_board"),
    step!("0008_search"),
    step!("0009_collaboration"),
    step!("0010_calendar"),
    step!("0011_custom_fields"),
    step!("0012_bulk"),
    step!("0013_webhooks"),
    step!("0014_sessions"),
    step!("0015_second_factors"),
    step!("0016_mailed_links"),
    step!("0017_sign_in_failures"),
    step!("0019_imports"),
    step!("0020_exports"),
    step!("0021_merges"),
];

/// The words in braces: PostgreSQL's, SQLite's. SQLite's times are texts in UTC that sort as they pass.
const WORDS: &[(&str, &str, &str)] = &[
    ("{uuid}", "uuid", "blob"),
    ("{json}", "jsonb", "text"),
    ("{time}", "timestamptz", "text"),
    ("{bool}", "boolean", "boolean"),
    ("{true}", "true", "1"),
    ("{false}", "false", "0"),
    ("{now}", "now()", "(strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'))"),
    ("{serial}", "bigserial primary key", "integer primary key autoincrement"),
];

fn worded(sql: &str, backend: DbBackend) -> String {
    let sqlite = backend == DbBackend::Sqlite;
    let (own, other) = if sqlite { ("--lite ", "--pg ") } else { ("--pg ", "--lite ") };
    let lines = sql.lines().filter(|line| !line.starts_with(other)).map(|line| line.strip_prefix(own).unwrap_or(line));
    let mut sql = lines.collect::<Vec<_>>().join("\n");
    for (word, postgres, lite) in WORDS {
        sql = sql.replace(word, if sqlite { lite } else { postgres });
    }
    // A column without case and accents, and the function that PostgreSQL has for it.
    while let Some((before, rest)) = sql.split_once("{fold(") {
        let Some((column, after)) = rest.split_once(")}") else { break };
        let folded = if sqlite { db::fold::sqlite(column) } else { db::fold::postgres(column) };
        sql = format!("{before}{folded}{after}");
    }
    sql.replace("{fold}", &db::fold::postgres_function())
}

impl MigrationName for Step {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        db.execute_unprepared(&worded(self.up, db.get_database_backend())).await.map(|_| ())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        db.execute_unprepared(&worded(self.down, db.get_database_backend())).await.map(|_| ())
    }
}

struct History;

#[async_trait::async_trait]
impl MigratorTrait for History {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        HISTORY.iter().map(|Step { name, up, down }| Box::new(Step { name, up, down }) as Box<dyn MigrationTrait>).collect()
    }
}

/// How many migrations there are.
#[must_use]
pub fn count() -> usize {
    HISTORY.len()
}

/// Brings the schema up to date. Several processes may do it at once: on PostgreSQL they wait for each other.
///
/// # Errors
/// The database's; what was applied before stays.
pub async fn up(db: &Db) -> Result<(), DbErr> {
    alone(db, async || History::up(&db.write, None).await).await
}

/// Takes back the last `steps` migrations. Their tables' rows are gone then.
///
/// # Errors
/// The database's.
pub async fn down(db: &Db, steps: u32) -> Result<(), DbErr> {
    alone(db, async || History::down(&db.write, Some(steps)).await).await
}

/// Every migration and whether it is applied, oldest first.
///
/// # Errors
/// The database's.
pub async fn status(db: &Db) -> Result<Vec<(String, bool)>, DbErr> {
    let applied = History::get_applied_migrations(&db.write).await?;
    let is_applied = |step: &Step| applied.iter().any(|one| one.name() == step.name);
    Ok(HISTORY.iter().map(|step| (step.name.to_owned(), is_applied(step))).collect())
}

/// One at a time on PostgreSQL. SQLite's one writer is enough for its kind of use, a single process.
async fn alone(db: &Db, change: impl AsyncFnOnce() -> Result<(), DbErr>) -> Result<(), DbErr> {
    if db.is_sqlite() {
        return change().await;
    }
    let lock = db.begin_quick().await?;
    lock.execute_raw(Statement::from_string(db.backend(), "select pg_advisory_xact_lock(7203, 1)")).await?;
    let done = change().await;
    lock.rollback().await?; // with it goes the lock
    done
}
