//! The `somo` command: every role of SOMO in one binary.
//!
//! - [`args`] is what can be typed; `run` picks the file that does it.
//! - `open` turns settings into what the roles stand on: database, ledger, transport, files, mail.
//! - `roles` runs the API, workers and the scheduler, together or alone, until the process is told to stop.
//!
//! To add a command: a case in [`args::Command`], a file here.

mod accounts;
pub mod args;
mod demo;
mod doctor;
mod keys;
mod migrate;
mod open;
mod roles;
mod sandbox;
mod search;

use std::{io::IsTerminal, process::ExitCode};

use anyhow::Context;
use args::{Arguments, Command};
use clap::Parser;
use config::{LogFormat, Settings};

/// Runs what the process's arguments say.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Another part of the process may have done it; then there is a provider all the same.
    _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(run(arguments.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

#[expect(clippy::print_stderr, reason = "the log may not be set up")]
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("somo: {error:#}");
    ExitCode::FAILURE
}

async fn run(command: Command) -> anyhow::Result<()> {
    // These need no settings.
    match command {
        Command::Openapi { check, path } => return openapi_document(check, &path),
        Command::Sandbox(options) => {
            log("info", LogFormat::Text)?;
            return sandbox::run(options).await;
        }
        _ => {}
    }
    let settings = Settings::load()?;
    log(&settings.log, settings.log_format)?;
    for name in &settings.unknown {
        tracing::warn!("{name} is set, but there is no such setting");
    }
    match command {
        Command::Serve { demo, locale } => roles::serve(settings, demo.then_some(locale)).await,
        Command::Api => roles::api(settings).await,
        Command::Worker(worker) => roles::worker(settings, worker).await,
        Command::Scheduler => roles::scheduler(settings).await,
        Command::Migrate { direction } => migrate::run(&settings, direction).await,
        Command::User { action } => accounts::user(&settings, action).await,
        Command::Search { action } => search::run(&settings, action).await,
        Command::Keys { action } => keys::run(&settings, action).await,
        Command::Token { action } => accounts::token(&settings, action).await,
        Command::Demo { sandbox, locale } => demo::run(&settings, &sandbox, locale).await,
        Command::Doctor => doctor::run(&settings).await,
        Command::Openapi { .. } | Command::Sandbox(_) => unreachable!("done above"),
    }
}

/// What these say at `info` is of no use to who runs SOMO; named in `SOMO_LOG`, they are heard all the same.
const QUIET: &str = "apalis_core=warn,sea_orm_migration=warn,poem::server=warn";

fn log(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(format!("{QUIET},{filter}"));
    let filter = filter.context("SOMO_LOG is not a filter such as info or info,jobs=debug")?;
    let colours = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}

fn openapi_document(check: bool, path: &std::path::Path) -> anyhow::Result<()> {
    if check { openapi::check(path) } else { openapi::write(path) }
}
