//! The same done to many records: to those that are named, or to all that a filter finds.
//!
//! Up to [`AT_ONCE`] are written while the caller waits; more are a [`run`], which a job does in parts. Either way each record
//! is written as by itself, with its checks, its event and its jobs, by whoever asked and as far as they reach; what one is
//! refused for undoes nothing of the others.

mod each;
pub mod run;

use db::Db;
use jobs::Ledger;
use poem_openapi::Object;
use sea_orm::{
    ConnectionTrait,
    sea_query::{Alias, ExprTrait, Order, Query, SelectStatement},
};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Action, Record, Resource,
    access::Act,
    field::{Field, Kind, Written},
    list::{self, Trashed, Wanted},
    rows::ROW,
    value, write,
};
use crate::{
    Error, FieldError, Result, Scope,
    engine::{Write, again},
};

/// So many records are written while somebody waits.
pub const AT_ONCE: usize = 100;
/// So many can be named.
pub const MAX_IDS: usize = 10_000;

/// What somebody asks for.
#[derive(Clone, Debug)]
pub(crate) struct Bulk {
    resource: &'static Resource,
    chosen: Chosen,
    deed: Deed,
    /// Where the body has the fields that are written.
    place: &'static str,
    /// Whether nothing is to be kept of it.
    dry_run: bool,
}

/// To which records.
#[derive(Clone, Debug, PartialEq)]
enum Chosen {
    /// These, in their order, each once.
    Ids(Vec<Uuid>),
    /// Those that it holds for.
    Filter(Value),
}

/// What is done.
#[derive(Clone, Debug, PartialEq)]
enum Deed {
    /// These fields are written.
    Edit(Record),
    /// These tags are put on.
    Tag(Vec<Value>),
    /// These tags are taken off.
    Untag(Vec<Value>),
    /// They are put into the trash.
    Delete,
    /// They are taken out of it.
    Restore,
}

/// A record to which it could not be done.
#[derive(Clone, Debug, PartialEq, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct BulkFault {
    /// Which record.
    pub id: Uuid,
    /// Stable, for programs: `not_found`, `forbidden`, `in_trash`, or what its field would be refused for by itself.
    pub code: String,
    /// The field, where it is about one, as a JSON pointer into the record.
    pub pointer: Option<String>,
    /// For people: why.
    pub message: String,
}

/// What was done at once.
#[derive(Clone, Debug, PartialEq, Object, Serialize)]
pub struct BulkResult {
    /// How many records it was to be done to.
    pub total: u64,
    /// To how many it was done; those that were so already count too.
    pub done: u64,
    /// To how many it could not be done.
    pub failed: u64,
    /// Whether it was only tried: nothing of it was kept.
    pub dry_run: bool,
    /// Why not, of each of those.
    pub errors: Vec<BulkFault>,
}

/// What became of it.
#[derive(Clone, Debug)]
pub enum Asked {
    /// It is done.
    Done(BulkResult),
    /// A job does it.
    Running(run::BulkRun),
}

/// What can be done to many records of a resource at once, as bodies call it.
#[must_use]
pub fn actions(resource: &Resource) -> Vec<&'static str> {
    let mut actions = vec!["edit"];
    actions.extend(owner(resource).map(|_| "assign"));
    actions.extend(tags(resource).into_iter().flat_map(|_| ["tag", "untag"]));
    actions.extend(resource.made.then_some(["delete", "restore"]).into_iter().flatten());
    actions
}

/// The field that says whose a record is, where people write it.
#[must_use]
pub fn owner(resource: &Resource) -> Option<&Field> {
    resource.owner.and_then(|name| resource.field(name)).filter(|field| field.written == Written::Freely)
}

/// The field with a record's tags.
#[must_use]
pub fn tags(resource: &Resource) -> Option<&Field> {
    resource.fields.iter().find(|field| field.kind == Kind::Tags)
}

/// Does what a body asks for, or has a job do it.
///
/// # Errors
/// [`Error::Invalid`]: the body can't be taken, whatever the records are; [`Error::Forbidden`]: to no record; the database's.
pub async fn ask(ledger: &Ledger, scope: &Scope, resource: &'static Resource, body: &Record) -> Result<Asked> {
    let bulk = Bulk::read(resource, body)?;
    bulk.check(scope)?;
    let db = ledger.db();
    let selection = bulk.selection(db, scope).await?;
    let found = bulk.next(&db.read, selection.as_ref(), None, AT_ONCE + 1).await?;
    if found.len() > AT_ONCE {
        let total = match &bulk.chosen {
            Chosen::Ids(ids) => ids.len() as u64,
            Chosen::Filter(_) => match &selection {
                Some(selection) => list::count(db, selection).await?,
                None => 0,
            },
        };
        return Ok(Asked::Running(run::start(ledger, scope, &bulk, body, total).await?));
    }
    again(|| async {
        let write = Write::begin(ledger, scope).await?;
        let errors = each::all(&write, &bulk, &found).await?;
        let (total, failed) = (found.len() as u64, errors.len() as u64);
        write.commit(BulkResult { total, done: total - failed, failed, dry_run: bulk.dry_run, errors }).await
    })
    .await
    .map(Asked::Done)
}

impl Bulk {
    /// Reads a body.
    fn read(resource: &'static Resource, body: &Record) -> Result<Self> {
        let given = |name: &str| body.get(name).filter(|value| !value.is_null());
        let chosen = match (given("ids"), given("filter")) {
            (Some(ids), None) => Chosen::Ids(ids_of(ids)?),
            (None, Some(filter)) => Chosen::Filter(filter.clone()),
            (None, None) => return Err(Error::field("/ids", "required", "is required, unless a filter is given")),
            (Some(_), Some(_)) => return Err(Error::field("/filter", "invalid", "has no place beside ids")),
        };
        let action = given("action").and_then(Value::as_str).unwrap_or_default();
        if !actions(resource).contains(&action) {
            return Err(Error::field("/action", "invalid", format!("is none of {}", actions(resource).join(", "))));
        }
        for (name, of) in [("changes", &["edit"][..]), ("owner_id", &["assign"]), ("tags", &["tag", "untag"])] {
            let needed = of.contains(&action);
            match body.get(name) {
                // Nobody is somebody to whom a record can be assigned.
                None if needed => return Err(Error::field(format!("/{name}"), "required", "is required by this action")),
                Some(Value::Null) if needed && name != "owner_id" => {
                    return Err(Error::field(format!("/{name}"), "required", "is required by this action"));
                }
                Some(value) if !needed && !value.is_null() => {
                    return Err(Error::field(format!("/{name}"), "invalid", "has no place beside this action"));
                }
                _ => {}
            }
        }
        let list = || body.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
        let deed = match action {
            "edit" => Deed::Edit(body.get("changes").and_then(Value::as_object).cloned().unwrap_or_default()),
            "assign" => {
                let owner = resource.owner.unwrap_or_default().to_owned();
                Deed::Edit([(owner, body.get("owner_id").cloned().unwrap_or(Value::Null))].into_iter().collect())
            }
            "tag" => Deed::Tag(list()),
            "untag" => Deed::Untag(list()),
            "delete" => Deed::Delete,
            _ => Deed::Restore,
        };
        let place = if action == "edit" { "/changes" } else { "" };
        Ok(Self { resource, chosen, deed, place, dry_run: body.get("dry_run") == Some(&Value::Bool(true)) })
    }

    /// What somebody has to be allowed.
    fn act(&self) -> Act {
        match self.deed {
            Deed::Edit(_) | Deed::Tag(_) | Deed::Untag(_) => Act::Edit,
            Deed::Delete | Deed::Restore => Act::Delete,
        }
    }

    /// Whether it can be done to any record at all: faults that every one would have are named once.
    fn check(&self, scope: &Scope) -> Result<()> {
        scope.may(self.resource, self.act())?;
        let body = match &self.deed {
            Deed::Edit(changes) if changes.is_empty() => return Err(Error::field("/changes", "required", "changes nothing")),
            Deed::Edit(changes) => changes.clone(),
            Deed::Tag(tags) | Deed::Untag(tags) if tags.is_empty() => return Err(Error::field("/tags", "required", "names no tag")),
            Deed::Tag(tags) | Deed::Untag(tags) => [("tags".to_owned(), json!(tags))].into_iter().collect(),
            Deed::Delete | Deed::Restore => return Ok(()),
        };
        let below = |fault: FieldError| FieldError { pointer: format!("{}{}", self.place, fault.pointer), ..fault };
        match write::taken(scope, self.resource, Action::Update, &body) {
            Err(Error::Invalid(faults)) => Err(Error::Invalid(faults.into_iter().map(below).collect())),
            other => other.map(|_| ()),
        }
    }

    /// The ids of the records that the filter finds for whoever asks; nothing where they are named.
    async fn selection(&self, db: &Db, scope: &Scope) -> Result<Option<SelectStatement>> {
        let Chosen::Filter(filter) = &self.chosen else { return Ok(None) };
        let trashed = if self.deed == Deed::Restore { Trashed::Only } else { Trashed::Without };
        let wanted = Wanted { filter: Some(filter.clone()), trashed, ..Wanted::default() };
        let mut select = Query::select();
        select.from_as(Alias::new(self.resource.topic), ROW).expr_as(Resource::column(ROW, "id"), "id");
        list::matching(db, scope, self.resource, &wanted, &mut select).await?;
        Ok(Some(select))
    }

    /// The next records after one, in the order of their ids.
    async fn next(
        &self,
        conn: &impl ConnectionTrait,
        selection: Option<&SelectStatement>,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Uuid>> {
        let Some(selection) = selection else {
            let Chosen::Ids(ids) = &self.chosen else { return Ok(Vec::new()) };
            return Ok(ids.iter().copied().filter(|id| after.is_none_or(|after| *id > after)).take(limit).collect());
        };
        let mut select = selection.clone();
        if let Some(after) = after {
            select.and_where(Resource::column(ROW, "id").gt(after));
        }
        select.order_by((Alias::new(ROW), Alias::new("id")), Order::Asc).limit(limit as u64);
        let rows = conn.query_all(&select).await?;
        Ok(rows.iter().map(|row| row.try_get("", "id")).collect::<std::result::Result<_, _>>()?)
    }
}

/// The ids of a list, in their order, each once.
fn ids_of(list: &Value) -> Result<Vec<Uuid>> {
    let Some(list) = list.as_array().filter(|list| (1..=MAX_IDS).contains(&list.len())) else {
        return Err(Error::field("/ids", "invalid", format!("takes 1 to {MAX_IDS} ids; a filter finds any number of records")));
    };
    let read = |(at, id): (usize, &Value)| {
        let read = id.as_str().and_then(value::id);
        read.ok_or_else(|| Error::field(format!("/ids/{at}"), "invalid", "takes an id"))
    };
    let mut ids = list.iter().enumerate().map(read).collect::<Result<Vec<_>>>()?;
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::registry;

    fn refused(body: Value) -> String {
        let body = body.as_object().cloned().unwrap_or_default();
        match Bulk::read(registry::named("contacts"), &body) {
            Err(Error::Invalid(faults)) => faults[0].pointer.clone(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_body_says_to_which_records_what_is_done() {
        let id = "019aa8f0-0000-7000-8000-000000000001";
        assert_eq!(refused(json!({ "action": "delete" })), "/ids");
        assert_eq!(refused(json!({ "action": "delete", "ids": [] })), "/ids");
        assert_eq!(refused(json!({ "action": "delete", "ids": [id, "x"] })), "/ids/1");
        assert_eq!(refused(json!({ "action": "delete", "ids": [id], "filter": {} })), "/filter");
        assert_eq!(refused(json!({ "action": "explode", "ids": [id] })), "/action");
        assert_eq!(refused(json!({ "action": "edit", "ids": [id] })), "/changes");
        assert_eq!(refused(json!({ "action": "tag", "ids": [id], "tags": null })), "/tags");
        assert_eq!(refused(json!({ "action": "assign", "ids": [id] })), "/owner_id");
        assert_eq!(refused(json!({ "action": "delete", "ids": [id], "tags": ["vip"] })), "/tags");
        let body = json!({ "action": "assign", "ids": [id, id], "owner_id": null, "dry_run": true });
        let read = Bulk::read(registry::named("contacts"), body.as_object().expect("an object")).expect("a body");
        assert!(read.dry_run);
        assert_eq!(read.chosen, Chosen::Ids(vec![id.parse().expect("an id")]));
        assert_eq!(read.deed, Deed::Edit([("owner_id".to_owned(), Value::Null)].into_iter().collect()));
    }
}
