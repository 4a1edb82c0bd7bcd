//! The harness: parts, rounds, contenders in turn.

use std::{io::Write, path::PathBuf, time::Instant};

use crate::{
    contender::{Contender, Env},
    drain, enqueue, latency, machine,
    report::{self, Table, Target},
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

/// Measures, round by round, and writes the page.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let began = Instant::now();
    let env = Env::open(options.postgres, options.redis, options.node, options.scripts).await?;
    let wanted = |letter: &str| options.only.is_empty() || options.only.iter().any(|only| only == letter);
    let mut tables = [enqueue::table(), latency::table(), drain::table()];
    for (table, letter) in tables.iter_mut().zip(["a", "b", "c"]) {
        let who: &[Contender] = match letter {
            "a" => &enqueue::WHO,
            "b" => &latency::WHO,
            _ => &drain::WHO,
        };
        for round in 0..if wanted(letter) { options.rounds } else { 0 } {
            for at in 0..who.len() {
                // Each round begins with another one, so that none always follows the same one.
                let who = who[(at + round as usize) % who.len()];
                say(&format!("{:>4} s  {letter}, round {} of {}: {}", began.elapsed().as_secs(), round + 1, options.rounds, who.name()));
                match letter {
                    "a" => enqueue::measure(&env, who, options.quick, table).await?,
                    "b" => latency::measure(&env, who, options.quick, table).await?,
                    _ => drain::measure(&env, who, options.quick, table).await?,
                }
            }
        }
        table.order(&who.iter().map(|who| who.name()).collect::<Vec<_>>());
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
fn targets([enqueue, latency, drain]: &[Table; 3]) -> Vec<Target> {
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
    ]
}

fn say(text: &str) {
    // Whoever closed the output doesn't want to read it.
    _ = writeln!(std::io::stdout(), "{text}");
}
