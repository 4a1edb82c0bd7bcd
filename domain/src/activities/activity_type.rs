//! Types of activities.

use crate::resource::{
    Resource,
    field::{Field, Form},
};

/// The resource.
pub(crate) fn resource() -> Resource {
    let fields = vec![
        Field::line("name", 120, "What it is called.").required().unique().searched().example("Meeting"),
        Field::line("icon", 40, "The name of its picture.").example("users"),
        Field::text("color", 7, Form::Color, "Its colour."),
    ];
    let resource = Resource::new("activity type", "activity_types", "ActivityType", "What kind of activity it is.", fields);
    Resource { kept_by_admins: true, sort: "name", many: vec![("activities", "type_id")], ..resource }
}
