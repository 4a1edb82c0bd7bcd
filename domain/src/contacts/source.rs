//! Sources: where contacts, companies and deals come from.

use entities::contact as table;
use sea_orm::{
    ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter,
    sea_query::{Alias, Expr, ExprTrait},
};

use crate::{
    Error, Result,
    engine::Write,
    resource::{Action, Change, Resource, Rules, field::Field},
};

/// The resource.
pub(crate) fn resource() -> Resource {
    let name = Field::line("name", 120, "What it is called.").required().unique().searched().example("Website");
    let resource = Resource::new("source", "sources", "Source", "Where contacts, companies and deals come from.", vec![name]);
    Resource {
        kept_by_admins: true,
        sort: "name",
        rules: &Sources,
        many: vec![("contacts", "source_id"), ("companies", "source_id"), ("deals", "source_id")],
        ..resource
    }
}

struct Sources;

#[async_trait::async_trait]
impl Rules for Sources {
    /// SQLite can't add a foreign key to a table that is there, so what PostgreSQL refuses is looked at here.
    async fn check(&self, write: &Write<'_>, change: &mut Change) -> Result<()> {
        if change.action == Action::Purge {
            let from = table::Column::TenantId.eq(write.scope.tenant).and(Expr::col(Alias::new("source_id")).eq(change.id));
            if table::Entity::find().filter(from).count(&***write).await? > 0 {
                return Err(Error::conflict("in_use", "contacts come from this source; put it into the trash instead"));
            }
        }
        Ok(())
    }
}
