//! Who is measured, and how each is set up, emptied, filled and started.

use std::path::PathBuf;

use anyhow::Context;
use db::Db;
use futures::future::try_join_all;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::{
    api::Installation,
    child::Child,
    records::Million,
    somo::{KIND, QUEUE},
    task::{Produce, Produced, Task, Via, Work, Worked},
};

/// One column of rivals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// SOMO's ledger, by transport.
    Somo(Via),
    /// graphile-worker, with or without its batching.
    Graphile { batched: bool },
    /// BullMQ; `record`: after a record was inserted into PostgreSQL.
    BullMq { record: bool },
}

impl Contender {
    pub(crate) const DEFAULT: Self = Self::Somo(Via::Redis);
    pub(crate) const SOMO: [Self; 3] = [Self::DEFAULT, Self::Somo(Via::Local), Self::Somo(Via::ApalisRedis)];
    pub(crate) const GRAPHILE: Self = Self::Graphile { batched: false };
    pub(crate) const GRAPHILE_BATCHED: Self = Self::Graphile { batched: true };
    pub(crate) const BULLMQ: Self = Self::BullMq { record: false };
    pub(crate) const BULLMQ_RECORD: Self = Self::BullMq { record: true };

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Somo(Via::Redis) => "SOMO, Redis list (default)",
            Self::Somo(Via::Local) => "SOMO, local",
            Self::Somo(Via::ApalisRedis) => "SOMO, apalis-redis",
            Self::Graphile { batched: false } => "graphile-worker",
            Self::Graphile { batched: true } => "graphile-worker, batched",
            Self::BullMq { record: false } => "BullMQ (no record, not durable)",
            Self::BullMq { record: true } => "BullMQ after a record (not atomic)",
        }
    }

    /// How many jobs its worker runs at once. SOMO's batches are as large as the places that are free, and 512 did better
    /// than 256 and 64; graphile-worker's own performance page uses 24; for BullMQ 64 is a guess that was not tuned.
    pub(crate) fn concurrency(self) -> usize {
        match self {
            Self::Somo(_) => 512,
            Self::Graphile { .. } => 24,
            Self::BullMq { .. } => 64,
        }
    }
}

/// What all measurements share.
pub(crate) struct Env {
    /// A PostgreSQL server and a Redis, both for the bench alone.
    server: String,
    redis: String,
    node: PathBuf,
    scripts: PathBuf,
    me: PathBuf,
    somo: DatabaseConnection,
    graphile: DatabaseConnection,
    program: PathBuf,
    folder: PathBuf,
    installation: OnceCell<Installation>,
    million: OnceCell<Million>,
}

const SOMO: &str = "bench_somo";
const GRAPHILE: &str = "bench_graphile";

impl Env {
    /// Makes the databases. `server` is the address of any database of a PostgreSQL whose superuser we are; `program` is
    /// `somo`, `folder` is for its files.
    pub(crate) async fn open(
        server: String,
        redis: String,
        node: PathBuf,
        scripts: PathBuf,
        program: PathBuf,
        folder: PathBuf,
    ) -> anyhow::Result<Self> {
        let me = std::env::current_exe().context("the program has no path")?;
        let admin = connect(&server).await?;
        for name in [SOMO, GRAPHILE] {
            admin.execute_unprepared(&format!("drop database if exists {name}")).await?;
            admin.execute_unprepared(&format!("create database {name}")).await?;
        }
        let (somo, graphile) = (connect(&database(&server, SOMO)).await?, connect(&database(&server, GRAPHILE)).await?);
        for database in [&somo, &graphile] {
            database.execute_unprepared("create table bench_records (id uuid primary key, n bigint not null, body text not null)").await?;
        }
        migration::up(&Db::open(&database(&server, SOMO)).await?).await?;
        let env = Self {
            server,
            redis,
            node,
            scripts,
            me,
            somo,
            graphile,
            program,
            folder,
            installation: OnceCell::new(),
            million: OnceCell::new(),
        };
        let task = env.task(Contender::GRAPHILE, None, None);
        let setup = Child::start(&env.node, &[&env.script("graphile.mjs"), "setup"], &task).await?;
        setup.stop().await?;
        Ok(env)
    }

    /// The real installation, made when it is first asked for.
    pub(crate) async fn installation(&self) -> anyhow::Result<&Installation> {
        self.installation.get_or_try_init(|| Installation::make(&self.program, &self.folder, &self.server, &self.redis)).await
    }

    /// Its million contacts, put there when they are first asked for.
    pub(crate) async fn million(&self, quick: bool) -> anyhow::Result<&Million> {
        let installation = self.installation().await?;
        self.million.get_or_try_init(|| Million::make(installation, quick)).await
    }

    /// The PostgreSQL server's own address.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// The Redis.
    pub(crate) fn redis(&self) -> &str {
        &self.redis
    }

    /// The Node that runs the others.
    pub(crate) fn node(&self) -> &std::path::Path {
        &self.node
    }

    /// The folder of the others.
    pub(crate) fn scripts(&self) -> &std::path::Path {
        &self.scripts
    }

    /// This program, for its other roles.
    pub(crate) fn me(&self) -> &std::path::Path {
        &self.me
    }

    fn script(&self, name: &str) -> String {
        self.scripts.join(name).display().to_string()
    }

    fn task(&self, who: Contender, work: Option<Work>, produce: Option<Produce>) -> Task {
        let (name, transport) = match who {
            Contender::Somo(via) => (SOMO, Some(via)),
            _ => (GRAPHILE, None),
        };
        Task { postgres: database(&self.server, name), redis: self.redis.clone(), transport, work, produce }
    }

    /// A process of `who`, ready.
    pub(crate) async fn child(&self, who: Contender, work: Option<Work>, produce: Option<Produce>) -> anyhow::Result<Child> {
        let task = self.task(who, work, produce);
        match who {
            Contender::Somo(_) => Child::start(&self.me, &["somo"], &task).await,
            Contender::Graphile { .. } => Child::start(&self.node, &[&self.script("graphile.mjs"), "run"], &task).await,
            Contender::BullMq { .. } => Child::start(&self.node, &[&self.script("bullmq.mjs"), "run"], &task).await,
        }
    }

    /// A worker and a producer, each in a process of its own, except for the transport that has only one.
    pub(crate) async fn both(&self, who: Contender, work: Work, produce: Produce) -> anyhow::Result<(Worked, Produced)> {
        self.reset().await?;
        if who == Contender::Somo(Via::Local) {
            let mut child = self.child(who, Some(work), Some(produce)).await?;
            child.go(true).await?;
            return both_answers(child).await;
        }
        let (mut worker, mut producer) = futures::try_join!(self.child(who, Some(work), None), self.child(who, None, Some(produce)))?;
        worker.go(true).await?;
        producer.go(false).await?;
        let answers = (worker.answer("worked").await?, producer.answer("produced").await?);
        try_join_all([worker.stop(), producer.stop()]).await?;
        Ok(answers)
    }

    /// Empties everything, and lets no measurement pay for the writes of the one before.
    pub(crate) async fn reset(&self) -> anyhow::Result<()> {
        self.somo.execute_unprepared("truncate jobs, job_workers, bench_records").await?;
        self.graphile.execute_unprepared("truncate graphile_worker._private_jobs, bench_records").await?;
        self.somo.execute_unprepared("checkpoint").await?;
        let mut redis = redis::Client::open(self.redis.as_str())?.get_multiplexed_async_connection().await?;
        Ok(redis::cmd("FLUSHALL").query_async(&mut redis).await?)
    }

    /// Puts `jobs` into the queue, numbered from 0, in one go.
    pub(crate) async fn seed(&self, who: Contender, jobs: u64) -> anyhow::Result<()> {
        let last = i64::try_from(jobs)? - 1;
        match who {
            Contender::Somo(_) => {
                // Ids as the ledger gives them: UUIDv7, so that they lie in its index side by side.
                let fill = "insert into jobs (id, tenant_id, queue, kind, payload)
                    select concat(lpad(to_hex(cast(extract(epoch from now()) * 1000 as bigint)), 12, '0'), '70008', lpad(to_hex(n), 15, '0'))::uuid,
                           '00000000-0000-4000-8000-000000000001', $2, $3, jsonb_build_object('n', n)
                    from generate_series(0, $1) as n";
                let values = [last.into(), QUEUE.into(), KIND.into()];
                self.somo.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, fill, values)).await?;
            }
            Contender::Graphile { .. } => {
                let fill = "select count(*) from graphile_worker.add_jobs(array(
                    select json_populate_record(null::graphile_worker.job_spec, json_build_object('identifier', 'noop', 'payload', json_build_object('n', n)))
                    from generate_series(0, $1) as n))";
                self.graphile.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, fill, [last.into()])).await?;
            }
            Contender::BullMq { .. } => {
                let mut task = serde_json::to_value(self.task(who, None, None))?;
                task["seed"] = json!(jobs);
                let mut seed = Child::spawn(&self.node, &[&self.script("bullmq.mjs"), "seed"], &task)?;
                seed.answer::<serde_json::Value>("ready").await?;
                seed.stop().await?;
            }
        }
        // What autovacuum would have done by the time a backlog is this long.
        match who {
            Contender::Somo(_) => self.somo.execute_unprepared("analyze jobs").await?,
            Contender::Graphile { .. } => self.graphile.execute_unprepared("analyze graphile_worker._private_jobs").await?,
            Contender::BullMq { .. } => return Ok(()),
        };
        Ok(())
    }
}

async fn both_answers(mut child: Child) -> anyhow::Result<(Worked, Produced)> {
    // The last job may start before the last commit's answer is there, or after.
    let (mut worked, mut produced) = (None, None);
    while worked.is_none() || produced.is_none() {
        let (event, answer) = child.any().await?;
        match event.as_str() {
            "worked" => worked = Some(serde_json::from_value(answer)?),
            "produced" => produced = Some(serde_json::from_value(answer)?),
            _ => {}
        }
    }
    child.stop().await?;
    Ok((worked.context("it worked")?, produced.context("it produced")?))
}

/// One connection, so that what is set on it stays set.
pub(crate) async fn connect(url: &str) -> anyhow::Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.context("PostgreSQL does not answer")
}

/// The address of another database on the same server.
pub(crate) fn database(server: &str, name: &str) -> String {
    let (address, query) = server.split_once('?').map_or((server, ""), |(address, query)| (address, query));
    let base = address.rsplit_once('/').map_or(address, |(base, _)| base);
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{base}/{name}{mark}{query}")
}
