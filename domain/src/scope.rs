//! Whose data, and what may be done with it. Every read and write of the domain takes one.

use std::sync::Arc;

use entities::{Role, TenantId, TokenId, UserId};
use uuid::Uuid;

use crate::{
    Error,
    idempotency::Claim,
    resource::{
        access::{self, Act, Grants},
        registry,
    },
};

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody signed in.
    User(UserId),
    /// A program with a personal access token.
    Token {
        /// Whose token.
        user: UserId,
        /// Which token.
        token: TokenId,
    },
    /// A job.
    Job(Uuid),
    /// WhatsApp.
    Provider,
    /// The installation itself.
    System,
}

impl Actor {
    /// Its kind and id, as events keep them.
    #[must_use]
    pub fn parts(self) -> (&'static str, Option<Uuid>) {
        match self {
            Self::User(user) => ("user", Some(user.0)),
            Self::Token { token, .. } => ("token", Some(token.0)),
            Self::Job(job) => ("job", Some(job)),
            Self::Provider => ("provider", None),
            Self::System => ("system", None),
        }
    }
}

/// A tenant, an actor and what they may do.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Whose data.
    pub tenant: TenantId,
    /// Who acts.
    pub actor: Actor,
    /// What the actor may do at most.
    pub role: Role,
    /// What their roles allow besides.
    pub grants: Arc<Grants>,
    /// What a token is limited to; `None`: nothing but the role limits.
    pub abilities: Option<Vec<String>>,
    /// Under which repeated request's key this is done.
    pub idempotency: Option<Claim>,
}

impl Scope {
    /// The installation itself, acting in a tenant.
    #[must_use]
    pub fn system(tenant: TenantId, actor: Actor) -> Self {
        Self { tenant, actor, role: Role::Admin, grants: Arc::default(), abilities: None, idempotency: None }
    }

    /// The user behind the actor.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        match self.actor {
            Actor::User(user) | Actor::Token { user, .. } => Some(user),
            Actor::Job(_) | Actor::Provider | Actor::System => None,
        }
    }

    /// Whether `ability`, written `resource:action`, is within the role and the token.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn require(&self, ability: &'static str) -> Result<(), Error> {
        let (topic, act) = ability.split_once(':').unwrap_or((ability, ""));
        if let (Some(resource), Some(act)) = (registry::find(topic), Act::named(act)) {
            return self.reach(resource, act).map(|_| ()).ok_or(Error::Forbidden(ability));
        }
        let token = self.abilities.as_ref().is_none_or(|granted| granted.iter().any(|one| covers(one, ability)));
        let by_role = || self.grants.reach(topic, act).is_some();
        if token && (role_grants(self.role, ability) || by_role()) { Ok(()) } else { Err(Error::Forbidden(ability)) }
    }
}

/// Every ability there is: what a token's are checked against.
pub fn abilities() -> impl Iterator<Item = &'static str> {
    OTHERS.iter().copied().chain(access::abilities())
}

/// Those that are not of a resource.
pub(crate) const OTHERS: &[&str] = &[
    "devices:read",
    "devices:write",
    "messages:read",
    "messages:send",
    "conversations:read",
    "conversations:write",
    "jobs:read",
    "jobs:write",
    "queues:write",
    "audit:read",
    "settings:write",
    "webhooks:read",
    "webhooks:write",
    "account:read",
    "account:write",
];

fn role_grants(role: Role, ability: &str) -> bool {
    // Everybody looks after their own account.
    let granted: &[&str] = match role {
        Role::Admin => &["*"],
        Role::Agent => &["devices:read", "jobs:read", "messages:*", "conversations:*", "account:*"],
        // The audit log has everything of everybody.
        Role::Viewer => &["devices:read", "messages:read", "conversations:read", "jobs:read", "account:*"],
        Role::Member => &["account:*"],
    };
    granted.iter().any(|one| covers(one, ability))
}

/// Whether the granted `*`, `messages:*`, `*:read` or `messages:send` covers `ability`.
#[must_use]
pub fn covers(granted: &str, ability: &str) -> bool {
    if granted == "*" || granted == ability {
        return true;
    }
    let (Some((resource, action)), Some((wanted_resource, wanted_action))) = (granted.split_once(':'), ability.split_once(':')) else {
        return false;
    };
    (resource == "*" || resource == wanted_resource) && (action == "*" || action == wanted_action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_never_grants_more_than_its_user_has() {
        let scope = |role, abilities: Option<&[&str]>| Scope {
            role,
            abilities: abilities.map(|list| list.iter().map(|&one| one.to_owned()).collect()),
            ..Scope::system(TenantId::new(), Actor::System)
        };
        assert!(scope(Role::Admin, None).require("devices:write").is_ok());
        assert!(scope(Role::Agent, None).require("messages:send").is_ok());
        assert!(scope(Role::Agent, None).require("devices:write").is_err());
        assert!(scope(Role::Viewer, Some(&["*"])).require("messages:send").is_err());
        assert!(scope(Role::Viewer, Some(&["*"])).require("messages:read").is_ok());
        assert!(scope(Role::Admin, Some(&["messages:*"])).require("messages:send").is_ok());
        assert!(scope(Role::Admin, Some(&["messages:*"])).require("devices:read").is_err());
        assert!(scope(Role::Admin, Some(&[])).require("devices:read").is_err());
    }
}
