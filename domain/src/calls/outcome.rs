//! Outcomes of calls.

use crate::resource::{
    Resource,
    field::{Field, Form},
};

/// The resource.
pub(crate) fn resource() -> Resource {
    let name = Field::line("name", 120, "What it is called.").required().unique().searched().example("No answer");
    let color = Field::text("color", 7, Form::Color, "Its colour.");
    let resource = Resource::new("call outcome", "call_outcomes", "CallOutcome", "What came of a call.", vec![name, color]);
    Resource { kept_by_admins: true, sort: "name", many: vec![("calls", "outcome_id")], ..resource }
}
