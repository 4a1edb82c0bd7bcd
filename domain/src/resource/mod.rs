//! What a CRM keeps, written once: a [`Resource`] says what it is, and everything that can be done to any of them is here.
//!
//! - [`field`]: what fields are; [`value`]: their values in JSON, SQL and memory; [`custom`]: those that tenants add.
//! - [`filter`]: the one filter language; [`list`]: reading; [`search`]: finding by words; [`mod@write`]: writing; [`access`]: who may;
//!   [`bulk`]: writing many; [`import`]: from files;
//!   [`merge`]: making several one.
//! - [`registry`]: all of them.
//!
//! Nothing here knows a resource by name. What one does of its own is in its [`Rules`], which see a record before it is
//! saved and after.
//!
//! To add one: docs/adding-a-resource.md.

pub mod access;
pub mod bulk;
pub mod custom;
pub mod field;
pub mod filter;
pub mod import;
pub mod list;
mod lists;
pub mod merge;
pub(crate) mod refused;
pub mod registry;
pub(crate) mod related;
pub mod rows;
pub mod search;
pub(crate) mod sorting;
pub mod transact;
pub mod trash;
pub mod value;
pub mod write;

use std::sync::LazyLock;

use sea_orm::sea_query::{Alias, Expr, ExprTrait};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{Result, engine::Write};
use field::{Field, Kind, Written};

/// A record as JSON: its fields by name.
pub type Record = Map<String, Value>;

/// Something that tenants keep.
pub struct Resource {
    /// One of them, as sentences call it: `contact`.
    pub name: &'static str,
    /// Its topic: in paths, permissions, events, and the name of its table.
    pub topic: &'static str,
    /// The name of its schema: `Contact`.
    pub schema: &'static str,
    /// What it is, in a sentence.
    pub doc: &'static str,
    /// The fields that name a record, in the order in which they are read.
    pub label: &'static [&'static str],
    /// The field with the user whose record it is, if it is somebody's.
    pub owner: Option<&'static str>,
    /// The choice that says who sees a record, if it has one: a `private` one is only for its owner. Whoever is no admin writes
    /// only their own then.
    pub visibility: Option<&'static str>,
    /// Whether only admins write it.
    pub kept_by_admins: bool,
    /// Whether people make and delete it here, or only change what is made elsewhere.
    pub made: bool,
    /// Whether the same can be done to many of them at once, and many made of a file.
    pub bulk: bool,
    /// The order of a list that asks for none.
    pub sort: &'static str,
    /// Its own fields, and those that every resource has.
    pub fields: Vec<Field>,
    /// The lists of other resources' records that belong to one: their topic, and their field for it.
    pub many: Vec<(&'static str, &'static str)>,
    /// What lets several of them become one, if they can.
    pub merging: Option<&'static merge::Merging>,
    /// What it does of its own.
    pub rules: &'static dyn Rules,
}

/// What is done to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is made.
    Create,
    /// Some of it is changed.
    Update,
    /// It is put into the trash.
    Delete,
    /// It is taken out of the trash.
    Restore,
    /// It is deleted for good.
    Purge,
}

impl Action {
    /// Whether the record is gone afterwards.
    #[must_use]
    pub fn ends(self) -> bool {
        matches!(self, Self::Delete | Self::Purge)
    }

    /// As events keep it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::Update => "updated",
            Self::Delete => "deleted",
            Self::Restore => "restored",
            Self::Purge => "purged",
        }
    }
}

/// One record on its way from what it was to what it will be.
#[derive(Clone, Debug)]
pub struct Change {
    /// What is done.
    pub action: Action,
    /// Which record.
    pub id: Uuid,
    /// What it was; nothing when it is made.
    pub before: Record,
    /// What it will be.
    pub after: Record,
}

impl Change {
    /// Whether this field is another one afterwards.
    #[must_use]
    pub fn changes(&self, field: &str) -> bool {
        self.before.get(field).unwrap_or(&Value::Null) != self.after.get(field).unwrap_or(&Value::Null)
    }

    /// What a field will hold.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&str> {
        self.after.get(field)?.as_str()
    }

    /// The id that a field will hold.
    #[must_use]
    pub fn reference(&self, field: &str) -> Option<Uuid> {
        self.text(field).and_then(value::id)
    }
}

/// What a resource does of its own. All of it is part of the writing transaction.
#[async_trait::async_trait]
pub trait Rules: Send + Sync {
    /// Completes what will be saved, or refuses it.
    async fn check(&self, _write: &Write<'_>, _change: &mut Change) -> Result<()> {
        Ok(())
    }

    /// Whether many may be written at once: nothing that is checked depends on another one that is on its way.
    fn gathers(&self) -> bool {
        false
    }

    /// Completes what only rules write in a record that others become part of.
    fn combine(&self, _into: &mut Record, _others: &[Record]) {}

    /// Does what follows once it is saved.
    async fn follow(&self, _write: &Write<'_>, _change: &Change) -> Result<()> {
        Ok(())
    }
}

/// The rules of a resource that has none.
pub struct Plain;

impl Rules for Plain {
    fn gathers(&self) -> bool {
        true
    }
}

impl std::fmt::Debug for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Resource").field(&self.topic).finish()
    }
}

static COMMON: LazyLock<Vec<Field>> = LazyLock::new(|| {
    let number = Kind::Integer { min: 1, max: i64::MAX };
    vec![
        Field::new("version", number, "How often it was written; the ETag holds it.").required().by_rules(),
        Field::new("created_at", Kind::Time, "When it was made.").required().by_rules(),
        Field::new("updated_at", Kind::Time, "When it was last written.").required().by_rules(),
        Field::new("deleted_at", Kind::Time, "Since when it is in the trash.").by_rules(),
    ]
});

impl Resource {
    /// One with these fields, and with those that every resource has.
    #[must_use]
    pub fn new(name: &'static str, topic: &'static str, schema: &'static str, doc: &'static str, own: Vec<Field>) -> Self {
        let mut fields = vec![Field::new("id", Kind::Reference { to: topic }, "Its id.").required().by_rules()];
        fields.extend(own);
        fields.extend(custom::TOPICS.contains(&topic).then(custom::field));
        fields.extend(COMMON.iter().cloned());
        Self {
            name,
            topic,
            schema,
            doc,
            label: &["name"],
            owner: None,
            visibility: None,
            kept_by_admins: false,
            made: true,
            bulk: false,
            sort: "-created_at",
            fields,
            many: Vec::new(),
            merging: None,
            rules: &Plain,
        }
    }

    /// The field of that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The columns of its table.
    pub fn columns(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.is_column())
    }

    /// Its table, those of what hangs on its records, and those of what they are joined with.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &'static str> {
        let joined = self.fields.iter().flat_map(|field| match field.kind {
            Kind::Rows(rows) => vec![rows.table],
            Kind::References { table, to, .. } => vec![table, to],
            Kind::Tags => vec!["taggings"],
            _ => Vec::new(),
        });
        [self.topic].into_iter().chain(joined)
    }

    /// What people may write.
    pub fn writable(&self, action: Action) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(move |field| match field.written {
            Written::Freely => true,
            Written::Once => action == Action::Create,
            Written::ByRules => false,
        })
    }

    /// The relations to other records that its fields open: their name, their field and the topic they lead to.
    pub fn relations(&self) -> impl Iterator<Item = (&'static str, &Field, &'static str)> {
        self.fields.iter().filter_map(|field| Some((field.relation?, field, field.leads_to()?)))
    }

    /// What a record is called.
    #[must_use]
    pub fn label_of(&self, record: &Record) -> String {
        let parts = self.label.iter().filter_map(|name| record.get(*name)?.as_str());
        parts.collect::<Vec<_>>().join(" ")
    }

    /// A column of the table as `alias`.
    pub(crate) fn column(alias: &str, name: &'static str) -> Expr {
        Expr::col((Alias::new(alias), Alias::new(name)))
    }

    /// The rows of a tenant.
    pub(crate) fn of(alias: &str, tenant: Uuid) -> Expr {
        Self::column(alias, "tenant_id").eq(tenant)
    }
}
