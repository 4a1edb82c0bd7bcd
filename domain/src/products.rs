//! Products: what is sold.

use serde_json::Value;

use crate::{
    Result,
    engine::Write,
    resource::{
        Change, Resource, Rules,
        field::{Field, Form, Kind},
    },
    settings,
};

/// The resource.
pub(crate) fn resource() -> Resource {
    let fields = vec![
        Field::line("name", 200, "What it is called.").required().searched().example("Office chair"),
        Field::line("sku", 80, "Its number; no two products share one.").unique().searched().example("CH-120"),
        Field::new("price", Kind::Decimal { scale: 2 }, "What one costs."),
        Field::new("cost", Kind::Decimal { scale: 2 }, "What one costs us."),
        Field::text("currency", 3, Form::Currency, "In which currency: the company's, if none is named.").required().default(Value::Null),
        Field::line("unit", 20, "What one is: a piece, an hour, a month.").example("piece"),
        Field::new("tax_rate", Kind::Decimal { scale: 3 }, "The tax on it, in percent.").example("18.000"),
        Field::new("active", Kind::Boolean, "Whether it is still sold.").default(true),
        Field::text("description", 10_000, Form::Lines, "What else there is to know."),
    ];
    let resource = Resource::new("product", "products", "Product", "Something that is sold.", fields);
    Resource { kept_by_admins: true, sort: "name", rules: &Products, bulk: true, ..resource }
}

struct Products;

#[async_trait::async_trait]
impl Rules for Products {
    async fn check(&self, write: &Write<'_>, change: &mut Change) -> Result<()> {
        if change.action.ends() {
            return Ok(());
        }
        settings::complete_currency(write, change).await
    }
}
