use std::sync::Arc;

use domain::auth::{
    account::{self, AccountUpdate},
    recovery,
};
use jobs::Ledger;
use poem_openapi::{ApiResponse, Object, OpenApi, payload::Json};

use crate::{
    Guard, Tag,
    guard::{Caller, Me, me},
    problem::Answer,
    written::Written,
};

pub(crate) struct Account {
    pub(crate) ledger: Ledger,
    pub(crate) guard: Arc<Guard>,
}

/// Another password.
#[derive(Object)]
#[oai(deny_unknown_fields)]
struct PasswordChange {
    /// The one that you sign in with.
    #[oai(validator(min_length = 1, max_length = 256))]
    current_password: String,
    /// The one that you want, 8 characters at least.
    #[oai(validator(min_length = 1, max_length = 256))]
    password: String,
}

/// Somebody who forgot their password.
#[derive(Object)]
#[oai(deny_unknown_fields)]
struct PasswordForgotten {
    /// The address that they sign in with.
    #[oai(validator(min_length = 1, max_length = 254))]
    email: String,
}

/// Another password, with a link that was mailed.
#[derive(Object)]
#[oai(deny_unknown_fields)]
struct PasswordReset {
    /// What stands in the link after `#`.
    #[oai(validator(min_length = 1, max_length = 100))]
    token: String,
    /// The password that they want, 8 characters at least.
    #[oai(validator(min_length = 1, max_length = 256))]
    password: String,
}

#[derive(ApiResponse)]
enum Changed {
    /// It is the password now.
    #[oai(status = 204)]
    Done,
}

#[derive(ApiResponse)]
enum Asked {
    /// Whoever signs in with this address gets a mail.
    #[oai(status = 202)]
    Done,
}

#[OpenApi(tag = "Tag::Auth")]
impl Account {
    /// Who is signed in, and what they may do.
    #[oai(path = "/me", method = "get", operation_id = "me_get")]
    async fn get(&self, caller: Caller) -> Answer<Written<Me>> {
        Ok(caller.0.principal.me.clone())
    }

    /// Change what you are called, your language and your time zone.
    #[oai(path = "/me", method = "patch", operation_id = "me_update")]
    async fn update(&self, caller: Caller, body: Json<AccountUpdate>) -> Answer<Json<Me>> {
        let scope = caller.scope();
        let (user, tenant) = account::update(&self.ledger, &scope, body.0).await?;
        self.guard.forget();
        Ok(Json(me(&scope, user, tenant)))
    }

    /// Change your password. You are signed out everywhere else, and told by mail.
    #[oai(path = "/me/password", method = "post", operation_id = "password_change")]
    async fn change_password(&self, caller: Caller, body: Json<PasswordChange>) -> Answer<Changed> {
        let PasswordChange { current_password, password } = &body.0;
        account::change_password(&self.ledger, &caller.scope(), caller.0.principal.session, current_password, password).await?;
        self.guard.forget();
        Ok(Changed::Done)
    }

    /// Ask for a link by mail to choose another password. The answer is the same for an address that nobody signs in with. The link
    /// is good for an hour, and once; whoever asks again within a minute gets no other mail.
    #[oai(path = "/auth/password/forgotten", method = "post", operation_id = "password_forgotten")]
    async fn forgotten(&self, body: Json<PasswordForgotten>) -> Answer<Asked> {
        recovery::forgotten(&self.ledger, &body.0.email).await?;
        Ok(Asked::Done)
    }

    /// Choose another password with a link. All sessions end.
    #[oai(path = "/auth/password/reset", method = "post", operation_id = "password_reset")]
    async fn reset(&self, body: Json<PasswordReset>) -> Answer<Changed> {
        recovery::reset(&self.ledger, &body.0.token, &body.0.password).await?;
        self.guard.forget();
        Ok(Changed::Done)
    }
}
