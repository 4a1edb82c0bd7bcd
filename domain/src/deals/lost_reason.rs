//! Reasons for which deals are lost.

use crate::resource::{Resource, field::Field};

/// The resource.
pub(crate) fn resource() -> Resource {
    let name = Field::line("name", 120, "What it is called.").required().unique().searched().example("Too expensive");
    let resource = Resource::new("lost reason", "lost_reasons", "LostReason", "Why a deal was lost.", vec![name]);
    Resource { kept_by_admins: true, sort: "name", many: vec![("deals", "lost_reason_id")], ..resource }
}
