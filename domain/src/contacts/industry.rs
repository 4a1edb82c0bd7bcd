//! Industries: what companies do.

use crate::resource::{Resource, field::Field};

/// The resource.
pub(crate) fn resource() -> Resource {
    let fields = vec![Field::line("name", 120, "What it is called.").required().unique().searched().example("Retail")];
    let resource = Resource::new("industry", "industries", "Industry", "What companies do.", fields);
    Resource { kept_by_admins: true, sort: "name", many: vec![("companies", "industry_id")], ..resource }
}
