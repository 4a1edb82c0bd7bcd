use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use sandbox::Sandbox;
use serde_json::{Value, json};
use tests::processes::{Process, Program, Service, Services, free_port};
use tokio::{
    net::{TcpListener, TcpStream},
    task::block_in_place,
};

const SOMO: &str = env!("CARGO_BIN_EXE_somo_under_test");
/// The business's number.
const NUMBER: &str = "100000000000001";
const EMAIL: &str = "ana@example.com";

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Api,
    Worker,
    Scheduler,
    Serve,
}

/// What stands in a town.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// `redis` or `apalis-redis`; `None`: SQLite, and everything in one process.
    pub(crate) transport: Option<&'static str>,
    pub(crate) apis: usize,
    pub(crate) workers: usize,
    pub(crate) schedulers: usize,
}

/// One process of a town.
pub(crate) struct House {
    pub(crate) role: Role,
    name: String,
    bind: String,
    process: Option<Process>,
}

/// An installation: its processes, what they stand on, and WhatsApp.
pub(crate) struct Town {
    pub(crate) houses: Vec<House>,
    pub(crate) program: Program,
    pub(crate) services: Option<Services>,
    pub(crate) sandbox: Sandbox,
    pub(crate) database_url: String,
    /// How many processes ended without being told to, and were started again.
    pub(crate) fallen: usize,
    token: String,
}

impl Town {
    /// An installation with all its processes running and its number connected.
    pub(crate) async fn build(plan: Plan) -> (Self, Desk) {
        let mut town = Self::found(plan).await;
        town.start();
        let desk = town.open().await;
        (town, desk)
    }

    /// Everything but the processes.
    pub(crate) async fn found(plan: Plan) -> Self {
        _ = rustls::crypto::ring::default_provider().install_default(); // another test of the process may have done it
        let sandbox = sandbox::start(sandbox::Options::default()).await.unwrap();
        let graph = sandbox.url();
        let mut settings = vec![("SOMO_SECRET_KEY", "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="), ("SOMO_WHATSAPP_GRAPH_URL", &graph)];
        let services = plan.transport.map(|_| block_in_place(|| Services::start(&[Service::Postgres, Service::Redis])));
        let urls = services.as_ref().map(|services| (services.database_url(), services.redis_url()));
        if let (Some(transport), Some((database, redis))) = (plan.transport, &urls) {
            settings.extend([("SOMO_DATABASE_URL", database.as_str()), ("SOMO_REDIS_URL", redis), ("SOMO_QUEUE_TRANSPORT", transport)]);
        }
        let program = Program::new(SOMO, &settings);
        let database_url =
            urls.map_or_else(|| format!("sqlite://{}/data/somo.sqlite", program.folder().display()), |(database, _)| database);
        let token = block_in_place(|| {
            _ = program.run(&["migrate", "up"]);
            _ = program.run(&["user", "create", "--email", EMAIL, "--password", "correct horse battery", "--role", "admin"]);
            program.run(&["token", "create", "--email", EMAIL])
        });
        let roles = match plan.transport {
            None => vec![(Role::Serve, 1)],
            Some(_) => vec![(Role::Api, plan.apis), (Role::Worker, plan.workers), (Role::Scheduler, plan.schedulers)],
        };
        let house = |role: Role, n| House {
            role,
            name: format!("{}-{n}", role.command()),
            bind: format!("127.0.0.1:{}", free_port()),
            process: None,
        };
        let houses = roles.into_iter().flat_map(|(role, count)| (0..count).map(move |n| house(role, n))).collect();
        Self { houses, program, services, sandbox, database_url, fallen: 0, token }
    }

    /// Starts every process.
    pub(crate) fn start(&mut self) {
        (0..self.houses.len()).for_each(|at| self.start_one(at));
    }

    fn start_one(&mut self, at: usize) {
        let House { role, name, bind, process } = &mut self.houses[at];
        *process = Some(self.program.spawn(name, &[role.command()], &[("SOMO_BIND", bind.as_str())]));
    }

    /// Waits for the API, connects the number, and leads its webhooks to whichever API process answers.
    pub(crate) async fn open(&self) -> Desk {
        let addresses: Vec<String> = self.houses.iter().filter(|house| house.role.answers()).map(|house| house.bind.clone()).collect();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
        let desk = Desk {
            http,
            addresses: addresses.clone(),
            token: self.token.clone(),
            device: String::new(),
            sandbox: self.sandbox.url(),
            turn: AtomicUsize::new(0),
        };
        let cloud = json!({
            "phone_number_id": NUMBER, "business_account_id": "200000000000001", "access_token": "a", "app_secret": "s", "verify_token": "v",
        });
        let pace = json!({ "per_second": 1000, "pair_per_second": 1000, "pair_burst": 1000 });
        let device = json!({ "name": "Vendas", "provider": "cloud", "cloud": cloud, "settings": pace });
        let device = desk.insist("/api/whatsapp/devices", "the device", &device).await;
        let webhook = format!("http://{}/api/whatsapp/webhook", road(addresses).await);
        let number = json!({ "phone_number_id": NUMBER, "access_token": "a", "app_secret": "s", "webhook": webhook });
        let added = desk.http.post(format!("{}/sandbox/numbers", desk.sandbox)).json(&number).send().await.unwrap();
        assert!(added.status().is_success());
        // Answers take a moment, so that a kill finds messages between the call and the answer; what is told is told twice at times.
        let faults = json!({ "delay_answer_ms": 40, "duplicate": 0.1 });
        assert!(desk.http.post(format!("{}/sandbox/faults", desk.sandbox)).json(&faults).send().await.unwrap().status().is_success());
        Desk { device: device["id"].as_str().unwrap().to_owned(), ..desk }
    }

    /// kill -9, and another start at once.
    pub(crate) fn kill(&mut self, at: usize) {
        self.houses[at].process.as_mut().unwrap().kill();
        self.start_one(at);
    }

    /// SIGTERM; the process must end well.
    pub(crate) fn terminate(&mut self, at: usize) {
        let process = self.houses[at].process.as_mut().unwrap();
        let status = block_in_place(|| process.terminate());
        assert!(status.success(), "{} ended with {status}: {}", process.name(), process.log());
    }

    /// The id of a house's process.
    pub(crate) fn process_id(&self, at: usize) -> u32 {
        self.houses[at].process.as_ref().unwrap().id()
    }

    /// What a house's process has warned of.
    pub(crate) fn warnings(&self, at: usize) -> String {
        let log = self.houses[at].process.as_ref().unwrap().log();
        log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect::<Vec<_>>().join("\n")
    }

    /// As systemd does: what ended by itself is started again.
    pub(crate) fn tend(&mut self) {
        for at in 0..self.houses.len() {
            let process = self.houses[at].process.as_mut().unwrap();
            if let Some(status) = process.ended() {
                eprintln!("{} ended by itself with {status}: {}", process.name(), process.log().lines().last().unwrap_or_default());
                self.fallen += 1;
                self.start_one(at);
            }
        }
    }

    /// The places of the houses of a role.
    pub(crate) fn places(&self, role: Role) -> Vec<usize> {
        (0..self.houses.len()).filter(|at| self.houses[*at].role == role).collect()
    }

    pub(crate) async fn db(&self) -> db::Db {
        db::Db::open_with(&self.database_url, db::PoolSizes { write: 2, quick: 1, read: 2 }).await.unwrap()
    }
}

impl Role {
    fn command(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Worker => "worker",
            Self::Scheduler => "scheduler",
            Self::Serve => "serve",
        }
    }

    fn answers(self) -> bool {
        matches!(self, Self::Api | Self::Serve)
    }
}

/// A road to whichever of these listens, each in its turn.
async fn road(addresses: Vec<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let entrance = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        for turn in 0.. {
            let Ok((mut from, _)) = listener.accept().await else { return };
            let addresses = addresses.clone();
            tokio::spawn(async move {
                for n in 0..addresses.len() {
                    if let Ok(mut to) = TcpStream::connect(&addresses[(turn + n) % addresses.len()]).await {
                        _ = tokio::io::copy_bidirectional(&mut from, &mut to).await; // broken by a kill, on purpose
                        return;
                    }
                }
            });
        }
    });
    entrance
}

/// Where the team works, and where its customers' phones are.
pub(crate) struct Desk {
    pub(crate) http: reqwest::Client,
    addresses: Vec<String>,
    token: String,
    device: String,
    sandbox: String,
    turn: AtomicUsize,
}

impl Desk {
    /// Posts until it is accepted, to one API process after the other; the answer.
    pub(crate) async fn insist(&self, path: &str, key: &str, body: &Value) -> Value {
        for _ in 0..3000 {
            let address = &self.addresses[self.turn.fetch_add(1, Relaxed) % self.addresses.len()];
            let post = self
                .http
                .post(format!("http://{address}{path}"))
                .bearer_auth(&self.token)
                .header("idempotency-key", key.replace(' ', "-"))
                .json(body);
            if let Ok(answer) = post.send().await {
                let status = answer.status();
                let said = answer.bytes().await.ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
                match (status.as_u16(), said) {
                    (200..=299, Some(said)) => return said,
                    // Another try of ours has the key; or the customer's first message is still on its way to us.
                    (409, Some(said)) if said["code"] == "request_in_flight" || said["code"] == "window_closed" => {}
                    (200..=299 | 429 | 500..=599, _) => {}
                    (status, said) => panic!("{path}: {status} {said:?}"),
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{path} was never accepted");
    }

    /// Writes a text to a customer; the message's id.
    pub(crate) async fn say(&self, customer: &str, text: &str) -> String {
        let message = json!({ "device_id": self.device, "to": customer, "type": "text", "text": { "body": text } });
        let said = self.insist("/api/whatsapp/messages/send", text, &message).await;
        assert_eq!(said["content"]["text"]["body"], text);
        said["id"].as_str().unwrap().to_owned()
    }

    /// A customer writes a text.
    pub(crate) async fn hear(&self, customer: &str, text: &str) {
        let path = format!("{}/sandbox/customers/{customer}/messages", self.sandbox);
        let message = json!({ "phone_number_id": NUMBER, "text": { "body": text } });
        let written = self.http.post(path).json(&message).send().await.unwrap();
        assert!(written.status().is_success());
    }

    /// What WhatsApp has taken, in order: customer, text, our id.
    pub(crate) async fn taken(&self) -> Vec<(String, String, String)> {
        let answer = self.http.get(format!("{}/sandbox/messages?phone_number_id={NUMBER}", self.sandbox)).send().await.unwrap();
        let taken: Value = answer.json().await.unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        taken["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (text(&one["to"]), text(&one["body"]["text"]["body"]), text(&one["callback"])))
            .collect()
    }

    /// How many messages and statuses WhatsApp has not been able to tell yet.
    pub(crate) async fn outstanding(&self) -> u64 {
        let answer = self.http.get(format!("{}/sandbox/stats", self.sandbox)).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["outstanding"].as_u64().unwrap()
    }
}

/// The number of the customer `n`.
pub(crate) fn customer(n: usize) -> String {
    format!("55119{:08}", 80_000_000 + n)
}
