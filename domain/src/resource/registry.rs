//! All resources.

use std::{collections::HashMap, sync::LazyLock};

use super::Resource;

/// Every resource; a new one is a line here.
static ALL: LazyLock<Vec<Resource>> = LazyLock::new(|| {
    vec![
        crate::contacts::contact::resource(),
        crate::contacts::company::resource(),
        crate::contacts::source::resource(),
        crate::contacts::industry::resource(),
        crate::deals::deal::resource(),
        crate::deals::pipeline::resource(),
        crate::deals::stage::resource(),
        crate::deals::lost_reason::resource(),
        crate::activities::activity::resource(),
        crate::activities::activity_type::resource(),
        crate::notes::resource(),
        crate::calls::call::resource(),
        crate::calls::outcome::resource(),
        crate::products::resource(),
        crate::brands::resource(),
        crate::tags::resource(),
        crate::saved_views::resource(),
        crate::custom_fields::resource(),
        crate::users::user::resource(),
        crate::users::team::resource(),
        crate::users::role::resource(),
    ]
});

static BY_TOPIC: LazyLock<HashMap<&'static str, &'static Resource>> =
    LazyLock::new(|| ALL.iter().map(|resource| (resource.topic, resource)).collect());

/// Every resource, in the order in which they are documented.
#[must_use]
pub fn all() -> &'static [Resource] {
    &ALL
}

/// The resource of a topic.
#[must_use]
pub fn find(topic: &str) -> Option<&'static Resource> {
    BY_TOPIC.get(topic).copied()
}

/// The resource of a topic that a field or a line above names.
///
/// # Panics
/// There is none: a test looks at all of them.
#[must_use]
pub fn named(topic: &str) -> &'static Resource {
    find(topic).unwrap_or_else(|| panic!("no resource is called {topic}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::field::Kind;

    #[test]
    fn whatever_resources_name_is_there() {
        for resource in all() {
            for field in &resource.fields {
                if let Kind::Reference { to } | Kind::References { to, .. } = field.kind {
                    assert!(find(to).is_some(), "{}.{} leads to {to}", resource.topic, field.name);
                }
                if let Kind::Rows(rows) = field.kind {
                    assert!(
                        rows.fields.len() <= crate::resource::rows::TEXTS.len(),
                        "{}.{} has rows of many texts",
                        resource.topic,
                        field.name
                    );
                }
            }
            for (topic, name) in &resource.many {
                let field = named(topic).field(name).unwrap_or_else(|| panic!("{topic} have no {name}"));
                let leads = matches!(field.kind, Kind::Reference { to } | Kind::References { to, .. } if to == resource.topic);
                assert!(leads, "{topic}.{name} does not lead to {}", resource.topic);
            }
            let mut names: Vec<&str> = resource.relations().map(|(name, ..)| name).chain(resource.many.iter().map(|(to, _)| *to)).collect();
            names.sort_unstable();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{} have two relations of one name: {names:?}", resource.topic);
            for name in resource.label.iter().chain(&resource.owner) {
                assert!(resource.field(name).is_some(), "{} have no {name}", resource.topic);
            }
        }
    }
}
