//! Users as the others see them.

use crate::resource::{
    Resource,
    field::{Field, Form, Kind},
};

/// The resource.
pub(crate) fn resource() -> Resource {
    let fields = vec![
        Field::line("name", 120, "What they are called.").required().searched().example("Bruno Lima"),
        Field::text("email", 254, Form::Email, "The address they sign in with.").required().searched().by_rules(),
        Field::new(
            "role",
            Kind::Choice(&["admin", "agent", "viewer", "member"]),
            "What they may do whatever their roles grant; `member`: nothing.",
        )
        .required(),
        Field::line("job_title", 120, "What they do.").searched().example("Sales"),
        Field::text("phone", 40, Form::Phone, "Their number."),
        Field::new("locale", Kind::Choice(&["pt-BR", "en", "es", "fr", "de", "it", "nl", "ar"]), "Their language; absent: the team's."),
        Field::line("time_zone", 60, "Their time zone; absent: the team's.").example("America/Sao_Paulo"),
        Field::new("disabled_at", Kind::Time, "Since when they can't sign in.").by_rules(),
    ];
    let resource = Resource::new("user", "users", "User", "Somebody who works here.", fields);
    let many = vec![("contacts", "owner_id"), ("companies", "owner_id"), ("deals", "owner_id"), ("activities", "owner_id")];
    Resource { owner: Some("id"), kept_by_admins: true, made: false, sort: "name", many, ..resource }
}
