//! What the sandbox remembers.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use jsonschema::Validator;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};

use crate::{
    Options,
    faults::{Dice, Faults},
    webhooks::{self, News, Way},
};

/// How long WhatsApp shows that somebody is typing.
const TYPING: Duration = Duration::from_secs(25);

/// A number of a business.
#[derive(Clone)]
pub(crate) struct Number {
    /// `None`: any token will do.
    pub(crate) token: Option<String>,
    /// `None`: it has no webhook.
    outbox: Option<mpsc::UnboundedSender<News>>,
}

/// A number as it is told.
pub(crate) struct NewNumber {
    pub(crate) account: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) secret: Option<String>,
    pub(crate) webhook: Option<String>,
}

/// A message that was taken from a business.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Accepted {
    pub(crate) id: String,
    pub(crate) phone_number_id: String,
    pub(crate) to: String,
    pub(crate) callback: Option<String>,
    pub(crate) body: Value,
    pub(crate) at: DateTime<Utc>,
}

/// A line of a chat, as the customer sees it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) id: String,
    /// Written by the customer.
    pub(crate) mine: bool,
    pub(crate) body: Value,
    /// Whether the other side has read it: `delivered`, `read`; `failed` when it never came.
    pub(crate) status: &'static str,
    pub(crate) at: DateTime<Utc>,
}

/// A customer and a business.
#[derive(Default)]
pub(crate) struct Chat {
    pub(crate) lines: Vec<Line>,
    /// The business was typing at that time.
    typing: Option<Instant>,
    /// The customer's name.
    pub(crate) name: Option<String>,
}

impl Chat {
    pub(crate) fn typing(&self) -> bool {
        self.typing.is_some_and(|since| since.elapsed() < TYPING)
    }
}

pub(crate) struct File {
    pub(crate) mime_type: String,
    pub(crate) name: String,
    pub(crate) bytes: Bytes,
}

#[derive(Default)]
pub(crate) struct Stats {
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    /// Deliveries that were taken.
    pub(crate) webhooks_sent: AtomicU64,
    /// Messages and statuses that are still to be delivered.
    pub(crate) outstanding: AtomicU64,
}

pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) url: String,
    pub(crate) schema: Validator,
    pub(crate) http: reqwest::Client,
    pub(crate) stats: Stats,
    numbers: Mutex<HashMap<String, Number>>,
    accepted: Mutex<Vec<Accepted>>,
    chats: Mutex<HashMap<(String, String), Chat>>,
    /// Who wrote a message.
    authors: Mutex<HashMap<String, String>>,
    files: Mutex<HashMap<String, Arc<File>>>,
    pairs: Mutex<HashMap<(String, String), (f64, Instant)>>,
    dice: Mutex<Dice>,
    serial: AtomicU64,
    tasks: Mutex<JoinSet<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while holding it")
}

impl World {
    pub(crate) fn new(options: Options, url: String) -> anyhow::Result<Self> {
        let schema = serde_json::from_str(include_str!("../schema/outgoing.schema.json"))?;
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(Duration::from_secs(30));
        Ok(Self {
            options,
            url,
            schema: jsonschema::validator_for(&schema)?,
            http: http.build()?,
            stats: Stats::default(),
            numbers: Mutex::default(),
            accepted: Mutex::default(),
            chats: Mutex::default(),
            authors: Mutex::default(),
            files: Mutex::default(),
            pairs: Mutex::default(),
            dice: Mutex::new(Dice::new(Faults::default())),
            serial: AtomicU64::new(1),
            tasks: Mutex::default(),
        })
    }

    pub(crate) fn dice(&self) -> MutexGuard<'_, Dice> {
        lock(&self.dice)
    }

    pub(crate) fn misbehave(&self, faults: Faults) {
        lock(&self.pairs).clear();
        *self.dice() = Dice::new(faults);
    }

    /// Runs beside everything else, until the sandbox stops.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    pub(crate) fn stop(&self) {
        lock(&self.tasks).abort_all();
    }

    /// A number, made with the defaults when it is new.
    pub(crate) fn number(self: &Arc<Self>, id: &str) -> Number {
        let mut numbers = lock(&self.numbers);
        if let Some(number) = numbers.get(id) {
            return number.clone();
        }
        let number = self.made(id, NewNumber { account: None, token: None, secret: None, webhook: None });
        numbers.insert(id.to_owned(), number.clone());
        number
    }

    pub(crate) fn is_known(&self, number: &str) -> bool {
        lock(&self.numbers).contains_key(number)
    }

    /// A number that replaces one of the same id.
    pub(crate) fn add(self: &Arc<Self>, id: &str, new: NewNumber) {
        let number = self.made(id, new);
        lock(&self.numbers).insert(id.to_owned(), number);
    }

    fn made(self: &Arc<Self>, id: &str, NewNumber { account, token, secret, webhook }: NewNumber) -> Number {
        let outbox = webhook.or_else(|| self.options.webhook.clone()).map(|url| {
            let (outbox, news) = mpsc::unbounded_channel();
            let account = account.unwrap_or_else(|| "sandbox-account".into());
            let secret = secret.unwrap_or_else(|| self.options.app_secret.clone());
            self.spawn(webhooks::deliver(self.clone(), Way { number: id.to_owned(), account, secret, url }, news));
            outbox
        });
        Number { token, outbox }
    }

    /// Tells a number what happened, all at once.
    pub(crate) fn tell(self: &Arc<Self>, number: &str, values: Vec<Value>) {
        let Some(outbox) = self.number(number).outbox else { return };
        self.stats.outstanding.fetch_add(values.len() as u64, Relaxed);
        // Under the dice's lock, so that the order of throws is the order of news.
        let mut dice = self.dice();
        _ = outbox.send(dice.news(number, values)); // the deliverer lives as long as the number
    }

    /// A message id in Meta's form, never given before by this process.
    fn wamid(&self) -> String {
        format!("wamid.{}{:016X}", hex::encode_upper(uuid::Uuid::new_v4().as_bytes()), self.serial.fetch_add(1, Relaxed))
    }

    pub(crate) fn chat<T>(&self, number: &str, customer: &str, with: impl FnOnce(&mut Chat) -> T) -> T {
        with(lock(&self.chats).entry((number.to_owned(), customer.to_owned())).or_default())
    }

    /// Keeps a message of the business and shows it to the customer; its id.
    pub(crate) fn accept(&self, number: &str, to: &str, body: Value, status: &'static str) -> String {
        let id = self.wamid();
        let at = Utc::now();
        let callback = body["biz_opaque_callback_data"].as_str().map(str::to_owned);
        self.stats.accepted.fetch_add(1, Relaxed);
        lock(&self.accepted).push(Accepted {
            id: id.clone(),
            phone_number_id: number.to_owned(),
            to: to.to_owned(),
            callback,
            body: body.clone(),
            at,
        });
        self.chat(number, to, |chat| {
            chat.typing = None;
            chat.lines.push(Line { id: id.clone(), mine: false, body, status, at });
        });
        id
    }

    /// Accepted messages of a number, to a customer, or all.
    pub(crate) fn accepted(&self, number: Option<&str>, to: Option<&str>) -> Value {
        let accepted = lock(&self.accepted);
        let wanted = |message: &&Accepted| number.is_none_or(|id| id == message.phone_number_id) && to.is_none_or(|to| to == message.to);
        json!(accepted.iter().filter(wanted).collect::<Vec<_>>())
    }

    /// The customer writes: the line in their chat, and the webhook. `body` is Meta's inbound message; id and time are added
    /// when they are missing.
    pub(crate) fn customer_writes(self: &Arc<Self>, number: &str, customer: &str, name: Option<&str>, mut body: Value) -> String {
        let now = Utc::now();
        let id = body["id"].as_str().map_or_else(|| self.wamid(), str::to_owned);
        lock(&self.authors).insert(id.clone(), customer.to_owned());
        let name = self.chat(number, customer, |chat| {
            chat.lines.push(Line { id: id.clone(), mine: true, body: body.clone(), status: "delivered", at: now });
            let name = name.map(str::to_owned).or(chat.name.take()).unwrap_or_else(|| "Cliente".into());
            chat.name.insert(name).clone()
        });
        body["id"] = json!(id);
        body["from"] = json!(customer);
        if body["timestamp"].is_null() {
            body["timestamp"] = json!(now.timestamp().to_string());
        }
        self.tell(number, vec![json!({ "contacts": [{ "profile": { "name": name }, "wa_id": customer }], "messages": [body] })]);
        id
    }

    /// The business has read a message, and all before it. One that nobody wrote here is no fault: tests make up their own.
    pub(crate) fn read_by_business(&self, number: &str, id: &str, typing: bool) {
        let Some(customer) = lock(&self.authors).get(id).cloned() else { return };
        self.chat(number, &customer, |chat| {
            let last = chat.lines.iter().rposition(|line| line.id == id).map_or(0, |at| at + 1);
            let unread = chat.lines[..last].iter_mut().rev().filter(|line| line.mine);
            unread.take_while(|line| line.status != "read").for_each(|line| line.status = "read");
            if typing {
                chat.typing = Some(Instant::now());
            }
        });
    }

    /// The customer reads all that came; how many they were.
    pub(crate) fn read_by_customer(self: &Arc<Self>, number: &str, customer: &str) -> usize {
        let updates: Vec<_> = self.chat(number, customer, |chat| {
            let unread = chat.lines.iter_mut().filter(|line| !line.mine && line.status == "delivered");
            let read = |line: &mut Line| {
                line.status = "read";
                status(&line.id, customer, &line.body, "read")
            };
            unread.map(read).collect()
        });
        let count = updates.len();
        if count > 0 {
            self.tell(number, updates);
        }
        count
    }

    /// Whether one more message to this customer is too many.
    pub(crate) fn over_pair_limit(&self, number: &str, to: &str) -> bool {
        let Some((rate, burst)) = self.dice().pair_limit() else { return false };
        let now = Instant::now();
        let mut pairs = lock(&self.pairs);
        let (left, since) = pairs.entry((number.to_owned(), to.to_owned())).or_insert((burst, now));
        *left = (*left + since.elapsed().as_secs_f64() * rate).min(burst);
        *since = now;
        let over = *left < 1.0;
        if !over {
            *left -= 1.0;
        }
        over
    }

    /// Keeps a file; its id.
    pub(crate) fn keep(&self, file: File) -> String {
        let id = format!("{:016}", uuid::Uuid::new_v4().as_u128() % 10u128.pow(16));
        lock(&self.files).insert(id.clone(), Arc::new(file));
        id
    }

    pub(crate) fn file(&self, id: &str) -> Option<Arc<File>> {
        lock(&self.files).get(id).cloned()
    }

    pub(crate) fn forget(&self, file: &str) -> bool {
        lock(&self.files).remove(file).is_some()
    }
}

/// The value of a webhook about a message of the business.
pub(crate) fn status(id: &str, to: &str, body: &Value, status: &str) -> Value {
    let mut update = json!({ "id": id, "status": status, "timestamp": Utc::now().timestamp().to_string(), "recipient_id": to });
    if let Some(callback) = body["biz_opaque_callback_data"].as_str() {
        update["biz_opaque_callback_data"] = json!(callback);
    }
    json!({ "statuses": [update] })
}
