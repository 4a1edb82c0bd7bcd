//! What the operations on resources are asked with and answer.

use domain::resource::{
    custom::Custom,
    field::{Field, Kind, Written},
    filter::operators,
};
use poem_openapi::{ApiResponse, Enum, Object, payload::Json};
use serde_json::Value;
use uuid::Uuid;

use super::schema::Shown;

#[derive(ApiResponse)]
pub(super) enum Read {
    /// It.
    #[oai(status = 200)]
    Found(
        Json<Shown>,
        /// Its version, to be sent as If-Match with a change.
        #[oai(header = "ETag")]
        String,
    ),
    /// It is still the one that If-None-Match names.
    #[oai(status = 304)]
    Same,
}

#[derive(ApiResponse)]
pub(super) enum Saved {
    /// It, as it is now.
    #[oai(status = 200)]
    Saved(
        Json<Shown>,
        /// Its version; a repeated answer to an Idempotency-Key lacks it.
        #[oai(header = "ETag")]
        Option<String>,
    ),
}

#[derive(ApiResponse)]
pub(super) enum Made {
    /// The new one.
    #[oai(status = 201)]
    Made(
        Json<Shown>,
        /// Its version; a repeated answer to an Idempotency-Key lacks it.
        #[oai(header = "ETag")]
        Option<String>,
    ),
}

#[derive(ApiResponse)]
pub(super) enum Upserted {
    /// There was one, and it was changed.
    #[oai(status = 200)]
    Changed(
        Json<Shown>,
        /// Its version; a repeated answer to an Idempotency-Key lacks it.
        #[oai(header = "ETag")]
        Option<String>,
    ),
    /// There was none, and it was made.
    #[oai(status = 201)]
    Made(
        Json<Shown>,
        /// Its version; a repeated answer to an Idempotency-Key lacks it.
        #[oai(header = "ETag")]
        Option<String>,
    ),
}

#[derive(ApiResponse)]
pub(super) enum Gone {
    /// It is in the trash, or gone.
    #[oai(status = 204)]
    Gone,
}

/// Whether records in the trash are wanted.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum TrashedWanted {
    /// Too.
    With,
    /// Nothing else.
    Only,
}

/// Whether all records are counted.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum CountWanted {
    /// No.
    None,
    /// As the database guesses.
    Estimate,
    /// One by one.
    Exact,
}

/// What part of a list is wanted.
#[derive(Object)]
pub(super) struct ListQuery {
    /// A filter: a comparison `{"field","op","value"}`, or several under `and` or `or`.
    pub(super) filter: Option<Value>,
    /// A saved view: only its records, in its order where you ask for none.
    pub(super) view_id: Option<Uuid>,
    /// Words that have to be in the searched fields, without case and accents; one of one or two letters begins a word there.
    #[oai(validator(max_length = 200))]
    pub(super) q: Option<String>,
    /// The order: fields with commas between them, a minus for the other way.
    #[oai(validator(max_length = 200))]
    pub(super) sort: Option<String>,
    /// Relations whose records are wanted with each.
    #[oai(validator(max_items = 10))]
    pub(super) include: Option<Vec<String>>,
    /// Only these fields; left out or empty: all.
    #[oai(validator(max_items = 100))]
    pub(super) fields: Option<Vec<String>>,
    /// Records in the trash.
    pub(super) trashed: Option<TrashedWanted>,
    /// Whether to count.
    pub(super) count: Option<CountWanted>,
    /// How many, 1 to 200; 25 when it is left out.
    #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
    pub(super) limit: Option<u64>,
    /// Where the page before ended.
    #[oai(validator(max_length = 10000))]
    pub(super) cursor: Option<String>,
}

/// Which tags come and go.
#[derive(Object)]
pub(super) struct TagChange {
    /// Tags to put on; new ones are made.
    #[oai(validator(max_items = 100))]
    pub(super) add: Option<Vec<String>>,
    /// Tags to take off.
    #[oai(validator(max_items = 100))]
    pub(super) remove: Option<Vec<String>>,
}

/// A field of a resource.
#[derive(Object)]
pub(super) struct FieldInfo {
    /// Its name in JSON, filters and orders; of one that the company added, `custom.` and its key.
    pub(super) name: String,
    /// What people call it, if the company added it.
    #[oai(skip_serializing_if_is_none)]
    pub(super) label: Option<String>,
    /// What it means.
    pub(super) description: String,
    /// What it holds: `text`, `integer`, `decimal`, `boolean`, `date`, `time`, `choice`, `reference`, `references`, `rows`,
    /// `tags` or `json`; of one that the company added, its kind there.
    pub(super) kind: String,
    /// Which resource it leads to.
    #[oai(skip_serializing_if_is_none)]
    pub(super) to: Option<String>,
    /// What there is to choose from.
    #[oai(skip_serializing_if_is_none)]
    pub(super) choices: Option<Vec<String>>,
    /// Whether a record can't be without it.
    pub(super) required: bool,
    /// Whether it can be written: `always`, `once` (when a record is made) or `never`.
    pub(super) writable: String,
    /// Whether a list can be in its order.
    pub(super) sortable: bool,
    /// The operators with which it can be compared.
    pub(super) operators: Vec<String>,
}

impl FieldInfo {
    /// One that every tenant's records have.
    pub(super) fn own(field: &Field) -> Self {
        let (kind, to, choices) = match field.kind {
            Kind::Text { .. } => ("text", None, None),
            Kind::Integer { .. } => ("integer", None, None),
            Kind::Decimal { .. } => ("decimal", None, None),
            Kind::Boolean => ("boolean", None, None),
            Kind::Date => ("date", None, None),
            Kind::Time => ("time", None, None),
            Kind::Choice(words) => ("choice", None, Some(words.iter().map(|&word| word.to_owned()).collect())),
            Kind::Reference { to } => ("reference", Some(to.to_owned()), None),
            Kind::References { to, .. } => ("references", Some(to.to_owned()), None),
            Kind::Rows(_) => ("rows", None, None),
            Kind::Tags => ("tags", None, None),
            Kind::Json => ("json", None, None),
        };
        let writable = match field.written {
            Written::Freely => "always",
            Written::Once => "once",
            Written::ByRules => "never",
        };
        Self {
            name: field.name.to_owned(),
            label: None,
            description: field.doc.to_owned(),
            kind: kind.to_owned(),
            to,
            choices,
            required: field.required,
            writable: writable.to_owned(),
            sortable: field.is_sortable(),
            operators: operators(&field.kind).iter().map(|&word| word.to_owned()).collect(),
        }
    }

    /// One that the company added.
    pub(super) fn added(custom: &Custom) -> Self {
        Self {
            name: custom.path(),
            label: Some(custom.name.clone()),
            description: custom.description.clone().unwrap_or_default(),
            kind: custom.word().to_owned(),
            to: (custom.word() == "user").then(|| "users".to_owned()),
            choices: Some(custom.options.clone()).filter(|options| !options.is_empty()),
            required: custom.required,
            writable: "always".to_owned(),
            sortable: custom.is_sortable(),
            operators: custom.operators().iter().map(|&word| word.to_owned()).collect(),
        }
    }
}

/// The fields of a resource.
#[derive(Object)]
pub(super) struct Fields {
    /// In the order in which records have them.
    pub(super) data: Vec<FieldInfo>,
}
