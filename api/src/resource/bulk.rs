//! The same done to many records of a resource.

use domain::resource::{
    Resource,
    bulk::{self, Asked, BulkResult, run::BulkRun},
};
use jobs::Ledger;
use poem_openapi::{ApiResponse, OpenApi, payload::Json};

use super::schema::ToMany;
use crate::{guard::Caller, problem::Answer};

/// The operation on many records of one resource.
pub(super) struct Bulk {
    pub(super) ledger: Ledger,
    pub(super) resource: &'static Resource,
}

#[derive(ApiResponse)]
enum Bulked {
    /// It is done, to up to 100 records; errors says to which it could not be done.
    #[oai(status = 200)]
    Done(Json<BulkResult>),
    /// A job does it, to more than 100 records. GET /api/bulk/{id} says how far it is.
    #[oai(status = 202)]
    Running(Json<BulkRun>),
}

#[OpenApi]
impl Bulk {
    /// Do the same to many {many}.
    ///
    /// Each is written as by itself; one to which it can't be done keeps it from none of the others. Up to 100 are done at once;
    /// more are done by a job, with the role that you have by then.
    #[oai(path = "/bulk", method = "post", operation_id = "bulk")]
    async fn bulk(&self, caller: Caller, body: Json<ToMany>) -> Answer<Bulked> {
        Ok(match bulk::ask(&self.ledger, &caller.scope(), self.resource, &body.0.0).await? {
            Asked::Done(result) => Bulked::Done(Json(result)),
            Asked::Running(run) => Bulked::Running(Json(run)),
        })
    }
}
