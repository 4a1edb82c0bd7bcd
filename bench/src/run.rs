//! The harness: parts, rounds, contenders in turn.

use std::{io::Write, path::PathBuf, time::Instant};

use anyhow::Context;

use crate::{
    contender::{Contender, Env},
    crowd, drain, enqueue, latency, machine, me, records,
    report::{self, Table, Target},
    webhook,
};

/// What to measure, with what, and where to write it.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// A PostgreSQL whose superuser we are; two databases are made in it.
    #[arg(long)]
    postgres: String,
    /// A Redis that may be flushed.
    #[arg(long)]
    redis: String,
    /// The Node for the other queues.
    #[arg(long)]
    node: PathBuf,
    /// The folder of their scripts.
    #[arg(long)]
    scripts: PathBuf,
    /// The program `somo`.
    #[arg(long)]
    somo: PathBuf,
    /// A folder for its files.
    #[arg(long)]
    folder: PathBuf,
    /// Where the page goes.
    #[arg(long)]
    report: PathBuf,
    /// How often everything is measured.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Small counts, to try it out; the page is printed instead of written.
    #[arg(long)]
    quick: bool,
    /// Only these parts; the page is printed instead of written.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

/// What is measured.
#[derive(Clone, Copy)]
enum Part {
    Enqueue,
    Latency,
    Drain,
    Webhook,
    Me,
    Records,
    Crowd,
}

impl Part {
    const ALL: [Self; 7] = [Self::Enqueue, Self::Latency, Self::Drain, Self::Webhook, Self::Me, Self::Records, Self::Crowd];

    fn letter(self) -> &'static str {
        match self {
            Self::Enqueue => "a",
            Self::Latency => "b",
            Self::Drain => "c",
            Self::Webhook => "d",
            Self::Me => "e",
            Self::Records => "f",
            Self::Crowd => "g",
        }
    }

    /// Who is measured.
    fn rows(self) -> Vec<&'static str> {
        let names = |who: &[Contender]| who.iter().map(|who| who.name()).collect();
        match self {
            Self::Enqueue => names(&enqueue::WHO),
            Self::Latency => names(&latency::WHO),
            Self::Drain => names(&drain::WHO),
            Self::Webhook => vec![webhook::SOMO],
            Self::Me => vec![me::SOMO, me::BARE],
            Self::Records => vec![records::SOMO, records::BY_HAND],
            Self::Crowd => vec![crowd::SOMO],
        }
    }

    /// One row, once.
    async fn measure(self, env: &Env, row: usize, quick: bool, table: &mut Table) -> anyhow::Result<()> {
        match self {
            Self::Enqueue => enqueue::measure(env, enqueue::WHO[row], quick, table).await,
            Self::Latency => latency::measure(env, latency::WHO[row], quick, table).await,
            Self::Drain => drain::measure(env, drain::WHO[row], quick, table).await,
            Self::Webhook => webhook::measure(env, quick, table).await,
            Self::Me if row == 0 => me::somo(env, quick, table).await,
            Self::Me => me::bare(env, quick, table).await,
            Self::Records if row == 0 => records::somo(env, quick, table).await,
            Self::Records => records::by_hand(env, quick, table).await,
            Self::Crowd => crowd::measure(env, quick, table).await,
        }
    }
}

/// Measures, round by round, and writes the page.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let began = Instant::now();
    let env = Env::open(options.postgres, options.redis, options.node, options.scripts, options.somo, options.folder).await?;
    let wanted = |letter: &str| options.only.is_empty() || options.only.iter().any(|only| only == letter);
    let mut tables = [enqueue::table(), latency::table(), drain::table(), webhook::table(), me::table(), records::table(), crowd::table()];
    for (table, part) in tables.iter_mut().zip(Part::ALL).filter(|(_, part)| wanted(part.letter())) {
        let names = part.rows();
        for round in 0..options.rounds as usize {
            for at in 0..names.len() {
                // Each round begins with another one, so that none always follows the same one.
                let at = (at + round) % names.len();
                let (seconds, letter) = (began.elapsed().as_secs(), part.letter());
                say(&format!("{seconds:>4} s  {letter}, round {} of {}: {}", round + 1, options.rounds, names[at]));
                part.measure(&env, at, options.quick, table).await.with_context(|| format!("{letter}, {}", names[at]))?;
            }
        }
        table.order(&names);
    }
    let about = machine::about(&env, options.rounds, options.quick).await?;
    let measured = tables.iter().filter(|table| !table.is_empty());
    let page = report::page(&about, &targets(&tables), measured);
    if options.quick || !options.only.is_empty() {
        say(&page);
        return Ok(());
    }
    report::write(&options.report, &page)?;
    say(&format!("{:>4} s  written to {}", began.elapsed().as_secs(), options.report.display()));
    Ok(())
}

/// What the default transport was promised to reach.
fn targets([enqueue, latency, drain, webhook, me, records, crowd]: &[Table; 7]) -> Vec<Target> {
    let somo = Contender::DEFAULT.name();
    let ratio = |one: Option<f64>, other: Option<f64>| Some(one? / other?);
    let graphile = enqueue.median(Contender::GRAPHILE.name(), "jobs/s");
    let fastest = [graphile, enqueue.median(Contender::GRAPHILE_BATCHED.name(), "jobs/s")].into_iter().flatten().reduce(f64::max);
    let drained = drain.median(somo, drain::ALL);
    let against = |other: Contender| ratio(drained, drain.median(other.name(), drain::ALL));
    let idle = |who: Contender, at: usize| latency.median(who.name(), latency::IDLE[at]);
    let target = |what, value, limit, at_most, unit| Target { what, value, limit, at_most, unit };
    vec![
        target("durable enqueue and run, against graphile-worker", ratio(enqueue.median(somo, "jobs/s"), graphile), 2.5, false, " ×"),
        target(
            "durable enqueue and run, against the faster of graphile-worker's two",
            ratio(enqueue.median(somo, "jobs/s"), fastest),
            2.5,
            false,
            " ×",
        ),
        target("drain of 50k, against BullMQ", against(Contender::BULLMQ), 1.2, false, " ×"),
        target("drain of 50k, against graphile-worker batched", against(Contender::GRAPHILE_BATCHED), 0.7, false, " ×"),
        target("drain with 100k behind, against without", ratio(drain.median(somo, drain::FRONT), drained), 0.75, false, " ×"),
        target(
            "idle commit to start p50, against graphile-worker",
            ratio(idle(Contender::DEFAULT, 0), idle(Contender::GRAPHILE, 0)),
            1.5,
            true,
            " ×",
        ),
        target("idle commit to start p99", idle(Contender::DEFAULT, 1), 10.0, true, " ms"),
        target("webhook intake", webhook.median(webhook::SOMO, webhook::RATE), 2_000.0, false, " /s"),
        target("GET /api/me, against bare poem", ratio(me.median(me::SOMO, me::RATE), me.median(me::BARE, me::RATE)), 0.4, false, " ×"),
        target(
            "filtered list of a million p50, against twice the SQL by hand and 0.5 ms",
            ratio(
                records.median(records::SOMO, records::FILTERED),
                records.median(records::BY_HAND, records::FILTERED).map(|ms| 2.0 * ms + 0.5),
            ),
            1.0,
            true,
            " ×",
        ),
        target(
            "last page of a million, against the first",
            ratio(records.median(records::SOMO, records::LAST), records.median(records::SOMO, records::FIRST)),
            1.5,
            true,
            " ×",
        ),
        target(
            "contacts created, against the same rows by hand",
            ratio(records.median(records::SOMO, records::CREATES), records.median(records::BY_HAND, records::CREATES)),
            0.6,
            false,
            " ×",
        ),
        target("errors of a thousand connections", crowd.median(crowd::SOMO, crowd::ERRORS), 0.0, true, ""),
        target("a thousand connections p95", crowd.median(crowd::SOMO, crowd::P95), 100.0, true, " ms"),
    ]
}

fn say(text: &str) {
    // Whoever closed the output doesn't want to read it.
    _ = writeln!(std::io::stdout(), "{text}");
}
