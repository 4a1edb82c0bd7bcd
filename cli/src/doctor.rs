//! What is wrong, in plain words, and how to mend it.
#![expect(clippy::print_stdout, reason = "this is the command's answer")]

use std::time::Duration;

use anyhow::bail;
use config::Settings;
use db::Db;
use domain::whatsapp::devices::{self, Secrets};
use jobs::{Ledger, Wake};

use crate::open;

/// How long anything may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Report {
    failing: usize,
}

impl Report {
    fn ok(&self, what: &str) {
        println!("ok    {what}");
    }

    fn note(&self, what: &str, mend: &str) {
        println!("note  {what}\n      {mend}");
    }

    fn fail(&mut self, what: &str, mend: &str) {
        self.failing += 1;
        println!("FAIL  {what}\n      {mend}");
    }
}

/// Looks at everything; an error when something fails.
pub(crate) async fn run(settings: &Settings) -> anyhow::Result<()> {
    let mut report = Report::default();
    files(settings, &mut report);
    redis(settings, &mut report).await;
    smtp(settings, &mut report).await;
    graph(settings, &mut report).await;
    match tokio::time::timeout(PATIENCE, open::database(settings)).await {
        Ok(Ok(db)) => database(settings, db, &mut report).await?,
        Ok(Err(error)) => report.fail(&format!("the database: {error:#}"), "start it, or set SOMO_DATABASE_URL to where it is"),
        Err(_) => report.fail("the database doesn't answer", "start it, or set SOMO_DATABASE_URL to where it is"),
    }
    if report.failing > 0 {
        bail!("{} of the checks fail", report.failing);
    }
    Ok(())
}

fn files(settings: &Settings, report: &mut Report) {
    let probe = settings.data_dir.join(".somo-doctor");
    let written = std::fs::create_dir_all(&settings.data_dir)
        .and_then(|()| std::fs::write(&probe, b"ok"))
        .and_then(|()| std::fs::remove_file(&probe));
    match written {
        Ok(()) => report.ok(&format!("the data folder {} can be written", settings.data_dir.display())),
        Err(error) => report.fail(
            &format!("the data folder {} can't be written: {error}", settings.data_dir.display()),
            "give it to the user that runs SOMO, or set SOMO_DATA_DIR to another one",
        ),
    }
}

async fn redis(settings: &Settings, report: &mut Report) {
    if settings.redis_url.is_none() {
        report.note("no Redis: jobs are delivered in process", "set SOMO_REDIS_URL to run workers in several processes");
        return;
    }
    let answered = match open::transport(settings) {
        Ok(transport) => tokio::time::timeout(PATIENCE, transport.ping()).await.map_err(anyhow::Error::from).and_then(|answer| answer),
        Err(error) => Err(error),
    };
    match answered {
        Ok(()) => report.ok("Redis answers"),
        Err(_) => report.fail(
            "Redis doesn't answer; requests are accepted and kept, but jobs wait",
            "start it, or set SOMO_REDIS_URL to where it is; nothing is lost meanwhile",
        ),
    }
}

async fn smtp(settings: &Settings, report: &mut Report) {
    let Some(url) = &settings.smtp_url else {
        report.note("no mail server: mails end among the dead jobs", "set SOMO_SMTP_URL, e.g. smtps://user:password@mail.example.com");
        return;
    };
    let address = url::Url::parse(url).ok().and_then(|url| {
        let port = url.port().unwrap_or(if url.scheme() == "smtps" { 465 } else { 587 });
        Some((url.host_str()?.to_owned(), port))
    });
    let Some((host, port)) = address else {
        report.fail("SOMO_SMTP_URL is not an address", "write it as smtps://user:password@mail.example.com");
        return;
    };
    match tokio::time::timeout(PATIENCE, tokio::net::TcpStream::connect((host.as_str(), port))).await {
        Ok(Ok(_)) => report.ok("the mail server answers"),
        _ => report.fail(
            &format!("no mail server answers at {host}:{port}"),
            "check SOMO_SMTP_URL and the firewall; mails wait and are tried again",
        ),
    }
}

async fn graph(settings: &Settings, report: &mut Report) {
    let url = &settings.whatsapp_graph_url;
    let answered = match reqwest::Client::builder().no_proxy().timeout(PATIENCE).build() {
        Ok(http) => http.get(url).send().await.is_ok(),
        Err(_) => false,
    };
    match answered {
        // Whatever it says: it is there.
        true => report.ok(&format!("WhatsApp's API answers at {url}")),
        false => {
            report.fail(&format!("WhatsApp's API can't be reached at {url}"), "check the way to the internet, or SOMO_WHATSAPP_GRAPH_URL")
        }
    }
}

async fn database(settings: &Settings, db: Db, report: &mut Report) -> anyhow::Result<()> {
    report.ok(if db.is_sqlite() { "the SQLite file opens" } else { "PostgreSQL answers" });
    let behind = migration::status(&db).await?.iter().filter(|(_, applied)| !applied).count();
    if behind > 0 {
        report.fail(&format!("the schema is {behind} steps behind this version"), "run `somo migrate up`");
        return Ok(());
    }
    report.ok("the schema is current");
    let ledger = Ledger::new(db, Wake::local());
    if domain::users::none(&ledger).await? {
        report.note("there is nobody to sign in", "run `somo user create --email … --password … --role admin`");
    }
    match ledger.workers_alive(Duration::from_secs(30)).await? {
        0 => report
            .fail("no worker gave a sign of life within 30 seconds", "run `somo worker`, or `somo serve` for everything in one process"),
        workers => report.ok(&format!("{workers} worker processes live")),
    }
    for queue in ledger.queues().await? {
        let name = &queue.name;
        if queue.paused_at.is_some() {
            report.note(&format!("the queue {name} is paused"), &format!("resume it with POST /api/queues/{name}/resume"));
        } else if let Some(age) = queue.oldest_pending_seconds.filter(|age| *age > 60.0) {
            let what = format!("a job of the queue {name} is due for {age:.0} seconds");
            report.fail(&what, "start more workers for it, or look at GET /api/jobs for what holds it up");
        }
        if queue.dead > 0 {
            let mend = "look at GET /api/jobs?filter={\"field\":\"state\",\"op\":\"eq\",\"value\":\"dead\"}; POST /api/jobs/{id}/retry runs one again";
            report.note(&format!("{} jobs of the queue {name} were given up", queue.dead), mend);
        }
    }
    devices(settings, &ledger, report).await
}

async fn devices(settings: &Settings, ledger: &Ledger, report: &mut Report) -> anyhow::Result<()> {
    let sealer = open::sealer(settings);
    match domain::keys::old(ledger.db(), &sealer).await? {
        0 => {}
        old => report.note(&format!("{old} secrets are sealed with an old key"), "run `somo keys rotate`"),
    }
    let mut after = None;
    loop {
        let page = devices::every(ledger.db(), after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.id);
        for device in &page {
            let name = format!("the device {} ({})", device.name, device.id);
            if let Err(error) = Secrets::open(&sealer, device) {
                report.fail(
                    &format!("{name}: {error:#}"),
                    "name the key it was connected with in SOMO_SECRET_KEYS_OLD, or enter its access again",
                );
            } else if devices::down(device.status) {
                let why = device.status_reason.as_deref().unwrap_or("no reason given");
                report.fail(
                    &format!("{name} is {}: {why}", device.status.as_str()),
                    "renew its token with PATCH /api/whatsapp/devices/{id}, or see Meta's console",
                );
            }
        }
    }
}
