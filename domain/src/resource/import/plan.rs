//! What is to be made of a file: which column becomes which field, how records are found that are there already, how its cells
//! are written.

use std::sync::Arc;

use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{cells::Notation, file::FileShape};
use crate::{
    Error, FieldError, Result, Scope,
    entities::tenant,
    resource::{
        Action, Record, Resource,
        access::Act,
        custom::{self, Custom, Customs},
        field::{Field, Form, Kind},
        value,
    },
};

/// What is to be made of a file.
#[derive(Clone, Debug, Default, PartialEq, Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(default)]
pub struct ImportOptions {
    /// Which column becomes which field. Columns that are not named are left out.
    #[oai(validator(max_items = 500))]
    pub columns: Vec<ImportColumn>,
    /// The fields by which records are found that are there already, the surest first: `id`, or those of which no two records share
    /// one. Left out: all of them that are in the file. Empty: every row becomes a new record.
    #[oai(validator(max_items = 20))]
    pub match_by: Option<Vec<String>>,
    /// What becomes of a row whose record is there already.
    #[oai(default)]
    pub on_match: OnMatch,
    /// What new records get in fields of which their row says nothing, such as their owner.
    pub values: Option<Value>,
    /// Tags that every record gets that is made or changed.
    #[oai(validator(max_items = 50))]
    pub tags: Option<Vec<String>>,
    /// Whether companies and others that a row names and that are not there are made. Otherwise the row is refused.
    #[oai(default)]
    pub create_missing: bool,
    /// In which order the file writes days; left out: as your company writes them.
    pub dates: Option<DateOrder>,
    /// What the file writes before decimals: `.` or `,`; left out: as your company's language does, and `.` in workbooks.
    #[oai(validator(max_length = 1))]
    pub decimal: Option<String>,
    /// The calling code of phone numbers that have none, such as `55`; left out: that of your company's language, if it is one
    /// country's.
    #[oai(validator(max_length = 4))]
    pub country: Option<String>,
    /// Only try it: everything is checked and counted, and nothing is kept.
    #[oai(default)]
    pub dry_run: bool,
}

/// A column that becomes a field.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
pub struct ImportColumn {
    /// Which column, the first is 0.
    pub column: u32,
    /// The field: `first_name`, `custom.budget`, `full_name` for both names in one, `id` to find records by it.
    #[oai(validator(max_length = 200))]
    pub field: String,
    /// Of addresses and numbers, which they are: `work`, `mobile`, …
    #[oai(validator(max_length = 20))]
    pub kind: Option<String>,
}

/// What becomes of a row whose record is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum OnMatch {
    /// The record gets what the row says; cells that are empty change nothing, and lists grow.
    #[default]
    Update,
    /// The record stays as it is.
    Skip,
}

/// In which order a file writes days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize, Deserialize)]
#[oai(rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum DateOrder {
    /// 31/12/2026.
    Dmy,
    /// 12/31/2026.
    Mdy,
    /// 2026-12-31. Days that begin with the year are read so anyway.
    Ymd,
}

impl DateOrder {
    pub(super) fn example(self) -> &'static str {
        match self {
            Self::Dmy => "31/12/2026",
            Self::Mdy => "12/31/2026",
            Self::Ymd => "2026-12-31",
        }
    }
}

/// Options that were read: every name in them is one.
pub(super) struct Plan {
    pub(super) resource: &'static Resource,
    pub(super) columns: Vec<Column>,
    pub(super) keys: Vec<Key>,
    /// What no two records have in common, whether they are found by it or not.
    pub(super) unique: Vec<Key>,
    pub(super) on_match: OnMatch,
    pub(super) values: Record,
    pub(super) tags: Vec<Value>,
    pub(super) create_missing: bool,
    pub(super) notation: Notation,
    pub(super) dry_run: bool,
}

/// A column, and what becomes of it.
pub(super) struct Column {
    pub(super) at: usize,
    pub(super) into: Into,
}

/// What becomes of a column.
#[derive(Clone, Debug)]
pub(super) enum Into {
    /// It says which record it is.
    Id,
    /// Two fields, at the first space.
    FullName(&'static Field, &'static Field),
    /// A field; of rows, the kind that they are.
    Field(&'static Field, Option<&'static str>),
    /// A field that the tenant added.
    Custom(Arc<Custom>),
}

/// What records are found by.
#[derive(Clone, Debug)]
pub(super) enum Key {
    Id,
    Field(&'static Field),
    Custom(Arc<Custom>),
}

/// The name under which both names of a person are one column.
pub(super) const FULL_NAME: &str = "full_name";

impl Plan {
    /// Reads options for a file with these columns.
    ///
    /// # Errors
    /// [`Error::Invalid`] names everything that is wrong; [`Error::Forbidden`].
    pub(super) fn read(
        scope: &Scope,
        resource: &'static Resource,
        company: &tenant::Model,
        customs: &Customs,
        shape: &FileShape,
        options: &ImportOptions,
    ) -> Result<Self> {
        // Every option is read here; a new one can't be forgotten.
        let ImportOptions { columns: mapped, match_by, on_match, values, tags, create_missing, dates, decimal, country, dry_run } = options;
        let file = &shape.columns;
        scope.may(resource, Act::Create)?;
        if *on_match == OnMatch::Update {
            scope.may(resource, Act::Edit)?;
        }
        let mut faults = Vec::new();
        let mut fault = |pointer: String, code, message: String| faults.push(FieldError { pointer, code, message });
        let mut columns: Vec<Column> = Vec::new();
        for (n, one) in mapped.iter().enumerate() {
            let at = one.column as usize;
            if at >= file.len() {
                fault(format!("/columns/{n}/column"), "invalid", format!("the file has {} columns; the first is 0", file.len()));
            } else if columns.iter().any(|column| column.at == at) {
                fault(format!("/columns/{n}/column"), "invalid", "is named twice".into());
            } else {
                match into(scope, resource, customs, one) {
                    Ok(Into::Field(field, _)) if !lists(&field.kind) && columns.iter().any(|one| one.into.is(field.name)) => {
                        fault(format!("/columns/{n}/field"), "invalid", format!("another column becomes {} already", field.name));
                    }
                    Ok(into) => columns.push(Column { at, into }),
                    Err((member, code, message)) => fault(format!("/columns/{n}/{member}"), code, message),
                }
            }
        }
        if mapped.is_empty() {
            fault("/columns".into(), "required", "says which column becomes which field; name at least one".into());
        }
        let keys: Vec<Key> = match match_by {
            None => columns.iter().filter_map(|column| column.into.key()).fold(Vec::new(), |mut keys: Vec<Key>, key| {
                if keys.iter().all(|one| one.name() != key.name()) {
                    keys.push(key);
                }
                keys
            }),
            Some(names) => {
                let mut keys = Vec::new();
                for (n, name) in names.iter().enumerate() {
                    match columns.iter().filter_map(|column| column.into.key()).find(|key| key.name() == *name) {
                        Some(key) => keys.push(key),
                        None => fault(
                            format!("/match_by/{n}"),
                            "invalid",
                            "is no column of the file that becomes id, or a field of which no two records share one".into(),
                        ),
                    }
                }
                keys
            }
        };
        // A record that a file names by its id is that one, whatever else it has.
        let mut keys = keys;
        keys.sort_by_key(|key| !matches!(key, Key::Id));
        let values = match values {
            None | Some(Value::Null) => Record::new(),
            Some(Value::Object(values)) => values.clone(),
            Some(_) => {
                fault("/values".into(), "wrong_type", "takes an object of fields".into());
                Record::new()
            }
        };
        for (name, given) in values.iter().filter(|(name, _)| name.as_str() != custom::FIELD) {
            let pointer = format!("/values/{name}");
            match resource.writable(Action::Create).find(|field| field.name == name) {
                _ if scope.hides(resource, name) => fault(pointer, "forbidden", "you don't get to see this field".into()),
                None => fault(pointer, "unknown_field", "is not a field that can be written".into()),
                Some(field) => {
                    if let Err((code, message)) = value::accept(&field.kind, given) {
                        fault(pointer, code, message);
                    }
                }
            }
        }
        let named =
            |name: &str| columns.iter().any(|column| column.into.is(name)) || values.get(name).is_some_and(|value| !value.is_null());
        let missing: Vec<&str> = resource
            .writable(Action::Create)
            .filter(|field| field.required && field.default.is_none() && !named(field.name))
            .map(|field| field.name)
            .collect();
        if !missing.is_empty() && !keys.iter().any(|key| matches!(key, Key::Id)) {
            fault("/columns".into(), "required", format!("no column becomes {}, which every {} needs", missing.join(", "), resource.name));
        }
        let has_tags = resource.fields.iter().any(|field| field.kind == Kind::Tags);
        let tags: Vec<Value> = tags.iter().flatten().map(|tag| Value::String(tag.clone())).collect();
        if !tags.is_empty() {
            if !has_tags {
                fault("/tags".into(), "invalid", format!("a {} has no tags", resource.name));
            } else if let Err((code, message)) = value::accept(&Kind::Tags, &Value::Array(tags.clone())) {
                fault("/tags".into(), code, message);
            }
        }
        if decimal.as_deref().is_some_and(|sign| sign != "." && sign != ",") {
            fault("/decimal".into(), "invalid", "is a point or a comma".into());
        }
        if country
            .as_deref()
            .is_some_and(|code| code.is_empty() || code.starts_with('0') || !code.bytes().all(|byte| byte.is_ascii_digit()))
        {
            fault("/country".into(), "invalid", "takes the digits of a calling code, such as 55".into());
        }
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let mut usual = usual(company);
        if shape.format == "xlsx" {
            // Numbers are kept there as programs write them, however a cell shows them.
            usual.decimal = '.';
        }
        let notation = Notation {
            dates: dates.unwrap_or(usual.dates),
            decimal: decimal.as_deref().and_then(|sign| sign.chars().next()).unwrap_or(usual.decimal),
            country: country.clone().or(usual.country),
            zone: usual.zone,
        };
        let (create_missing, dry_run, on_match) = (*create_missing, *dry_run, *on_match);
        let unique = Self::uniques(resource, customs);
        Ok(Self { resource, columns, keys, unique, on_match, values, tags, create_missing, notation, dry_run })
    }
}

/// How a company writes, unless a file says otherwise.
pub(super) fn usual(company: &tenant::Model) -> Notation {
    let dates = match company.date_format.as_str() {
        "MM/DD/YYYY" => DateOrder::Mdy,
        "YYYY-MM-DD" => DateOrder::Ymd,
        _ => DateOrder::Dmy,
    };
    let decimal = if matches!(company.locale.as_str(), "en" | "ar") { '.' } else { ',' };
    let country = (company.locale == "pt-BR").then(|| "55".to_owned());
    Notation { dates, decimal, country, zone: company.time_zone.parse().unwrap_or(chrono_tz::Tz::UTC) }
}

/// Whether a field holds several values, so that several columns can become it.
pub(super) fn lists(kind: &Kind) -> bool {
    matches!(kind, Kind::Rows(_) | Kind::References { .. } | Kind::Tags) || matches!(kind, Kind::Text { form: Form::Lines, .. })
}

type Wrong = (&'static str, &'static str, String);

fn into(scope: &Scope, resource: &'static Resource, customs: &Customs, one: &ImportColumn) -> std::result::Result<Into, Wrong> {
    let name = one.field.as_str();
    let hidden = |field: &str| match scope.hides(resource, field) {
        true => Err(("field", "forbidden", "you don't get to see this field, so you can't write it".to_owned())),
        false => Ok(()),
    };
    if name == "id" {
        return Ok(Into::Id);
    }
    if let Some(custom) = customs.at(resource, name) {
        hidden(custom::FIELD)?;
        return Ok(Into::Custom(custom.clone()));
    }
    let field = |name: &str| resource.writable(Action::Create).find(|field| field.name == name && field.name != custom::FIELD);
    if let (FULL_NAME, [first, last]) = (name, resource.label)
        && let (Some(first), Some(last)) = (field(first), field(last))
    {
        hidden(first.name)?;
        hidden(last.name)?;
        return Ok(Into::FullName(first, last));
    }
    let Some(field) = field(name) else {
        return Err(("field", "unknown_field", format!("is no field of a {} that can be written", resource.name)));
    };
    hidden(field.name)?;
    let Some(kind) = one.kind.as_deref() else { return Ok(Into::Field(field, None)) };
    let Kind::Rows(rows) = field.kind else { return Err(("kind", "invalid", "only addresses and numbers are of a kind".to_owned())) };
    let Some(Kind::Choice(kinds)) = rows.fields.get(1).map(|field| &field.kind) else {
        return Err(("kind", "invalid", "these are of no kind".to_owned()));
    };
    match kinds.iter().find(|word| **word == kind) {
        Some(word) => Ok(Into::Field(field, Some(word))),
        None => Err(("kind", "invalid", format!("is none of {}", kinds.join(", ")))),
    }
}

impl Into {
    /// Whether it becomes that field.
    pub(super) fn is(&self, name: &str) -> bool {
        match self {
            Self::Id => name == "id",
            Self::FullName(first, last) => name == first.name || name == last.name,
            Self::Field(field, _) => name == field.name,
            Self::Custom(custom) => name == custom.path(),
        }
    }

    /// What records are found by that have it.
    fn key(&self) -> Option<Key> {
        match self {
            Self::Id => Some(Key::Id),
            Self::Field(field, _) if field.unique => Some(Key::Field(field)),
            Self::Custom(custom) if custom.unique => Some(Key::Custom(custom.clone())),
            _ => None,
        }
    }
}

impl Key {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Id => "id".to_owned(),
            Self::Field(field) => field.name.to_owned(),
            Self::Custom(custom) => custom.path(),
        }
    }
}
