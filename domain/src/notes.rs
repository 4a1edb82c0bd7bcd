//! Notes: what somebody wrote down about somebody or something.

use crate::resource::{
    Resource,
    field::{Field, Form, parties},
};

/// The resource.
pub(crate) fn resource() -> Resource {
    let mut fields = vec![
        Field::text("body", 20_000, Form::Lines, "What it says.").required().searched(),
        Field::reference("owner_id", "users", "Who wrote it.").once(),
    ];
    fields.extend(parties("note_id", ["note_contacts", "note_companies", "note_deals"]));
    let resource = Resource::new("note", "notes", "Note", "Something that somebody wrote down.", fields);
    Resource { label: &["body"], owner: Some("owner_id"), bulk: true, ..resource }
}
