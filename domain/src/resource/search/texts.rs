//! What the searched fields of a record say, as the index keeps it.

use std::iter;

use sea_orm::{
    ConnectionTrait,
    sea_query::{Expr, ExprTrait, Query},
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Result,
    engine::{
        Write,
        set::{Insert, Otherwise},
    },
    resource::{
        Change, Record, Resource,
        custom::{self, Customs},
        field::{Form, Kind},
        value,
    },
};

/// The table.
pub(super) const TEXTS: &str = "search_texts";

/// The texts that a value of a searched field has, each with its kind.
pub(super) fn parts<'a>(kind: &'a Kind, value: &'a Value) -> Box<dyn Iterator<Item = (&'a Kind, &'a str)> + 'a> {
    match (kind, value) {
        (Kind::Rows(rows), Value::Array(list)) => {
            let about = &rows.fields[0];
            Box::new(list.iter().flat_map(|row| parts(&about.kind, &row[about.name])))
        }
        (_, Value::Array(list)) => Box::new(list.iter().flat_map(|one| parts(kind, one))),
        (Kind::Text { .. }, Value::String(text)) => Box::new(iter::once((kind, text.as_str()))),
        _ => Box::new(iter::empty()),
    }
}

/// A text as it is kept: of a number, every spelling of its digits.
pub(super) fn kept(kind: &Kind, text: &str) -> String {
    match kind {
        Kind::Text { form: Form::Phone, .. } => {
            whatsapp::phone::variants(text.trim_start_matches('+')).iter().map(|digits| format!("  {digits}")).collect()
        }
        _ => words(&value::fold(text)).map(|word| format!("  {word}")).collect(),
    }
}

/// The words of a text.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty())
}

fn said(kind: &Kind, value: &Value) -> String {
    parts(kind, value).map(|(kind, text)| kept(kind, text)).collect()
}

/// A field as the index calls it, and what it says; nothing for an empty one.
pub(super) type Text = (String, String);

/// What all searched fields of a record say.
pub(super) fn of(resource: &Resource, customs: &Customs, record: &Record) -> Vec<Text> {
    let own = resource.fields.iter().filter(|field| field.searched);
    let own = own.map(|field| (field.name.to_owned(), said(&field.kind, record.get(field.name).unwrap_or(&Value::Null))));
    let added = customs.on(resource).iter().filter(|custom| custom.is_searched());
    own.chain(added.map(|custom| (custom.path(), said(&custom.kind, custom.of(record))))).filter(|(_, text)| !text.is_empty()).collect()
}

/// Keeps what the fields say that a change changes.
pub(crate) async fn keep(write: &Write<'_>, resource: &'static Resource, change: &Change) -> Result<()> {
    let changed = resource.fields.iter().filter(|field| field.searched && change.changes(field.name));
    let mut texts: Vec<Text> =
        changed.map(|field| (field.name.to_owned(), said(&field.kind, change.after.get(field.name).unwrap_or(&Value::Null)))).collect();
    if change.changes(custom::FIELD) {
        texts.extend(added(write, resource, change).await?);
    }
    let (full, empty): (Vec<Text>, Vec<Text>) = texts.into_iter().partition(|(_, text)| !text.is_empty());
    let (tenant, id) = (write.scope.tenant.0, change.id);
    if !change.before.is_empty() {
        forget(&***write, tenant, empty.into_iter().map(|(field, _)| (id, field)).collect()).await?;
    }
    let full = full.into_iter().map(|(field, text)| (id, field, text)).collect();
    let otherwise = if change.before.is_empty() { Otherwise::Fail } else { OVER };
    Ok(write.insert(rows(tenant, resource.topic, full, otherwise)).await?)
}

/// What the company's own fields say that are others afterwards.
async fn added(write: &Write<'_>, resource: &'static Resource, change: &Change) -> Result<Vec<Text>> {
    let values = |record: &Record| record.get(custom::FIELD).and_then(Value::as_object).cloned().unwrap_or_default();
    let (before, after) = (values(&change.before), values(&change.after));
    if before == after {
        return Ok(Vec::new());
    }
    let gone = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (format!("{}{key}", custom::PREFIX), String::new()));
    let customs = custom::here(write).await?;
    let searched = customs.on(resource).iter().filter(|custom| custom.is_searched() && before.get(&custom.key) != after.get(&custom.key));
    Ok(gone.chain(searched.map(|custom| (custom.path(), said(&custom.kind, custom.of(&change.after))))).collect())
}

/// Over a row that is there.
const OVER: Otherwise = Otherwise::Replace(&["tenant_id", "record_id", "field"]);

fn rows(tenant: Uuid, topic: &'static str, texts: Vec<(Uuid, String, String)>, otherwise: Otherwise) -> Insert {
    let row = |(id, field, text): (Uuid, String, String)| vec![tenant.into(), topic.into(), id.into(), field.into(), text.into()];
    let columns = vec!["tenant_id", "topic", "record_id", "field", "text"];
    Insert { table: TEXTS, columns, otherwise, rows: texts.into_iter().map(row).collect() }
}

/// Writes rows, over those that are there.
pub(super) async fn store(
    conn: &impl ConnectionTrait,
    tenant: Uuid,
    topic: &'static str,
    texts: Vec<(Uuid, String, String)>,
) -> Result<()> {
    Ok(rows(tenant, topic, texts, OVER).run(conn).await?)
}

/// Deletes the rows of these fields of records.
pub(super) async fn forget(conn: &impl ConnectionTrait, tenant: Uuid, fields: Vec<(Uuid, String)>) -> Result<()> {
    for (id, field) in fields {
        let delete = Query::delete().from_table(TEXTS).and_where(is(tenant, id)).and_where(Expr::col("field").eq(field)).to_owned();
        conn.execute(&delete).await?;
    }
    Ok(())
}

/// Deletes all that a record said, before it is deleted for good.
pub(crate) async fn forget_all(write: &Write<'_>, id: Uuid) -> Result<()> {
    write.execute(Query::delete().from_table(TEXTS).and_where(is(write.scope.tenant.0, id))).await?;
    Ok(())
}

/// Deletes what every record said in a field that the company took away.
pub(crate) async fn forget_custom(write: &Write<'_>, topic: &str, key: &str) -> Result<()> {
    let delete = Query::delete()
        .from_table(TEXTS)
        .and_where(Expr::col("tenant_id").eq(write.scope.tenant.0))
        .and_where(Expr::col("topic").eq(topic))
        .and_where(Expr::col("field").eq(format!("{}{key}", custom::PREFIX)))
        .to_owned();
    write.execute(&delete).await?;
    Ok(())
}

fn is(tenant: Uuid, record: Uuid) -> Expr {
    Expr::col("tenant_id").eq(tenant).and(Expr::col("record_id").eq(record))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_kept_in_one_form() {
        let text = |form| Kind::Text { max: 300, form };
        assert_eq!(kept(&text(Form::Lines), " São\n Paulo\t7"), "  sao  paulo  7");
        assert_eq!(kept(&text(Form::Phone), "+5511987654321"), "  5511987654321  551187654321");
        assert_eq!(kept(&text(Form::Email), "ana@example.com"), "  ana@example.com");
    }
}
