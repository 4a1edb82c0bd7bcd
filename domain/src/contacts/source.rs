//! Sources: where contacts, companies and deals come from.

use crate::resource::{Resource, field::Field};

/// The resource.
pub(crate) fn resource() -> Resource {
    let name = Field::line("name", 120, "What it is called.").required().unique().searched().example("Website");
    let resource = Resource::new("source", "sources", "Source", "Where contacts, companies and deals come from.", vec![name]);
    Resource {
        kept_by_admins: true,
        sort: "name",
        many: vec![("contacts", "source_id"), ("companies", "source_id"), ("deals", "source_id")],
        ..resource
    }
}
