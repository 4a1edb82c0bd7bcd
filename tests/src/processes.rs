//! Processes to be killed: PostgreSQL and Redis of a test's own, and `somo` in its roles.
//!
//! Everything is ended by its process id when its guard is dropped. The services outlive a test that is killed itself by a
//! moment only: a shell waits for the test's end of a pipe to close, and stops them then.

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A PostgreSQL or a Redis, as `script/services` calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The database.
    Postgres,
    /// The messenger.
    Redis,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        }
    }
}

/// Services that a test has for itself and may stop, crash and freeze.
pub struct Services {
    folder: PathBuf,
    cleaner: Child,
}

impl Services {
    /// Starts them.
    ///
    /// # Panics
    /// When they don't start; `script/bootstrap test` installs them.
    #[must_use]
    pub fn start(services: &[Service]) -> Self {
        let folder = tempfile::Builder::new().prefix("somo-chaos.").tempdir().expect("a temporary folder").keep();
        let clean = r#"cat; "$0" down "$1"; rm -rf "$1""#;
        let mut cleaner = Command::new("bash");
        cleaner.args(["-c", clean]).arg(script()).arg(&folder);
        // In a group of its own, so that what ends the test's group leaves it to its work.
        cleaner.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let started = Self { folder, cleaner: cleaner.spawn().expect("bash runs") };
        started.script("up", &services.iter().map(|service| service.name()).collect::<Vec<_>>());
        started
    }

    /// The address of the database that initdb made.
    ///
    /// # Panics
    /// When there is no PostgreSQL.
    #[must_use]
    pub fn database_url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port(Service::Postgres))
    }

    /// The address of the Redis.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn redis_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port(Service::Redis))
    }

    /// Ends one as a power cut would: `pg_ctl -m immediate`, or SIGKILL.
    pub fn crash(&self, service: Service) {
        self.script("crash", &[service.name()]);
    }

    /// Ends one in good order.
    pub fn stop(&self, service: Service) {
        self.script("stop", &[service.name()]);
    }

    /// Starts one again, where it was and with what it had on disk.
    pub fn restart(&self, service: Service) {
        self.script("start", &[service.name()]);
    }

    /// Redis stands still: its connections stay open, and nobody answers.
    pub fn freeze_redis(&self) {
        self.signal_redis("STOP");
    }

    /// And goes on.
    pub fn thaw_redis(&self) {
        self.signal_redis("CONT");
    }

    fn signal_redis(&self, signal: &str) {
        let id = fs::read_to_string(self.folder.join("redis.pid")).expect("Redis runs");
        send(signal, id.trim());
    }

    fn port(&self, service: Service) -> String {
        let file = self.folder.join(format!("{}.port", service.name()));
        fs::read_to_string(file).expect("the service was started").trim().to_owned()
    }

    fn script(&self, command: &str, arguments: &[&str]) {
        let mut run = Command::new(script());
        let run = run.arg(command).arg(&self.folder).args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
        // Not a pipe: the servers would inherit it and hold it open.
        let said = self.folder.join("said");
        let run = run.stderr(File::create(&said).expect("a file")).status().expect("script/services runs");
        assert!(run.success(), "script/services {command} {arguments:?}: {}", fs::read_to_string(said).unwrap_or_default());
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        drop(self.cleaner.stdin.take());
        _ = self.cleaner.wait();
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../script/services")
}

fn send(signal: &str, process: &str) {
    let sent = Command::new("kill").args([&format!("-{signal}"), process]).status().expect("kill runs");
    assert!(sent.success(), "process {process} takes SIG{signal}");
}

/// A port that was free a moment ago.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// A program with its settings, to be run in several roles.
pub struct Program {
    path: PathBuf,
    settings: Vec<(String, String)>,
    folder: TempDir,
}

impl Program {
    /// `path`, which knows nothing but these settings.
    ///
    /// # Panics
    /// When there is no place for its logs.
    #[must_use]
    pub fn new(path: &str, settings: &[(&str, &str)]) -> Self {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let folder = tempfile::Builder::new().prefix("somo-logs.").tempdir().expect("a temporary folder");
        Self { path: path.into(), settings, folder }
    }

    /// Its working folder: logs, and what it keeps itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(&self.path);
        command.args(arguments).current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command.envs(self.settings.iter().map(|(name, value)| (name, value))).envs(settings.iter().copied());
        command
    }

    /// Runs it to its end; what it printed.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> String {
        let run = self.command(arguments, &[]).output().expect("the program runs");
        assert!(run.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).expect("text").trim().to_owned()
    }

    /// Starts it and leaves it running; `name` is its log's.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn spawn(&self, name: &str, arguments: &[&str], settings: &[(&str, &str)]) -> Process {
        let log = self.folder.path().join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("a log");
        let mut command = self.command(arguments, settings);
        command.stdout(file.try_clone().expect("a second handle")).stderr(file);
        Process { child: command.spawn().expect("the program starts"), name: name.to_owned(), log }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            eprintln!("the logs are in {}", self.folder.path().display());
        }
    }
}

/// A running program. Dropped, it is killed.
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        _ = self.child.kill(); // it may have ended by itself
        _ = self.child.wait();
    }

    /// SIGTERM; how it ended.
    ///
    /// # Panics
    /// When it doesn't end within 40 seconds.
    pub fn terminate(&mut self) -> ExitStatus {
        send("TERM", &self.child.id().to_string());
        let told = Instant::now();
        while told.elapsed() < Duration::from_secs(40) {
            if let Some(status) = self.ended() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{} did not end when it was told to: {}", self.name, self.log());
    }

    /// How it ended, if it did.
    ///
    /// # Panics
    /// When it isn't this process's child.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
