//! Who works at the demo's company, what it sells, and whom it knows. What it does with them is in `dealings.rs`.
//!
//! Everything is written as people write it, through the kernel of resources, so that rules apply and events are noted.
//! Dates lie around today; all else is the same every time.

use anyhow::Context;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{
    Scope,
    engine::Write,
    entities::{Role, TenantId, UserId},
    resource::{registry, value, write},
    scope::Actor,
    users::{self, NewUser},
};
use jobs::Ledger;
use serde_json::{Value, json};

use super::{
    dice::Dice,
    words::{CITIES, Locale, STREETS, Words},
};
use crate::accounts;

/// Records of one transaction. What hangs on a record is less than ten rows, so it writes less than 500.
const PART: usize = 50;
const COMPANIES: usize = 40;
const CONTACTS: usize = 200;
/// Those who belong to a company; the others buy for themselves.
const EMPLOYED: usize = 160;

/// What is told of it to whoever tries it.
pub(super) struct Filled {
    /// With which addresses the agents sign in.
    pub(super) agents: Vec<String>,
    /// What customers are going to write.
    pub(super) chats: Vec<Chat>,
}

/// What a customer writes.
pub(super) struct Chat {
    /// The number, as WhatsApp writes it.
    pub(super) number: String,
    pub(super) name: String,
    pub(super) texts: &'static [&'static str],
}

/// Whose company it is.
pub(super) struct Founder<'a> {
    pub(super) tenant: TenantId,
    pub(super) admin: UserId,
    /// The admin's password; the agents' is the same.
    pub(super) password: &'a str,
    /// The customer who has just written: name and number.
    pub(super) customer: (&'static str, &'static str),
}

/// A company that is being filled in. Ids are texts, as bodies name them.
pub(super) struct Company<'a> {
    ledger: &'a Ledger,
    scope: Scope,
    pub(super) words: &'static Words,
    pub(super) dice: Dice,
    now: DateTime<Utc>,
    /// The agents, then the admin.
    pub(super) people: Vec<Value>,
    pub(super) sources: Vec<Value>,
    pub(super) companies: Vec<(Value, &'static str)>,
    pub(super) contacts: Vec<Contact>,
}

/// A contact, as far as others speak of it.
pub(super) struct Contact {
    pub(super) id: Value,
    pub(super) name: String,
    pub(super) number: String,
    pub(super) owner: Value,
    pub(super) company: Option<usize>,
}

/// Fills in a company that has nothing but its admin.
pub(super) async fn fill(ledger: &Ledger, founder: Founder<'_>, locale: Locale) -> anyhow::Result<Filled> {
    let scope = Scope::system(founder.tenant, Actor::System);
    let (people, sources, companies, contacts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let dice = Dice::new(2026);
    let mut company = Company { ledger, scope, words: locale.words(), dice, now: Utc::now(), people, sources, companies, contacts };
    let agents = company.hire(&founder, locale).await?;
    company.stock().await?;
    company.know_companies().await?;
    company.know_contacts(founder.customer).await?;
    company.deal().await?;
    // The first contact has written already.
    let chat = |(contact, &texts): (&Contact, &&'static [&'static str])| {
        let number = contact.number.trim_start_matches('+').to_owned();
        Chat { number, name: contact.name.clone(), texts }
    };
    let chats = company.contacts.iter().skip(1).zip(&company.words.chats).map(chat).collect();
    Ok(Filled { agents, chats })
}

impl Company<'_> {
    /// Makes records of a topic; their ids.
    pub(super) async fn write(&self, topic: &'static str, bodies: Vec<Value>) -> anyhow::Result<Vec<Value>> {
        let mut ids = Vec::with_capacity(bodies.len());
        for part in bodies.chunks(PART) {
            let write = Write::begin(self.ledger, &self.scope).await?;
            for body in part {
                let body = body.as_object().expect("a body is an object");
                let record = write::create(&write, registry::named(topic), body).await.map_err(accounts::plain);
                ids.push(record.with_context(|| format!("the demo's {topic}"))?["id"].clone());
            }
            write.commit(()).await?;
        }
        Ok(ids)
    }

    /// A day, so many days from today.
    pub(super) fn day(&self, days: i64) -> NaiveDate {
        (self.now - BRASILIA).date_naive() + TimeDelta::days(days)
    }

    /// That day at such a time in Brasília.
    pub(super) fn moment(&self, days: i64, minutes: i64) -> DateTime<Utc> {
        self.day(days).and_time(chrono::NaiveTime::MIN).and_utc() + BRASILIA + TimeDelta::minutes(minutes)
    }

    /// One or two tags, so often in a hundred.
    pub(super) fn some_tags(&mut self, percent: i64) -> Vec<&'static str> {
        let count = if self.dice.percent(percent) { self.dice.between(1, 2) } else { 0 };
        (0..count).map(|_| self.dice.one(&self.words.tags).0).collect()
    }

    /// Its agents and their teams; the agents' addresses.
    async fn hire(&mut self, founder: &Founder<'_>, locale: Locale) -> anyhow::Result<Vec<String>> {
        let (mut agents, mut hired) = (Vec::new(), vec![founder.admin]);
        for (name, _) in self.words.agents {
            let email = format!("{}@somo.localhost", plain(name.split(' ').next().unwrap_or(name)));
            let new = NewUser { email: &email, password: founder.password, name, role: Role::Agent, tenant: super::TEAM };
            hired.push(users::create(self.ledger, new).await.map_err(accounts::plain)?.1);
            agents.push(email);
        }
        let write = Write::begin(self.ledger, &self.scope).await?;
        let jobs = [None].into_iter().chain(self.words.agents.iter().map(|(_, job)| Some(*job)));
        for (at, (user, job)) in hired.iter().zip(jobs).enumerate() {
            let phone = number(11, 900 + at);
            let body = json!({ "job_title": job, "phone": phone, "locale": locale.as_str(), "time_zone": "America/Sao_Paulo" });
            let body = body.as_object().expect("a body is an object");
            write::update(&write, registry::named("users"), user.0, body, None).await.map_err(accounts::plain)?;
        }
        write.commit(()).await?;
        hired.rotate_left(1);
        self.people = hired.iter().map(|user| json!(user)).collect();
        let members = [&self.people[..3], &self.people[3..5]];
        let teams = self.words.teams.iter().zip(members);
        let teams = teams.map(|((name, does), members)| json!({ "name": name, "description": does, "member_ids": members }));
        self.write("teams", teams.collect()).await?;
        Ok(agents)
    }

    /// The words that it sorts by, and what it sells.
    async fn stock(&mut self) -> anyhow::Result<()> {
        let words = self.words;
        let named = |names: &[&str]| names.iter().map(|name| json!({ "name": name })).collect();
        self.sources = self.write("sources", named(&words.sources)).await?;
        let tags = words.tags.iter().map(|(name, color)| json!({ "name": name, "color": color }));
        self.write("tags", tags.collect()).await?;
        let products = words.products.iter().enumerate().map(|(at, (name, price))| {
            let price = |percent: i64| value::decimal(price * percent / 100, 2);
            let sku = format!("MB-{}", 100 + at * 10);
            json!({ "name": name, "sku": sku, "price": price(100), "cost": price(58), "unit": words.unit, "tax_rate": "18" })
        });
        self.write("products", products.collect()).await?;
        Ok(())
    }

    async fn know_companies(&mut self) -> anyhow::Result<()> {
        let words = self.words;
        let industries = words.industries.iter().map(|(name, _)| json!({ "name": name }));
        let industries = self.write("industries", industries.collect()).await?;
        let kinds = industries.len();
        let names: Vec<_> = (0..COMPANIES).map(|at| words.industries[at % kinds].1[at / kinds]).collect();
        let mut bodies = Vec::with_capacity(COMPANIES);
        for (at, name) in names.iter().enumerate() {
            let domain = domain(name);
            let tags = self.some_tags(40);
            let (city, state, area, postal) = CITIES[at % CITIES.len()];
            let employees = self.dice.between(4, 400);
            bodies.push(json!({
                "name": name, "domain": domain, "email": format!("info@{domain}"), "website": format!("https://{domain}"),
                "phone": number(area, 500 + at), "industry_id": industries[at % kinds], "source_id": self.dice.one(&self.sources),
                "owner_id": self.dice.one(&self.people), "employees": employees, "currency": "BRL", "tags": tags,
                "revenue": value::decimal(employees * self.dice.between(80, 240) * 100_000, 2),
                "street": format!("{}, {}", self.dice.one(&STREETS), self.dice.between(10, 2_400)),
                "city": city, "state": state, "postal_code": format!("{postal}-{:03}", self.dice.between(0, 999)), "country": "BR",
            }));
        }
        self.companies = self.write("companies", bodies).await?.into_iter().zip(names).collect();
        Ok(())
    }

    async fn know_contacts(&mut self, customer: (&str, &str)) -> anyhow::Result<()> {
        let words = self.words;
        let mut bodies = Vec::with_capacity(CONTACTS);
        for at in 0..CONTACTS {
            let company = (at < EMPLOYED).then_some(at % COMPANIES);
            let (city, state, area, _) = CITIES[company.unwrap_or(at) % CITIES.len()];
            let names = &words.last_names;
            let own = (words.first_names[at % words.first_names.len()], names[(at * 5 + 3) % names.len()]);
            let ((first, last), number) = match (at, customer.0.split_once(' ')) {
                (0, Some(name)) => (name, format!("+{}", customer.1)),
                _ => (own, number(area, at)),
            };
            let host =
                company.map_or_else(|| (*self.dice.one(&["example.com", "example.net"])).to_owned(), |at| domain(self.companies[at].1));
            let owner = self.dice.one(&self.people).clone();
            let tags = self.some_tags(60);
            let age = self.dice.between(21 * 365, 64 * 365);
            bodies.push(json!({
                "first_name": first, "last_name": last, "phones": [{ "number": number }],
                "emails": [{ "email": format!("{}.{}@{host}", plain(first), plain(last)), "kind": company.map_or("home", |_| "work") }],
                "job_title": company.map(|_| self.dice.one(&words.job_titles)),
                "company_ids": company.map(|at| vec![&self.companies[at].0]),
                "owner_id": owner, "source_id": self.dice.one(&self.sources), "tags": tags,
                "birthday": self.dice.percent(40).then(|| self.day(-age)),
                "city": city, "state": state, "country": "BR",
            }));
            self.contacts.push(Contact { id: Value::Null, name: format!("{first} {last}"), number, owner, company });
        }
        let ids = self.write("contacts", bodies).await?;
        self.contacts.iter_mut().zip(ids).for_each(|(contact, id)| contact.id = id);
        Ok(())
    }
}

/// How far Brasília is behind UTC, all year.
const BRASILIA: TimeDelta = TimeDelta::hours(3);

/// A number of its own for each `at`. 90 begins collect calls, so these are nobody's.
fn number(area: u32, at: usize) -> String {
    format!("+55{area}900{:06}", (at + 1) * 104_729 % 1_000_000)
}

/// A name as addresses spell it.
fn plain(name: &str) -> String {
    value::fold(name).chars().filter(char::is_ascii_alphanumeric).collect()
}

/// A company's domain, in a zone where nobody has one.
fn domain(name: &str) -> String {
    format!("{}.example", plain(name))
}
