//! Users as the others see them.

use entities::{Role, UserId, user as table};
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter};
use serde_json::json;

use crate::{
    Error, Result,
    engine::Write,
    resource::{
        Change, Resource, Rules,
        field::{Field, Form, Kind},
    },
    settings::LOCALES,
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
        Field::new("locale", Kind::Choice(LOCALES), "Their language; absent: the team's."),
        Field::line("time_zone", 60, "Their time zone; absent: the team's.").example("America/Sao_Paulo"),
        Field::new("disabled_at", Kind::Time, "Since when they can't sign in.").by_rules(),
    ];
    let resource = Resource::new("user", "users", "User", "Somebody who works here.", fields);
    let many = vec![("contacts", "owner_id"), ("companies", "owner_id"), ("deals", "owner_id"), ("activities", "owner_id")];
    Resource { owner: Some("id"), kept_by_admins: true, made: false, sort: "name", many, rules: &Users, ..resource }
}

struct Users;

#[async_trait::async_trait]
impl Rules for Users {
    /// Whoever may edit users may not make themselves an admin by it, and somebody has to be one.
    async fn check(&self, write: &Write<'_>, change: &mut Change) -> Result<()> {
        if !change.changes("role") {
            return Ok(());
        }
        if write.scope.role != Role::Admin {
            return Err(Error::field("/role", "forbidden", "only admins say who is one of them, and who what else"));
        }
        if change.before["role"] == json!("admin") {
            let others = table::Column::TenantId
                .eq(write.scope.tenant)
                .and(table::Column::Role.eq(Role::Admin))
                .and(table::Column::DisabledAt.is_null())
                .and(table::Column::Id.ne(UserId(change.id)));
            // One at a time: two who step back at once would leave nobody.
            crate::resource::related::alone(write, "admins").await?;
            if table::Entity::find().filter(others).count(&***write).await? == 0 {
                return Err(Error::field("/role", "invalid", "somebody has to be an admin; make another one first"));
            }
        }
        Ok(())
    }
}
