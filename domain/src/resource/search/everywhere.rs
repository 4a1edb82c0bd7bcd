//! Words looked for in all resources at once: the best records that have them, and where.

use std::collections::HashMap;

use db::Db;
use sea_orm::{
    ConnectionTrait,
    sea_query::{Alias, Expr, ExprTrait, Func, Order, Query, SelectStatement},
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    texts::{self, TEXTS},
    words::{self, TEXT, Wanted, Words},
};
use crate::{
    Error, Result, Scope,
    resource::{
        Record, Resource,
        access::Act,
        custom::Customs,
        field::{Form, Kind},
        filter::sql::Target,
        registry,
        rows::{self, ROW},
        value,
    },
};

/// A record that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Of which resource.
    pub topic: &'static str,
    /// Which record.
    pub id: Uuid,
    /// What it is called.
    pub label: String,
    /// Which of its fields has the first of the words.
    pub field: String,
    /// What that field says around it.
    pub text: String,
}

/// The best `limit` records of these topics that have all of the words, of every topic when none is named: first those whose
/// label begins with the first word, then those whose label has it, then the others; newer ones first.
///
/// # Errors
/// [`Error::Invalid`] when a topic is unknown; [`Error::Forbidden`] when the caller may not see it; the database's.
pub async fn search(db: &Db, scope: &Scope, typed: &str, topics: &[String], limit: u64) -> Result<Vec<Hit>> {
    let resources = readable(scope, topics)?;
    let words = Words::read(typed);
    let Some(first) = words.0.first() else { return Ok(Vec::new()) };
    let target = Target { backend: db.backend(), scope };
    let best = best(target, &resources, &words, first, limit)?;
    let rows = db.read.query_all(&best).await?;
    let found = rows.iter().map(|row| Ok((row.try_get("", "topic")?, row.try_get("", "id")?))).collect::<Result<Vec<(String, Uuid)>>>()?;
    let records = records(db, scope, &found).await?;
    let customs = Customs::of(&db.read, scope.tenant.0).await?;
    // What was deleted since has no record.
    let hits = found.iter().filter_map(|(topic, id)| {
        let resource = registry::named(topic);
        hit(scope, resource, &customs, records.get(id)?, first)
    });
    Ok(hits.collect())
}

/// The resources with words in them that the caller may see.
fn readable(scope: &Scope, topics: &[String]) -> Result<Vec<&'static Resource>> {
    let searched = |resource: &&'static Resource| resource.fields.iter().any(|field| field.searched);
    let mut resources: Vec<&'static Resource> = Vec::new();
    for topic in topics {
        let known = registry::find(topic).filter(searched);
        let known =
            known.ok_or_else(|| Error::field("/topics", "invalid", "takes resources with words in them, such as contacts,deals"))?;
        scope.may(known, Act::View)?;
        if resources.iter().all(|one| one.topic != known.topic) {
            resources.push(known);
        }
    }
    if topics.is_empty() {
        resources.extend(registry::all().iter().filter(searched));
        // Who may see none is told so.
        let first = resources.first().map_or("", |resource| resource.ability(Act::View));
        resources.retain(|resource| scope.reach(resource, Act::View).is_some());
        if resources.is_empty() {
            return Err(Error::Forbidden(first));
        }
    }
    Ok(resources)
}

/// The best records: `topic`, `id`, `rank`. The index is asked once, for all resources; whether the caller may see a record is
/// asked of its table, in this order and of no more than it takes.
fn best(target: Target<'_>, resources: &[&'static Resource], words: &Words, first: &Wanted, limit: u64) -> Result<SelectStatement> {
    let named = |most: usize| {
        let name = Expr::cust(format!(r#""{TEXT}"."topic" || '.' || "{TEXT}"."field""#));
        name.is_in(resources.iter().flat_map(|one| names(one).into_iter().take(most).map(|field| format!("{}.{field}", one.topic))))
    };
    let at = words::position(target, &format!("  {}", first.words[0]));
    let rank = Expr::case(named(1).and(at.clone().eq(1)), 0).case(named(9).and(at.gt(0)), 1).case(named(9), 2).finally(3);
    let mut hits = Query::select();
    hits.from_as(TEXTS, TEXT)
        .expr_as(Expr::col((TEXT, "topic")), "topic")
        .expr_as(Expr::col((TEXT, "record_id")), "id")
        .expr_as(Func::min(rank), "rank")
        .and_where(words::shown(target, resources))
        .and_where(words::has(target, &first.any()))
        .group_by_columns([(TEXT, "topic"), (TEXT, "record_id")])
        .order_by("rank", Order::Asc)
        .order_by("id", Order::Desc);
    // A single word is met by any row that has it.
    let rest = Words(words.0.iter().skip(usize::from(first.words.len() == 1)).cloned().collect());
    for condition in rest.conditions(target, resources, &Expr::col((TEXT, "record_id"))) {
        hits.and_where(condition);
    }
    let hit = |column: &'static str| Expr::col((HIT, column));
    let mut seen = Vec::with_capacity(resources.len());
    for resource in resources {
        let mut own = Query::select();
        own.expr(Resource::column(ROW, "id"))
            .from_as(Alias::new(resource.topic), ROW)
            .and_where(target.scope.within(resource, Act::View, ROW)?)
            .and_where(Resource::column(ROW, "deleted_at").is_null())
            .and_where(Resource::column(ROW, "id").equals((HIT, "id")));
        // Not `exists`: for that PostgreSQL may read the whole table.
        seen.push(hit("topic").eq(resource.topic).and(hit("id").eq(Expr::SubQuery(None, Box::new(own.into())))));
    }
    let seen = seen.into_iter().reduce(ExprTrait::or).unwrap_or_else(|| Expr::cust("1 = 0"));
    let mut best = Query::select();
    best.columns([(HIT, "topic"), (HIT, "id"), (HIT, "rank")])
        .from_subquery(hits, HIT)
        .and_where(seen)
        .order_by((HIT, "rank"), Order::Asc)
        .order_by((HIT, "id"), Order::Desc)
        .limit(limit);
    Ok(best)
}

/// How the statement here calls what the index has.
const HIT: &str = "hit";

/// The fields that name a record. A text of several lines is no name, though it stands for one.
fn names(resource: &'static Resource) -> Vec<&'static str> {
    let short = |name: &&str| !matches!(resource.field(name).map(|field| &field.kind), Some(Kind::Text { form: Form::Lines, .. }));
    resource.label.iter().copied().filter(short).collect()
}

/// The records that were found, as the caller gets to see them.
async fn records(db: &Db, scope: &Scope, found: &[(String, Uuid)]) -> Result<HashMap<Uuid, Record>> {
    let mut ids: HashMap<&str, Vec<Uuid>> = HashMap::new();
    for (topic, id) in found {
        ids.entry(topic).or_default().push(*id);
    }
    let mut records = HashMap::new();
    for (topic, ids) in ids {
        let resource = registry::named(topic);
        let mut select = rows::select(resource);
        select.and_where(scope.within(resource, Act::View, ROW)?).and_where(Resource::column(ROW, "id").is_in(ids));
        for mut record in rows::read(&db.read, scope, resource, &select).await? {
            scope.mask(resource, &mut record);
            records.insert(rows::id_of(&record), record);
        }
    }
    Ok(records)
}

/// Where the record has the first of the words: in its label, if it is there, else in the first field that has it.
fn hit(scope: &Scope, resource: &'static Resource, customs: &Customs, record: &Record, first: &Wanted) -> Option<Hit> {
    let needles: Vec<String> = first.any().into_iter().map(words::needle).collect();
    let own = resource.fields.iter().filter(|field| field.searched && !scope.hides(resource, field.name));
    let own = own.map(|field| (field.name.to_owned(), &field.kind, record.get(field.name).unwrap_or(&Value::Null)));
    let added = customs.on(resource).iter().filter(|custom| custom.is_searched());
    let added = added.map(|custom| (custom.path(), &custom.kind, custom.of(record)));
    let found = own.chain(added).flat_map(|(field, kind, value)| {
        texts::parts(kind, value)
            .filter(|(kind, text)| has(kind, text, &needles))
            .map(|(_, text)| (field.clone(), text))
            .collect::<Vec<_>>()
    });
    let names = names(resource);
    let (field, text) = found.min_by_key(|(field, _)| !names.contains(&field.as_str()))?;
    let (label, text) = (snippet(&resource.label_of(record), &[]), snippet(text, &needles));
    Some(Hit { topic: resource.topic, id: rows::id_of(record), label, field, text })
}

fn has(kind: &Kind, text: &str, needles: &[String]) -> bool {
    let kept = texts::kept(kind, text);
    needles.iter().any(|needle| kept.contains(needle.as_str()))
}

/// So many characters of a text are shown, some of them before what was found.
const SHOWN: usize = 160;
const BEFORE: usize = 40;

/// The part of a text around what was found in it.
fn snippet(text: &str, needles: &[String]) -> String {
    let characters: Vec<char> = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if characters.len() <= SHOWN {
        return characters.into_iter().collect();
    }
    // Folding keeps the number of characters.
    let folded = value::fold(text);
    let at = needles.iter().find_map(|needle| folded.find(needle.trim_start())).unwrap_or(0);
    let from = folded[..at].chars().count().saturating_sub(BEFORE).min(characters.len() - SHOWN);
    let part: String = characters[from..from + SHOWN].iter().collect();
    let (before, after) = (if from > 0 { "…" } else { "" }, if from + SHOWN < characters.len() { "…" } else { "" });
    format!("{before}{}{after}", part.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_is_the_part_that_matters() {
        assert_eq!(snippet("São\nPaulo", &["paulo".into()]), "São Paulo");
        let long = format!("{}Ágil{}", "é ".repeat(300), " z".repeat(300));
        let part = snippet(&long, &["agil".into()]);
        assert!(part.starts_with("…é ") && part.contains("Ágil z") && part.ends_with("z…"), "{part}");
        assert!(snippet(&long, &["  z".into()]).contains('z'));
        assert!(snippet(&long, &["nowhere".into()]).starts_with("é é"));
        assert!(snippet(&format!("{}fim", "a ".repeat(200)), &["fim".into()]).ends_with("fim"));
    }
}
