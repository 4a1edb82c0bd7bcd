//! Contacts: people outside.

use entities::ContactId;
use serde_json::{Value, json};

use super::Name;
use crate::{
    Result,
    engine::Write,
    resource::{
        Change, Record, Resource, Rules,
        field::{Field, Form, Kind, RowField, Rows, address},
        merge::{Merging, duplicates::Alike, moves::Held},
        value,
    },
};

const EMAILS: Rows = Rows {
    table: "contact_emails",
    owner: "contact_id",
    schema: "ContactEmail",
    fields: &[
        RowField { name: "email", doc: "The address.", kind: Kind::Text { max: 254, form: Form::Email }, default: None },
        RowField { name: "kind", doc: "Whose address it is.", kind: Kind::Choice(&["work", "home", "other"]), default: Some("work") },
    ],
};

const PHONES: Rows = Rows {
    table: "contact_phones",
    owner: "contact_id",
    schema: "ContactPhone",
    fields: &[
        RowField { name: "number", doc: "The number, as E.164.", kind: Kind::Text { max: 40, form: Form::Phone }, default: None },
        RowField {
            name: "kind",
            doc: "Which phone it is.",
            kind: Kind::Choice(&["mobile", "work", "home", "other"]),
            default: Some("mobile"),
        },
    ],
};

const MERGING: Merging = Merging {
    alike: &[
        Alike { name: "email", fields: &["emails"] },
        Alike { name: "phone", fields: &["phones"] },
        Alike { name: "name", fields: &["first_name", "last_name"] },
        Alike { name: "company", fields: &["first_name", "last_name", "company_ids"] },
    ],
    held: &[
        Held { table: "contact_identities", column: "contact_id", topic: None, parts: None },
        Held {
            table: "whatsapp_conversations",
            column: "contact_id",
            topic: Some("conversations"),
            parts: Some(("whatsapp_messages", "conversation_id")),
        },
    ],
};

/// The resource.
pub(crate) fn resource() -> Resource {
    let companies = Kind::References { to: "companies", table: "contact_companies", own: "contact_id", other: "company_id" };
    let mut fields = vec![
        Field::line("first_name", 120, "Given name.").required().searched().example("Ana"),
        Field::line("last_name", 120, "Family name.").searched().example("Souza"),
        Field::new("emails", Kind::Rows(&EMAILS), "Their addresses, the main one first.").searched().unique(),
        Field::new("phones", Kind::Rows(&PHONES), "Their numbers, the main one first.").searched().unique(),
        Field::line("job_title", 120, "What they do.").searched().example("Head of purchasing"),
        Field::new("company_ids", companies, "Their companies."),
        Field::reference("owner_id", "users", "Who looks after them; whoever makes the contact, if nobody is named."),
        Field::reference("source_id", "sources", "Where they come from."),
        Field::new("tags", Kind::Tags, "Their tags; new ones are made."),
        Field::new("birthday", Kind::Date, "When they were born.").example("1990-05-17"),
        Field::text("description", 10_000, Form::Lines, "What else there is to know."),
    ];
    fields.extend(address());
    fields.extend([
        Field::line("origin", 40, "How the contact came to be: `manual`, `whatsapp`, …").default("manual").by_rules(),
        Field::new("last_contacted_at", Kind::Time, "When somebody last talked to them.").by_rules(),
        Field::new("next_activity_at", Kind::Time, "When their next activity is due.").by_rules(),
    ]);
    let resource = Resource::new("contact", "contacts", "Contact", "A person outside.", fields);
    let many = vec![("deals", "contact_ids"), ("activities", "contact_ids"), ("notes", "contact_ids"), ("calls", "contact_ids")];
    let label = &["first_name", "last_name"];
    Resource { many, label, owner: Some("owner_id"), rules: &Contacts, bulk: true, merging: Some(&MERGING), ..resource }
}

struct Contacts;

#[async_trait::async_trait]
impl Rules for Contacts {
    fn gathers(&self) -> bool {
        true
    }

    fn combine(&self, into: &mut Record, others: &[Record]) {
        let talked = |record: &Record| record.get("last_contacted_at").and_then(Value::as_str).and_then(value::moment);
        let last = others.iter().chain([&*into]).filter_map(talked).max();
        into.insert("last_contacted_at".to_owned(), last.map_or(Value::Null, |at| json!(at.to_rfc3339())));
    }

    /// What a contact is reached at is what messages and mail are matched by.
    async fn follow(&self, write: &Write<'_>, change: &Change) -> Result<()> {
        let id = ContactId(change.id);
        let (mut gone, mut new) = (Vec::new(), Vec::new());
        for (field, about, name) in [("emails", "email", Name::Email), ("phones", "number", Name::Phone)] {
            let values = |record: &Record| -> Vec<String> {
                let rows = record.get(field).and_then(Value::as_array).into_iter().flatten();
                rows.filter_map(|row| Some(row[about].as_str()?.trim_start_matches('+').to_owned())).collect()
            };
            let (before, after) = (values(&change.before), values(&change.after));
            gone.extend(before.into_iter().filter(|value| !after.contains(value)).map(|value| (name, value)));
            new.extend(after.into_iter().filter(|_| change.changes(field)).map(|value| (name.kind(), value)));
        }
        super::identify(write, id, new).await?;
        for (name, value) in gone {
            super::forget(write, id, name, &value).await?;
        }
        Ok(())
    }
}
