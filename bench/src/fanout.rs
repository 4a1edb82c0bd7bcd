//! Many who listen: how long it takes until everybody has what one wrote, and whether anything is lost or comes twice, while some
//! are cut off and one of two processes is started anew. `script/fanout` starts what it needs.

use std::{
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context, ensure};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{process::Child, task::JoinSet, time::sleep};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::{
    api::{Api, Client, Installation, free_address, listens},
    clock::now,
    stats::percentile,
};

/// What is measured, and with what.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// A PostgreSQL whose superuser we are; a database is made in it.
    #[arg(long)]
    postgres: String,
    /// A Redis.
    #[arg(long)]
    redis: String,
    /// The program `somo`.
    #[arg(long)]
    somo: PathBuf,
    /// A folder for its files.
    #[arg(long)]
    folder: PathBuf,
    /// How many listen.
    #[arg(long, default_value_t = 1000)]
    clients: usize,
    /// How much is written in a second.
    #[arg(long, default_value_t = 10)]
    rate: u32,
    /// For so many seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// How many of them are cut off meanwhile.
    #[arg(long, default_value_t = 50)]
    reconnects: usize,
}

/// What all of them know.
struct Crowd {
    addresses: [String; 2],
    token: String,
    /// When each was asked to be written, by its number.
    asked: Vec<AtomicU64>,
    /// Who is to cut themselves off.
    cut: Vec<AtomicBool>,
    /// Who is there.
    ready: AtomicUsize,
    /// How often anybody came back.
    back: AtomicUsize,
    /// Everything is written.
    over: AtomicBool,
    /// It is waited for no longer.
    late: AtomicBool,
}

/// What one of them has seen.
#[derive(Default)]
struct Seen {
    live: Vec<f64>,
    missed: Vec<f64>,
    doubled: usize,
    lost: usize,
}

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// What writes carry, with their number.
const MARK: &str = "fanout-";

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let Options { clients, rate, seconds, reconnects, .. } = options;
    let installation = Installation::make(&options.somo, &options.folder, &options.postgres, &options.redis).await?;
    let _worker = installation.command(&["worker"]).kill_on_drop(true).spawn().context("somo worker does not start")?;
    let addresses = [free_address()?, free_address()?];
    let first = serve(&installation, &addresses[0]).await?;
    let mut second = serve(&installation, &addresses[1]).await?;
    let total = (rate * seconds) as usize;
    let crowd = Arc::new(Crowd {
        token: installation.token.clone(),
        addresses: addresses.clone(),
        asked: (0..total).map(|_| AtomicU64::new(0)).collect(),
        cut: (0..clients).map(|_| AtomicBool::new(false)).collect(),
        ready: AtomicUsize::new(0),
        back: AtomicUsize::new(0),
        over: AtomicBool::new(false),
        late: AtomicBool::new(false),
    });
    let mut listening = JoinSet::new();
    for at in 0..clients {
        listening.spawn(listen(crowd.clone(), at));
        if at % 50 == 49 {
            sleep(Duration::from_millis(50)).await;
        }
    }
    while crowd.ready.load(Relaxed) < clients {
        sleep(Duration::from_millis(50)).await;
    }

    let writer = tokio::spawn(write(crowd.clone(), Api::at(&addresses[0], first), rate));
    for n in 0..reconnects {
        sleep(Duration::from_secs_f64(f64::from(seconds) / reconnects as f64)).await;
        crowd.cut[n * clients / reconnects].store(true, Relaxed);
        if n == reconnects / 2 {
            let process = second.id().context("it runs")?.to_string();
            ensure!(Command::new("kill").args(["-TERM", &process]).status()?.success(), "somo api takes SIGTERM");
            second.wait().await?;
            second = serve(&installation, &addresses[1]).await?;
        }
    }
    let (mut writes, _api) = writer.await??; // it goes on until everybody has everything
    crowd.over.store(true, Relaxed);
    let late = crowd.clone();
    tokio::spawn(async move {
        sleep(Duration::from_secs(20)).await;
        late.late.store(true, Relaxed);
    });
    let mut all = Seen::default();
    while let Some(seen) = listening.join_next().await {
        let seen = seen??;
        all.live.extend(seen.live);
        all.missed.extend(seen.missed);
        all.doubled += seen.doubled;
        all.lost += seen.lost;
    }
    let count = all.live.len() + all.missed.len();
    let line = |name: &str, values: &mut Vec<f64>| {
        let part = |values: &mut Vec<f64>, part| percentile(values, part).unwrap_or(f64::NAN);
        let (p50, p99, max) = (part(values, 0.5), part(values, 0.99), part(values, 1.0));
        format!("{name}: {} · p50 {p50:.1} ms · p99 {p99:.1} ms · max {max:.1} ms", values.len())
    };
    let report = [
        format!("{clients} clients, {total} writes at {rate}/s, {count} events received of {}", total * clients),
        line("from the request that wrote it to a client that was connected", &mut all.live),
        line("the same to a client that was away meanwhile", &mut all.missed),
        line("the requests themselves", &mut writes),
        format!("{} came back · lost {} · doubled {}", crowd.back.load(Relaxed), all.lost, all.doubled),
    ];
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{}", report.join("\n"))?;
    Ok(())
}

async fn serve(installation: &Installation, address: &str) -> anyhow::Result<Child> {
    let process = installation.command(&["api"]).env("SOMO_BIND", address).kill_on_drop(true).spawn().context("somo api does not start")?;
    listens(address).await?;
    Ok(process)
}

/// Writes at an even pace; how long each took.
async fn write(crowd: Arc<Crowd>, api: Api, rate: u32) -> anyhow::Result<(Vec<f64>, Api)> {
    let (mut client, began, mut times) = (Client::new(&api, &crowd.token).await?, now(), Vec::new());
    for (n, asked) in crowd.asked.iter().enumerate() {
        let due = began + 1e3 * n as f64 / f64::from(rate);
        sleep(Duration::from_secs_f64(((due - now()) / 1e3).max(0.0))).await;
        let at = now();
        asked.store(at.to_bits(), Relaxed);
        client.post("/api/contacts", json!({ "first_name": format!("{MARK}{n}.") }).to_string()).await?;
        times.push(now() - at);
    }
    Ok((times, api))
}

/// One who listens until they have everything.
async fn listen(crowd: Arc<Crowd>, at: usize) -> anyhow::Result<Seen> {
    let (mut seen, mut had, mut left) = (Seen::default(), vec![false; crowd.asked.len()], crowd.asked.len());
    let (mut after, mut turn) = (Value::Null, at);
    let jitter = |turn: usize| Duration::from_millis((turn as u64).wrapping_mul(7919) % 500);
    while left > 0 && !crowd.late.load(Relaxed) {
        let Ok((mut socket, begun)) = connect(&crowd, turn, &after).await else {
            turn += 1;
            sleep(jitter(turn)).await;
            continue;
        };
        let since = now();
        if after.is_null() {
            crowd.ready.fetch_add(1, Relaxed);
        } else {
            crowd.back.fetch_add(1, Relaxed);
        }
        after = begun;
        while left > 0 && !crowd.late.load(Relaxed) && !crowd.cut[at].swap(false, Relaxed) {
            let Ok(message) = tokio::time::timeout(Duration::from_millis(500), socket.next()).await else { continue };
            let Some(Ok(message)) = message else { break };
            let Message::Text(text) = message else { continue };
            let Some((_, number)) = text.split_once(MARK) else {
                if text.contains(r#""closing""#) {
                    break;
                }
                continue;
            };
            let n: usize = number.split('.').next().and_then(|n| n.parse().ok()).context("a number")?;
            let asked = f64::from_bits(crowd.asked[n].load(Relaxed));
            if std::mem::replace(&mut had[n], true) {
                seen.doubled += 1;
                continue;
            }
            left -= 1;
            if asked > since {
                seen.live.push(now() - asked)
            } else {
                seen.missed.push(now() - asked)
            }
            let (_, id) = text.split_once(r#""id":""#).context("an id")?;
            after = json!(id[..36]);
        }
        turn += 1;
        if left > 0 {
            sleep(jitter(turn)).await;
        }
    }
    seen.lost = left;
    Ok(seen)
}

/// A connection that has subscribed, and after which event.
async fn connect(crowd: &Crowd, turn: usize, after: &Value) -> anyhow::Result<(Socket, Value)> {
    let request = format!("ws://{}/api/realtime", crowd.addresses[turn % 2]).into_client_request()?;
    let (mut socket, _) = tokio::time::timeout(Duration::from_secs(5), tokio_tungstenite::connect_async(request)).await??;
    for frame in [json!({ "type": "auth", "token": crowd.token }), json!({ "type": "subscribe", "topics": ["contacts"], "after": after })] {
        socket.send(Message::text(frame.to_string())).await?;
    }
    loop {
        let message = tokio::time::timeout(Duration::from_secs(10), socket.next()).await?.context("it ended")??;
        let Message::Text(text) = message else { continue };
        let frame: Value = serde_json::from_str(&text)?;
        match frame["type"].as_str() {
            Some("subscribed") => return Ok((socket, frame["after"].clone())),
            Some("authenticated") => {}
            _ => anyhow::bail!("{frame}"),
        }
    }
}
