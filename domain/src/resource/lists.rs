//! What is put on one of a record's lists and taken off it, beside what stays there: names of tags, ids of other records.

use serde_json::Value;
use uuid::Uuid;

use super::{
    Record, Resource,
    access::Act,
    field::{Field, Kind},
    value, write,
};
use crate::{Error, Result, engine::Write};

/// The field of a list.
///
/// # Errors
/// [`Error::NotFound`]: it is none.
pub(super) fn field(resource: &'static Resource, name: &str) -> Result<&'static Field> {
    let list = |field: &&Field| matches!(field.kind, Kind::Tags | Kind::References { .. });
    resource.field(name).filter(list).ok_or(Error::NotFound("relation"))
}

/// Puts `on` on the list, and takes `off` off it.
///
/// # Errors
/// As [`write::update`].
pub(super) async fn put(
    write: &Write<'_>,
    resource: &'static Resource,
    id: Uuid,
    field: &Field,
    on: &[Value],
    off: &[Value],
) -> Result<Record> {
    let record = write::load(write, resource, Act::View, id, true).await?.ok_or(Error::NotFound(resource.name))?;
    let same = |a: &Value, b: &Value| match (field.kind == Kind::Tags, a.as_str(), b.as_str()) {
        (true, Some(a), Some(b)) => value::fold(a) == value::fold(b),
        _ => a == b,
    };
    let stays = |one: &&Value| !off.iter().chain(on).any(|other| same(one, other));
    let mut list: Vec<Value> = record[field.name].as_array().into_iter().flatten().filter(stays).cloned().collect();
    list.extend(on.iter().cloned());
    let body = [(field.name.to_owned(), Value::Array(list))].into_iter().collect();
    write::update(write, resource, id, &body, None).await
}
