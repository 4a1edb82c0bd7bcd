//! Records that rows name: by their id, what they are called, a user's address, a contact's address or number. Looked up for many
//! rows at once, and remembered for those that follow.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{
    ConnectionTrait,
    sea_query::{Alias, Expr, ExprTrait, JoinType, Query, SelectStatement},
};
use serde_json::json;
use uuid::Uuid;

use super::cells::{Notation, short};
use crate::{
    Error, Result,
    engine::Write,
    resource::{
        Action, Record, Resource,
        access::Act,
        field::{Field, Form, Kind},
        filter::sql::Target,
        rows::{self, ROW},
        value::{self, Refusal, fold},
        write,
    },
};

/// So many are remembered of each resource; then it begins anew.
const MOST: usize = 50_000;

/// What is known of names.
#[derive(Default)]
pub(super) struct Names {
    known: HashMap<&'static str, HashMap<String, Named>>,
    /// Those whose records were made in this transaction.
    made: Vec<(&'static str, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Named {
    One(Uuid),
    Several,
    Nobody,
}

impl Names {
    /// Looks up those that are not known yet; with `make`, makes those that are not there.
    pub(super) async fn learn(
        &mut self,
        write: &Write<'_>,
        to: &'static Resource,
        notation: &Notation,
        names: &BTreeSet<String>,
        make: bool,
    ) -> Result<()> {
        let known = self.known.entry(to.topic).or_default();
        if known.len() > MOST {
            known.clear();
        }
        let unknown: Vec<&String> = names.iter().filter(|name| value::id(name).is_none() && !known.contains_key(&fold(name))).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        for name in &unknown {
            known.insert(fold(name), Named::Nobody);
        }
        if write.scope.reach(to, Act::View).is_some() {
            for (name, id) in found(write, to, notation, &unknown).await? {
                let slot = known.entry(name).or_insert(Named::Nobody);
                *slot = match *slot {
                    Named::One(one) if one != id => Named::Several,
                    Named::Several => Named::Several,
                    _ => Named::One(id),
                };
            }
        }
        let Some(label) = named_by(to).filter(|_| make && write.scope.reach(to, Act::Create).is_some()) else { return Ok(()) };
        for name in unknown {
            let key = fold(name);
            if known.get(&key) == Some(&Named::Nobody) {
                let body: Record = [(label.to_owned(), json!(name))].into_iter().collect();
                // One that can't be made is one that is not there.
                if value::accept(&to.field(label).map_or(Kind::Boolean, |field| field.kind.clone()), &json!(name)).is_ok() {
                    match write::create(write, to, &body).await {
                        Ok(record) => {
                            known.insert(key.clone(), Named::One(rows::id_of(&record)));
                            self.made.push((to.topic, key));
                        }
                        // A name alone is not enough for one: the row says that it is not there.
                        Err(Error::Invalid(_) | Error::Forbidden(_)) => {}
                        Err(other) => return Err(other),
                    }
                }
            }
        }
        Ok(())
    }

    /// The record that a row means.
    pub(super) fn of(&self, to: &'static Resource, name: &str) -> std::result::Result<Uuid, Refusal> {
        if let Some(id) = value::id(name) {
            return Ok(id);
        }
        match self.known.get(to.topic).and_then(|known| known.get(&fold(name))) {
            Some(Named::One(id)) => Ok(*id),
            Some(Named::Several) => Err(("ambiguous", format!("there are several {} called \"{}\"; use the id", to.topic, short(name)))),
            _ if named_by(to).is_some() && to.made => {
                Err(("not_found", format!("there is no {} \"{}\"; make it first, or import with create_missing", to.name, short(name))))
            }
            _ => Err(("not_found", format!("there is no {} \"{}\"", to.name, short(name)))),
        }
    }

    /// Whatever was made is gone again, or there for good.
    pub(super) fn settle(&mut self, kept: bool) {
        for (topic, key) in self.made.drain(..).filter(|_| !kept) {
            if let Some(known) = self.known.get_mut(topic) {
                known.remove(&key);
            }
        }
    }
}

/// The one field that a record can be made of.
fn named_by(to: &'static Resource) -> Option<&'static str> {
    let [label] = to.label else { return None };
    let alone = to.writable(Action::Create).all(|field| field.name == *label || !field.required || field.default.is_some());
    (to.made && alone).then_some(*label)
}

/// Those that are there, each by the name under which it was looked for.
async fn found(write: &Write<'_>, to: &'static Resource, notation: &Notation, names: &[&String]) -> Result<Vec<(String, Uuid)>> {
    let mut all = Vec::new();
    for field in to.fields.iter().filter(|field| tells(to, field)) {
        // By the form in which the field is kept, the names that were looked for.
        let mut wanted: HashMap<String, Vec<String>> = HashMap::new();
        for name in names {
            if let Some(kept) = kept(field, notation, name) {
                wanted.entry(kept).or_default().push(fold(name));
            }
        }
        if wanted.is_empty() {
            continue;
        }
        let mut select = with(write, to, field, wanted.keys().cloned().collect());
        select.and_where(write.scope.within(to, Act::View, ROW)?).and_where(Resource::column(ROW, "deleted_at").is_null());
        for row in write.query_all(&select).await? {
            let (said, id): (String, Uuid) = (row.try_get("", "said")?, row.try_get("", "id")?);
            all.extend(wanted.get(&said).into_iter().flatten().map(|name| (name.clone(), id)));
        }
    }
    Ok(all)
}

/// Whether a field says which record somebody means.
fn tells(to: &Resource, field: &Field) -> bool {
    to.label == [field.name] || field.unique && !matches!(field.kind, Kind::Json) || to.topic == "users" && field.name == "email"
}

/// A name as the field keeps it; nothing if it can't be one.
fn kept(field: &Field, notation: &Notation, name: &str) -> Option<String> {
    match &field.kind {
        Kind::Rows(rows) => {
            let kind = &rows.fields[0].kind;
            let value = notation.value(kind, name).ok()?;
            value::accept(kind, &value).ok()?.as_str().map(str::to_owned)
        }
        Kind::Text { form: Form::Line | Form::Email | Form::Domain, .. } => Some(fold(name.trim())),
        _ => None,
    }
}

/// The records that have one of these in a field, and which.
fn with(write: &Write<'_>, to: &Resource, field: &Field, wanted: Vec<String>) -> SelectStatement {
    let mut select = Query::select();
    select.from_as(Alias::new(to.topic), Alias::new(ROW)).expr_as(Resource::column(ROW, "id"), "id");
    let said: Expr = match &field.kind {
        Kind::Rows(rows) => {
            let part = |name: &'static str| Resource::column("part", name);
            let joined = part("tenant_id").equals((ROW, "tenant_id")).and(part(rows.owner).equals((ROW, "id")));
            select.join_as(JoinType::InnerJoin, rows.table, "part", joined);
            part(rows.fields[0].name)
        }
        _ => Target { backend: write.get_database_backend(), scope: write.scope }.folded(ROW, field.name),
    };
    select.expr_as(said.clone(), "said").and_where(said.is_in(wanted)).to_owned()
}
