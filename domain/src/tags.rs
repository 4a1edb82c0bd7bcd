//! Tags: words that people put on records.

use serde_json::json;

use crate::{
    Result,
    engine::Write,
    resource::{
        Change, Resource, Rules,
        field::{Field, Form},
        value,
    },
};

/// The resource.
pub(crate) fn resource() -> Resource {
    let fields = vec![
        Field::line("name", 50, "What it says.").required().unique().searched().example("vip"),
        Field::text("color", 7, Form::Color, "Its colour."),
        Field::line("key", 50, "Its name without case and accents: tags with the same one are the same.").required().by_rules(),
    ];
    let resource = Resource::new("tag", "tags", "Tag", "A word that people put on records.", fields);
    Resource { sort: "name", rules: &Tags, ..resource }
}

struct Tags;

#[async_trait::async_trait]
impl Rules for Tags {
    async fn check(&self, _write: &Write<'_>, change: &mut Change) -> Result<()> {
        if let Some(name) = change.text("name") {
            change.after.insert("key".into(), json!(value::fold(name)));
        }
        Ok(())
    }
}
