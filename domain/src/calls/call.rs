//! Calls.

use crate::resource::{
    Resource,
    field::{Field, Form, Kind, parties},
};

/// The resource.
pub(crate) fn resource() -> Resource {
    let mut fields = vec![
        Field::text("number", 40, Form::Phone, "Which number was called, or called.").searched(),
        Field::new("direction", Kind::Choice(&["outgoing", "incoming"]), "Who called whom.").default("outgoing"),
        Field::reference("outcome_id", "call_outcomes", "What came of it."),
        Field::new("started_at", Kind::Time, "When it began.").required(),
        Field::new("seconds", Kind::Integer { min: 0, max: 86_400 }, "How long it took.").example(95),
        Field::text("note", 10_000, Form::Lines, "What was said.").searched(),
        Field::reference("owner_id", "users", "Who talked; whoever logs it, if nobody is named."),
    ];
    fields.extend(parties("call_id", ["call_contacts", "call_companies", "call_deals"]));
    let resource = Resource::new("call", "calls", "Call", "That somebody talked to somebody by phone.", fields);
    Resource { label: &["number"], owner: Some("owner_id"), sort: "-started_at", bulk: true, ..resource }
}
