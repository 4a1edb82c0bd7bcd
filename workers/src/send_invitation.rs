//! Mails somebody the link with which they join. A mail that goes out twice after a crash has another link, and the newest is good.

use domain::{auth::invitations, entities::TenantId, payloads::SendInvitation};
use jobs::{Outcome, Run};

use crate::{
    Context,
    notices::{self, Reader},
    send_mail::{NO_SERVER, send},
};

pub(crate) async fn run(context: Context, run: Run, SendInvitation { invitation_id }: SendInvitation) -> anyhow::Result<Outcome> {
    let Some(mailer) = &context.mailer else { return Ok(Outcome::Dead(NO_SERVER.into())) };
    let Some(letter) = invitations::letter(&context.ledger, TenantId(run.tenant), invitation_id).await? else {
        return Ok(Outcome::Done);
    };
    let invitations::Letter { email, token, tenant } = letter;
    let reader = Reader { name: &email, locale: &tenant.locale, time_zone: &tenant.time_zone, public_url: &context.public_url };
    let text = notices::invitation(reader, &tenant.name, &token);
    Ok(send(mailer, &run, email, text).await)
}
