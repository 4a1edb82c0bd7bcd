//! Records of every resource, made from what the registry says of their fields: different ones for different numbers.

use std::collections::BTreeMap;

use domain::resource::{
    Action, Resource,
    field::{Field, Form, Kind},
    registry,
};
use serde_json::{Map, Value, json};

use crate::app::{Person, TestApp};

/// Where the resource is.
#[must_use]
pub fn path(resource: &Resource) -> String {
    format!("/api/{}", resource.topic.replace('_', "-"))
}

/// Makes records of any resource, and what they refer to.
pub struct Maker<'a> {
    /// Where.
    pub app: &'a TestApp,
    /// Who makes them.
    pub who: &'a Person,
    referred: BTreeMap<&'static str, String>,
}

impl<'a> Maker<'a> {
    /// One for somebody.
    #[must_use]
    pub fn new(app: &'a TestApp, who: &'a Person) -> Self {
        Self { app, who, referred: BTreeMap::new() }
    }

    /// The id of some record of a topic, the same every time.
    ///
    /// # Panics
    /// When it can't be made.
    pub async fn some(&mut self, topic: &'static str) -> String {
        if topic == "users" {
            return self.who.id.to_string();
        }
        if let Some(id) = self.referred.get(topic) {
            return id.clone();
        }
        let resource = registry::named(topic);
        let body = Box::pin(self.body(resource, 900, false)).await;
        let id = self.app.post(self.who, &path(resource), body).await.is(201).id();
        self.referred.insert(topic, id.clone());
        id
    }

    /// What the `n`th record is made of: all its fields, or those that it needs.
    pub async fn body(&mut self, resource: &'static Resource, n: usize, all: bool) -> Value {
        let mut body = Map::new();
        for field in resource.writable(Action::Create).filter(|field| all || field.required && field.default.is_none()) {
            body.insert(field.name.to_owned(), self.value(resource, field, n).await);
        }
        // What belongs together.
        if resource.topic == "deals" {
            let stage = self.some("stages").await;
            body.insert("pipeline_id".into(), json!(self.some("pipelines").await));
            body.insert("stage_id".into(), json!(stage));
            if all {
                body.insert("status".into(), json!("lost"));
            }
        }
        if resource.topic == "saved_views" {
            body.insert("visibility".into(), json!("shared")); // others look at it, too
        }
        if resource.topic == "custom_fields" {
            body.insert("unique".into(), json!(false));
            let options = resource.field("options").expect("custom fields have options");
            body.insert("options".into(), self.value(resource, options, n).await);
        }
        Value::Object(body)
    }

    /// The `n`th value of a field.
    pub async fn value(&mut self, resource: &Resource, field: &Field, n: usize) -> Value {
        match &field.kind {
            Kind::Reference { to } if *to == resource.topic => Value::Null,
            Kind::Reference { to } => json!(self.some(to).await),
            Kind::References { to, .. } if n.is_multiple_of(2) => json!([self.some(to).await]),
            Kind::References { .. } => json!([]),
            // What all of its lists have.
            Kind::Rows(_) if resource.topic == "saved_views" => json!([{ "field": (["created_at", "id"][n % 2]) }]),
            Kind::Text { .. } if (resource.topic, field.name) == ("saved_views", "sort") => json!(["-created_at", "id"][n % 2]),
            Kind::Rows(rows) => {
                let row = rows.fields.iter().map(|field| (field.name.to_owned(), plain(&field.kind, n)));
                json!([row.collect::<Map<_, _>>()])
            }
            Kind::Json => field.sample(), // its rules know what may be in it
            // Whole days have no hours, and of all brands one is the default.
            Kind::Boolean if matches!(field.name, "all_day" | "is_default") => json!(false),
            // Those whose options are chosen have all fields.
            Kind::Choice(_) if resource.topic == "custom_fields" && field.name == "kind" => {
                json!(["select", "multiselect", "radio"][n % 3])
            }
            // An empty one now and then, where that may be.
            _ if n % 5 == 4 && !field.required => Value::Null,
            // In order of time, and never one before the other.
            Kind::Time if field.name.starts_with("ends") => json!(format!("2027-02-{:02}T10:00:00+00:00", n % 27 + 1)),
            kind => plain(kind, n),
        }
    }
}

fn plain(kind: &Kind, n: usize) -> Value {
    match kind {
        Kind::Text { max, form } => match form {
            Form::Line if *max >= 60 => json!(format!("{} {n}", ["Zebra", "água", "Ágil", "maçã", "Nó 50%_"][n % 5])),
            Form::Line => json!(format!("l{n}")),
            Form::Lines => json!(format!("Ünten\n{n}")),
            Form::Email => json!(format!("p{n}@example.com")),
            Form::Phone => json!(format!("+551198{:07}", 1_000_000 + n)),
            Form::Url => json!(format!("https://example.com/{n}")),
            Form::Domain => json!(format!("d{n}.example.com")),
            Form::Color => json!(format!("#{n:06x}")),
            Form::Currency => json!(["BRL", "EUR", "USD"][n % 3]),
            Form::Country => json!(["BR", "DE", "PT"][n % 3]),
        },
        Kind::Integer { min, max } => json!((min + i64::try_from(n % 7).expect("small")).min(*max)),
        Kind::Decimal { scale } => json!(domain::resource::value::decimal(i64::try_from(n % 6).expect("small") * 12_345 - 5, *scale)),
        Kind::Boolean => json!(n.is_multiple_of(2)),
        Kind::Date => json!(format!("2026-{:02}-{:02}", n % 12 + 1, n % 28 + 1)),
        Kind::Time => json!(format!("2026-{:02}-{:02}T1{}:00:00.5+00:00", n % 12 + 1, n % 28 + 1, n % 10)),
        Kind::Choice(words) => json!(words[n % words.len()]),
        Kind::Tags => json!([format!("Tag {}", n % 3), "Ação"]),
        Kind::Json => json!({ "n": n }),
        Kind::Reference { .. } | Kind::References { .. } | Kind::Rows(_) => Value::Null,
    }
}
