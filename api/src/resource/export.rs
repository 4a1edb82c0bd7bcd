//! Records as a file, for each resource.

use domain::{
    export::{self, Export, ExportRequest},
    resource::Resource,
};
use jobs::Ledger;
use poem_openapi::{ApiResponse, OpenApi, payload::Json};

use crate::{guard::Caller, problem::Answer};

/// Taking out the records of one resource.
pub(super) struct Exports {
    pub(super) ledger: Ledger,
    pub(super) resource: &'static Resource,
}

#[derive(ApiResponse)]
enum Asked {
    /// A job writes it. GET /api/exports/{id} says how far it is, GET /api/exports/{id}/content has the file then.
    #[oai(status = 202)]
    Asked(Json<Export>),
}

#[OpenApi]
impl Exports {
    /// Take out {many} as a file: all, or those that a filter, a saved view or words find.
    ///
    /// A job writes it, with what you may see by then: fields that are hidden from you are not in it. Its columns have the names of the
    /// fields, so that an import takes them back; `owner_id.label` says what `owner_id` is called. What is made or deleted while it is
    /// written may be in it or not.
    #[oai(path = "/export", method = "post", operation_id = "export")]
    async fn export(&self, caller: Caller, body: Json<ExportRequest>) -> Answer<Asked> {
        Ok(Asked::Asked(Json(export::records(&self.ledger, &caller.scope(), self.resource, body.0).await?)))
    }
}
