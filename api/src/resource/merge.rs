//! Records of a resource that are the same: found, and made one.

use domain::{
    page::Page,
    resource::{
        Resource,
        merge::{
            self, MergeRequest, Merged,
            duplicates::{self, DismissRequest, DuplicateGroup, DuplicatesRequest},
        },
    },
};
use jobs::Ledger;
use poem_openapi::{ApiResponse, Object, OpenApi, payload::Json};

use crate::{guard::Caller, problem::Answer, routes::PageInfo};

/// The operations on records of one resource that are the same.
pub(super) struct Merges {
    pub(super) ledger: Ledger,
    pub(super) resource: &'static Resource,
}

/// Some groups of records that could be the same.
#[derive(Object)]
struct DuplicatePage {
    /// In the order of what they have in common.
    data: Vec<DuplicateGroup>,
    /// Where the next page begins.
    page: PageInfo,
}

#[derive(ApiResponse)]
enum Dismissed {
    /// It is kept in mind.
    #[oai(status = 204)]
    Kept,
}

#[OpenApi]
impl Merges {
    /// Find {many} that could be the same.
    ///
    /// Groups of those that you see and that have something in common. A page may have fewer than asked for, or none, while another one
    /// follows: groups whose records are all known to be different are left out.
    #[oai(path = "/duplicates", method = "post", operation_id = "duplicates")]
    async fn duplicates(&self, caller: Caller, body: Json<DuplicatesRequest>) -> Answer<Json<DuplicatePage>> {
        let Page { data, next_cursor } = duplicates::find(&self.ledger, &caller.scope(), self.resource, &body.0).await?;
        Ok(Json(DuplicatePage { data, page: PageInfo { next_cursor, total: None } }))
    }

    /// Say that {many} are different, whatever they have in common.
    #[oai(path = "/duplicates/dismiss", method = "post", operation_id = "duplicates_dismiss")]
    async fn dismiss(&self, caller: Caller, body: Json<DismissRequest>) -> Answer<Dismissed> {
        duplicates::dismiss(&self.ledger, &caller.scope(), self.resource, &body.0).await?;
        Ok(Dismissed::Kept)
    }

    /// Make several {many} one.
    ///
    /// What the one that stays lacks comes from the others; whatever leads to them leads to it, and its timeline has theirs; they go to
    /// the trash. It takes editing the one that stays and deleting the others. POST /api/merges/{id}/undo parts them again for as long as
    /// they are in the trash.
    #[oai(path = "/merge", method = "post", operation_id = "merge")]
    async fn merge(&self, caller: Caller, body: Json<MergeRequest>) -> Answer<Json<Merged>> {
        Ok(Json(merge::merge(&self.ledger, &caller.scope(), self.resource, &body.0).await?))
    }
}
