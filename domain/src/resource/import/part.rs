//! Some rows of a file, written in one transaction. All of them at once where that can be; one by one where something that can't be
//! told beforehand stands against it, so that one row keeps no other from being taken.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    body, matched,
    names::Names,
    plan::{Key, OnMatch, Plan},
};
use crate::{
    Error, Result,
    engine::Write,
    resource::{
        Action, Record,
        access::{Act, Reach},
        field::Kind,
        refused::{Refused, refused},
        registry, related, rows, write,
    },
};

/// What became of a row.
pub(super) struct Done {
    pub(super) line: u64,
    pub(super) outcome: std::result::Result<Written, Refused>,
}

/// What was written of a row.
#[derive(Debug)]
pub(super) enum Written {
    Created(Record),
    /// What it was, in the fields that are others now; and the record.
    Updated(Record, Record),
    Unchanged(Record),
    Skipped(Record),
}

/// What a dry run would have made already: later rows with the same would change it.
#[derive(Default)]
pub(super) struct Tried(HashSet<u64>);

/// A row on its way.
struct Row {
    /// Its place among those of the part.
    at: usize,
    body: Record,
    keys: Vec<matched::Found>,
}

/// Writes these rows, each a line and its cells; with `tried`, only tries.
pub(super) async fn write(
    write: &Write<'_>,
    plan: &Plan,
    names: &mut Names,
    lines: &[(u64, Vec<String>)],
    mut tried: Option<&mut Tried>,
) -> Result<Vec<Done>> {
    write.execute_unprepared("savepoint part").await?;
    let cells: Vec<&[String]> = lines.iter().map(|(_, cells)| cells.as_slice()).collect();
    for (topic, wanted) in body::named(plan, &cells) {
        names.learn(write, registry::named(topic), &plan.notation, &wanted, plan.create_missing).await?;
    }
    let mut outcomes: Vec<Option<std::result::Result<Written, Refused>>> = lines.iter().map(|_| None).collect();
    let mut left = Vec::new();
    for (at, (_, cells)) in lines.iter().enumerate() {
        match body::of(plan, names, cells) {
            Ok(body) => left.push(Row { at, keys: matched::keys(plan, &body), body }),
            Err(faults) => outcomes[at] = Some(Err(refused(Error::Invalid(faults))?)),
        }
    }
    while !left.is_empty() {
        // Rows that have something in common come one after the other.
        let mut taken = HashSet::new();
        let (now, later): (Vec<Row>, Vec<Row>) = left.into_iter().partition(|row| {
            let marks = marks(plan, row);
            let free = marks.iter().all(|mark| !taken.contains(mark));
            taken.extend(marks);
            free
        });
        left = later;
        let keys: HashMap<usize, Vec<u64>> = now.iter().map(|row| (row.at, row.keys.iter().map(hash).collect())).collect();
        let (done, again) = wave(write, plan, now, tried.as_deref()).await?;
        for (at, outcome) in done {
            if let (Some(Tried(tried)), Ok(Written::Created(_))) = (tried.as_deref_mut(), &outcome) {
                tried.extend(&keys[&at]);
            }
            outcomes[at] = Some(outcome);
        }
        left.extend(again);
        left.sort_by_key(|row| row.at);
    }
    if tried.is_some() {
        write.execute_unprepared("rollback to savepoint part").await?;
    }
    write.execute_unprepared("release savepoint part").await?;
    names.settle(tried.is_none());
    let done = lines.iter().zip(outcomes).filter_map(|((line, _), outcome)| Some(Done { line: *line, outcome: outcome? }));
    Ok(done.collect())
}

/// What no two rows of a wave share: what they are found by, and what no two records have.
fn marks(plan: &Plan, row: &Row) -> Vec<u64> {
    let new = body::new(plan, &row.body);
    let unique = plan.unique.iter().flat_map(|key| matched::said(key, &new).into_iter().map(move |value| (key.name(), value)));
    let found = row.keys.iter().map(|(at, value)| (plan.keys[*at].name(), value.clone()));
    found.chain(unique).map(|mark| hash(&mark)).collect()
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

type Outcomes = Vec<(usize, std::result::Result<Written, Refused>)>;

/// Writes rows that have nothing in common; those that turned out to mean the same record are given back.
async fn wave(write: &Write<'_>, plan: &Plan, rows: Vec<Row>, tried: Option<&Tried>) -> Result<(Outcomes, Vec<Row>)> {
    // Who may make records only for themselves is held to it one by one.
    let at_once = plan.resource.rules.gathers() && write.scope.reach(plan.resource, Act::Create) == Some(Reach::All);
    if at_once && rows.len() > 1 {
        write.execute_unprepared("savepoint wave").await?;
        let done = together(write, plan, &rows, tried).await;
        write.discard();
        match done {
            Ok((outcomes, again)) => {
                write.execute_unprepared("release savepoint wave").await?;
                let again = rows.into_iter().filter(|row| again.contains(&row.at)).collect();
                return Ok((outcomes, again));
            }
            // One of them is at fault, and nothing says which.
            Err(Error::Conflict { .. }) => write.execute_unprepared("rollback to savepoint wave").await?,
            Err(other) => return Err(other),
        };
        write.execute_unprepared("release savepoint wave").await?;
    }
    let mut outcomes = Vec::with_capacity(rows.len());
    for row in rows {
        write.execute_unprepared("savepoint one_record").await?;
        let done = alone(write, plan, &row, tried).await;
        if done.is_err() {
            write.execute_unprepared("rollback to savepoint one_record").await?;
        }
        write.execute_unprepared("release savepoint one_record").await?;
        outcomes.push((row.at, done.map(Ok).or_else(|error| refused(error).map(Err))?));
    }
    Ok((outcomes, Vec::new()))
}

async fn alone(write: &Write<'_>, plan: &Plan, row: &Row, tried: Option<&Tried>) -> Result<Written> {
    let (owners, mut records) = matched::find(write, plan, &row.keys.iter().cloned().collect()).await?;
    let before = row.keys.iter().find_map(|key| owners.get(key)).and_then(|id| records.remove(id));
    one(write, plan, row, before, tried).await
}

async fn together(write: &Write<'_>, plan: &Plan, rows: &[Row], tried: Option<&Tried>) -> Result<(Outcomes, HashSet<usize>)> {
    let wanted: BTreeSet<matched::Found> = rows.iter().flat_map(|row| row.keys.iter().cloned()).collect();
    let (owners, mut records) = matched::find(write, plan, &wanted).await?;
    write.gather();
    know(write, plan, rows).await?;
    let (mut outcomes, mut again, mut met) = (Vec::with_capacity(rows.len()), HashSet::new(), HashSet::new());
    for row in rows {
        let owner = row.keys.iter().find_map(|key| owners.get(key));
        // Another row of this wave found it by something else.
        if owner.is_some_and(|id| !met.insert(*id)) {
            again.insert(row.at);
            continue;
        }
        let before = owner.and_then(|id| records.remove(id));
        let mark = write.mark();
        let done = one(write, plan, row, before, tried).await;
        outcomes.push((
            row.at,
            done.map(Ok).or_else(|error| {
                write.back_to(&mark);
                refused(error).map(Err)
            })?,
        ));
    }
    write.flush().await?;
    Ok((outcomes, again))
}

/// Looks up at once which of the records that these rows refer to are there.
async fn know(write: &Write<'_>, plan: &Plan, rows: &[Row]) -> Result<()> {
    let mut wanted: HashMap<&'static str, Vec<Value>> = HashMap::new();
    let bodies = || rows.iter().map(|row| &row.body).chain([&plan.values]);
    for field in plan.resource.writable(Action::Create) {
        if let Kind::Reference { to } | Kind::References { to, .. } = field.kind {
            let values = bodies().filter_map(|body| body.get(field.name));
            wanted.entry(to).or_default().extend(values.flat_map(|value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])));
        }
    }
    for (to, ids) in wanted {
        related::missing(write, to, &Value::Array(ids)).await?;
    }
    Ok(())
}

async fn one(write: &Write<'_>, plan: &Plan, row: &Row, before: Option<Record>, tried: Option<&Tried>) -> Result<Written> {
    let Row { body, keys, .. } = row;
    let Some(before) = before else {
        if body.contains_key("id") {
            return Err(Error::field("/id", "not_found", format!("there is no such {} that you may edit", plan.resource.name)));
        }
        if tried.is_some_and(|Tried(tried)| keys.iter().any(|key| tried.contains(&hash(key)))) {
            // Only counted: the record that it would change is not there, nor will be.
            return Ok(match plan.on_match {
                OnMatch::Skip => Written::Skipped(body.clone()),
                OnMatch::Update => Written::Updated(Record::new(), body.clone()),
            });
        }
        return Ok(Written::Created(write::create_of(write, plan.resource, &body::new(plan, body), plan.own()).await?));
    };
    if plan.on_match == OnMatch::Skip {
        return Ok(Written::Skipped(before));
    }
    let changes = body::changes(plan, &before, body);
    let after = write::change(write, plan.resource, before.clone(), &changes, Record::new()).await?;
    if after["version"] == before["version"] {
        return Ok(Written::Unchanged(after));
    }
    Ok(Written::Updated(was(plan, before, &after), after))
}

/// The fields that are others now, as they were.
fn was(plan: &Plan, before: Record, after: &Record) -> Record {
    let writable = |name: &str| plan.resource.writable(Action::Update).any(|field| field.name == name);
    before.into_iter().filter(|(name, value)| writable(name) && after.get(name) != Some(value)).collect()
}

impl Written {
    /// As answers call it.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Created(_) => "created",
            Self::Updated(..) => "updated",
            Self::Unchanged(_) => "unchanged",
            Self::Skipped(_) => "skipped",
        }
    }

    /// The record, as it is now.
    pub(super) fn record(&self) -> &Record {
        match self {
            Self::Created(record) | Self::Updated(_, record) | Self::Unchanged(record) | Self::Skipped(record) => record,
        }
    }

    /// The record's id, its version, and what it was, if it was written.
    pub(super) fn trace(&self) -> Option<(Uuid, i64, Option<Value>)> {
        let version = |record: &Record| record.get("version").and_then(Value::as_i64).unwrap_or(1);
        match self {
            Self::Created(record) => Some((rows::id_of(record), version(record), None)),
            Self::Updated(before, record) => Some((rows::id_of(record), version(record), Some(json!(before)))),
            Self::Unchanged(_) | Self::Skipped(_) => None,
        }
    }
}

impl Plan {
    /// What only the rules write.
    fn own(&self) -> Record {
        self.resource.field("origin").map(|field| (field.name.to_owned(), json!("import"))).into_iter().collect()
    }

    /// Every field of which no two records share one; addresses and numbers they may.
    pub(super) fn uniques(resource: &'static crate::resource::Resource, customs: &crate::resource::custom::Customs) -> Vec<Key> {
        let own = resource.fields.iter().filter(|field| field.unique && field.is_column()).map(Key::Field);
        own.chain(customs.on(resource).iter().filter(|custom| custom.unique).map(|custom| Key::Custom(custom.clone()))).collect()
    }
}
