//! What can be typed.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand, ValueEnum};

pub use crate::demo::words::Locale;

/// A WhatsApp-native CRM.
#[derive(Debug, Parser)]
#[command(name = "somo", version, about, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything in one process: API, workers, scheduler. Migrates the database first.
    Serve {
        /// With a sandbox in place of WhatsApp, a demo team with contacts and deals, and customers who have just written.
        #[arg(long)]
        demo: bool,
        /// In which language the demo is; it counts when the demo is made.
        #[arg(long, requires = "demo", value_enum, ignore_case = true, default_value_t = Locale::Portuguese)]
        locale: Locale,
    },
    /// Run the HTTP API.
    Api,
    /// Run jobs.
    Worker(Worker),
    /// Turn schedules into jobs.
    Scheduler,
    /// Change the database's schema, or show where it is.
    Migrate {
        /// Which way.
        #[command(subcommand)]
        direction: Direction,
    },
    /// Write openapi.json, or check that it is current.
    Openapi {
        /// Only check; fails when it is not current.
        #[arg(long)]
        check: bool,
        /// The file.
        #[arg(default_value = "openapi/openapi.json")]
        path: PathBuf,
    },
    /// Make users.
    User {
        /// What to do.
        #[command(subcommand)]
        action: UserAction,
    },
    /// Look after the text index.
    Search {
        /// What to do.
        #[command(subcommand)]
        action: SearchAction,
    },
    /// Look after the installation's keys.
    Keys {
        /// What to do.
        #[command(subcommand)]
        action: KeysAction,
    },
    /// Make personal access tokens.
    Token {
        /// What to do.
        #[command(subcommand)]
        action: TokenAction,
    },
    /// Fill the database with a demo team, its contacts and deals; its device points at a sandbox, and its customers write.
    Demo {
        /// Where `somo sandbox` listens.
        #[arg(long, default_value = "http://127.0.0.1:8090")]
        sandbox: String,
        /// In which language; it counts when the demo is made.
        #[arg(long, value_enum, ignore_case = true, default_value_t = Locale::Portuguese)]
        locale: Locale,
    },
    /// Say in plain words what is wrong and how to mend it.
    Doctor,
    /// Run a stand-in for Meta's Graph API, with a phone to type on.
    Sandbox(Sandbox),
}

/// How a worker works.
#[derive(Debug, clap::Args)]
pub struct Worker {
    /// Which queues, separated by commas; all by default.
    #[arg(long, value_delimiter = ',')]
    pub queues: Vec<String>,
    /// At most so many jobs of each queue at once.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub concurrency: u16,
}

/// How a sandbox behaves.
#[derive(Debug, clap::Args)]
pub struct Sandbox {
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:8090")]
    pub bind: SocketAddr,
    /// Where webhooks go.
    #[arg(long)]
    pub webhook: Option<String>,
    /// What signs them.
    #[arg(long, default_value = "sandbox")]
    pub app_secret: String,
    /// Customers answer texts.
    #[arg(long)]
    pub auto_reply: bool,
}

/// Which way to migrate.
#[derive(Debug, Subcommand)]
pub enum Direction {
    /// To the newest schema.
    Up,
    /// Back. The rows of what is taken back are lost.
    Down {
        /// How many steps.
        #[arg(default_value_t = 1)]
        steps: u32,
    },
    /// Show which steps are applied.
    Status,
}

/// What to do with users.
#[derive(Debug, Subcommand)]
pub enum UserAction {
    /// Make one, and their team when it is new.
    Create {
        /// The address that signs in.
        #[arg(long)]
        email: String,
        /// The password, 8 to 256 characters.
        #[arg(long, required_unless_present = "password_hash")]
        password: Option<String>,
        /// In place of the password its hash, of a program they used before: argon2, or bcrypt up to a cost of 14.
        #[arg(long, conflicts_with = "password")]
        password_hash: Option<String>,
        /// The name of the team.
        #[arg(long, default_value = "SOMO")]
        tenant: String,
        /// What they may do.
        #[arg(long, value_enum, default_value_t = RoleName::Agent)]
        role: RoleName,
    },
}

/// What to do with the text index.
#[derive(Debug, Subcommand)]
pub enum SearchAction {
    /// Make it anew of the records that are there, while people go on writing.
    Rebuild,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeysAction {
    /// Seal anew what was sealed with a key of SOMO_SECRET_KEYS_OLD, while people go on working.
    Rotate,
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub enum TokenAction {
    /// Make one and print it; it is shown once.
    Create {
        /// Whose.
        #[arg(long)]
        email: String,
        /// What it may do, separated by commas, e.g. messages:send; everything its user may by default.
        #[arg(long, value_delimiter = ',', default_value = "*")]
        abilities: Vec<String>,
        /// What it is for.
        #[arg(long, default_value = "command line")]
        name: String,
    },
}

/// A role.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum RoleName {
    /// Everything in the team.
    Admin,
    /// Works with conversations and contacts.
    Agent,
    /// Looks.
    Viewer,
}
