//! Who may do what to which records. Always a condition of the statement that reads or writes, never a filter afterwards.

use std::sync::LazyLock;

use entities::Role;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, JoinType, Query};

use super::{Resource, registry};
use crate::{Error, Result, Scope, scope::covers};

/// What may be allowed for a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// Read it.
    View,
    /// Make one.
    Create,
    /// Change one.
    Edit,
    /// Put one into the trash, take it out, delete it for good.
    Delete,
}

/// Whose records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// One's own.
    Own,
    /// Those of everybody in one's teams.
    Team,
    /// Everybody's.
    All,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::View, Self::Create, Self::Edit, Self::Delete];

    /// As in `contacts:edit`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Create => "create",
            Self::Edit => "edit",
            Self::Delete => "delete",
        }
    }
}

/// The abilities of all resources, as `contacts:view`.
pub(crate) static ABILITIES: LazyLock<Vec<(&'static Resource, Act, String)>> = LazyLock::new(|| {
    let of = |resource: &'static Resource| Act::ALL.map(|act| (resource, act, format!("{}:{}", resource.topic, act.as_str())));
    registry::all().iter().flat_map(of).collect()
});

impl Resource {
    /// What the act is called: `contacts:edit`.
    pub(crate) fn ability(&self, act: Act) -> &'static str {
        let same = |(other, one, _): &&(&Resource, Act, String)| other.topic == self.topic && *one == act;
        ABILITIES.iter().find(same).map_or("", |(_, _, name)| name)
    }
}

impl Scope {
    /// How far the caller's `act` reaches; `None`: nowhere.
    #[must_use]
    pub fn reach(&self, resource: &Resource, act: Act) -> Option<Reach> {
        let name = resource.ability(act);
        let within = self.abilities.as_ref().is_none_or(|granted| granted.iter().any(|one| covers(one, name)));
        let reach = match (self.role, act) {
            (Role::Admin, _) | (_, Act::View) => Some(Reach::All),
            (Role::Agent, _) if resource.kept_by_admins => None,
            (Role::Agent, Act::Create | Act::Edit) => Some(Reach::All),
            (Role::Agent, Act::Delete) => Some(Reach::Own),
            (Role::Viewer, _) => None,
        };
        reach.filter(|_| within)
    }

    /// The condition under which `alias` is a row that the caller may do `act` to: the tenant's, and within their reach.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when they may do it to none.
    pub(crate) fn within(&self, resource: &Resource, act: Act, alias: &str) -> Result<Expr> {
        let tenant = Resource::of(alias, self.tenant.0);
        let Some(reach) = self.reach(resource, act) else { return Err(Error::Forbidden(resource.ability(act))) };
        let (Some(owner), Some(user)) = (resource.owner, self.user()) else { return Ok(tenant) };
        let owner = Resource::column(alias, owner);
        Ok(match reach {
            Reach::All => tenant,
            Reach::Own => tenant.and(owner.eq(user.0)),
            Reach::Team => tenant.and(owner.clone().eq(user.0).or(owner.in_subquery(self.teammates()))),
        })
    }

    /// Whether the caller may do `act` at all.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub(crate) fn may(&self, resource: &Resource, act: Act) -> Result<()> {
        self.reach(resource, act).map(|_| ()).ok_or_else(|| Error::Forbidden(resource.ability(act)))
    }

    /// The users who share a team with the caller.
    pub(crate) fn teammates(&self) -> sea_orm::sea_query::SelectStatement {
        let column = |alias: &'static str, name: &'static str| Expr::col((Alias::new(alias), Alias::new(name)));
        Query::select()
            .expr(column("mate", "user_id"))
            .from_as("team_members", "mate")
            .join_as(
                JoinType::InnerJoin,
                "team_members",
                "me",
                column("me", "tenant_id").equals(("mate", "tenant_id")).and(column("me", "team_id").equals(("mate", "team_id"))),
            )
            .and_where(column("me", "tenant_id").eq(self.tenant.0))
            .and_where(column("me", "user_id").eq(self.user().map(|user| user.0)))
            .to_owned()
    }
}

/// Whether the caller may see any of them.
///
/// # Errors
/// [`Error::Forbidden`].
pub fn see(scope: &Scope, resource: &Resource) -> Result<()> {
    scope.may(resource, Act::View)
}
