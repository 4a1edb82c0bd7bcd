//! A fresh, migrated database for each test.

use std::sync::OnceLock;

use db::{Db, PoolSizes};
use sea_orm::{ConnectionTrait, Statement};
use tempfile::TempDir;
use uuid::Uuid;

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file in a temporary folder.
    Sqlite,
    /// A database of its own in the PostgreSQL of `SOMO_TEST_DATABASE_URL`.
    Postgres,
}

/// A database that a test has for itself.
#[derive(Debug)]
pub struct Database {
    /// Its handles.
    pub db: Db,
    /// Its address, for other processes.
    pub url: String,
    _folder: Option<TempDir>,
}

/// A new database with the whole schema.
///
/// # Panics
/// When it can't be made; `SOMO_TEST_DATABASE_URL` must be set for PostgreSQL.
pub async fn fresh(kind: Kind) -> Database {
    match kind {
        Kind::Sqlite => {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let url = format!("sqlite://{}/somo.sqlite", folder.path().display());
            let db = Db::open(&url).await.expect("SQLite opens");
            migration::up(&db).await.expect("the schema is made");
            Database { db, url, _folder: Some(folder) }
        }
        Kind::Postgres => {
            let server = server();
            let name = format!("t_{}", Uuid::now_v7().simple());
            let template = template(&server).await;
            let mut options = sea_orm::ConnectOptions::new(server.as_str());
            options.max_connections(1);
            let admin = sea_orm::Database::connect(options).await.expect("PostgreSQL answers");
            // Two copies of one template at once are refused; this waits its turn.
            let copy =
                format!("select pg_advisory_lock(7203); create database {name} template {template}; select pg_advisory_unlock(7203)");
            for part in copy.split("; ") {
                admin.execute_raw(Statement::from_string(sea_orm::DbBackend::Postgres, part)).await.expect("a database is made");
            }
            admin.close().await.expect("closes");
            let url = on_server(&server, &name);
            let db = Db::open_with(&url, PoolSizes { write: 12, quick: 6, read: 4 }).await.expect("PostgreSQL opens");
            Database { db, url, _folder: None }
        }
    }
}

/// The PostgreSQL that `script/test` started.
///
/// # Panics
/// When it didn't.
#[must_use]
pub fn server() -> String {
    std::env::var("SOMO_TEST_DATABASE_URL").expect("run the tests with script/test: SOMO_TEST_DATABASE_URL is not set")
}

/// The address of database `name` on `server`.
#[must_use]
pub fn on_server(server: &str, name: &str) -> String {
    let (address, query) = server.split_once('?').map_or((server, None), |(address, query)| (address, Some(query)));
    let base = address.rsplit_once('/').map_or(address, |(base, _)| base);
    query.map_or_else(|| format!("{base}/{name}"), |query| format!("{base}/{name}?{query}"))
}

/// A migrated database to copy, made once for each server by whichever test comes first.
async fn template(server: &str) -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    let name = NAME.get_or_init(|| format!("template_{}", migration::count()));
    let mut options = sea_orm::ConnectOptions::new(server);
    options.max_connections(1);
    let admin = sea_orm::Database::connect(options).await.expect("PostgreSQL answers");
    let run = async |sql: String| admin.query_one_raw(Statement::from_string(sea_orm::DbBackend::Postgres, sql)).await.expect("runs");
    run("select 1 as one from pg_advisory_lock(7204)".into()).await;
    if run(format!("select 1 as one from pg_database where datname = '{name}'")).await.is_none() {
        run(format!("create database {name}_new")).await;
        let url = on_server(server, &format!("{name}_new"));
        let fresh = Db::open_with(&url, PoolSizes { write: 1, quick: 1, read: 1 }).await.expect("PostgreSQL opens");
        migration::up(&fresh).await.expect("the schema is made");
        fresh.write.close().await.expect("closes");
        fresh.quick.close().await.expect("closes");
        run(format!("alter database {name}_new rename to {name}")).await;
    }
    run("select 1 as one from pg_advisory_unlock(7204)".into()).await;
    name
}
