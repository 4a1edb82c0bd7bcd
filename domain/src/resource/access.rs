//! Who may do what to which records. Always a condition of the statement that reads or writes, never a filter afterwards.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use entities::{Role, TenantId, UserId};
use sea_orm::{
    ConnectionTrait, Statement,
    sea_query::{Alias, Expr, ExprTrait, JoinType, Query},
};
use serde_json::Value;
use uuid::Uuid;

use super::{Record, Resource, registry, value};
use crate::{
    Error, Result, Scope,
    scope::{OTHERS, covers},
};

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

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.as_str() == name)
    }

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

/// The abilities of each resource, such as `contacts:view`, in the order of [`Act::ALL`].
static ABILITIES: LazyLock<HashMap<&'static str, [String; 4]>> = LazyLock::new(|| {
    let of = |topic: &'static str| (topic, Act::ALL.map(|act| format!("{topic}:{}", act.as_str())));
    registry::all().iter().map(|resource| of(resource.topic)).collect()
});

/// The abilities of all resources.
pub(crate) fn abilities() -> impl Iterator<Item = &'static str> {
    registry::all().iter().flat_map(|resource| Act::ALL.map(|act| resource.ability(act)))
}

impl Resource {
    /// What the act is called: `contacts:edit`.
    pub(crate) fn ability(&self, act: Act) -> &'static str {
        ABILITIES.get(self.topic).map_or("", |names| &names[act as usize])
    }
}

/// What somebody's roles allow and hide, all of them together.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    reaches: HashMap<String, HashMap<String, Reach>>,
    hidden: HashMap<String, HashSet<String>>,
}

impl Grants {
    /// What the roles of a user allow.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(conn: &impl ConnectionTrait, tenant: TenantId, user: UserId) -> Result<Self> {
        let find = "select r.grants, r.hidden from roles r join user_roles u on u.tenant_id = r.tenant_id and u.role_id = r.id
                     where u.tenant_id = $1 and u.user_id = $2 and r.deleted_at is null";
        let find = Statement::from_sql_and_values(conn.get_database_backend(), find, [tenant.0.into(), user.0.into()]);
        let mut granted = Self::default();
        let mut roles: Vec<(Value, Value)> = Vec::new();
        for row in conn.query_all_raw(find).await? {
            roles.push((row.try_get("", "grants")?, row.try_get("", "hidden")?));
        }
        for (topic, acts) in roles.iter().filter_map(|(grants, _)| grants.as_object()).flatten() {
            for (act, reach) in acts.as_object().into_iter().flatten() {
                let Some(reach) = reach.as_str().and_then(Reach::named) else { continue };
                let best = granted.reaches.entry(topic.clone()).or_default().entry(act.clone()).or_insert(reach);
                *best = reach.max(*best);
            }
        }
        // What one of those roles shows that have to do with the resource, is shown.
        for resource in registry::all() {
            let hides = |field: &str| {
                let mut seeing = roles.iter().filter(|(grants, _)| grants[resource.topic] != Value::Null).peekable();
                let named = |list: &Value| list.as_array().is_some_and(|list| list.iter().any(|name| name == field));
                seeing.peek().is_some() && seeing.all(|(_, hidden)| named(&hidden[resource.topic]))
            };
            let hidden: HashSet<String> =
                resource.fields.iter().filter(|field| hides(field.name)).map(|field| field.name.to_owned()).collect();
            if !hidden.is_empty() {
                granted.hidden.insert(resource.topic.to_owned(), hidden);
            }
        }
        Ok(granted)
    }

    /// How far an act reaches by these roles alone.
    pub(crate) fn reach(&self, topic: &str, act: &str) -> Option<Reach> {
        self.reaches.get(topic)?.get(act).copied()
    }
}

impl Reach {
    fn named(name: &str) -> Option<Self> {
        [("own", Self::Own), ("team", Self::Team), ("all", Self::All)].into_iter().find(|(one, _)| *one == name).map(|(_, reach)| reach)
    }
}

/// How far `topic:act` can be allowed to reach; nowhere when there is no such thing.
#[must_use]
pub fn reaches(topic: &str, act: &str) -> &'static [&'static str] {
    match registry::find(topic) {
        // Roles are for admins, whatever a role says.
        Some(resource) if resource.topic == "roles" && act != "view" => &[],
        Some(resource) if Act::named(act).is_some() => {
            if resource.owner.is_some() {
                &["own", "team", "all"]
            } else {
                &["all"]
            }
        }
        _ if OTHERS.contains(&format!("{topic}:{act}").as_str()) => &["all"],
        _ => &[],
    }
}

impl Scope {
    /// How far the caller's `act` reaches; `None`: nowhere.
    #[must_use]
    pub fn reach(&self, resource: &Resource, act: Act) -> Option<Reach> {
        let name = resource.ability(act);
        let within = self.abilities.as_ref().is_none_or(|granted| granted.iter().any(|one| covers(one, name)));
        let reach = match (self.role, act) {
            (Role::Admin, _) => Some(Reach::All),
            (Role::Member, _) => None,
            (_, Act::View) => Some(Reach::All),
            (Role::Agent, _) if resource.kept_by_admins => None,
            (Role::Agent, Act::Edit) if resource.visibility.is_some() => Some(Reach::Own),
            (Role::Agent, Act::Create | Act::Edit) => Some(Reach::All),
            (Role::Agent, Act::Delete) => Some(Reach::Own),
            (Role::Viewer, _) => None,
        };
        // The most that any of their roles allows.
        let reach = reach.max(self.grants.reach(resource.topic, act.as_str())).filter(|_| within);
        match act {
            // A change is answered with the record: nobody changes what they don't get to see.
            Act::Edit | Act::Delete => reach.min(self.reach(resource, Act::View)),
            Act::View | Act::Create => reach,
        }
    }

    /// Whether the caller doesn't get to see a field.
    #[must_use]
    pub fn hides(&self, resource: &Resource, field: &str) -> bool {
        // Who may do something without any role sees everything of it.
        self.role == Role::Member && self.grants.hidden.get(resource.topic).is_some_and(|hidden| hidden.contains(field))
    }

    /// Empties what the caller doesn't get to see, on the way out. The one place for it.
    pub(crate) fn mask(&self, resource: &Resource, record: &mut Record) {
        for field in resource.fields.iter().filter(|field| self.hides(resource, field.name)) {
            if let Some(value) = record.get_mut(field.name) {
                *value = if field.is_column() { Value::Null } else { Value::Array(Vec::new()) };
            }
        }
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
        let tenant = match resource.visibility {
            Some(visibility) => tenant.and(Resource::column(alias, visibility).ne("private").or(owner.clone().eq(user.0))),
            None => tenant,
        };
        Ok(match reach {
            Reach::All => tenant,
            Reach::Own => tenant.and(owner.eq(user.0)),
            Reach::Team => tenant.and(owner.clone().eq(user.0).or(owner.in_subquery(self.teammates()))),
        })
    }

    /// Whether the caller sees this record of their tenant, as [`Scope::within`] says it of rows; `mates` are the users of their
    /// teams. For what has no row any more, or is at hand anyway.
    pub(crate) fn sees(&self, resource: &Resource, mates: &[Uuid], record: &Record) -> bool {
        let Some(reach) = self.reach(resource, Act::View) else { return false };
        let (Some(owner), Some(user)) = (resource.owner, self.user()) else { return true };
        let owner = record.get(owner).and_then(Value::as_str).and_then(value::id);
        let own = owner == Some(user.0);
        let private =
            resource.visibility.is_some_and(|field| record.get(field).and_then(Value::as_str).is_none_or(|said| said == "private"));
        let reached = match reach {
            Reach::All => true,
            Reach::Own => own,
            Reach::Team => own || owner.is_some_and(|owner| mates.contains(&owner)),
        };
        reached && (own || !private)
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
            .join_as(
                JoinType::InnerJoin,
                "teams",
                "team",
                column("team", "tenant_id").equals(("me", "tenant_id")).and(column("team", "id").equals(("me", "team_id"))),
            )
            .and_where(column("team", "deleted_at").is_null())
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
