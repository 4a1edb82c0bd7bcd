//! Sends a notice to a user by mail. Its Message-ID is made of the job's id: a mail that goes out twice after a crash is
//! shown once by mail programs that look at it.

use domain::{
    Error, Scope,
    activities::reminder,
    auth::{self, recovery},
    entities::{TenantId, UserId, tenant, user},
    payloads::{Notice, SendMail},
    scope::Actor,
    users,
    whatsapp::devices,
};
use jobs::{Outcome, Run};
use mail::{Mail, MailError, Mailer};

use crate::{
    Context,
    notices::{self, Reader, Text},
};

/// Why nothing is sent.
pub(crate) const NO_SERVER: &str = "SOMO_SMTP_URL is not set: mail can't be sent";

pub(crate) async fn run(context: Context, run: Run, SendMail { user_id, notice }: SendMail) -> anyhow::Result<Outcome> {
    let Some(mailer) = &context.mailer else {
        return Ok(Outcome::Dead(NO_SERVER.into()));
    };
    let (to, text) = match written(&context, TenantId(run.tenant), user_id, &notice).await {
        Ok(Some(mail)) => mail,
        // Whom or what it is about is gone or not theirs to see, or it is true no more.
        Ok(None) | Err(Error::NotFound(_) | Error::Forbidden(_)) => return Ok(Outcome::Done),
        Err(error) => return Err(error.into()),
    };
    Ok(send(mailer, &run, to, text).await)
}

/// Sends a mail for a job.
pub(crate) async fn send(mailer: &Mailer, run: &Run, to: String, Text { subject, body }: Text) -> Outcome {
    let mail = Mail { to, subject, text: body, message_id: format!("{}@somo", run.id) };
    match mailer.send(mail).await {
        Ok(()) => Outcome::Done,
        Err(MailError::Retry(why)) => Outcome::retry(why),
        Err(MailError::Permanent(why)) => Outcome::Dead(why),
    }
}

/// The address and the text; `None` when there is nothing to say any more.
async fn written(context: &Context, tenant: TenantId, user: UserId, notice: &Notice) -> Result<Option<(String, Text)>, Error> {
    let db = context.ledger.db();
    let scope = Scope::system(tenant, Actor::User(user));
    let (user::Model { email, name, locale, time_zone, disabled_at, .. }, tenant::Model { locale: ours, time_zone: zone, .. }) =
        users::me(db, &scope).await?;
    if disabled_at.is_some() {
        return Ok(None);
    }
    let reader = Reader {
        name: &name,
        locale: locale.as_deref().unwrap_or(&ours),
        time_zone: time_zone.as_deref().unwrap_or(&zone),
        public_url: &context.public_url,
    };
    let text = match notice {
        Notice::Login { at, address, user_agent } => notices::login(reader, *at, address.as_deref(), user_agent.as_deref()),
        Notice::PasswordReset { reset_id } => {
            let Some(token) = recovery::token(&context.ledger, tenant, *reset_id).await? else { return Ok(None) };
            notices::password_reset(reader, &token)
        }
        Notice::PasswordChanged { at } => notices::password_changed(reader, *at),
        Notice::DeviceDown { device_id } => {
            let device = devices::get(db, &scope, *device_id).await?;
            if !devices::down(device.status) {
                return Ok(None);
            }
            notices::device_down(reader, &device.name, device.status_at, device.status_reason.as_deref())
        }
        Notice::Activity { activity_id, at } => {
            // They are told what they would see themselves.
            let Some(own) = auth::scope_of(db, tenant, user).await? else { return Ok(None) };
            let Some(reminder) = reminder::of(db, &own, *activity_id, *at).await? else { return Ok(None) };
            notices::activity(reader, &reminder)
        }
    };
    Ok(Some((email, text)))
}
