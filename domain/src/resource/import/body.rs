//! A row as the body of a record.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{
    cells::listed,
    names::Names,
    plan::{Column, Into, Plan},
};
use crate::{
    FieldError,
    resource::{
        Record,
        custom::{self, Custom},
        field::{Field, Kind},
        registry,
        value::{self, Refusal, fold},
    },
};

/// What rows name of other resources.
pub(super) fn named(plan: &Plan, rows: &[&[String]]) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut named: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    for Column { at, into } in &plan.columns {
        let cells = || rows.iter().filter_map(|cells| cells.get(*at)).map(|cell| cell.trim()).filter(|cell| !cell.is_empty());
        match into {
            Into::Field(Field { kind: kind @ Kind::References { to, .. }, .. }, _) => {
                named.entry(to).or_default().extend(cells().flat_map(|cell| listed(kind, cell)).map(str::to_owned));
            }
            Into::Field(Field { kind: Kind::Reference { to }, .. }, _) => named.entry(to).or_default().extend(cells().map(str::to_owned)),
            Into::Custom(custom) => {
                if let Kind::Reference { to } = custom.kind {
                    named.entry(to).or_default().extend(cells().map(str::to_owned));
                }
            }
            _ => {}
        }
    }
    named
}

/// What a row says: fields whose cells are empty are left out.
pub(super) fn of(plan: &Plan, names: &Names, cells: &[String]) -> Result<Record, Vec<FieldError>> {
    let mut body = Record::new();
    let mut faults = Vec::new();
    for Column { at, into } in &plan.columns {
        let Some(cell) = cells.get(*at).map(|cell| cell.trim()).filter(|cell| !cell.is_empty()) else { continue };
        let mut fault = |name: &str, (code, message): Refusal| {
            faults.push(FieldError { pointer: format!("/{}", name.replace('.', "/")), code, message });
        };
        match into {
            Into::Id => match value::id(cell) {
                Some(id) => _ = body.insert("id".into(), json!(id)),
                None => fault("id", ("invalid", format!("\"{}\" is no id", super::cells::short(cell)))),
            },
            Into::FullName(first, last) => {
                let (given, family) = cell.split_once(' ').map_or((cell, ""), |(given, family)| (given, family.trim()));
                body.insert(first.name.into(), json!(given));
                if !family.is_empty() {
                    body.insert(last.name.into(), json!(family));
                }
            }
            Into::Field(field, kind) => match value_of(plan, names, field, *kind, cell) {
                Ok(value) => add(&mut body, field, value),
                Err(refusal) => fault(field.name, refusal),
            },
            Into::Custom(custom) => match custom_of(plan, names, custom, cell) {
                Ok(value) => {
                    let all = body.entry(custom::FIELD).or_insert_with(|| Value::Object(Map::new()));
                    all[&custom.key] = value;
                }
                Err(refusal) => fault(&custom.path(), refusal),
            },
        }
    }
    if faults.is_empty() { Ok(body) } else { Err(faults) }
}

fn value_of(plan: &Plan, names: &Names, field: &Field, kind: Option<&'static str>, cell: &str) -> Result<Value, Refusal> {
    Ok(match &field.kind {
        Kind::Rows(rows) => {
            let about = &rows.fields[0];
            let row = |one: &str| {
                let value = plan.notation.value(&about.kind, one)?;
                // Said of the cell: a list says only that something in it is wrong.
                value::accept(&about.kind, &value)
                    .map_err(|(code, message)| (code, format!("\"{}\" {message}", super::cells::short(one))))?;
                let mut row = Map::from_iter([(about.name.to_owned(), value)]);
                if let (Some(kind), Some(second)) = (kind, rows.fields.get(1)) {
                    row.insert(second.name.to_owned(), json!(kind));
                }
                Ok(Value::Object(row))
            };
            Value::Array(listed(&field.kind, cell).map(row).collect::<Result<_, Refusal>>()?)
        }
        kind @ Kind::References { to, .. } => Value::Array(
            listed(kind, cell).map(|name| names.of(registry::named(to), name).map(|id| json!(id))).collect::<Result<_, Refusal>>()?,
        ),
        Kind::Reference { to } => json!(names.of(registry::named(to), cell)?),
        Kind::Tags => listed(&field.kind, cell).collect(),
        kind => plan.notation.value(kind, cell)?,
    })
}

fn custom_of(plan: &Plan, names: &Names, custom: &Custom, cell: &str) -> Result<Value, Refusal> {
    let one = |cell: &str| {
        if let Kind::Reference { to } = custom.kind {
            return Ok(json!(names.of(registry::named(to), cell)?));
        }
        // An option is meant whatever its case.
        if let Some(option) = custom.options.iter().find(|option| fold(option) == fold(cell)) {
            return Ok(json!(option));
        }
        plan.notation.value(&custom.kind, cell)
    };
    if custom.many { listed(&Kind::Tags, cell).map(one).collect::<Result<_, _>>().map(Value::Array) } else { one(cell) }
}

/// Lists grow by each column that becomes them, texts of several lines too.
fn add(body: &mut Record, field: &Field, value: Value) {
    match (body.get_mut(field.name), value) {
        (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
        (Some(Value::String(text)), Value::String(more)) => {
            text.push('\n');
            text.push_str(&more);
        }
        (_, value) => _ = body.insert(field.name.to_owned(), value),
    }
}

/// A new record's body: what the row says before what all of them get.
pub(super) fn new(plan: &Plan, body: &Record) -> Record {
    let mut new = plan.values.clone();
    for (name, value) in body.iter().filter(|(name, _)| name.as_str() != "id") {
        match (new.get_mut(name), value) {
            (Some(Value::Object(common)), Value::Object(own)) if name == custom::FIELD => common.extend(own.clone()),
            _ => _ = new.insert(name.clone(), value.clone()),
        }
    }
    with_tags(plan, new)
}

/// What a record that is there gets: lists keep what they have.
pub(super) fn changes(plan: &Plan, before: &Record, body: &Record) -> Record {
    let body = with_tags(plan, body.clone());
    let mut changes = Record::new();
    for (name, value) in body {
        let Some(field) = plan.resource.field(&name).filter(|_| name != "id") else { continue };
        // What is written when a record is made, and never again, is no change.
        if plan.resource.writable(crate::resource::Action::Update).all(|one| one.name != name) {
            continue;
        }
        match (before.get(&name), value) {
            (Some(Value::Array(had)), Value::Array(said)) => {
                let more: Vec<Value> = said.into_iter().filter(|one| !had.iter().any(|old| same(&field.kind, old, one))).collect();
                if !more.is_empty() {
                    changes.insert(name, had.iter().cloned().chain(more).collect());
                }
            }
            (_, value) => _ = changes.insert(name, value),
        }
    }
    changes
}

fn with_tags(plan: &Plan, mut body: Record) -> Record {
    if !plan.tags.is_empty() {
        match body.get_mut("tags") {
            Some(Value::Array(tags)) => tags.extend(plan.tags.iter().cloned()),
            _ => _ = body.insert("tags".to_owned(), Value::Array(plan.tags.clone())),
        }
    }
    body
}

/// Whether a list has this already.
fn same(kind: &Kind, old: &Value, new: &Value) -> bool {
    match kind {
        Kind::Rows(rows) => {
            let about = &rows.fields[0];
            value::accept(&about.kind, &new[about.name]).is_ok_and(|value| value == old[about.name])
        }
        Kind::Tags => old.as_str().zip(new.as_str()).is_some_and(|(old, new)| fold(old) == fold(new)),
        _ => old == new,
    }
}
