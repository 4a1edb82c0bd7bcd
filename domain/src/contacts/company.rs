//! Companies.

use crate::{
    Error, Result,
    engine::Write,
    resource::{
        Change, Resource, Rules,
        field::{Field, Form, Kind, address},
        merge::{Merging, duplicates::Alike},
    },
};

const MERGING: Merging = Merging {
    alike: &[
        Alike { name: "name", fields: &["name"] },
        Alike { name: "email", fields: &["email"] },
        Alike { name: "phone", fields: &["phone"] },
    ],
    held: &[],
};

/// The resource.
pub(crate) fn resource() -> Resource {
    let mut fields = vec![
        Field::line("name", 200, "What it is called.").required().searched().example("Acme Ltda"),
        Field::text("domain", 253, Form::Domain, "Its domain; no two companies share one.").unique().searched(),
        Field::text("email", 254, Form::Email, "Its address.").searched(),
        Field::text("phone", 40, Form::Phone, "Its number.").searched(),
        Field::text("website", 500, Form::Url, "Its site."),
        Field::reference("industry_id", "industries", "What it does."),
        Field::reference("source_id", "sources", "Where it comes from."),
        Field::reference("owner_id", "users", "Who looks after it; whoever makes it, if nobody is named."),
        Field::reference("parent_id", "companies", "The company that it belongs to."),
        Field::new("employees", Kind::Integer { min: 0, max: 10_000_000 }, "How many people work there.").example(120),
        Field::new("revenue", Kind::Decimal { scale: 2 }, "What it turns over in a year."),
        Field::text("currency", 3, Form::Currency, "In which currency."),
        Field::new("tags", Kind::Tags, "Its tags; new ones are made."),
        Field::text("description", 10_000, Form::Lines, "What else there is to know."),
    ];
    fields.extend(address());
    fields.push(Field::new("next_activity_at", Kind::Time, "When its next activity is due.").by_rules());
    let resource = Resource::new("company", "companies", "Company", "A company.", fields);
    let many = vec![
        ("contacts", "company_ids"),
        ("deals", "company_id"),
        ("activities", "company_ids"),
        ("notes", "company_ids"),
        ("calls", "company_ids"),
    ];
    Resource { owner: Some("owner_id"), many, rules: &Companies, bulk: true, merging: Some(&MERGING), ..resource }
}

struct Companies;

#[async_trait::async_trait]
impl Rules for Companies {
    fn gathers(&self) -> bool {
        true
    }

    async fn check(&self, _write: &Write<'_>, change: &mut Change) -> Result<()> {
        match change.reference("parent_id") == Some(change.id) {
            true => Err(Error::field("/parent_id", "invalid", "a company can't belong to itself")),
            false => Ok(()),
        }
    }
}
