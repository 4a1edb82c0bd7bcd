//! A filter held against one record in memory; [`super::sql`] says the same of all of them.

use serde_json::Value;

use super::{Filter, Operand, Place, Test, What};
use crate::resource::{
    Record,
    field::Kind,
    value::{self, Cell},
};

/// A record with what its filter looks at.
pub struct Seen<'a> {
    /// Its fields.
    pub record: &'a Record,
    /// The records behind its relations that the caller may see, by the relation's name.
    pub related: &'a dyn Fn(&str) -> Vec<Record>,
}

impl Filter {
    /// Whether the record is one of those.
    #[must_use]
    pub fn holds(&self, seen: &Seen<'_>) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.holds(seen)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(seen)),
            Self::Leaf(leaf) => holds(&leaf.place, &leaf.test, seen) != leaf.not,
        }
    }
}

fn holds(place: &Place, test: &Test, seen: &Seen<'_>) -> bool {
    match (place.hop, &place.what) {
        (Some(hop), What::Count) => {
            let count = i64::try_from((seen.related)(hop.name).len()).unwrap_or(i64::MAX);
            passes(Some(&Cell::Number(count)), test)
        }
        (Some(hop), what) => (seen.related)(hop.name).iter().any(|record| in_record(what, test, record)),
        (None, what) => in_record(what, test, seen.record),
    }
}

fn in_record(what: &What, test: &Test, record: &Record) -> bool {
    let list = |name: &str| record.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    match what {
        What::Count => false,
        What::Custom(custom) => {
            let value = custom.of(record);
            let has = |operand: &Operand| value.as_array().is_some_and(|list| list.contains(&operand.value));
            match test {
                Test::In(operands) if custom.many => operands.iter().any(has),
                Test::All(operands) => operands.iter().all(has),
                _ if custom.many => value.is_array(),
                _ => passes(value::cell(&custom.kind, value).as_ref(), test),
            }
        }
        What::Row(field, _, part) => list(field.name).iter().any(|row| passes(value::cell(&part.kind, &row[part.name]).as_ref(), test)),
        What::Field(field) => match &field.kind {
            Kind::Rows(_) | Kind::References { .. } | Kind::Tags => {
                let text =
                    |value: &Value| value.as_str().map(|text| if field.kind == Kind::Tags { value::fold(text) } else { text.to_owned() });
                let cells: Vec<Cell> = list(field.name).iter().filter_map(|value| text(value).map(Cell::Text)).collect();
                let has = |operand: &Operand| cells.contains(&operand.cell);
                match test {
                    Test::In(operands) => operands.iter().any(has),
                    Test::All(operands) => operands.iter().all(has),
                    _ => !list(field.name).is_empty(),
                }
            }
            kind => passes(record.get(field.name).and_then(|value| value::cell(kind, value)).as_ref(), test),
        },
    }
}

fn passes(cell: Option<&Cell>, test: &Test) -> bool {
    let Some(cell) = cell else { return false };
    match test {
        Test::Present => true,
        Test::In(operands) => operands.iter().any(|operand| operand.cell == *cell),
        Test::Below(operand, at) => *cell < operand.cell || *at && *cell == operand.cell,
        Test::Above(operand, at) => *cell > operand.cell || *at && *cell == operand.cell,
        Test::Between(from, to, at) => *cell >= from.cell && (*cell < to.cell || *at && *cell == to.cell),
        Test::Like { text, before, after } => {
            let Cell::Text(own) = cell else { return false };
            let own = value::fold(own);
            match (before, after) {
                (true, true) => own.contains(text.as_str()),
                (false, true) => own.starts_with(text.as_str()),
                (true, false) => own.ends_with(text.as_str()),
                (false, false) => own == *text,
            }
        }
        Test::All(_) => false,
    }
}
