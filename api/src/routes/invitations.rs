use domain::{
    auth::invitations::{self, Invitation, InvitationAccept, InvitationCreate},
    entities::InvitationId,
};
use jobs::Ledger;
use poem_openapi::{ApiResponse, Object, OpenApi, param::Path, payload::Json};

use crate::{Tag, guard::Caller, problem::Answer};

pub(crate) struct Invitations {
    pub(crate) ledger: Ledger,
}

/// Those who were asked to join.
#[derive(Object)]
struct InvitationList {
    /// The newest first.
    data: Vec<Invitation>,
}

#[derive(ApiResponse)]
enum Invited {
    /// They are asked by mail.
    #[oai(status = 201)]
    Created(Json<Invitation>),
}

#[derive(ApiResponse)]
enum TakenBack {
    /// The link is good no more.
    #[oai(status = 204)]
    Done,
}

#[derive(ApiResponse)]
enum Joined {
    /// They can sign in.
    #[oai(status = 204)]
    Done,
}

#[OpenApi(tag = "Tag::Auth")]
impl Invitations {
    /// Who was asked to join and hasn't yet. For admins.
    #[oai(path = "/invitations", method = "get", operation_id = "invitations_list")]
    async fn list(&self, caller: Caller) -> Answer<Json<InvitationList>> {
        Ok(Json(InvitationList { data: invitations::list(self.ledger.db(), &caller.scope()).await? }))
    }

    /// Ask somebody to join, by a mail with a link. It is good for seven days, and once. For admins.
    #[oai(path = "/invitations", method = "post", operation_id = "invitations_create")]
    async fn create(&self, caller: Caller, body: Json<InvitationCreate>) -> Answer<Invited> {
        Ok(Invited::Created(Json(invitations::create(&self.ledger, &caller.scope(), body.0).await?)))
    }

    /// Send another link, good for seven days; the one before is good no more. For admins.
    #[oai(path = "/invitations/:id/resend", method = "post", operation_id = "invitations_resend")]
    async fn resend(
        &self,
        caller: Caller,
        /// Which invitation.
        id: Path<InvitationId>,
    ) -> Answer<Json<Invitation>> {
        Ok(Json(invitations::resend(&self.ledger, &caller.scope(), id.0).await?))
    }

    /// Take an invitation back. For admins.
    #[oai(path = "/invitations/:id", method = "delete", operation_id = "invitations_revoke")]
    async fn revoke(
        &self,
        caller: Caller,
        /// Which invitation.
        id: Path<InvitationId>,
    ) -> Answer<TakenBack> {
        invitations::revoke(&self.ledger, &caller.scope(), id.0).await?;
        Ok(TakenBack::Done)
    }

    /// Join with a link: choose a name and a password, then sign in.
    #[oai(path = "/auth/invitations/accept", method = "post", operation_id = "invitations_accept")]
    async fn accept(&self, body: Json<InvitationAccept>) -> Answer<Joined> {
        invitations::accept(&self.ledger, body.0).await?;
        Ok(Joined::Done)
    }
}
