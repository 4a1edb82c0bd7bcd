//! The schemas of resources, made of their fields.

use domain::resource::{
    Action, Resource, bulk,
    field::{Field, Form, Kind, Rows},
};
use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use serde_json::{Value, json};

use super::{leak, records};

/// What the schemas of the resource without a name begin with.
pub(super) const PLACEHOLDER: &str = "Some";
/// All of them.
pub(super) const PLACEHOLDERS: [&str; 5] = ["Some", "SomeCreate", "SomeUpdate", "SomePage", "SomeBulk"];

records! {
    /// A record, as answers have it.
    pub(super) Shown = "Some", |_| {};
    /// What a record is made of.
    pub(super) Create = "SomeCreate", |_| {};
    /// What is changed of one.
    pub(super) Update = "SomeUpdate", |_| {};
    /// Some of them.
    pub(super) Page = "SomePage", |_| {};
    /// What is done to many of them.
    pub(super) ToMany = "SomeBulk", |_| {};
}

/// Registers the schemas of a resource.
pub(crate) fn register(resource: &'static Resource, registry: &mut Registry) {
    for field in &resource.fields {
        if let Kind::Rows(rows) = field.kind {
            registry.schemas.insert(rows.schema.to_owned(), row(rows));
        }
    }
    let mut insert = |suffix: &str, schema: MetaSchema| {
        let name = format!("{}{suffix}", resource.schema);
        let other = registry.schemas.get(&name).is_some_and(|other| *other != schema);
        assert!(!other, "two schemas are called {name}");
        registry.schemas.insert(name, schema);
    };
    insert("", shown(resource));
    insert("Row", listed(resource));
    insert("Page", page(resource));
    insert("Update", written(resource, Action::Update));
    if resource.bulk {
        insert("Bulk", to_many(resource));
    }
    if resource.made {
        insert("Create", written(resource, Action::Create));
    }
}

/// Registers the schemas of what everybody has but one of, and only reads and changes: `Settings`, `SettingsUpdate`.
pub(crate) fn register_only(resource: &'static Resource, registry: &mut Registry) {
    let mut own = shown(resource);
    own.properties.retain(|(name, _)| *name != "_labels");
    registry.schemas.insert(resource.schema.to_owned(), own);
    let description = leak(format!("{} What is changed: a field that is left out stays; none can be cleared.", resource.doc));
    let change = MetaSchema { description: Some(description), ..written(resource, Action::Update) };
    registry.schemas.insert(format!("{}Update", resource.schema), change);
}

fn object(description: String) -> MetaSchema {
    MetaSchema { description: Some(leak(description)), ..MetaSchema::new("object") }
}

fn reference(name: &str) -> MetaSchemaRef {
    MetaSchemaRef::Reference(name.to_owned())
}

fn inline(schema: MetaSchema) -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(schema))
}

fn array(items: MetaSchemaRef) -> MetaSchema {
    MetaSchema { items: Some(Box::new(items)), ..MetaSchema::new("array") }
}

fn shown(resource: &'static Resource) -> MetaSchema {
    let mut schema = object(resource.doc.to_owned());
    for field in &resource.fields {
        schema.properties.push((field.name, inline(of(field))));
        if field.required || !field.is_column() {
            schema.required.push(field.name);
        }
    }
    let any = MetaSchemaRef::Inline(Box::new(MetaSchema::ANY));
    let names = MetaSchema {
        additional_properties: Some(Box::new(any)),
        ..object("What the records are called that its fields name, by field; null for one that you may not see.".into())
    };
    schema.properties.push(("_labels", inline(names)));
    for (name, field, to) in resource.relations() {
        let other = reference(domain::resource::registry::named(to).schema);
        let several = matches!(field.kind, Kind::References { .. });
        schema.properties.push((name, if several { inline(array(other)) } else { other }));
    }
    schema.example = Some(example(resource.fields.iter()));
    schema
}

/// One in a list, which may have been asked for some of the fields only.
fn listed(resource: &'static Resource) -> MetaSchema {
    let description = format!("{} In a list that was asked for some fields, one has only those.", resource.doc);
    MetaSchema { description: Some(leak(description)), required: vec!["id"], ..shown(resource) }
}

fn written(resource: &'static Resource, action: Action) -> MetaSchema {
    let making = action == Action::Create;
    let what = if making { "What it is made of." } else { "What is changed: a field that is left out stays, null clears it." };
    let mut schema = object(format!("{} {what}", resource.doc));
    for field in resource.writable(action) {
        let mut member = of(field);
        if making {
            member.default = field.default.clone().filter(|default| !default.is_null());
        }
        schema.properties.push((field.name, inline(member)));
        if making && field.required && field.default.is_none() {
            schema.required.push(field.name);
        }
    }
    // Made-up ids would be nobody's.
    let plain = |field: &&Field| {
        !matches!(field.kind, Kind::Reference { .. } | Kind::References { .. }) || making && field.required && field.default.is_none()
    };
    schema.example = Some(example(resource.writable(action).filter(plain)));
    schema
}

fn page(resource: &'static Resource) -> MetaSchema {
    let mut schema = object(format!("Some of the {}.", resource.topic.replace('_', " ")));
    schema.properties = vec![("data", inline(array(reference(&format!("{}Row", resource.schema))))), ("page", reference("PageInfo"))];
    schema.required = vec!["data", "page"];
    schema
}

/// What is done to many at once: as `domain::resource::bulk` reads it.
fn to_many(resource: &'static Resource) -> MetaSchema {
    let mut schema = object(format!("The same done to many {}: to those with these ids, or to all that a filter finds.", resource.topic));
    let ids =
        MetaSchema { min_items: Some(1), max_items: Some(bulk::MAX_IDS), ..array(inline(MetaSchema::new_with_format("string", "uuid"))) };
    let words = bulk::actions(resource);
    let action = MetaSchema { enum_items: words.iter().map(|word| json!(word)).collect(), ..MetaSchema::new("string") };
    let mut member = |name, doc, of| schema.properties.push((name, inline(described(doc, of))));
    member("ids", "The records.", ids);
    member("filter", "Instead of ids: a comparison `{\"field\",\"op\",\"value\"}`, or several under `and` or `or`.", MetaSchema::ANY);
    member("action", "What is done: `changes` belong to `edit`, `owner_id` to `assign`, `tags` to `tag` and `untag`.", action);
    if let Some(owner) = bulk::owner(resource) {
        member("owner_id", "Whose the records are from now on; null: nobody's.", kind(&owner.kind));
    }
    if let Some(tags) = bulk::tags(resource) {
        member("tags", "The names of the tags.", kind(&tags.kind));
    }
    let dry_run = MetaSchema { default: Some(json!(false)), ..MetaSchema::new("boolean") };
    member("dry_run", "Only try it, and keep nothing: the errors are those that there would be.", dry_run);
    schema.properties.push(("changes", reference(&format!("{}Update", resource.schema))));
    schema.required = vec!["action"];
    let id = Kind::Reference { to: resource.topic }.sample();
    schema.example = Some(json!({ "ids": [id], "action": words.last(), "dry_run": true }));
    schema
}

fn row(rows: &'static Rows) -> MetaSchema {
    let mut schema = MetaSchema::new("object");
    for field in rows.fields {
        let mut member = described(field.doc, kind(&field.kind));
        member.default = field.default.map(Value::from);
        schema.properties.push((field.name, inline(member)));
        schema.required.push(field.name);
    }
    schema
}

fn example<'a>(fields: impl Iterator<Item = &'a Field>) -> Value {
    Value::Object(
        fields
            .map(|field| (field.name.to_owned(), field.default.clone().filter(|value| !value.is_null()).unwrap_or_else(|| field.sample())))
            .collect(),
    )
}

fn of(field: &Field) -> MetaSchema {
    described(field.doc, kind(&field.kind))
}

fn described(doc: &'static str, schema: MetaSchema) -> MetaSchema {
    MetaSchema { description: Some(doc), ..schema }
}

fn kind(kind: &Kind) -> MetaSchema {
    let text = MetaSchema::new("string");
    let id = MetaSchema::new_with_format("string", "uuid");
    let pattern = |pattern: &str| Some(pattern.to_owned());
    match kind {
        Kind::Text { max, form } => MetaSchema {
            min_length: Some(1),
            max_length: Some(*max),
            pattern: match form {
                Form::Color => pattern("^#[0-9A-Fa-f]{6}$"),
                Form::Currency => pattern("^[A-Za-z]{3}$"),
                Form::Country => pattern("^[A-Za-z]{2}$"),
                Form::Url => pattern("^https?://"),
                Form::Line | Form::Lines | Form::Email | Form::Phone | Form::Domain => None,
            },
            ..text
        },
        Kind::Integer { min, max } => MetaSchema {
            minimum: Some(*min as f64),
            maximum: Some(*max as f64).filter(|_| *max < i64::MAX),
            ..MetaSchema::new_with_format("integer", "int64")
        },
        Kind::Decimal { scale } => {
            MetaSchema { pattern: Some(format!(r"^-?[0-9]{{1,12}}(\.[0-9]{{1,{scale}}})?$")), max_length: Some(20), ..text }
        }
        Kind::Boolean => MetaSchema::new("boolean"),
        Kind::Date => MetaSchema::new_with_format("string", "date"),
        Kind::Time => MetaSchema::new_with_format("string", "date-time"),
        Kind::Choice(words) => MetaSchema { enum_items: words.iter().map(|word| json!(word)).collect(), ..text },
        Kind::Reference { .. } => id,
        Kind::Json => MetaSchema {
            additional_properties: Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema::ANY)))),
            ..MetaSchema::new("object")
        },
        Kind::Rows(rows) => MetaSchema { max_items: Some(100), ..array(reference(rows.schema)) },
        Kind::References { .. } => MetaSchema { max_items: Some(100), ..array(inline(id)) },
        Kind::Tags => {
            let name = MetaSchema { min_length: Some(1), max_length: Some(50), ..text };
            MetaSchema { max_items: Some(100), ..array(inline(name)) }
        }
    }
}
