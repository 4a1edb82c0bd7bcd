//! Who is asking: access tokens (JWT, ten minutes) and personal access tokens, each turned into a [`Principal`].
//!
//! What was found is remembered for five seconds, so that a revoked session or token works for five seconds at most and a
//! busy client costs no query for each request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use domain::{
    Error, Scope,
    auth::{
        sessions::{self, SignedIn},
        tokens,
    },
    entities::{Role, SessionId, TenantId, UserId, tenant, user},
    idempotency::Claim,
    resource::access::Grants,
    scope::{self, Actor},
    users,
};
use hmac::{Hmac, Mac};
use jobs::Ledger;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use poem::{Request, http::header};
use poem_openapi::{Object, SecurityScheme, auth::Bearer, types::ToJSON};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::{limits::Asker, problem::Failure, written::Written};

/// How long an access token is valid, in seconds.
pub(crate) const ACCESS_SECONDS: i64 = 600;
/// How long what was found of a token is believed.
const BELIEVED: Duration = Duration::from_secs(5);
/// So many tokens are remembered; then all are forgotten.
const REMEMBERED: usize = 10_000;

/// Tells who is asking.
pub struct Guard {
    ledger: Ledger,
    sign: EncodingKey,
    header: Header,
    /// By the ids of their keys.
    checks: HashMap<String, DecodingKey>,
    seen: Mutex<HashMap<String, (Instant, Arc<Principal>)>>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: UserId,
    tid: TenantId,
    sid: SessionId,
    iat: i64,
    exp: i64,
}

/// Who is asking and what they may do.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    actor: Actor,
    role: Role,
    grants: Arc<Grants>,
    abilities: Option<Vec<String>>,
    pub(crate) tenant: TenantId,
    /// What they are told of themselves.
    pub(crate) me: Written<Me>,
    /// As others are told that they are there.
    pub(crate) name: String,
    /// The session of an access token.
    pub(crate) session: Option<SessionId>,
    /// When an access token ends, in seconds since 1970.
    pub(crate) until: Option<i64>,
}

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct Me {
    /// The user.
    pub(crate) user: MyUser,
    /// Their team.
    pub(crate) tenant: MyTenant,
    /// What they may do.
    pub(crate) abilities: Vec<String>,
}

/// A user as they see themselves.
#[derive(Clone, Debug, PartialEq, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct MyUser {
    /// Their id.
    pub(crate) id: UserId,
    /// Their address.
    pub(crate) email: String,
    /// Their name.
    pub(crate) name: String,
    /// What they may do at most.
    pub(crate) role: Role,
    /// Their language; absent: the team's.
    pub(crate) locale: Option<String>,
    /// Their time zone; absent: the team's.
    pub(crate) time_zone: Option<String>,
}

/// The team of a user.
#[derive(Clone, Debug, PartialEq, Object)]
pub(crate) struct MyTenant {
    /// Its id.
    pub(crate) id: TenantId,
    /// Its name.
    pub(crate) name: String,
    /// Its name in addresses.
    pub(crate) slug: String,
    /// Its language.
    pub(crate) locale: String,
    /// Its time zone.
    pub(crate) time_zone: String,
}

impl Guard {
    /// A guard whose tokens are signed with a key made of `secret`. Those signed with one made of the `old` are good, too: a key
    /// that is replaced signs nobody out.
    #[must_use]
    pub fn new(ledger: Ledger, secret: &[u8; 32], old: &[[u8; 32]]) -> Self {
        let (id, key) = signing(secret);
        let header = Header { kid: Some(id), ..Header::new(Algorithm::HS256) };
        let checks = std::iter::once(secret).chain(old).map(|secret| {
            let (id, key) = signing(secret);
            (id, DecodingKey::from_secret(&key))
        });
        Self { ledger, sign: EncodingKey::from_secret(&key), header, checks: checks.collect(), seen: Mutex::default() }
    }

    /// An access token for a session.
    pub(crate) fn access_token(&self, signed_in: &SignedIn) -> Result<String, Error> {
        let iat = Utc::now().timestamp();
        let claims = Claims { sub: signed_in.user, tid: signed_in.tenant, sid: signed_in.session, iat, exp: iat + ACCESS_SECONDS };
        jsonwebtoken::encode(&self.header, &claims, &self.sign).map_err(|error| Error::Internal(error.into()))
    }

    /// Forgets what was found of all tokens: after a sign-out.
    pub(crate) fn forget(&self) {
        self.seen.lock().expect("nothing panics while holding it").clear();
    }

    /// Whose token it is.
    pub(crate) async fn principal(&self, token: &str) -> Result<Arc<Principal>, Error> {
        const REFUSED: Error =
            Error::Unauthorized { code: "invalid_token", message: "the token is unknown, expired or revoked; sign in again" };
        if let Some(principal) = self.remembered(token) {
            return Ok(principal);
        }
        let db = self.ledger.db();
        let (account, actor, abilities, life) = if token.starts_with(tokens::PREFIX) {
            let (account, id, abilities) = tokens::token_account(db, token).await?.ok_or(REFUSED)?;
            let actor = Actor::Token { user: account.user, token: id };
            (account, actor, Some(abilities), None)
        } else {
            let mut rules = Validation::new(Algorithm::HS256);
            rules.leeway = 0;
            let kid = jsonwebtoken::decode_header(token).ok().and_then(|header| header.kid).ok_or(REFUSED)?;
            let check = self.checks.get(&kid).ok_or(REFUSED)?;
            let claims = jsonwebtoken::decode::<Claims>(token, check, &rules).map_err(|_| REFUSED)?.claims;
            let account = sessions::session_account(db, claims.tid, claims.sid, claims.sub).await?.ok_or(REFUSED)?;
            let actor = Actor::User(account.user);
            (account, actor, None, Some((claims.sid, claims.exp)))
        };
        let grants = Arc::new(Grants::of(&db.read, account.tenant, account.user).await?);
        let own =
            Scope { role: account.role, grants: grants.clone(), abilities: abilities.clone(), ..Scope::system(account.tenant, actor) };
        let (user, tenant) = users::me(db, &own).await?;
        let (name, tenant, me) = (user.name.clone(), tenant.id, Written::of(&me(&own, user, tenant).to_json()));
        let principal = Arc::new(Principal {
            actor,
            role: account.role,
            grants,
            abilities,
            tenant,
            me,
            name,
            session: life.map(|(session, _)| session),
            until: life.map(|(_, until)| until),
        });
        let mut seen = self.seen.lock().expect("nothing panics while holding it");
        if seen.len() >= REMEMBERED {
            seen.clear();
        }
        seen.insert(token.to_owned(), (Instant::now(), principal.clone()));
        Ok(principal)
    }

    /// [`Guard::principal`], looked up again.
    pub(crate) async fn renewed(&self, token: &str) -> Result<Arc<Principal>, Error> {
        self.seen.lock().expect("nothing panics while holding it").remove(token);
        self.principal(token).await
    }

    fn remembered(&self, token: &str) -> Option<Arc<Principal>> {
        let seen = self.seen.lock().expect("nothing panics while holding it");
        let (at, principal) = seen.get(token)?;
        let fresh = at.elapsed() < BELIEVED && principal.until.is_none_or(|until| until > Utc::now().timestamp());
        fresh.then(|| principal.clone())
    }
}

/// What somebody is told of themselves.
pub(crate) fn me(own: &Scope, user: user::Model, tenant: tenant::Model) -> Me {
    Me {
        user: MyUser { id: user.id, email: user.email, name: user.name, role: user.role, locale: user.locale, time_zone: user.time_zone },
        tenant: MyTenant { id: tenant.id, name: tenant.name, slug: tenant.slug, locale: tenant.locale, time_zone: tenant.time_zone },
        abilities: scope::abilities().filter(|ability| own.require(ability).is_ok()).map(str::to_owned).collect(),
    }
}

/// The key that is made of an installation's key, and its id: another use gets another key.
fn signing(secret: &[u8; 32]) -> (String, [u8; 32]) {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(b"somo access token");
    let key: [u8; 32] = mac.finalize().into_bytes().into();
    (hex::encode(&key[..4]), key)
}

impl Principal {
    /// As whom they are counted.
    pub(crate) fn asker(&self) -> Option<Asker> {
        match self.actor {
            Actor::User(user) => Some(Asker::User(user)),
            Actor::Token { token, .. } => Some(Asker::Token(token)),
            Actor::Job(_) | Actor::Provider | Actor::System => None,
        }
    }

    /// When an access token ends.
    pub(crate) fn expires_at(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.until?, 0)
    }

    /// What they may see and do.
    pub(crate) fn scope(&self, idempotency: Option<Claim>) -> Scope {
        let Self { actor, role, grants, abilities, tenant, .. } = self;
        Scope { tenant: *tenant, actor: *actor, role: *role, grants: grants.clone(), abilities: abilities.clone(), idempotency }
    }
}

/// An access token or a personal access token, as `Authorization: Bearer …`.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", checker = "caller")]
pub(crate) struct Caller(pub(crate) Asking);

/// Who is asking, with the key of a repeated request.
pub(crate) struct Asking {
    pub(crate) principal: Arc<Principal>,
    claim: Option<Claim>,
}

impl Caller {
    pub(crate) fn scope(&self) -> Scope {
        self.0.principal.scope(self.0.claim.clone())
    }
}

async fn caller(request: &Request, bearer: Bearer) -> poem::Result<Asking> {
    let guard = request.data::<Arc<Guard>>().expect("the app gives every request its guard");
    let principal = match request.extensions().get::<Arc<Principal>>() {
        Some(principal) => principal.clone(),
        None => guard.principal(&bearer.token).await.map_err(Failure)?,
    };
    Ok(Asking { principal, claim: request.extensions().get::<Claim>().cloned() })
}

/// The bearer token of a request.
pub(crate) fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.header(header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use db::Db;
    use domain::entities::{SessionId, TenantId, UserId};
    use jobs::Wake;

    use super::*;

    #[tokio::test]
    async fn an_access_token_is_good_for_its_time_and_under_its_key() {
        let ledger = Ledger::new(Db::open("sqlite::memory:").await.expect("SQLite opens"), Wake::local());
        let guard = Guard::new(ledger.clone(), &[7; 32], &[]);
        let token = |guard: &Guard, exp: i64| {
            let claims = Claims { sub: UserId::new(), tid: TenantId::new(), sid: SessionId::new(), iat: exp - ACCESS_SECONDS, exp };
            jsonwebtoken::encode(&guard.header, &claims, &guard.sign).expect("a token")
        };
        let now = Utc::now().timestamp();
        let refused = |answer| matches!(answer, Err(Error::Unauthorized { code: "invalid_token", .. }));
        assert!(refused(guard.principal(&token(&guard, now - 1)).await));
        assert!(refused(guard.principal(&token(&Guard::new(ledger.clone(), &[8; 32], &[]), now + 60)).await));
        // One that is good is looked up; this database has no tables.
        assert!(matches!(guard.principal(&token(&guard, now + 60)).await, Err(Error::Db(_))));
        let rolled = Guard::new(ledger, &[8; 32], &[[7; 32]]);
        assert!(matches!(rolled.principal(&token(&guard, now + 60)).await, Err(Error::Db(_))));
        assert!(refused(guard.principal(&token(&rolled, now + 60)).await));
    }
}
