//! Teams: who works together, and so may see each other's records.

use crate::resource::{
    Resource,
    field::{Field, Form, Kind},
};

/// The resource.
pub(crate) fn resource() -> Resource {
    let members = Kind::References { to: "users", table: "team_members", own: "team_id", other: "user_id" };
    let fields = vec![
        Field::line("name", 120, "What it is called.").required().unique().searched().example("Sales south"),
        Field::text("description", 2_000, Form::Lines, "What it does."),
        Field::new("member_ids", members, "Who is in it."),
    ];
    let resource = Resource::new("team", "teams", "Team", "People who work together.", fields);
    Resource { kept_by_admins: true, sort: "name", ..resource }
}
