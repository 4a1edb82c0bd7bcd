use domain::{
    auth::second_factor::{self, Enrolment, SecondFactor},
    entities::UserId,
    seal::Sealer,
};
use jobs::Ledger;
use poem_openapi::{ApiResponse, Object, OpenApi, param::Path, payload::Json};

use crate::{Tag, guard::Caller, problem::Answer};

pub(crate) struct SecondFactors {
    pub(crate) ledger: Ledger,
    pub(crate) sealer: Sealer,
}

/// Somebody who knows their password.
#[derive(Object)]
#[oai(deny_unknown_fields)]
struct Proof {
    /// The password that you sign in with.
    #[oai(validator(min_length = 1, max_length = 256))]
    password: String,
}

/// Somebody who has set up their authenticator.
#[derive(Object)]
#[oai(deny_unknown_fields)]
struct TotpConfirm {
    /// What it shows.
    #[oai(validator(min_length = 6, max_length = 10))]
    code: String,
}

/// Codes that stand in for the authenticator, each once. They are shown only now.
#[derive(Object)]
struct RecoveryCodes {
    /// Ten of them.
    recovery_codes: Vec<String>,
}

#[derive(ApiResponse)]
enum NoFactor {
    /// A sign-in asks for no code any more.
    #[oai(status = 204)]
    Done,
}

#[OpenApi(tag = "Tag::Auth")]
impl SecondFactors {
    /// Whether your sign-in asks for a code, and how many recovery codes are left.
    #[oai(path = "/auth/totp", method = "get", operation_id = "totp_get")]
    async fn get(&self, caller: Caller) -> Answer<Json<SecondFactor>> {
        Ok(Json(second_factor::get(self.ledger.db(), &caller.scope()).await?))
    }

    /// Set up an authenticator: show it the secret, then confirm with what it shows. Until then, nothing changes.
    #[oai(path = "/auth/totp", method = "post", operation_id = "totp_begin")]
    async fn begin(&self, caller: Caller, body: Json<Proof>) -> Answer<Json<Enrolment>> {
        Ok(Json(second_factor::begin(&self.ledger, &self.sealer, &caller.scope(), &body.0.password).await?))
    }

    /// Confirm the authenticator: from now on, your sign-in asks for its code.
    #[oai(path = "/auth/totp/confirm", method = "post", operation_id = "totp_confirm")]
    async fn confirm(&self, caller: Caller, body: Json<TotpConfirm>) -> Answer<Json<RecoveryCodes>> {
        let recovery_codes = second_factor::confirm(&self.ledger, &self.sealer, &caller.scope(), &body.0.code).await?;
        Ok(Json(RecoveryCodes { recovery_codes }))
    }

    /// Make new recovery codes: those you had are good no more.
    #[oai(path = "/auth/totp/recovery-codes", method = "post", operation_id = "totp_recovery_codes")]
    async fn renew_codes(&self, caller: Caller, body: Json<Proof>) -> Answer<Json<RecoveryCodes>> {
        let recovery_codes = second_factor::renew_codes(&self.ledger, &caller.scope(), &body.0.password).await?;
        Ok(Json(RecoveryCodes { recovery_codes }))
    }

    /// Sign in without a code again. To have no authenticator is no error.
    #[oai(path = "/auth/totp/disable", method = "post", operation_id = "totp_disable")]
    async fn disable(&self, caller: Caller, body: Json<Proof>) -> Answer<NoFactor> {
        second_factor::disable(&self.ledger, &caller.scope(), &body.0.password).await?;
        Ok(NoFactor::Done)
    }

    /// Let somebody sign in without a code who has lost their authenticator. For admins.
    #[oai(path = "/users/:id/totp", method = "delete", operation_id = "users_totp_reset")]
    async fn reset(
        &self,
        caller: Caller,
        /// Which user.
        id: Path<UserId>,
    ) -> Answer<NoFactor> {
        second_factor::reset(&self.ledger, &caller.scope(), id.0).await?;
        Ok(NoFactor::Done)
    }
}
