//! Pipelines: the ways deals go.

use crate::resource::{
    Resource,
    field::{Field, Kind},
};

/// The resource.
pub(crate) fn resource() -> Resource {
    let fields = vec![
        Field::line("name", 120, "What it is called.").required().unique().searched().example("Sales"),
        Field::new(
            "position",
            Kind::Integer { min: 0, max: 10_000 },
            "Its place among the others; the first one is used when none is named.",
        )
        .default(0),
    ];
    let resource = Resource::new("pipeline", "pipelines", "Pipeline", "A way that deals go, stage by stage.", fields);
    Resource { kept_by_admins: true, sort: "position", many: vec![("stages", "pipeline_id"), ("deals", "pipeline_id")], ..resource }
}
