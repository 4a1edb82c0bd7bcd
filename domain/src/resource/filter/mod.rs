//! The one filter language: lists, saved views, bulk selections and conditions of workflows are all written in it.
//!
//! `{"and":[{"field":"stage.name","op":"eq","value":"Won"},{"or":[…]}]}`. A document is read once into a [`Filter`], with
//! relative dates and `@me` made absolute; [`sql`] and [`memory`] then say the same about every record, null included:
//! - an operator holds for a field with several values (tags, addresses, related records) when it holds for one of them;
//! - `ne`, `nin`, `is_null` and `has_none` are the exact opposites of `eq`, `in`, `not_null` and `has_any`, so an empty
//!   field is not equal to anything;
//! - `contains`, `starts_with` and `ends_with` leave case and accents aside, the others don't.

pub(crate) mod custom;
pub mod dates;
pub mod memory;
mod read;
pub mod sql;

use std::sync::Arc;

use chrono::{DateTime, Utc, Weekday};
use chrono_tz::Tz;
use serde_json::Value;
use uuid::Uuid;

use super::{
    Resource,
    custom::{Custom, Customs},
    field::{Field, Kind, RowField, Rows},
    value::Cell,
};

/// How deep a filter may be.
pub const MAX_DEPTH: usize = 5;
/// How many comparisons it may have.
pub const MAX_LEAVES: usize = 50;
/// How many values a comparison may list.
pub const MAX_VALUES: usize = 200;

/// A condition on records of one resource.
#[derive(Clone, Debug)]
pub enum Filter {
    /// All of these.
    And(Vec<Filter>),
    /// One of these.
    Or(Vec<Filter>),
    /// A comparison.
    Leaf(Box<Leaf>),
}

/// A comparison, or its opposite.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// What is compared.
    pub place: Place,
    /// With what.
    pub test: Test,
    /// Whether it must not hold.
    pub not: bool,
}

/// What a comparison looks at.
#[derive(Clone, Debug)]
pub struct Place {
    /// The relation it looks through.
    pub hop: Option<Hop>,
    /// What it looks at there.
    pub what: What,
}

/// A relation to another resource.
#[derive(Clone, Copy, Debug)]
pub struct Hop {
    /// What the filter calls it.
    pub name: &'static str,
    /// Where it leads.
    pub to: &'static Resource,
    /// How.
    pub by: By,
    /// The field that keeps it: one of ours, or of theirs.
    pub via: &'static str,
}

/// How a relation is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum By {
    /// This field of ours is their id.
    Ours(&'static str),
    /// That field of theirs is our id.
    Theirs(&'static str),
    /// A table joins the two.
    Joined {
        /// Its name.
        table: &'static str,
        /// Its column for us.
        ours: &'static str,
        /// Its column for them.
        theirs: &'static str,
    },
}

/// What a comparison looks at, in the record where it looks.
#[derive(Clone, Debug)]
pub enum What {
    /// A field.
    Field(&'static Field),
    /// A field of the rows of a field.
    Row(&'static Field, &'static Rows, &'static RowField),
    /// A field that the tenant added.
    Custom(Arc<Custom>),
    /// How many there are behind the relation.
    Count,
}

impl What {
    /// What kind of value it compares.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        static COUNT: Kind = Kind::Integer { min: 0, max: i64::MAX };
        match self {
            Self::Field(field) => &field.kind,
            Self::Row(_, _, field) => &field.kind,
            Self::Custom(custom) => &custom.kind,
            Self::Count => &COUNT,
        }
    }

    /// The operators that it takes.
    #[must_use]
    pub fn operators(&self) -> &'static [&'static str] {
        match self {
            Self::Custom(custom) => custom.operators(),
            other => operators(other.kind()),
        }
    }
}

/// What is asked of a value; a null never passes.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// It is there.
    Present,
    /// It is one of these.
    In(Vec<Operand>),
    /// It is below, or also at.
    Below(Operand, bool),
    /// It is above, or also at.
    Above(Operand, bool),
    /// It is between these; whether the second one still counts.
    Between(Operand, Operand, bool),
    /// It has this folded text in it.
    Like {
        /// The text, folded.
        text: String,
        /// Whether something may stand before it.
        before: bool,
        /// Whether something may stand after it.
        after: bool,
    },
    /// All of these are among its values.
    All(Vec<Operand>),
}

/// What a value is compared with: as JSON in its one form, and as it is compared in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Operand {
    /// In JSON.
    pub value: Value,
    /// In memory.
    pub cell: Cell,
}

impl Operand {
    /// One that only SQL compares.
    pub(crate) fn of(value: &Value) -> Self {
        Self { value: value.clone(), cell: Cell::Text(String::new()) }
    }
}

/// Who asks, and when: what `@me` and `today` mean.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The user.
    pub user: Option<Uuid>,
    /// Everybody in their teams, themselves included.
    pub team: Vec<Uuid>,
    /// Now.
    pub now: DateTime<Utc>,
    /// Where their day begins.
    pub zone: Tz,
    /// With which day their week begins.
    pub week_start: Weekday,
    /// The fields that their company added.
    pub customs: Customs,
}

/// The operators that a kind takes.
#[must_use]
pub fn operators(kind: &Kind) -> &'static [&'static str] {
    match kind {
        Kind::Text { .. } => {
            &["eq", "ne", "in", "nin", "lt", "lte", "gt", "gte", "between", "contains", "starts_with", "ends_with", "is_null", "not_null"]
        }
        Kind::Integer { .. } | Kind::Decimal { .. } => {
            &["eq", "ne", "in", "nin", "lt", "lte", "gt", "gte", "between", "is_null", "not_null"]
        }
        Kind::Date | Kind::Time => &["eq", "ne", "in", "nin", "lt", "lte", "gt", "gte", "between", "within", "is_null", "not_null"],
        Kind::Boolean => &["eq", "ne", "is_null", "not_null"],
        Kind::Choice(_) | Kind::Reference { .. } => &["eq", "ne", "in", "nin", "is_null", "not_null"],
        Kind::Tags | Kind::References { .. } => &["has_any", "has_all", "has_none", "is_null", "not_null"],
        Kind::Rows(_) => &["is_null", "not_null"],
        Kind::Json => &[],
    }
}
