//! Saved views: what somebody wants to see of a list again and again. `view_id` narrows a list to one.

use chrono::Utc;
use db::Db;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Error, FieldError, Result, Scope,
    collaboration::TOPICS,
    engine::Write,
    resource::{
        Change, Resource, Rules,
        custom::Customs,
        field::{Field, Form, Kind, RowField, Rows},
        filter::{Asker, Filter},
        list, registry,
    },
};

const COLUMNS: Rows = Rows {
    table: "saved_view_columns",
    owner: "saved_view_id",
    schema: "SavedViewColumn",
    fields: &[RowField {
        name: "field",
        doc: "Which field; of one that your company added, `custom.` and its key.",
        kind: Kind::Text { max: 100, form: Form::Line },
        default: None,
    }],
};

/// The resource.
pub(crate) fn resource() -> Resource {
    let filter = json!({ "field": "created_at", "op": "not_null" });
    let fields = vec![
        Field::new("topic", Kind::Choice(TOPICS), "Which list it is of. It never changes.").required().once(),
        Field::line("name", 120, "What it is called.").required().searched().example("New this month"),
        Field::new("filter", Kind::Json, "Which records: a filter of the list; without one, all.").example(filter),
        Field::new("columns", Kind::Rows(&COLUMNS), "What is shown of each, in this order; none: what is usual.")
            .example(json!([{ "field": "created_at" }])),
        Field::line("sort", 200, "In which order: fields with commas between them, a minus for the other way.").example("-created_at"),
        Field::new("layout", Kind::Choice(&["list", "board", "calendar"]), "How they are shown.").default("list"),
        Field::new("visibility", Kind::Choice(&["private", "shared"]), "Who sees it: its owner, or everybody.").default("private"),
        Field::reference("owner_id", "users", "Whose it is: whoever made it.").by_rules(),
    ];
    let doc = "What somebody wants to see of a list again and again: which records, in which order, with which columns.";
    let resource = Resource::new("saved view", "saved_views", "SavedView", doc, fields);
    Resource { owner: Some("owner_id"), visibility: Some("visibility"), sort: "name", rules: &SavedViews, ..resource }
}

struct SavedViews;

#[async_trait::async_trait]
impl Rules for SavedViews {
    /// What is in it is held to the list that it is of, as whoever writes it sees that list.
    async fn check(&self, write: &Write<'_>, change: &mut Change) -> Result<()> {
        let parts = ["filter", "columns", "sort"];
        let changed = parts.map(|part| change.after.get(part).filter(|value| change.changes(part) && !value.is_null()));
        let (Some(resource), false) = (change.text("topic").and_then(registry::find), changed == [None; 3]) else { return Ok(()) };
        let [filter, columns, sort] = changed;
        let (scope, customs) = (write.scope, Customs::of(&***write, write.scope.tenant.0).await?);
        if let Some(sort) = sort.and_then(Value::as_str) {
            list::check_sort(scope, resource, &customs, sort)?;
        }
        let mut faults = Vec::new();
        for (at, column) in columns.and_then(Value::as_array).into_iter().flatten().enumerate() {
            let name = column["field"].as_str().unwrap_or_default();
            let own = resource.field(name).is_some_and(|field| !scope.hides(resource, field.name));
            if !own && customs.at(resource, name).is_none() {
                let message = format!("names no field of {} that you get to see", resource.topic);
                faults.push(FieldError { pointer: format!("/columns/{at}/field"), code: "unknown_field", message });
            }
        }
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        if let Some(filter) = filter {
            // What `@me` and `today` will mean is for whoever uses it.
            let asker =
                Asker { user: None, team: Vec::new(), now: Utc::now(), zone: chrono_tz::UTC, week_start: chrono::Weekday::Mon, customs };
            Filter::read(resource, scope, &asker, filter, "/filter")?;
        }
        Ok(())
    }
}

/// What a list is narrowed to, and its order.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) filter: Option<Value>,
    pub(crate) sort: Option<String>,
}

/// The view of a list that the caller names by `view_id`.
///
/// # Errors
/// [`Error::Invalid`] when there is no such view of this list that they see; the database's.
pub(crate) async fn named(db: &Db, scope: &Scope, resource: &Resource, id: Uuid) -> Result<View> {
    let missing = || Error::field("/view_id", "not_found", format!("there is no such view of {}", resource.topic.replace('_', " ")));
    let view = match list::get(db, scope, registry::named("saved_views"), id, Vec::new()).await {
        Err(Error::NotFound(_) | Error::Forbidden(_)) => return Err(missing()),
        found => found?,
    };
    let text = |field: &str| view.get(field).and_then(Value::as_str);
    if text("topic") != Some(resource.topic) || text("deleted_at").is_some() {
        return Err(missing());
    }
    Ok(View { filter: view.get("filter").filter(|filter| !filter.is_null()).cloned(), sort: text("sort").map(str::to_owned) })
}
