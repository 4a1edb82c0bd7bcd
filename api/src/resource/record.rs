//! Types for records, whose schemas are made of fields: `records! { Deal = "Deal", |registry| …; }` says what the schema is
//! called and how it is registered; `tag! { OfDeals = "deals" }` is for operations that stand beside a resource's own.

macro_rules! records {
    ($($(#[$doc:meta])* $vis:vis $type:ident = $name:literal, $register:expr;)+) => { $(
        $(#[$doc])*
        $vis struct $type($vis domain::resource::Record);

        impl poem_openapi::types::Type for $type {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn schema_ref() -> poem_openapi::registry::MetaSchemaRef {
                poem_openapi::registry::MetaSchemaRef::Reference($name.into())
            }

            fn register(registry: &mut poem_openapi::registry::Registry) {
                let register: fn(&mut poem_openapi::registry::Registry) = $register;
                register(registry);
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(self.as_raw_value().into_iter())
            }
        }

        impl poem_openapi::types::IsObjectType for $type {}

        impl poem_openapi::types::ToJSON for $type {
            fn to_json(&self) -> Option<serde_json::Value> {
                Some(serde_json::Value::Object(self.0.clone()))
            }
        }

        impl poem_openapi::types::ParseFromJSON for $type {
            fn parse_from_json(value: Option<serde_json::Value>) -> poem_openapi::types::ParseResult<Self> {
                match value {
                    Some(serde_json::Value::Object(record)) => Ok(Self(record)),
                    _ => Err(poem_openapi::types::ParseError::custom("takes an object")),
                }
            }
        }
    )+ };
}

macro_rules! tag {
    ($type:ident = $topic:literal) => {
        /// What the operations have in common; the resource describes it.
        struct $type;

        impl poem_openapi::Tags for $type {
            fn register(&self, _: &mut poem_openapi::registry::Registry) {}

            fn name(&self) -> &'static str {
                $topic
            }
        }
    };
}

pub(crate) use {records, tag};
