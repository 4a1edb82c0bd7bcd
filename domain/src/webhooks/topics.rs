//! What a webhook is told: `contacts.created`, `deals.*`, `*`.

use serde_json::Value;

use crate::{
    Error, FieldError, Result, Scope,
    engine::Write,
    resource::{
        Resource,
        access::Act,
        filter::{Asker, Filter},
        registry,
    },
};

/// Topics that are no resource's, and what lets somebody see them.
const OTHERS: [(&str, &str); 3] = [("conversations", "conversations:read"), ("devices", "devices:read"), ("messages", "messages:read")];

/// What lets somebody see what happens under a topic that is no resource's; `None`: nobody is told of it.
pub(crate) fn ability(topic: &str) -> Option<&'static str> {
    OTHERS.iter().find(|(name, _)| *name == topic).map(|(_, ability)| *ability)
}

/// Whether one of the topics means this.
pub(super) fn means(topics: &Value, topic: &str, action: &str) -> bool {
    let mut topics = topics.as_array().into_iter().flatten().filter_map(Value::as_str);
    topics.any(|one| one == "*" || one.split_once('.').is_some_and(|(of, what)| of == topic && (what == "*" || what == action)))
}

/// Whether the caller may have these told, and only those records of them that the filter holds for.
pub(super) async fn check(write: &Write<'_>, scope: &Scope, topics: &[String], filter: Option<&Value>) -> Result<()> {
    let mut faults = Vec::new();
    let mut fault = |pointer: String, code, message: String| faults.push(FieldError { pointer, code, message });
    for (n, topic) in topics.iter().enumerate() {
        let at = format!("/topics/{n}");
        let parts = topic.split_once('.').filter(|(_, action)| {
            *action == "*" || (1..=40).contains(&action.len()) && action.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        });
        match parts {
            _ if topic == "*" => {
                // Others decide with their role what they are told of; a token must not get more than it was given.
                let whole = Scope { abilities: None, ..scope.clone() };
                if let Some(missing) = all().find(|topic| sees(&whole, topic) && !sees(scope, topic)) {
                    fault(at, "forbidden", format!("your token doesn't let you see {missing}, which this has in it"));
                }
            }
            Some((of, _)) if !all().any(|known| known == of) => {
                fault(at, "invalid", format!("is about none of {}", all().collect::<Vec<_>>().join(", ")));
            }
            Some((of, _)) if !sees(scope, of) => fault(at, "forbidden", format!("you don't get to see {of}")),
            Some(_) => {}
            None => fault(at, "invalid", "takes a resource and what happens to it, such as contacts.created or deals.*, or *".into()),
        }
    }
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    let Some(filter) = filter.filter(|filter| !filter.is_null()) else { return Ok(()) };
    let mut about = topics.iter().map(|topic| topic.split('.').next().unwrap_or_default());
    let first = about.next().and_then(registry::find);
    let Some(resource) = first.filter(|first| about.all(|other| other == first.topic)) else {
        return Err(Error::field("/filter", "invalid", "needs topics that are all of one resource"));
    };
    let asker = Asker::on(&***write, scope).await?;
    read(resource, scope, &asker, filter).map(|_| ())
}

/// A filter that looks at nothing but the record: what is around it may be another one by the time that others hear of it.
pub(crate) fn read(resource: &'static Resource, scope: &Scope, asker: &Asker, filter: &Value) -> Result<Filter> {
    let read = Filter::read(resource, scope, asker, filter, "/filter")?;
    if looks_around(&read) {
        return Err(Error::field("/filter", "invalid", "looks at another record; what happens is held against the record itself"));
    }
    Ok(read)
}

fn looks_around(filter: &Filter) -> bool {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => parts.iter().any(looks_around),
        Filter::Leaf(leaf) => leaf.place.hop.is_some(),
    }
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    registry::all().iter().map(|resource| resource.topic).chain(OTHERS.iter().map(|(topic, _)| *topic))
}

/// Whether the caller sees anything of what happens under it.
pub(crate) fn sees(scope: &Scope, topic: &str) -> bool {
    match (registry::find(topic), ability(topic)) {
        (Some(resource), _) => scope.reach(resource, Act::View).is_some(),
        (None, Some(ability)) => scope.require(ability).is_ok(),
        (None, None) => false,
    }
}
