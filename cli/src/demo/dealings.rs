//! What the demo's company has to do with its customers: deals in every stage, activities, notes, calls.

use domain::resource::value;
use serde_json::{Value, json};

use super::company::Company;

const WON: usize = 22;
const LOST: usize = 16;
/// Activities that somebody has forgotten, that are for today, that are still ahead, that are done.
const ACTIVITIES: [(When, usize); 4] = [(When::Overdue, 25), (When::Today, 15), (When::Ahead, 60), (When::Done, 50)];
const NOTES: usize = 60;
const CALLS: usize = 60;

#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Overdue,
    Today,
    Ahead,
    Done,
}

/// A deal, as far as others speak of it.
struct Deal {
    id: Value,
    contact: usize,
    owner: Value,
}

/// Whom and what something is about.
struct About {
    name: String,
    number: String,
    owner: Value,
    contacts: Vec<Value>,
    companies: Vec<Value>,
    deals: Vec<Value>,
}

impl Company<'_> {
    /// Deals, and what is done about them and for other contacts.
    pub(super) async fn deal(&mut self) -> anyhow::Result<()> {
        let mut deals = Vec::new();
        let mut bodies = Vec::new();
        let reasons = self.words.lost_reasons.iter().map(|name| json!({ "name": name })).collect();
        let reasons = self.write("lost_reasons", reasons).await?;
        let words = self.words;
        for (way, (name, stages)) in words.pipelines.iter().enumerate() {
            let pipeline = self.write("pipelines", vec![json!({ "name": name, "position": way })]).await?.remove(0);
            let ids = stages.iter().enumerate().map(|(at, stage)| {
                json!({
                    "pipeline_id": pipeline, "name": stage.name, "position": at,
                    "probability": stage.probability, "rotting_days": stage.rotting_days,
                })
            });
            let ids = self.write("stages", ids.collect()).await?;
            let open = stages.iter().enumerate().flat_map(|(at, stage)| vec![(at, "open"); stage.deals]);
            // Of what is decided, the first way has two thirds.
            let share = |all: usize| if way == 0 { all - all / 3 } else { all / 3 };
            let won = vec![(stages.len() - 1, "won"); share(WON)];
            let lost = (0..share(LOST)).map(|at| (at % stages.len(), "lost"));
            for (stage, status) in open.chain(won).chain(lost) {
                let (body, deal) = self.offer(way, status);
                let Value::Object(mut body) = body else { unreachable!("an offer is an object") };
                body.insert("pipeline_id".into(), pipeline.clone());
                body.insert("stage_id".into(), ids[stage].clone());
                if status == "lost" {
                    body.insert("lost_reason_id".into(), self.dice.one(&reasons).clone());
                }
                bodies.push(Value::Object(body));
                deals.push(deal);
            }
        }
        let ids = self.write("deals", bodies).await?;
        deals.iter_mut().zip(ids).for_each(|(deal, id)| deal.id = id);
        self.plan(&deals).await?;
        self.write_down(&deals).await?;
        self.call(&deals).await
    }

    /// What is offered to whom.
    fn offer(&mut self, way: usize, status: &str) -> (Value, Deal) {
        let employed: Vec<usize> = (0..self.contacts.len()).filter(|&at| self.contacts[at].company.is_some()).collect();
        let contact = *self.dice.one(&employed);
        let (company, name) = self.companies[self.contacts[contact].company.expect("only employed ones are left")].clone();
        // Sales wins customers, accounts keep them.
        let owner = self.dice.one(if way == 0 { &self.people[..3] } else { &self.people[3..] }).clone();
        let reals = if way == 0 { self.dice.between(40, 3_600) * 50 } else { self.dice.between(60, 600) * 100 };
        let days = if status == "open" { self.dice.between(-8, 60) } else { self.dice.between(-60, 5) };
        let tags = self.some_tags(30);
        let body = json!({
            "name": format!("{} – {name}", self.dice.one(self.words.deals[way])), "status": status, "owner_id": owner,
            "amount": value::decimal(reals * 100, 2), "currency": "BRL", "expected_close": self.day(days), "tags": tags,
            "contact_ids": [self.contacts[contact].id], "company_id": company, "source_id": self.dice.one(&self.sources),
        });
        (body, Deal { id: Value::Null, contact, owner })
    }

    /// Mostly a deal, otherwise somebody.
    fn about(&mut self, deals: &[Deal]) -> About {
        let deal = self.dice.percent(65).then(|| self.dice.one(deals));
        let contact = &self.contacts[deal.map_or_else(|| self.dice.below(self.contacts.len()), |deal| deal.contact)];
        About {
            name: contact.name.clone(),
            number: contact.number.clone(),
            owner: deal.map_or(&contact.owner, |deal| &deal.owner).clone(),
            contacts: vec![contact.id.clone()],
            companies: contact.company.map(|at| self.companies[at].0.clone()).into_iter().collect(),
            deals: deal.map(|deal| deal.id.clone()).into_iter().collect(),
        }
    }

    async fn plan(&mut self, deals: &[Deal]) -> anyhow::Result<()> {
        let words = self.words;
        let types = words.activity_types.iter().map(|(name, icon, color, _)| json!({ "name": name, "icon": icon, "color": color }));
        let types = self.write("activity_types", types.collect()).await?;
        let mut bodies = Vec::new();
        for when in ACTIVITIES.iter().flat_map(|&(when, count)| vec![when; count]) {
            let days = match when {
                When::Overdue => self.dice.between(-14, -1),
                When::Today => 0,
                When::Ahead => self.dice.between(1, 30),
                When::Done => self.dice.between(-40, -1),
            };
            let about = self.about(deals);
            let kind = self.dice.below(types.len());
            let half_hours = self.dice.between(18, 36);
            let due = self.moment(days, half_hours * 30);
            // Meetings and visits take a while, and colleagues come along. Nobody is reminded: these people read no mail.
            let long = kind == 1 || kind == 2;
            let guest = (long && self.dice.percent(50)).then(|| self.dice.one(&self.people).clone());
            bodies.push(json!({
                "title": self.dice.one(&words.activity_types[kind].3).replace("{}", &about.name), "type_id": types[kind],
                "due_at": due, "ends_at": long.then(|| due + chrono::TimeDelta::hours(1)),
                "completed": when == When::Done, "owner_id": about.owner,
                "guest_ids": guest.into_iter().filter(|guest| *guest != about.owner).collect::<Vec<_>>(),
                "contact_ids": about.contacts, "company_ids": about.companies, "deal_ids": about.deals,
            }));
        }
        self.write("activities", bodies).await?;
        Ok(())
    }

    async fn write_down(&mut self, deals: &[Deal]) -> anyhow::Result<()> {
        let mut bodies = Vec::with_capacity(NOTES);
        for _ in 0..NOTES {
            let about = self.about(deals);
            bodies.push(json!({
                "body": self.dice.one(&self.words.notes), "owner_id": about.owner,
                "contact_ids": about.contacts, "company_ids": about.companies, "deal_ids": about.deals,
            }));
        }
        self.write("notes", bodies).await?;
        Ok(())
    }

    async fn call(&mut self, deals: &[Deal]) -> anyhow::Result<()> {
        let words = self.words;
        let outcomes = words.call_outcomes.iter().map(|(name, color, _)| json!({ "name": name, "color": color }));
        let outcomes = self.write("call_outcomes", outcomes.collect()).await?;
        let mut bodies = Vec::with_capacity(CALLS);
        for _ in 0..CALLS {
            let about = self.about(deals);
            let outcome = self.dice.below(outcomes.len());
            let said = words.call_outcomes[outcome].2;
            let note = (!said.is_empty()).then(|| self.dice.one(said));
            let (days, minutes) = (self.dice.between(-30, -1), self.dice.between(9 * 60, 18 * 60));
            // Nobody calls in to say nothing.
            let incoming = note.is_some() && self.dice.percent(30);
            bodies.push(json!({
                "number": about.number, "direction": if incoming { "incoming" } else { "outgoing" }, "outcome_id": outcomes[outcome],
                "started_at": self.moment(days, minutes),
                "seconds": note.map_or(0, |_| self.dice.between(40, 900)), "note": note, "owner_id": about.owner,
                "contact_ids": about.contacts, "company_ids": about.companies, "deal_ids": about.deals,
            }));
        }
        self.write("calls", bodies).await?;
        Ok(())
    }
}
