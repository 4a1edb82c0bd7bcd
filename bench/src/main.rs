//! Side-by-side measurements against other queues, in one run on one PostgreSQL and one Redis.
//!
//! `script/bench` starts both, installs the others and calls `bench run`. The harness starts every measured process by
//! itself: SOMO's is this program again (`bench somo`), the others are scripts in `node/`; [`task`] is what they are told.
//! One file for each part: [`enqueue`], [`latency`], [`drain`], [`webhook`], [`me`], [`records`], [`crowd`]; the last four
//! ask the real `somo api`, which [`api`] starts. To add a part: one more such file and its arm in [`run`]; to add a
//! contender: a script, and an arm in [`contender`].

mod api;
mod child;
mod clock;
mod contender;
mod crowd;
mod drain;
mod enqueue;
mod fanout;
mod hello;
mod latency;
mod load;
mod machine;
mod me;
mod records;
mod report;
mod run;
mod somo;
mod stats;
mod task;
mod webhook;

use clap::Parser;

/// As in `somo`, since what it is measured with is this program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
enum Command {
    /// Measure everything and write the page.
    Run(run::Options),
    /// A measured process of SOMO's; started by `run`.
    Somo {
        /// A task, as JSON.
        task: String,
    },
    /// Many who listen to what happens; `script/fanout` calls it.
    Fanout(fanout::Options),
    /// A bare poem server; started by `run`.
    Hello {
        /// Where to listen.
        address: String,
    },
    /// A thousand connections; started by `run`.
    Crowd {
        /// What they send, as JSON.
        crowd: String,
    },
    /// A load generator; started by `run`.
    Load {
        /// A load, as JSON.
        load: String,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Run(options) => run::run(options).await,
        Command::Somo { task } => somo::run(&task).await,
        Command::Fanout(options) => fanout::run(options).await,
        Command::Hello { address } => hello::serve(&address).await,
        Command::Crowd { crowd } => crowd::run(&crowd).await,
        Command::Load { load } => load::run(&load).await,
    }
}
