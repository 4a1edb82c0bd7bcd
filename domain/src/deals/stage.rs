//! Stages: how far a deal is on its way.

use crate::resource::{
    Resource,
    field::{Field, Kind},
};

/// The resource.
pub(crate) fn resource() -> Resource {
    let fields = vec![
        Field::reference("pipeline_id", "pipelines", "On which way.").required().once(),
        Field::line("name", 120, "What it is called.").required().searched().example("Negotiation"),
        Field::new("position", Kind::Integer { min: 0, max: 10_000 }, "Its place on the way.").default(0),
        Field::new("probability", Kind::Integer { min: 0, max: 100 }, "How likely a deal is won from here, in percent.").default(50),
        Field::new("rotting_days", Kind::Integer { min: 1, max: 3650 }, "After so many days here a deal is rotting.").example(14),
    ];
    let resource = Resource::new("stage", "stages", "Stage", "How far a deal is on its way.", fields);
    Resource { kept_by_admins: true, sort: "position", many: vec![("deals", "stage_id")], ..resource }
}
