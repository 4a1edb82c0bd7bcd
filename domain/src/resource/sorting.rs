//! The orders of lists, and their pages by keyset: a cursor has the values of the last record in the order's fields.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use sea_orm::sea_query::{Expr, ExprTrait, NullOrdering, Order, SelectStatement};
use serde_json::{Value, json};

use super::{
    Record, Resource,
    custom::{Custom, Customs},
    field::{Field, Kind},
    filter::{self, sql::Target},
    rows::ROW,
    value,
};
use crate::{Error, Result, Scope};

/// An order in which no two records have the same place.
pub(crate) struct Sorting<'a>(Vec<Key<'a>>);

/// A field of an order.
struct Key<'a> {
    sorted: Sorted<'a>,
    down: bool,
}

/// What is sorted by.
enum Sorted<'a> {
    Field(&'a Field),
    Custom(Arc<Custom>),
}

impl Sorted<'_> {
    fn name(&self) -> String {
        match self {
            Self::Field(field) => field.name.to_owned(),
            Self::Custom(custom) => custom.path(),
        }
    }

    /// As SQL compares it.
    fn kind(&self) -> &Kind {
        match self {
            Self::Field(field) => &field.kind,
            Self::Custom(custom) => filter::custom::kind(custom),
        }
    }

    /// Whether every record has it.
    fn required(&self) -> bool {
        matches!(self, Self::Field(field) if field.required)
    }

    fn of<'r>(&self, record: &'r Record) -> &'r Value {
        match self {
            Self::Field(field) => record.get(field.name).unwrap_or(&Value::Null),
            Self::Custom(custom) => custom.of(record),
        }
    }
}

impl<'a> Sorting<'a> {
    /// Reads `sort`: fields with commas between them, a minus for the other way.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub(crate) fn read(scope: &Scope, resource: &'a Resource, customs: &Customs, sort: &str) -> Result<Self> {
        let mut order: Vec<Key<'_>> = Vec::new();
        for part in sort.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (down, name) = part.strip_prefix('-').map_or((false, part), |name| (true, name));
            let own = || resource.field(name).filter(|field| field.is_sortable()).map(Sorted::Field);
            let added = || customs.at(resource, name).filter(|custom| custom.is_sortable()).cloned().map(Sorted::Custom);
            let Some(sorted) = own().or_else(added) else {
                return Err(Error::field(
                    "/sort",
                    "unknown_field",
                    format!("takes fields of {}, with a minus for the other way", resource.topic),
                ));
            };
            if order.iter().any(|key| key.sorted.name() == name) {
                return Err(Error::field("/sort", "invalid", "names a field twice"));
            }
            if scope.hides(resource, name.split_once('.').map_or(name, |(field, _)| field)) {
                return Err(Error::field("/sort", "forbidden", "you don't get to see this field"));
            }
            order.push(Key { sorted, down });
        }
        if order.len() > 4 {
            return Err(Error::field("/sort", "too_many", "takes at most 4 fields"));
        }
        // No two records have the same place.
        let down = order.last().is_some_and(|key| key.down);
        if order.iter().all(|key| key.sorted.name() != "id") {
            order.push(Key { sorted: Sorted::Field(resource.field("id").expect("every resource has an id")), down });
        }
        Ok(Self(order))
    }

    /// The values after which a page begins.
    ///
    /// # Errors
    /// [`Error::Invalid`]: the cursor is of another list, or of another order.
    pub(crate) fn after(&self, cursor: Option<&str>) -> Result<Option<Vec<Value>>> {
        let Some(cursor) = cursor else { return Ok(None) };
        let bytes = BASE64.decode(cursor).ok();
        let read = bytes.and_then(|bytes| serde_json::from_slice::<(String, Vec<Value>)>(&bytes).ok());
        let plain = |value: &Value| !value.is_array() && !value.is_object() && value.as_str().is_none_or(|text| !text.contains('\0'));
        let good =
            |(order, values): &(String, Vec<Value>)| *order == self.spelled() && values.len() == self.0.len() && values.iter().all(plain);
        let wrong =
            || Error::field("/cursor", "invalid", "is not a cursor of this list in this order; leave it out to start at the beginning");
        read.filter(good).map(|(_, values)| Some(values)).ok_or_else(wrong)
    }

    /// Where the page after this record begins.
    pub(crate) fn cursor(&self, last: &Record) -> String {
        let values: Vec<&Value> = self.0.iter().map(|key| key.sorted.of(last)).collect();
        BASE64.encode(json!([self.spelled(), values]).to_string())
    }

    fn spelled(&self) -> String {
        self.0.iter().map(Key::spelled).collect::<Vec<_>>().join(",")
    }

    /// Brings the rows of each of [`Sorting::parts`] into the order.
    pub(crate) fn apply(&self, target: Target<'_>, select: &mut SelectStatement) {
        for (at, key) in self.0.iter().enumerate() {
            key.apply(target, at == 0, select);
        }
    }

    /// The rows that come after `after`, or all of them, as conditions of statements to be asked one after the other. Rows
    /// without the first key come apart from those with it: only so an index of either database begins where they begin.
    pub(crate) fn parts(&self, target: Target<'_>, after: Option<&[Value]>) -> Vec<Option<Expr>> {
        let Some(key) = self.0.first().filter(|key| !key.sorted.required()) else {
            return vec![after.map(|after| beyond(target, &self.0, after))];
        };
        let (full, empty) = (|| key.column(target).is_not_null(), || key.column(target).is_null());
        let rest = |after: &[Value]| beyond(target, &self.0[1..], &after[1..]);
        let parts = match (after, key.down) {
            (None, false) => vec![full(), empty()],
            (None, true) => vec![empty(), full()],
            (Some(after), false) if Value::is_null(&after[0]) => vec![empty().and(rest(after))],
            (Some(after), true) if Value::is_null(&after[0]) => vec![empty().and(rest(after)), full()],
            (Some(after), false) => vec![further(target, key, &after[0], rest(after)), empty()],
            (Some(after), true) => vec![further(target, key, &after[0], rest(after))],
        };
        parts.into_iter().map(Some).collect()
    }
}

impl Key<'_> {
    fn spelled(&self) -> String {
        format!("{}{}", if self.down { "-" } else { "" }, self.sorted.name())
    }

    /// What rows are sorted by: texts without case and accents.
    fn column(&self, target: Target<'_>) -> Expr {
        let text = matches!(self.sorted.kind(), Kind::Text { .. });
        match &self.sorted {
            Sorted::Field(field) if text => target.bytewise(target.folded(ROW, field.name)),
            Sorted::Field(field) => Resource::column(ROW, field.name),
            Sorted::Custom(custom) if text => target.bytewise(target.folded_of(custom, ROW)),
            Sorted::Custom(custom) => target.value_of(custom, ROW),
        }
    }

    fn value(&self, value: &Value) -> Expr {
        match (self.sorted.kind(), value.as_str()) {
            (Kind::Text { .. }, Some(text)) => Expr::val(value::fold(text)),
            (kind, _) => Expr::val(value::sql(kind, value)),
        }
    }

    /// Empty ones come last, and first the other way round: as PostgreSQL's indexes have them. Those of the first key come
    /// apart: see [`Sorting::parts`].
    fn apply(&self, target: Target<'_>, first: bool, select: &mut SelectStatement) {
        let order = if self.down { Order::Desc } else { Order::Asc };
        match (self.sorted.required() || first, target.backend) {
            (false, db::DbBackend::Sqlite) => {
                let nulls = if self.down { NullOrdering::First } else { NullOrdering::Last };
                select.order_by_expr_with_nulls(self.column(target), order, nulls);
            }
            _ => _ = select.order_by_expr(self.column(target), order),
        }
    }
}

/// The rows that come after `after` in the order.
fn beyond(target: Target<'_>, order: &[Key<'_>], after: &[Value]) -> Expr {
    let (Some((key, order)), Some((value, after))) = (order.split_first(), after.split_first()) else { return Expr::cust("1 = 0") };
    let rest = || beyond(target, order, after);
    let column = || key.column(target);
    match (value.is_null(), key.down) {
        (true, false) => column().is_null().and(rest()),
        (true, true) => column().is_not_null().or(column().is_null().and(rest())),
        (false, true) => further(target, key, value, rest()),
        (false, false) if key.sorted.required() => further(target, key, value, rest()),
        (false, false) => further(target, key, value, rest()).or(column().is_null()),
    }
}

/// The rows with a key that come after one with this value of it: with another value, or with the same where `rest` holds.
fn further(target: Target<'_>, key: &Key<'_>, value: &Value, rest: Expr) -> Expr {
    let (column, value) = (|| key.column(target), key.value(value));
    let (bound, further) = match key.down {
        true => (column().lte(value.clone()), column().lt(value.clone())),
        false => (column().gte(value.clone()), column().gt(value.clone())),
    };
    // The bound says nothing new, but an index begins there.
    bound.and(further.or(column().eq(value).and(rest)))
}
