//! Deals: what may be sold to whom, and how far it is.
//!
//! What a deal is, and what is true of every one, is in `deal`; the [`board`] shows them stage by stage, in an order that
//! people make by dragging ([`mod@drag`], `position`); the [`forecast`] and the [`history`] count.

pub mod board;
pub(crate) mod deal;
pub mod drag;
pub mod forecast;
pub mod history;
pub(crate) mod lost_reason;
pub(crate) mod pipeline;
mod position;
pub(crate) mod stage;
mod sums;

use sea_orm::sea_query::Expr;

use crate::{
    Error, Result, Scope,
    resource::{Resource, access::Act, registry},
};

/// The resource, if the caller gets to see these fields of it.
fn deals(scope: &Scope, fields: &[&str]) -> Result<&'static Resource> {
    let deals = registry::named("deals");
    match fields.iter().any(|field| scope.hides(deals, field)) {
        true => Err(Error::Forbidden(deals.ability(Act::View))),
        false => Ok(deals),
    }
}

/// Whether a row is an open deal. Written out: no database uses the index of the board for a status that comes as a value.
fn is_open() -> Expr {
    Expr::cust(r#""row_"."status" = 'open'"#)
}
