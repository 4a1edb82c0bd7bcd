//! Fields that a company adds to its contacts, deals, …: what they are. Their values are in [`crate::resource::custom`].

use sea_orm::{ConnectionTrait, Statement};
use serde_json::Value;

use crate::{
    Error, Result,
    engine::Write,
    resource::{
        Action, Change, Resource, Rules, custom,
        field::{Field, Form, Kind, RowField, Rows},
        search::texts,
    },
};

const OPTIONS: Rows = Rows {
    table: "custom_field_options",
    owner: "custom_field_id",
    schema: "CustomFieldOption",
    fields: &[RowField { name: "value", doc: "What it says.", kind: Kind::Text { max: 100, form: Form::Line }, default: None }],
};

/// The resource.
pub(crate) fn resource() -> Resource {
    static WHERE: &[&str] = custom::TOPICS;
    let fields = vec![
        Field::new("topic", Kind::Choice(WHERE), "Whose records have it.").required().once(),
        Field::line("key", 40, "Its name below `custom` in JSON and filters: small letters, digits and underscores. It never changes.")
            .required()
            .once()
            .example("budget_2027"),
        Field::line("name", 120, "What people call it.").required().searched().example("Budget for 2027"),
        Field::new("kind", Kind::Choice(custom::KINDS), "What it holds. It never changes.").required().once(),
        Field::text("description", 2_000, Form::Lines, "What it is for."),
        Field::new(
            "options",
            Kind::Rows(&OPTIONS),
            "What may be chosen, in this order; for `select`, `radio`, `multiselect` and `checkbox`. One that is taken off stays where it is chosen already.",
        ),
        Field::new("required", Kind::Boolean, "Whether a new record needs it.").default(false),
        Field::new("unique", Kind::Boolean, "Whether no two records may have the same value. It never changes.").default(false).once(),
        Field::new("position", Kind::Integer { min: 0, max: 1_000_000 }, "Its place among the others.").default(0),
    ];
    let doc = "A field that a company adds to its records.";
    let resource = Resource::new("custom field", "custom_fields", "CustomField", doc, fields);
    Resource { kept_by_admins: true, sort: "position", rules: &CustomFields, ..resource }
}

struct CustomFields;

#[async_trait::async_trait]
impl Rules for CustomFields {
    async fn check(&self, write: &Write<'_>, change: &mut Change) -> Result<()> {
        if change.action.ends() {
            return Ok(());
        }
        let Some((_, many, chosen)) = change.text("kind").and_then(custom::kind) else { return Ok(()) };
        let options = change.after["options"].as_array().map_or(0, Vec::len);
        if chosen && options == 0 {
            return Err(Error::field("/options", "required", "is required for this kind: say what may be chosen"));
        }
        if !chosen && options > 0 {
            return Err(Error::field("/options", "invalid", "has no place here: nothing is chosen in this kind"));
        }
        if many && change.after["unique"] == Value::Bool(true) {
            return Err(Error::field("/unique", "invalid", "has no place here: this kind holds several values"));
        }
        if change.action == Action::Create {
            fresh(write, change).await?;
        }
        Ok(())
    }

    /// What records keep in a field that is gone for good, goes with it.
    async fn follow(&self, write: &Write<'_>, change: &Change) -> Result<()> {
        if change.action != Action::Purge {
            return Ok(());
        }
        let was = |field: &str| change.before.get(field).and_then(Value::as_str).unwrap_or_default();
        let key = was("key");
        let Some(topic) = custom::TOPICS.iter().find(|topic| **topic == was("topic")) else { return Ok(()) };
        let backend = write.get_database_backend();
        let clear = match backend {
            db::DbBackend::Sqlite => {
                format!(
                    "update {topic} set custom = json_remove(custom, '$.\"{key}\"') where tenant_id = $1 and json_type(custom, '$.\"{key}\"') is not null"
                )
            }
            _ => format!("update {topic} set custom = custom - '{key}' where tenant_id = $1 and jsonb_exists(custom, '{key}')"),
        };
        write.execute_raw(Statement::from_sql_and_values(backend, clear, [write.scope.tenant.0.into()])).await?;
        texts::forget_custom(write, topic, key).await
    }
}

/// Its key is a plain word that no other field has, not even one in the trash: values are kept by it.
async fn fresh(write: &Write<'_>, change: &Change) -> Result<()> {
    let (topic, key) = (change.text("topic").unwrap_or_default(), change.text("key").unwrap_or_default());
    let plain =
        key.starts_with(|c: char| c.is_ascii_lowercase()) && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !plain {
        return Err(Error::field("/key", "invalid", "takes small letters, digits and underscores, a letter first"));
    }
    let find = "select count(*) as n, count(case when key = $3 then 1 end) as same from custom_fields where tenant_id = $1 and topic = $2";
    let values = [write.scope.tenant.0.into(), topic.into(), key.into()];
    let row = write.query_one_raw(Statement::from_sql_and_values(write.get_database_backend(), find, values)).await?;
    let (n, same) =
        row.map_or(Ok((0, 0)), |row| Ok::<_, sea_orm::DbErr>((row.try_get::<i64>("", "n")?, row.try_get::<i64>("", "same")?)))?;
    if same > 0 {
        return Err(Error::field("/key", "taken", "another field has it; if it is in the trash, restore it or delete it for good"));
    }
    if usize::try_from(n).is_ok_and(|n| n >= custom::MAX) {
        return Err(Error::field("/topic", "too_many", format!("has {} fields already; delete some for good", custom::MAX)));
    }
    Ok(())
}
