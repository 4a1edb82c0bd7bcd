//! Reads a filter: every fault is named with its place, and nothing is left to be found out later.

use serde_json::Value;

use super::{Asker, By, Filter, Hop, Leaf, MAX_DEPTH, MAX_LEAVES, MAX_VALUES, Operand, Place, Test, What, dates};
use crate::{
    Error, Result, Scope,
    resource::{Resource, access::Act, custom, field::Kind, registry, value},
};

impl Filter {
    /// Reads `filter`, a document at `pointer` of the request.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn read(resource: &'static Resource, scope: &Scope, asker: &Asker, filter: &Value, pointer: &str) -> Result<Self> {
        let mut reader = Reader { resource, scope, asker, leaves: 0 };
        reader.node(filter, pointer, 1)
    }

    /// The relation of `resource` with that name.
    fn hop(resource: &'static Resource, name: &str) -> Option<Hop> {
        if let Some((name, field, to)) = resource.relations().find(|(one, ..)| *one == name) {
            let by = match field.kind {
                Kind::References { table, own, other, .. } => By::Joined { table, ours: own, theirs: other },
                _ => By::Ours(field.name),
            };
            return Some(Hop { name, to: registry::named(to), by, via: field.name });
        }
        let (name, field) = *resource.many.iter().find(|(to, _)| *to == name)?;
        let to = registry::named(name);
        let by = match to.field(field)?.kind {
            Kind::References { table, own, other, .. } => By::Joined { table, ours: other, theirs: own },
            _ => By::Theirs(field),
        };
        Some(Hop { name, to, by, via: field })
    }
}

struct Reader<'a> {
    resource: &'static Resource,
    scope: &'a Scope,
    asker: &'a Asker,
    leaves: usize,
}

impl Reader<'_> {
    fn node(&mut self, node: &Value, at: &str, depth: usize) -> Result<Filter> {
        let Some(members) = node.as_object() else {
            return Err(Error::field(at, "wrong_type", r#"takes {"field":…,"op":…,"value":…}, or several of them under "and" or "or""#));
        };
        if depth > MAX_DEPTH {
            return Err(Error::field(at, "too_deep", format!("goes at most {MAX_DEPTH} deep")));
        }
        for (word, join) in [("and", Filter::And as fn(Vec<Filter>) -> Filter), ("or", Filter::Or)] {
            let Some(parts) = members.get(word) else { continue };
            let at = format!("{at}/{word}");
            let Some(parts) = parts.as_array().filter(|_| members.len() == 1) else {
                return Err(Error::field(at, "invalid", "takes a list, and nothing beside it"));
            };
            let parts = parts.iter().enumerate().map(|(n, part)| self.node(part, &format!("{at}/{n}"), depth + 1));
            return Ok(join(parts.collect::<Result<_>>()?));
        }
        self.leaves += 1;
        if self.leaves > MAX_LEAVES {
            return Err(Error::field(at, "too_many", format!("has at most {MAX_LEAVES} comparisons")));
        }
        if let Some(name) = members.keys().find(|name| !matches!(name.as_str(), "field" | "op" | "value")) {
            return Err(Error::field(
                format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")),
                "unknown_field",
                "is not part of a comparison",
            ));
        }
        let text = |name: &str| {
            let missing = || Error::field(format!("{at}/{name}"), "required", "is required");
            members.get(name).and_then(Value::as_str).ok_or_else(missing)
        };
        let (path, op) = (text("field")?, text("op")?);
        let place = self.place(path, &format!("{at}/field"))?;
        let (kind, operators) = (place.what.kind(), place.what.operators());
        if !operators.contains(&op) {
            let known = operators.join(", ");
            let message = if known.is_empty() { "can't be compared".to_owned() } else { format!("is none of {known}, which {path} takes") };
            return Err(Error::field(format!("{at}/op"), "invalid", message));
        }
        let (test, not) = self.test(kind, op, members.get("value"), &format!("{at}/value"))?;
        Ok(Filter::Leaf(Box::new(Leaf { place, test, not })))
    }

    fn place(&self, path: &str, at: &str) -> Result<Place> {
        let unknown = || Error::field(at, "unknown_field", format!("names no field of {}", self.resource.topic));
        let (hop, path) = match path.split_once('.') {
            Some((name, rest)) => match Filter::hop(self.resource, name) {
                Some(hop) => (Some(hop), rest),
                None => (None, path),
            },
            None => (None, path),
        };
        if let Some(hop) = hop
            && self.scope.reach(hop.to, Act::View).is_none()
        {
            return Err(Error::field(at, "forbidden", format!("needs the ability {}:view", hop.to.topic)));
        }
        let resource = hop.map_or(self.resource, |hop| hop.to);
        let what = match path.split_once('.') {
            None if path == "count" && hop.is_some_and(|hop| !matches!(hop.by, By::Ours(_))) => What::Count,
            None => What::Field(resource.field(path).ok_or_else(unknown)?),
            Some((custom::FIELD, _)) => What::Custom(self.asker.customs.at(resource, path).ok_or_else(unknown)?.clone()),
            Some((name, part)) => {
                let field = resource.field(name).ok_or_else(unknown)?;
                let Kind::Rows(rows) = field.kind else { return Err(unknown()) };
                What::Row(field, rows, rows.fields.iter().find(|field| field.name == part).ok_or_else(unknown)?)
            }
        };
        let name = match &what {
            What::Field(field) | What::Row(field, ..) => field.name,
            What::Custom(_) => custom::FIELD,
            What::Count => "",
        };
        // A relation tells what the field says that keeps it.
        let via = hop.is_some_and(|hop| {
            let ours = self.resource.relations().any(|(name, ..)| name == hop.name);
            self.scope.hides(if ours { self.resource } else { hop.to }, hop.via)
        });
        if via || self.scope.hides(resource, name) {
            return Err(Error::field(at, "forbidden", "you don't get to see this field"));
        }
        Ok(Place { hop, what })
    }

    /// The test, and whether its opposite is asked for.
    fn test(&self, kind: &Kind, op: &str, value: Option<&Value>, at: &str) -> Result<(Test, bool)> {
        let wrong = |message: &str| Error::field(at, "invalid", message);
        if matches!(op, "is_null" | "not_null") {
            return match value {
                None | Some(Value::Null) => Ok((Test::Present, op == "is_null")),
                Some(_) => Err(wrong("has no place here: the operator needs none")),
            };
        }
        let Some(value) = value.filter(|value| !value.is_null()) else {
            return Err(Error::field(at, "required", "is required; to find empty fields, ask is_null"));
        };
        let list = || match value.as_array() {
            Some(list) if list.len() <= MAX_VALUES => {
                list.iter().enumerate().map(|(n, one)| self.operands(kind, one, &format!("{at}/{n}"))).collect::<Result<Vec<_>>>()
            }
            Some(_) => Err(Error::field(at, "too_many", format!("takes at most {MAX_VALUES} values"))),
            None => Err(Error::field(at, "wrong_type", "takes a list")),
        };
        let one = || {
            let mut operands = self.operands(kind, value, at)?;
            match operands.len() {
                1 => Ok(operands.remove(0)),
                _ => Err(wrong("takes one value")),
            }
        };
        let text = |before, after| match value.as_str() {
            Some(text) if !text.is_empty() && !text.contains('\0') => Ok(Test::Like { text: value::fold(text), before, after }),
            _ => Err(wrong("takes a text")),
        };
        let flat = |lists: Vec<Vec<Operand>>| lists.into_iter().flatten().collect::<Vec<_>>();
        Ok(match op {
            "eq" | "ne" => (Test::In(self.operands(kind, value, at)?), op == "ne"),
            "in" | "nin" => (Test::In(flat(list()?)), op == "nin"),
            "has_any" | "has_none" => (Test::In(flat(list()?)), op == "has_none"),
            "has_all" => (Test::All(flat(list()?)), false),
            "lt" | "lte" => (Test::Below(one()?, op == "lte"), false),
            "gt" | "gte" => (Test::Above(one()?, op == "gte"), false),
            "contains" => (text(true, true)?, false),
            "starts_with" => (text(false, true)?, false),
            "ends_with" => (text(true, false)?, false),
            "between" => {
                let mut pair = flat(list()?);
                let (Some(to), Some(from), None) = (pair.pop(), pair.pop(), pair.pop()) else {
                    return Err(wrong("takes a list of two values"));
                };
                (Test::Between(from, to, true), false)
            }
            "within" => {
                let today = self.asker.now.with_timezone(&self.asker.zone).date_naive();
                let Some((from, to)) = value.as_str().and_then(|word| dates::span(word, today, self.asker.week_start)) else {
                    return Err(wrong(&format!("is none of {}", dates::WORDS.join(", "))));
                };
                let edge = |day| match kind {
                    Kind::Time => dates::midnight(day, self.asker.zone).to_rfc3339(),
                    _ => day.to_string(),
                };
                let operand = |day| self.operand(kind, Value::String(edge(day)), at);
                (Test::Between(operand(from)?, operand(to)?, false), false)
            }
            _ => return Err(wrong("is of an operator that nobody knows")),
        })
    }

    /// What a value stands for: `@my_team` for several.
    fn operands(&self, kind: &Kind, value: &Value, at: &str) -> Result<Vec<Operand>> {
        let user = |id: uuid::Uuid| self.operand(kind, Value::String(id.to_string()), at);
        match (kind, value.as_str()) {
            (Kind::Reference { .. } | Kind::References { .. }, Some("@me")) => self.asker.user.into_iter().map(user).collect(),
            (Kind::Reference { .. } | Kind::References { .. }, Some("@my_team")) => self.asker.team.iter().copied().map(user).collect(),
            _ => Ok(vec![self.operand(kind, value.clone(), at)?]),
        }
    }

    fn operand(&self, kind: &Kind, value: Value, at: &str) -> Result<Operand> {
        let refused = |(code, message): value::Refusal| Error::field(at, code, message);
        if value.as_str().is_some_and(|text| text.contains('\0')) {
            return Err(Error::field(at, "invalid", "takes no NUL character"));
        }
        // A text is compared as it is: half an address is no address, but it sorts somewhere.
        let (kind, value) = match kind {
            Kind::Text { .. } | Kind::Choice(_) | Kind::Tags => match value.as_str() {
                Some(text) if text.chars().count() <= 1000 => {
                    let text = if *kind == Kind::Tags { value::fold(text) } else { text.to_owned() };
                    (kind, Value::String(text))
                }
                _ => return Err(Error::field(at, "wrong_type", "takes a text of at most 1000 characters")),
            },
            Kind::References { to, .. } => {
                let kind = Kind::Reference { to };
                let value = value::accept(&kind, &value).map_err(refused)?;
                let cell = value::cell(&kind, &value).ok_or_else(|| Error::field(at, "invalid", "takes an id"))?;
                return Ok(Operand { value, cell });
            }
            _ => (kind, value::accept(kind, &value).map_err(refused)?),
        };
        let cell = value::cell(kind, &value).ok_or_else(|| Error::field(at, "invalid", "can't be compared"))?;
        Ok(Operand { value, cell })
    }
}
