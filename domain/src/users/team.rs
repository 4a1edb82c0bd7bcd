//! Teams: who works together, and so may see each other's records.

use entities::Role;

use crate::{
    Error, Result,
    engine::Write,
    resource::{
        Change, Resource, Rules,
        field::{Field, Form, Kind},
    },
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
    Resource { kept_by_admins: true, sort: "name", rules: &Teams, ..resource }
}

struct Teams;

#[async_trait::async_trait]
impl Rules for Teams {
    /// Whoever could put themselves into teams could reach what everybody has.
    async fn check(&self, write: &Write<'_>, change: &mut Change) -> Result<()> {
        if write.scope.role != Role::Admin && !change.action.ends() && change.changes("member_ids") {
            return Err(Error::field("/member_ids", "forbidden", "only admins say who is in a team"));
        }
        Ok(())
    }
}
