//! The roles: each runs until the process is told to stop, then lets what it does come to its end.

use std::time::Duration;

use anyhow::{Context, bail};
use config::Settings;
use jobs::runtime::{Options, Runtime};
use poem::{
    Server,
    listener::{Acceptor, Listener, TcpListener},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinHandle,
};

use crate::{
    args,
    demo::{self, Demo},
    open::{self, Opened},
};

/// How long requests and jobs under way may take when the process is told to stop.
const DRAIN: Duration = Duration::from_secs(25);

/// API, workers and scheduler in one process; with a demo in this language, if any.
pub(crate) async fn serve(mut settings: Settings, demo: Option<args::Locale>) -> anyhow::Result<()> {
    let demo = match demo {
        Some(locale) => Some((demo::sandbox().await?, locale)),
        None => None,
    };
    if let Some((sandbox, _)) = &demo {
        settings.whatsapp_graph_url = sandbox.url();
    }
    let stop = Stop::hear()?;
    let Some(opened) = stop.unless_told(open::all(&settings, true)).await? else { return Ok(()) };
    let server = listen(&settings, &opened, &stop).await?;
    let runtime = work(&settings, &opened, Options::default())?;
    let background = [
        tokio::spawn(domain::events::run(opened.ledger.clone())),
        tokio::spawn(scheduler::run(opened.ledger.clone(), Duration::from_secs(1))),
    ];
    if let Some((sandbox, locale)) = &demo {
        let demo = Demo::seed(&settings, &opened.ledger, &opened.sealer, *locale).await?;
        demo.connect(&sandbox.url(), &settings.public_url).await?;
        demo.introduce(&sandbox.url(), &settings);
    } else {
        tracing::info!("SOMO is at {}, its documentation at {}/docs", settings.public_url, settings.public_url);
    }
    until_stopped(server).await?;
    background.iter().for_each(JoinHandle::abort);
    runtime.stop(DRAIN).await;
    Ok(())
}

/// The HTTP API alone.
pub(crate) async fn api(settings: Settings) -> anyhow::Result<()> {
    let stop = Stop::hear()?;
    let Some(opened) = stop.unless_told(open::all(&settings, false)).await? else { return Ok(()) };
    let server = listen(&settings, &opened, &stop).await?;
    tracing::info!("the API is at {}", settings.public_url);
    until_stopped(server).await
}

/// Workers alone.
pub(crate) async fn worker(settings: Settings, worker: args::Worker) -> anyhow::Result<()> {
    let queues: Vec<String> = match worker.queues.is_empty() {
        true => jobs::queue::ALL.map(str::to_owned).to_vec(),
        false => worker.queues,
    };
    if let Some(unknown) = queues.iter().find(|name| !jobs::queue::ALL.contains(&name.as_str())) {
        bail!("there is no queue {unknown}; there are {}", jobs::queue::ALL.join(", "));
    }
    let stop = Stop::hear()?;
    let Some(opened) = stop.unless_told(open::all(&settings, false)).await? else { return Ok(()) };
    let runtime = work(&settings, &opened, Options { queues, concurrency: worker.concurrency.into(), ..Options::default() })?;
    let events = tokio::spawn(domain::events::run(opened.ledger.clone()));
    tracing::info!(name = runtime.name(), "the worker runs");
    stop.told().await;
    events.abort();
    runtime.stop(DRAIN).await;
    Ok(())
}

/// The scheduler alone.
pub(crate) async fn scheduler(settings: Settings) -> anyhow::Result<()> {
    let stop = Stop::hear()?;
    let Some(opened) = stop.unless_told(open::all(&settings, false)).await? else { return Ok(()) };
    tracing::info!("the scheduler runs");
    let running = tokio::spawn(scheduler::run(opened.ledger, Duration::from_secs(1)));
    stop.told().await;
    running.abort(); // an occurrence half taken is rolled back
    Ok(())
}

fn work(settings: &Settings, opened: &Opened, options: Options) -> anyhow::Result<Runtime> {
    let mailer = match &settings.smtp_url {
        Some(url) => Some(mail::Mailer::new(url, &settings.mail_from)?),
        None => None,
    };
    let context = workers::Context {
        ledger: opened.ledger.clone(),
        sealer: opened.sealer.clone(),
        channels: workers::Channels::new(&settings.whatsapp_graph_url, &settings.whatsapp_graph_version)?,
        store: opened.store.clone(),
        mailer,
        public_url: settings.public_url.clone(),
        webhooks: workers::Webhooks {
            client: egress::Client::new(egress::Options { allowed: settings.egress_allow.clone(), ..egress::Options::default() })?,
            retry_speed: settings.webhook_retry_speed,
        },
    };
    Ok(Runtime::start(opened.ledger.clone(), workers::handlers(context), opened.transport.clone(), options))
}

/// Starts to listen; the server ends, drained, when the process is told to stop.
async fn listen(settings: &Settings, opened: &Opened, stop: &Stop) -> anyhow::Result<JoinHandle<std::io::Result<()>>> {
    let limits = api::RealtimeLimits {
        connections: settings.realtime_connections,
        per_user: settings.realtime_connections_per_user,
        subscriptions: settings.realtime_subscriptions,
        frame_bytes: settings.realtime_frame_bytes,
        ..api::RealtimeLimits::default()
    };
    let bus = match &settings.redis_url {
        Some(url) => jobs::Bus::redis(url, open::PREFIX)?,
        None => jobs::Bus::local(),
    };
    let shared = match &settings.redis_url {
        Some(url) => jobs::Bus::redis(url, &format!("{}:limits", open::PREFIX))?,
        None => jobs::Bus::local(),
    };
    let realtime = api::Realtime::start(&opened.ledger, bus, limits);
    let app = api::app(api::Parts {
        realtime: realtime.clone(),
        ledger: opened.ledger.clone(),
        transport: opened.transport.clone(),
        sealer: opened.sealer.clone(),
        secret: *settings.secret_key.bytes(),
        old_secrets: settings.secret_keys_old.iter().map(|key| *key.bytes()).collect(),
        store: opened.store.clone(),
        public_url: settings.public_url.clone(),
        cors_origins: settings.cors_origins.clone(),
        proxies: settings.proxies,
        limits: api::Limits {
            user: settings.user_rate,
            token: settings.token_rate,
            address: settings.address_rate,
            bulk: settings.bulk_rate,
        },
        shared,
        room: settings.concurrent_requests,
        max_body: settings.max_body_bytes,
        figures: api::Figures::install()?,
    })?;
    let acceptor = TcpListener::bind(settings.bind).into_acceptor().await;
    let acceptor = acceptor.with_context(|| format!("can't listen on {}; another program may do so: set SOMO_BIND", settings.bind))?;
    tracing::debug!(addresses = acceptor.local_addr().len(), "listening");
    let stop = stop.clone();
    let end = async move {
        stop.told().await;
        // Nothing else ends those that are told what happens; whoever asks something meanwhile is answered.
        realtime.close().await;
    };
    Ok(tokio::spawn(Server::new_with_acceptor(acceptor).run_with_graceful_shutdown(app, end, Some(DRAIN))))
}

async fn until_stopped(server: JoinHandle<std::io::Result<()>>) -> anyhow::Result<()> {
    server.await.context("the server panicked")?.context("the server ended")
}

/// Whether the process was told to stop, by SIGTERM or SIGINT. Heard from the start: a process that is told while it opens its
/// database ends as well as one that works.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Begins to listen.
    pub(crate) fn hear() -> anyhow::Result<Self> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let (told, hears) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("stopping");
            _ = told.send(true); // nobody asks any more: the process is ending
        });
        Ok(Self(hears))
    }

    /// Waits for it.
    pub(crate) async fn told(&self) {
        _ = self.0.clone().wait_for(|told| *told).await; // an error: the runtime is ending
    }

    /// What comes of `work`; nothing if the process is told to stop before.
    async fn unless_told<T>(&self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<Option<T>> {
        tokio::select! {
            () = self.told() => Ok(None),
            done = work => done.map(Some),
        }
    }
}
