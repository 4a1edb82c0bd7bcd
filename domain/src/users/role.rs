//! Roles: what a tenant allows its people besides what admins, agents and viewers may anyway.

use serde_json::json;

use crate::{
    Error, FieldError, Result,
    engine::Write,
    resource::{
        Change, Resource, Rules, access,
        field::{Field, Form, Kind},
        registry,
    },
};

/// The resource.
pub(crate) fn resource() -> Resource {
    let members = Kind::References { to: "users", table: "user_roles", own: "role_id", other: "user_id" };
    let fields = vec![
        Field::line("name", 120, "What it is called.").required().unique().searched().example("Field sales"),
        Field::text("description", 2_000, Form::Lines, "Whom it is for."),
        Field::new("grants", Kind::Json, "What it allows: per resource, each act and how far it reaches (`own`, `team`, `all`). GET /api/permissions lists what there is.")
            .default(json!({}))
            .example(json!({ "contacts": { "view": "team", "edit": "own" }, "messages": { "send": "all" } })),
        Field::new("hidden", Kind::Json, "Which fields of which resource it doesn't show. Somebody with several roles sees what one of them shows.")
            .default(json!({}))
            .example(json!({ "contacts": ["phones"] })),
        Field::new("user_ids", members, "Who has it."),
    ];
    let resource = Resource::new("role", "roles", "AccessRole", "What somebody may do and see.", fields);
    Resource { kept_by_admins: true, sort: "name", rules: &Roles, ..resource }
}

struct Roles;

#[async_trait::async_trait]
impl Rules for Roles {
    async fn check(&self, write: &Write<'_>, change: &mut Change) -> Result<()> {
        // Whoever could write roles could allow themselves everything.
        if write.scope.role != entities::Role::Admin {
            return Err(Error::Forbidden("roles:edit"));
        }
        if change.action.ends() {
            return Ok(());
        }
        let mut faults = Vec::new();
        let mut fault = |pointer: String, code, message: &str| faults.push(FieldError { pointer, code, message: message.to_owned() });
        for (topic, acts) in change.after["grants"].as_object().into_iter().flatten() {
            let at = format!("/grants/{topic}");
            let Some(acts) = acts.as_object() else {
                fault(at, "wrong_type", "takes an object of acts");
                continue;
            };
            for (act, reach) in acts {
                let at = format!("{at}/{act}");
                match access::reaches(topic, act) {
                    [] => fault(at, "unknown_field", "is not something that can be allowed; see GET /api/permissions"),
                    reaches if reach.as_str().is_some_and(|reach| reaches.contains(&reach)) => {}
                    reaches => fault(at, "invalid", &format!("is none of {}", reaches.join(", "))),
                }
            }
        }
        for (topic, names) in change.after["hidden"].as_object().into_iter().flatten() {
            let Some(resource) = registry::find(topic) else {
                fault(format!("/hidden/{topic}"), "unknown_field", "is not a resource");
                continue;
            };
            for (at, name) in names.as_array().into_iter().flatten().enumerate() {
                let at = format!("/hidden/{topic}/{at}");
                match name.as_str().and_then(|name| resource.field(name)) {
                    None => fault(at, "unknown_field", "is not a field of this resource"),
                    Some(field) if field.required => fault(at, "invalid", "can't be hidden: no record is without it"),
                    Some(_) => {}
                }
            }
            if !names.is_array() {
                fault(format!("/hidden/{topic}"), "wrong_type", "takes a list of fields");
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
    }
}
