//! Fields that a tenant adds to a resource. Their values are one JSON object in the column `custom`, by key; what a key may
//! hold never changes, so that what is kept always fits.

use std::{collections::HashMap, str::FromStr, sync::Arc};

use sea_orm::{
    ConnectionTrait, Statement,
    sea_query::{Alias, Expr, ExprTrait, Query},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Action, Change, Record, Resource,
    field::{Field, Form, Kind},
    related,
    value::{self, Refusal},
};
use crate::{Error, FieldError, Result, engine::Write};

/// The field that has them all.
pub const FIELD: &str = "custom";
/// What the places of filters and orders begin with.
pub const PREFIX: &str = "custom.";
/// At most so many for a resource, and so many values in one.
pub const MAX: usize = 100;
/// The resources to which tenants can add fields. Their tables have a column for them.
pub const TOPICS: &[&str] = &["contacts", "companies", "deals", "activities", "products"];

/// What a field that a tenant adds can hold.
pub const KINDS: &[&str] = &[
    "text",
    "textarea",
    "number",
    "decimal",
    "boolean",
    "date",
    "datetime",
    "email",
    "url",
    "domain",
    "phone",
    "select",
    "radio",
    "multiselect",
    "checkbox",
    "color",
    "country",
    "timezone",
    "user",
];

/// A field that a tenant added.
#[derive(Clone, Debug, PartialEq)]
pub struct Custom {
    /// Its name in JSON, below `custom`.
    pub key: String,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What it holds, or each of its values.
    pub kind: Kind,
    /// Whether it holds several.
    pub many: bool,
    /// What may be chosen; anything when there are none.
    pub options: Vec<String>,
    /// Whether a new record needs it.
    pub required: bool,
    /// Whether no two records share it.
    pub unique: bool,
    word: String,
}

/// What one holds, as [`KINDS`] call it; whether several, and whether they are chosen.
#[must_use]
pub(crate) fn kind(word: &str) -> Option<(Kind, bool, bool)> {
    let text = |max, form| Kind::Text { max, form };
    let line = |max| text(max, Form::Line);
    Some(match word {
        "text" => (line(300), false, false),
        "textarea" => (text(20_000, Form::Lines), false, false),
        "number" => (Kind::Integer { min: -1_000_000_000_000_000, max: 1_000_000_000_000_000 }, false, false),
        "decimal" => (Kind::Decimal { scale: 4 }, false, false),
        "boolean" => (Kind::Boolean, false, false),
        "date" => (Kind::Date, false, false),
        "datetime" => (Kind::Time, false, false),
        "email" => (text(254, Form::Email), false, false),
        "url" => (text(300, Form::Url), false, false),
        "domain" => (text(253, Form::Domain), false, false),
        "phone" => (text(40, Form::Phone), false, false),
        "select" | "radio" => (line(100), false, true),
        "multiselect" | "checkbox" => (line(100), true, true),
        "color" => (text(7, Form::Color), false, false),
        "country" => (text(2, Form::Country), false, false),
        "timezone" => (line(60), false, false),
        "user" => (Kind::Reference { to: "users" }, false, false),
        _ => return None,
    })
}

/// The fields that a tenant added, by topic.
#[derive(Clone, Debug, Default)]
pub struct Customs(HashMap<String, Vec<Arc<Custom>>>);

impl Customs {
    /// Those of a tenant.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(conn: &impl ConnectionTrait, tenant: Uuid) -> Result<Self> {
        Self::read(conn, tenant, "f.deleted_at is null").await
    }

    /// Those in the trash too: what records keep in them is still there.
    pub(super) async fn with_trashed(conn: &impl ConnectionTrait, tenant: Uuid) -> Result<Self> {
        Self::read(conn, tenant, "1 = 1").await
    }

    async fn read(conn: &impl ConnectionTrait, tenant: Uuid, condition: &str) -> Result<Self> {
        let find = format!(
            "select f.id, f.topic, f.key, f.name, f.description, f.kind, f.required, f.\"unique\", o.value
             from custom_fields f left join custom_field_options o on o.tenant_id = f.tenant_id and o.custom_field_id = f.id
             where f.tenant_id = $1 and {condition}
             order by f.topic, f.position, f.id, o.id"
        );
        let find = Statement::from_sql_and_values(conn.get_database_backend(), find, [tenant.into()]);
        let mut found: HashMap<String, Vec<Custom>> = HashMap::new();
        for row in conn.query_all_raw(find).await? {
            let of_topic = found.entry(row.try_get("", "topic")?).or_default();
            let (key, option): (String, Option<String>) = (row.try_get("", "key")?, row.try_get("", "value")?);
            match of_topic.last_mut().filter(|last| last.key == key) {
                Some(last) => last.options.extend(option),
                None => {
                    let word: String = row.try_get("", "kind")?;
                    let Some((kind, many, _)) = kind(&word) else { continue };
                    let (name, description) = (row.try_get("", "name")?, row.try_get("", "description")?);
                    let options = option.into_iter().collect();
                    let (required, unique) = (row.try_get("", "required")?, row.try_get("", "unique")?);
                    of_topic.push(Custom { key, name, description, kind, many, options, required, unique, word });
                }
            }
        }
        Ok(Self(found.into_iter().map(|(topic, list)| (topic, list.into_iter().map(Arc::new).collect())).collect()))
    }

    /// Those of a resource, in their order.
    #[must_use]
    pub fn on(&self, resource: &Resource) -> &[Arc<Custom>] {
        self.0.get(resource.topic).map_or(&[], Vec::as_slice)
    }

    /// The one of a resource that a path names, such as `custom.budget`.
    #[must_use]
    pub fn at(&self, resource: &Resource, path: &str) -> Option<&Arc<Custom>> {
        let key = path.strip_prefix(PREFIX)?;
        self.on(resource).iter().find(|custom| custom.key == key)
    }
}

impl Custom {
    /// What the fields of a resource call it.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{PREFIX}{}", self.key)
    }

    /// As [`KINDS`] have it.
    #[must_use]
    pub fn word(&self) -> &str {
        &self.word
    }

    /// Whether a list can be in its order.
    #[must_use]
    pub fn is_sortable(&self) -> bool {
        !self.many && !matches!(self.kind, Kind::Text { max, .. } if max > 300)
    }

    /// Whether words in it find the record: those that people write or choose.
    #[must_use]
    pub fn is_searched(&self) -> bool {
        matches!(self.kind, Kind::Text { form: Form::Line | Form::Lines | Form::Email | Form::Url | Form::Domain | Form::Phone, .. })
            && self.word != "timezone"
    }

    /// The operators that it takes.
    #[must_use]
    pub fn operators(&self) -> &'static [&'static str] {
        super::filter::operators(if self.many { &Kind::Tags } else { &self.kind })
    }

    /// What a record keeps.
    #[must_use]
    pub fn of<'a>(&self, record: &'a Record) -> &'a Value {
        static NULL: Value = Value::Null;
        record.get(FIELD).and_then(|all| all.get(&self.key)).unwrap_or(&NULL)
    }

    /// The value in its one form.
    fn accept(&self, value: &Value) -> std::result::Result<Value, Refusal> {
        if !self.many || value.is_null() {
            return self.one(value);
        }
        let Some(list) = value.as_array().filter(|list| list.len() <= MAX) else {
            return Err(("wrong_type", format!("takes a list of at most {MAX}")));
        };
        let mut values = list.iter().map(|value| self.one(value)).collect::<std::result::Result<Vec<_>, _>>()?;
        // In the order of the options, each once.
        values.sort_by_key(|value| self.options.iter().position(|option| value == option));
        values.dedup();
        Ok(if values.is_empty() { Value::Null } else { json!(values) })
    }

    fn one(&self, value: &Value) -> std::result::Result<Value, Refusal> {
        let value = value::accept(&self.kind, value)?;
        let Some(text) = value.as_str() else { return Ok(value) };
        if !self.options.is_empty() && !self.options.iter().any(|option| option == text) {
            return Err(("invalid", format!("is none of {}", self.options.join(", "))));
        }
        if self.word == "timezone" && chrono_tz::Tz::from_str(text).is_err() {
            return Err(("invalid", "takes a time zone such as America/Sao_Paulo".into()));
        }
        Ok(value)
    }
}

/// What a resource has where tenants can add fields.
pub(super) fn field() -> Field {
    let doc = "The fields that your company added, by key: GET /api/custom-fields lists them. One that is left out stays, null clears it.";
    Field { default: Some(json!({})), ..Field::new(FIELD, Kind::Json, doc) }
}

/// Completes what will be saved: values in their one form beside those that stay, what is missing, what others have.
pub(super) async fn complete(write: &Write<'_>, resource: &'static Resource, change: &mut Change) -> Result<()> {
    if !TOPICS.contains(&resource.topic) || !(change.action == Action::Create || change.changes(FIELD)) {
        return Ok(());
    }
    let customs = here(write).await?;
    let given = change.after.get(FIELD).and_then(Value::as_object).cloned().unwrap_or_default();
    let cleared = change.after.get(FIELD).is_none_or(Value::is_null);
    let mut kept = change.before.get(FIELD).and_then(Value::as_object).filter(|_| !cleared).cloned().unwrap_or_default();
    let mut faults = Vec::new();
    let mut fault = |key: &str, code, message: String| {
        let pointer = format!("/{FIELD}/{}", key.replace('~', "~0").replace('/', "~1"));
        faults.push(FieldError { pointer, code, message });
    };
    for (key, given) in &given {
        let Some(custom) = customs.on(resource).iter().find(|custom| custom.key == *key) else {
            fault(key, "unknown_field", "is not a field that your company added; POST /api/custom-fields adds one".into());
            continue;
        };
        match custom.accept(given) {
            Ok(Value::Null) => _ = kept.remove(key),
            Ok(value) if kept.get(key) == Some(&value) => {}
            Ok(value)
                if custom.kind == (Kind::Reference { to: "users" }) && !related::missing(write, "users", &value).await?.is_empty() =>
            {
                fault(key, "not_found", "there is no such user".into());
            }
            Ok(value) if custom.unique && taken(write, resource, custom, &value, change.id).await? => {
                fault(key, "taken", format!("another {} has it", resource.name));
            }
            Ok(value) => _ = kept.insert(key.clone(), value),
            Err((code, message)) => fault(key, code, message),
        }
    }
    for custom in customs.on(resource).iter().filter(|custom| custom.required) {
        // A field that became required later is no reason to refuse another change.
        let had = change.action == Action::Create || change.before.get(FIELD).is_some_and(|all| all.get(&custom.key).is_some());
        if had && !kept.contains_key(&custom.key) && faults.iter().all(|fault: &FieldError| !fault.pointer.ends_with(&custom.key)) {
            let pointer = format!("/{FIELD}/{}", custom.key);
            faults.push(FieldError { pointer, code: "required", message: "is required".into() });
        }
    }
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    change.after.insert(FIELD.into(), Value::Object(kept));
    Ok(())
}

/// Those of the writer's tenant.
pub(super) async fn here(write: &Write<'_>) -> Result<Arc<Customs>> {
    if let Some(known) = write.known(|known| known.customs.clone()).flatten() {
        return Ok(known);
    }
    let customs = Arc::new(Customs::of(&***write, write.scope.tenant.0).await?);
    write.known(|known| known.customs = Some(customs.clone()));
    Ok(customs)
}

/// Whether another record has the value.
async fn taken(write: &Write<'_>, resource: &'static Resource, custom: &Custom, value: &Value, but: Uuid) -> Result<bool> {
    related::alone(write, &format!("{}.{}={value}", resource.topic, custom.path())).await?;
    let target = super::filter::sql::Target { backend: write.get_database_backend(), scope: write.scope };
    let same = super::filter::Test::In(vec![super::filter::Operand::of(value)]);
    let find = Query::select()
        .from_as(Alias::new(resource.topic), Alias::new(super::rows::ROW))
        .expr(Expr::cust("1"))
        .and_where(Resource::of(super::rows::ROW, write.scope.tenant.0))
        .and_where(Resource::column(super::rows::ROW, "deleted_at").is_null())
        .and_where(Resource::column(super::rows::ROW, "id").ne(but))
        .and_where(target.custom(custom, &same, super::rows::ROW))
        .limit(1)
        .to_owned();
    Ok(write.query_one(&find).await?.is_some())
}
