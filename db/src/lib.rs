//! Opens PostgreSQL and SQLite the way SOMO needs them.
//!
//! A [`Db`] is three handles on one database:
//! - `write`: what must survive a power cut once it was answered;
//! - `quick`: what is redone when a crash of the database undoes it (releases, claims, renewals). On PostgreSQL its
//!   commits don't wait for the disk;
//! - `read`: everything that only looks.
//!
//! On SQLite there is one writer, so `write` and `quick` are the same single connection and `read` is a pool beside it:
//! never wait for HTTP, hashing or a file inside a transaction, and never open a second one while holding the first.
//!
//! This crate knows no table. A third database would be one more arm in [`Db::open`].

pub mod fold;

use std::{str::FromStr, time::Duration};

use anyhow::{Context, bail};
use sea_orm::{ConnectionTrait, RuntimeErr, SqliteTransactionMode, TransactionOptions, TransactionTrait};
pub use sea_orm::{DatabaseConnection, DatabaseTransaction, DbBackend, DbErr};
use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// How many connections each handle may hold.
#[derive(Clone, Copy, Debug)]
pub struct PoolSizes {
    /// Durable writes (PostgreSQL; SQLite has one writer).
    pub write: u32,
    /// Writes that a crash may undo (PostgreSQL).
    pub quick: u32,
    /// Reads (SQLite; PostgreSQL reads share the durable pool).
    pub read: u32,
}

impl Default for PoolSizes {
    fn default() -> Self {
        Self { write: 24, quick: 8, read: 8 }
    }
}

/// Three handles on one database; cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    /// Durable.
    pub write: DatabaseConnection,
    /// Not waiting for the disk.
    pub quick: DatabaseConnection,
    /// Only reads.
    pub read: DatabaseConnection,
}

/// How long a caller waits for a free connection, or SQLite for its lock.
const PATIENCE: Duration = Duration::from_secs(30);

impl Db {
    /// Opens `postgres://…` or `sqlite://path` (created when missing).
    ///
    /// # Errors
    /// An address of another kind, or a database that doesn't answer.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        Self::open_with(url, PoolSizes::default()).await
    }

    /// [`Db::open`] with pools of another size.
    ///
    /// # Errors
    /// As [`Db::open`].
    pub async fn open_with(url: &str, sizes: PoolSizes) -> anyhow::Result<Self> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Self::open_postgres(url, sizes).await
        } else if url.starts_with("sqlite:") {
            Self::open_sqlite(url, sizes).await
        } else {
            bail!("SOMO_DATABASE_URL must begin with postgres:// or sqlite://")
        }
    }

    async fn open_postgres(url: &str, sizes: PoolSizes) -> anyhow::Result<Self> {
        // The address may hold a password, so no error text repeats it.
        let options = PgConnectOptions::from_str(url)
            .ok()
            .context("SOMO_DATABASE_URL is not a valid postgres:// address")?
            .application_name("somo")
            .disable_statement_logging();
        let pool = |max: u32| {
            PgPoolOptions::new()
                .max_connections(max)
                .acquire_timeout(PATIENCE)
                // A ping before every use would double the round trips; but one that sat idle may have died with a restart.
                .test_before_acquire(false)
                .before_acquire(|connection, meta| {
                    Box::pin(async move { Ok(meta.idle_for < Duration::from_secs(1) || sqlx::Connection::ping(connection).await.is_ok()) })
                })
                .idle_timeout(Duration::from_secs(300))
        };
        let write = pool(sizes.write).connect_with(options.clone()).await.context("PostgreSQL does not answer at SOMO_DATABASE_URL")?;
        let quick = pool(sizes.quick).connect_lazy_with(options.options([("synchronous_commit", "off")]));
        let write = DatabaseConnection::from(write);
        Ok(Self { read: write.clone(), quick: quick.into(), write })
    }

    async fn open_sqlite(url: &str, sizes: PoolSizes) -> anyhow::Result<Self> {
        let options = SqliteConnectOptions::from_str(url)
            .context("SOMO_DATABASE_URL is not a valid sqlite:// address")?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE)
            .disable_statement_logging();
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone())
            .await
            .context("the SQLite file of SOMO_DATABASE_URL can't be opened")?;
        let read = SqlitePoolOptions::new()
            .max_connections(sizes.read)
            .acquire_timeout(PATIENCE)
            .test_before_acquire(false)
            .connect_lazy_with(options.read_only(true).create_if_missing(false));
        let write = DatabaseConnection::from(write);
        Ok(Self { quick: write.clone(), read: read.into(), write })
    }

    /// Which database this is.
    #[must_use]
    pub fn backend(&self) -> DbBackend {
        self.write.get_database_backend()
    }

    /// Whether this is SQLite.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        self.backend() == DbBackend::Sqlite
    }

    /// A durable transaction. On SQLite it takes the write lock at once: one that reads first and writes later would fail
    /// with BUSY_SNAPSHOT, whatever the timeout.
    ///
    /// # Errors
    /// The database doesn't answer.
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        begin(&self.write).await
    }

    /// A transaction that a crash of the database may undo.
    ///
    /// # Errors
    /// The database doesn't answer.
    pub async fn begin_quick(&self) -> Result<DatabaseTransaction, DbErr> {
        begin(&self.quick).await
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// It gives none.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.read.execute_unprepared("select 1").await.map(|_| ())
    }
}

/// Whether the database can't be reached or is going down, rather than refusing a statement: asking again later makes sense.
#[must_use]
pub fn is_away(error: &DbErr) -> bool {
    let (DbErr::Conn(inner) | DbErr::Exec(inner) | DbErr::Query(inner)) = error else {
        return matches!(error, DbErr::ConnectionAcquire(_));
    };
    let RuntimeErr::SqlxError(inner) = inner else { return matches!(error, DbErr::Conn(_)) };
    match inner.as_ref() {
        sqlx::Error::Database(refusal) => {
            // 08 connection, 53 out of resources, 57P being shut down: PostgreSQL's classes. 5, 6: SQLite is busy or locked.
            refusal.code().is_some_and(|code| ["08", "53", "57P"].iter().any(|class| code.starts_with(class)) || code == "5" || code == "6")
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// Whether the database gave up a transaction so that another one could go on: done again, it goes through.
#[must_use]
pub fn is_stuck(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(inner)) | DbErr::Query(RuntimeErr::SqlxError(inner))) = error else { return false };
    // 40001 could not be serialized, 40P01 a deadlock: PostgreSQL's.
    inner.as_database_error().and_then(|refusal| refusal.code()).is_some_and(|code| code == "40P01" || code == "40001")
}

async fn begin(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() };
    connection.begin_with_options(options).await
}
