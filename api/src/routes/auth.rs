use std::{sync::Arc, time::Duration};

use domain::{
    Error,
    auth::{
        self, Credentials, Origin,
        sessions::{self, Session, SignedIn},
    },
    entities::SessionId,
    seal::Sealer,
};
use jobs::Ledger;
use poem::{
    Request,
    http::header,
    web::cookie::{Cookie, CookieJar, SameSite},
};
use poem_openapi::{ApiResponse, Object, OpenApi, param::Path, payload::Json};

use crate::{
    Guard, Tag, address,
    guard::{ACCESS_SECONDS, Caller},
    problem::Answer,
    routes::realtime::{COOKIE, EVENTS},
};

/// The cookie that renews the access token.
const REFRESH: &str = "somo_refresh";
/// The cookie that a browser is known by, when its owner signs in again.
const DEVICE: &str = "somo_device";
/// How long they are kept, in days.
const REFRESH_DAYS: u64 = 30;
const DEVICE_DAYS: u64 = 400;

pub(crate) struct Auth {
    pub(crate) ledger: Ledger,
    pub(crate) sealer: Sealer,
    pub(crate) guard: Arc<Guard>,
    /// Whether people come by https.
    pub(crate) secure: bool,
    /// How many proxies they pass.
    pub(crate) proxies: usize,
}

/// Who signs in.
#[derive(Object)]
#[oai(deny_unknown_fields)]
struct Login {
    /// The address.
    #[oai(validator(min_length = 1, max_length = 254))]
    email: String,
    /// The password.
    #[oai(validator(min_length = 1, max_length = 256))]
    password: String,
    /// The code of the authenticator, or a recovery code: wanted of who has set one up, who gets a 401 `totp_required` without.
    #[oai(validator(max_length = 64))]
    totp: Option<String>,
}

/// Somebody is signed in. The cookie `somo_refresh` renews the token at `/api/auth/refresh`.
#[derive(Object)]
struct Access {
    /// For `Authorization: Bearer …`.
    access_token: String,
    /// Always `Bearer`.
    token_type: String,
    /// Seconds.
    expires_in: i64,
}

#[derive(ApiResponse)]
enum LoggedOut {
    /// Signed out.
    #[oai(status = 204)]
    Done,
}

/// Where somebody is signed in.
#[derive(Object)]
struct Sessions {
    /// The one seen last first.
    data: Vec<Session>,
}

#[derive(ApiResponse)]
enum Ended {
    /// Signed out there.
    #[oai(status = 204)]
    Done,
}

#[OpenApi(tag = "Tag::Auth")]
impl Auth {
    /// Sign in. Wrong passwords are slowed down, but for a browser that was signed in with before: it has the cookie `somo_device`.
    #[oai(path = "/auth/login", method = "post", operation_id = "auth_login")]
    async fn login(&self, request: &Request, cookies: &CookieJar, body: Json<Login>) -> Answer<Json<Access>> {
        let Login { email, password, totp } = &body.0;
        let who = Credentials { email, password, totp: totp.as_deref() };
        let device = cookies.get(DEVICE).map(|cookie| cookie.value_str().to_owned());
        let origin = Origin { device, ..origin(request, self.proxies) };
        let signed_in = auth::login(&self.ledger, &self.sealer, who, origin).await?;
        if let Some(device) = &signed_in.device {
            cookies.add(self.cookie(DEVICE, device.clone(), DEVICE_DAYS));
        }
        self.access(cookies, &signed_in)
    }

    /// Renew the access token with the refresh cookie, which is renewed, too. Each is good once: sent again within ten seconds it
    /// gets the same answer, later it ends the session, since somebody has a copy of it.
    #[oai(path = "/auth/refresh", method = "post", operation_id = "auth_refresh")]
    async fn refresh(&self, cookies: &CookieJar) -> Answer<Json<Access>> {
        let signed_in = sessions::refresh(&self.ledger, &refresh_token(cookies)?).await?;
        self.access(cookies, &signed_in)
    }

    /// Sign out: the session of the refresh cookie ends.
    #[oai(path = "/auth/logout", method = "post", operation_id = "auth_logout")]
    async fn logout(&self, cookies: &CookieJar) -> Answer<LoggedOut> {
        if let Ok(token) = refresh_token(cookies) {
            sessions::logout(&self.ledger, &token).await?;
            self.guard.forget();
        }
        cookies.add(self.cookie(REFRESH, String::new(), 0));
        cookies.add(self.listening(String::new(), 0));
        Ok(LoggedOut::Done)
    }

    /// Where you are signed in.
    #[oai(path = "/auth/sessions", method = "get", operation_id = "sessions_list")]
    async fn sessions(&self, caller: Caller) -> Answer<Json<Sessions>> {
        let data = sessions::list(self.ledger.db(), &caller.scope(), caller.0.principal.session).await?;
        Ok(Json(Sessions { data }))
    }

    /// Sign out in one place. Its access token ends within five seconds.
    #[oai(path = "/auth/sessions/:id", method = "delete", operation_id = "sessions_end")]
    async fn end(
        &self,
        caller: Caller,
        /// Which session.
        id: Path<SessionId>,
    ) -> Answer<Ended> {
        sessions::end(&self.ledger, &caller.scope(), id.0).await?;
        self.guard.forget();
        Ok(Ended::Done)
    }

    /// Sign out everywhere else. The access tokens of those places end within five seconds.
    #[oai(path = "/auth/sessions", method = "delete", operation_id = "sessions_end_others")]
    async fn end_others(&self, caller: Caller) -> Answer<Ended> {
        sessions::end_others(&self.ledger, &caller.scope(), caller.0.principal.session).await?;
        self.guard.forget();
        Ok(Ended::Done)
    }
}

impl Auth {
    fn access(&self, cookies: &CookieJar, signed_in: &SignedIn) -> Answer<Json<Access>> {
        cookies.add(self.cookie(REFRESH, signed_in.refresh_token.clone(), REFRESH_DAYS));
        let access_token = self.guard.access_token(signed_in)?;
        cookies.add(self.listening(access_token.clone(), ACCESS_SECONDS.unsigned_abs()));
        Ok(Json(Access { access_token, token_type: "Bearer".into(), expires_in: ACCESS_SECONDS }))
    }

    /// The access token once more, for a page that listens: a browser's `EventSource` sends no header.
    fn listening(&self, token: String, seconds: u64) -> Cookie {
        let mut cookie = self.cookie(COOKIE, token, 0);
        cookie.set_path(EVENTS);
        cookie.set_max_age(Duration::from_secs(seconds));
        cookie
    }

    /// Not readable by scripts, and not sent along from other sites.
    fn cookie(&self, name: &str, value: String, days: u64) -> Cookie {
        let mut cookie = Cookie::new_with_str(name, value);
        cookie.set_http_only(true);
        cookie.set_same_site(SameSite::Strict);
        cookie.set_secure(self.secure);
        cookie.set_path("/api/auth");
        cookie.set_max_age(Duration::from_secs(days * 24 * 3600));
        cookie
    }
}

fn refresh_token(cookies: &CookieJar) -> Result<String, Error> {
    let cookie = cookies.get(REFRESH).map(|cookie| cookie.value_str().to_owned()).filter(|token| !token.is_empty());
    cookie.ok_or(Error::Unauthorized { code: "no_refresh_cookie", message: "sign in first: there is no refresh cookie" })
}

fn origin(request: &Request, proxies: usize) -> Origin {
    let user_agent = request.header(header::USER_AGENT).map(|agent| agent.chars().take(300).collect());
    Origin { address: address::of(request, proxies).map(|ip| ip.to_string()), user_agent, device: None }
}
