//! What becomes of the fields of records that become one, and what they were when that is taken back.

use serde_json::{Map, Value, json};

use crate::resource::{
    Record, Resource, custom,
    field::{Field, Kind, Written},
};

/// Fields by name, each with the place of the record whose value it gets.
pub(super) type Choice = Vec<(String, usize)>;

/// The record that stays, with what it lacks from the others, the first of them first. What was chosen comes from where it was chosen;
/// of lists, that record's come first. `records` begins with the one that stays.
pub(super) fn combined(resource: &Resource, records: &[Record], choice: &Choice) -> Record {
    let mut after = records[0].clone();
    // None of them belongs to another one, once they are one.
    let own: Vec<&Value> = records.iter().filter_map(|record| record.get("id")).collect();
    let within = |field: &Field, value: &Value| field.leads_to() == Some(resource.topic) && own.contains(&value);
    let chosen = |name: &str| choice.iter().find(|(field, _)| field == name).map(|(_, at)| *at);
    for field in resource.fields.iter().filter(|field| field.written == Written::Freely) {
        let first = chosen(field.name);
        let order = first.into_iter().chain((0..records.len()).filter(|at| Some(*at) != first));
        let mut values = order.filter_map(|at| records[at].get(field.name)).filter(|value| !value.is_null() && !within(field, value));
        let value = if field.name == custom::FIELD {
            Value::Object(customs(records, choice))
        } else if field.is_column() {
            // What was chosen may be nothing.
            let picked = first.and_then(|at| records[at].get(field.name).cloned()).filter(|value| !within(field, value));
            picked.or_else(|| values.next().cloned()).unwrap_or(Value::Null)
        } else {
            Value::Array(union(field, values.filter_map(Value::as_array).flatten()))
        };
        after.insert(field.name.to_owned(), value);
    }
    resource.rules.combine(&mut after, &records[1..]);
    after
}

fn customs(records: &[Record], choice: &Choice) -> Record {
    let mut all = Record::new();
    for record in records {
        for (key, value) in record.get(custom::FIELD).and_then(Value::as_object).into_iter().flatten() {
            if !value.is_null() {
                all.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
    }
    for (key, at) in choice.iter().filter_map(|(field, at)| Some((field.strip_prefix(custom::PREFIX)?, at))) {
        match records[*at].get(custom::FIELD).and_then(|own| own.get(key)).filter(|value| !value.is_null()) {
            Some(value) => _ = all.insert(key.to_owned(), value.clone()),
            None => _ = all.remove(key),
        }
    }
    all
}

/// What makes one of a list the same as another one.
fn key<'a>(field: &Field, one: &'a Value) -> &'a Value {
    match &field.kind {
        Kind::Rows(rows) => &one[rows.fields[0].name],
        _ => one,
    }
}

fn union<'a>(field: &Field, values: impl Iterator<Item = &'a Value>) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    for value in values {
        if all.iter().all(|one| key(field, one) != key(field, value)) {
            all.push(value.clone());
        }
    }
    all
}

/// The fields that are others afterwards, each `from` and `to`.
pub(super) fn changes(resource: &Resource, before: &Record, after: &Record) -> Record {
    let own = resource.fields.iter().filter(|field| !matches!(field.name, "id" | "version" | "created_at" | "updated_at" | "deleted_at"));
    let changed = own.filter(|field| before.get(field.name) != after.get(field.name));
    changed.map(|field| (field.name.to_owned(), json!({ "from": before.get(field.name), "to": after.get(field.name) }))).collect()
}

/// What those fields are when the merge is taken back: as they were, where nobody has changed them since; of lists, without what it added.
pub(super) fn reverted(resource: &Resource, now: &Record, changes: &Record) -> Record {
    let mut back = Record::new();
    for field in &resource.fields {
        let (Some(change), Some(now)) = (changes.get(field.name), now.get(field.name)) else { continue };
        let (from, to) = (&change["from"], &change["to"]);
        let value = if now == to {
            from.clone()
        } else if field.name == custom::FIELD {
            Value::Object(keys(from, to, now))
        } else if field.is_column() {
            continue;
        } else {
            let has = |list: &Value, one: &Value| list.as_array().into_iter().flatten().any(|other| key(field, other) == key(field, one));
            let left = now.as_array().into_iter().flatten().filter(|one| has(from, one) || !has(to, one));
            Value::Array(left.cloned().collect())
        };
        back.insert(field.name.to_owned(), value);
    }
    back
}

fn keys(from: &Value, to: &Value, now: &Value) -> Map<String, Value> {
    let mut left = now.as_object().cloned().unwrap_or_default();
    for (key, added) in to.as_object().into_iter().flatten() {
        if left.get(key) != Some(added) {
            continue;
        }
        match from.get(key).filter(|value| !value.is_null()) {
            Some(before) => _ = left.insert(key.clone(), before.clone()),
            None => _ = left.remove(key),
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::registry;

    fn record(value: Value) -> Record {
        let mut whole: Record =
            json!({ "first_name": "Ana", "city": null, "emails": [], "phones": [], "company_ids": [], "tags": [], "custom": {} })
                .as_object()
                .cloned()
                .unwrap_or_default();
        whole.extend(value.as_object().cloned().unwrap_or_default());
        whole
    }

    #[test]
    fn gaps_are_filled_lists_are_joined_and_what_is_chosen_wins() {
        let contacts = registry::named("contacts");
        let one = record(json!({ "emails": [{ "email": "a@x.com", "kind": "work" }], "tags": ["vip"], "custom": { "size": 1 } }));
        let other = record(json!({
            "first_name": "Anna", "last_name": "Souza", "city": "Recife", "tags": ["vip", "feira"], "custom": { "size": 2, "hat": "no" },
            "emails": [{ "email": "b@x.com", "kind": "home" }, { "email": "a@x.com", "kind": "other" }],
            "last_contacted_at": "2026-11-01T10:00:00+00:00",
        }));
        let after = combined(contacts, &[one.clone(), other.clone()], &vec![("first_name".into(), 1), ("emails".into(), 1)]);
        assert_eq!((&after["first_name"], &after["last_name"], &after["city"]), (&json!("Anna"), &json!("Souza"), &json!("Recife")));
        assert_eq!(after["emails"], json!([{ "email": "b@x.com", "kind": "home" }, { "email": "a@x.com", "kind": "other" }]));
        assert_eq!((&after["tags"], &after["custom"]), (&json!(["vip", "feira"]), &json!({ "size": 1, "hat": "no" })));
        assert_eq!(after["last_contacted_at"], json!("2026-11-01T10:00:00+00:00"));
        let chosen = combined(contacts, &[one, other], &vec![("custom.size".into(), 1), ("city".into(), 0)]);
        assert_eq!((&chosen["custom"]["size"], &chosen["city"]), (&json!(2), &Value::Null));
    }

    #[test]
    fn what_somebody_changed_since_stays_when_it_is_taken_back() {
        let contacts = registry::named("contacts");
        let before = record(json!({ "tags": ["vip"], "city": null, "last_name": null, "custom": { "size": 1 } }));
        let merged =
            record(json!({ "tags": ["vip", "feira"], "city": "Recife", "last_name": "Souza", "custom": { "size": 1, "hat": "no" } }));
        let changes = changes(contacts, &before, &merged);
        let now = record(
            json!({ "tags": ["feira", "novo", "vip"], "city": "Olinda", "last_name": "Souza", "custom": { "size": 1, "hat": "no", "b": 1 } }),
        );
        let back = reverted(contacts, &now, &changes);
        assert_eq!(
            (&back["tags"], &back["last_name"], &back["custom"]),
            (&json!(["novo", "vip"]), &Value::Null, &json!({ "size": 1, "b": 1 }))
        );
        assert!(!back.contains_key("city"), "Olinda stays");
    }
}
