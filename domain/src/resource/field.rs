//! What a field of a resource is: its kind says how it is kept, checked, compared and shown.

use serde_json::{Value, json};

/// A field of a resource, as requests and answers name it.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name in JSON, filters and sorts.
    pub name: &'static str,
    /// What it means; the API's document says this.
    pub doc: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Who writes it, and when.
    pub written: Written,
    /// Whether a record can't be without it.
    pub required: bool,
    /// What a record gets that is made without it.
    pub default: Option<Value>,
    /// Whether words in it find the record.
    pub searched: bool,
    /// Whether no two records of a tenant share it, those in the trash left aside; then a record can be written by it.
    pub unique: bool,
    /// What one may look like, where its kind says too little.
    pub example: Option<Value>,
    /// The relation that it opens: `owner` for `owner_id`, `contacts` for `contact_ids`.
    pub relation: Option<&'static str>,
}

/// Who writes a field, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Whoever may write the record.
    Freely,
    /// When the record is made; never again.
    Once,
    /// Only the rules of its resource.
    ByRules,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A text of one line, or of several.
    Text {
        /// At most so many characters.
        max: usize,
        /// What it looks like.
        form: Form,
    },
    /// A whole number.
    Integer {
        /// At least.
        min: i64,
        /// At most.
        max: i64,
    },
    /// An exact decimal with so many digits after the point, kept as a whole number of its smallest unit.
    Decimal {
        /// Digits after the point.
        scale: u32,
    },
    /// Yes or no.
    Boolean,
    /// A day.
    Date,
    /// A moment.
    Time,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// Another record of the same tenant.
    Reference {
        /// The topic of its resource.
        to: &'static str,
    },
    /// Any JSON object.
    Json,
    /// Several rows of a table of their own, such as the addresses of a contact.
    Rows(&'static Rows),
    /// Several other records of the same tenant.
    References {
        /// The topic of their resource.
        to: &'static str,
        /// The table that joins them.
        table: &'static str,
        /// Its column for this record.
        own: &'static str,
        /// Its column for the other one.
        other: &'static str,
    },
    /// The names of its tags.
    Tags,
}

/// What a text looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Anything, in one line.
    Line,
    /// Anything.
    Lines,
    /// An e-mail address; kept in lower case.
    Email,
    /// A phone number; kept as E.164, so that every spelling of it is the same.
    Phone,
    /// An address of the web.
    Url,
    /// A domain name; kept in lower case.
    Domain,
    /// A colour, `#rrggbb`.
    Color,
    /// An ISO 4217 currency.
    Currency,
    /// An ISO 3166 country of two letters.
    Country,
}

/// A table of rows that belong to a record.
#[derive(Debug, PartialEq)]
pub struct Rows {
    /// Its name.
    pub table: &'static str,
    /// Its column for the record.
    pub owner: &'static str,
    /// The schema's name of one of them.
    pub schema: &'static str,
    /// What a row has, three at most; the first one is what it is about, and no record has that twice.
    pub fields: &'static [RowField],
}

/// A field of a row.
#[derive(Debug, PartialEq)]
pub struct RowField {
    /// Its name and column.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// What it holds: a text or a choice.
    pub kind: Kind,
    /// What a row gets without it; rows can't be without a field that has none.
    pub default: Option<&'static str>,
}

impl Field {
    /// A field that may be left out, written freely.
    #[must_use]
    pub fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        let relation = match kind {
            Kind::Reference { .. } => name.strip_suffix("_id"),
            Kind::References { .. } => name.strip_suffix("_ids").map(plural),
            _ => None,
        };
        let (written, searched, unique) = (Written::Freely, false, false);
        Self { name, doc, kind, written, required: false, default: None, searched, unique, example: None, relation }
    }

    /// A text of one line.
    #[must_use]
    pub fn line(name: &'static str, max: usize, doc: &'static str) -> Self {
        Self::text(name, max, Form::Line, doc)
    }

    /// A text.
    #[must_use]
    pub fn text(name: &'static str, max: usize, form: Form, doc: &'static str) -> Self {
        Self::new(name, Kind::Text { max, form }, doc)
    }

    /// Another record.
    #[must_use]
    pub fn reference(name: &'static str, to: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Reference { to }, doc)
    }

    /// A record can't be without it.
    #[must_use]
    pub fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// A record that is made without it gets this.
    #[must_use]
    pub fn default(self, value: impl Into<Value>) -> Self {
        Self { required: true, default: Some(value.into()), ..self }
    }

    /// Words in it find the record.
    #[must_use]
    pub fn searched(self) -> Self {
        Self { searched: true, ..self }
    }

    /// No two records share it.
    #[must_use]
    pub fn unique(self) -> Self {
        Self { unique: true, ..self }
    }

    /// Only when the record is made.
    #[must_use]
    pub fn once(self) -> Self {
        Self { written: Written::Once, ..self }
    }

    /// Only by the rules of its resource.
    #[must_use]
    pub fn by_rules(self) -> Self {
        Self { written: Written::ByRules, ..self }
    }

    /// One may look like this.
    #[must_use]
    pub fn example(self, value: impl Into<Value>) -> Self {
        Self { example: Some(value.into()), ..self }
    }

    /// What one may look like.
    #[must_use]
    pub fn sample(&self) -> Value {
        self.example.clone().unwrap_or_else(|| self.kind.sample())
    }

    /// Whether it is a column of the resource's own table.
    #[must_use]
    pub fn is_column(&self) -> bool {
        !matches!(self.kind, Kind::Rows(_) | Kind::References { .. } | Kind::Tags)
    }

    /// Whether a list can be in its order.
    #[must_use]
    pub fn is_sortable(&self) -> bool {
        match self.kind {
            // A cursor holds the values of the last record: they must be short.
            Kind::Text { max, .. } => max <= 300,
            Kind::Json => false,
            _ => self.is_column(),
        }
    }

    /// Where it leads, if its values are ids of records.
    #[must_use]
    pub fn leads_to(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Reference { to } | Kind::References { to, .. } => Some(to),
            _ => None,
        }
    }
}

/// The resources are made once: their names may stay for ever.
fn plural(stem: &str) -> &'static str {
    match stem.strip_suffix('y') {
        Some(stem) => format!("{stem}ies").leak(),
        None => format!("{stem}s").leak(),
    }
}

impl Kind {
    /// What one may look like.
    #[must_use]
    pub fn sample(&self) -> Value {
        match self {
            Self::Text { form, max } => match form {
                Form::Line => json!("Acme".chars().take(*max).collect::<String>()),
                Form::Lines => json!("Called back on Monday."),
                Form::Email => json!("ana@example.com"),
                Form::Phone => json!("+5511987654321"),
                Form::Url => json!("https://example.com/"),
                Form::Domain => json!("example.com"),
                Form::Color => json!("#16a34a"),
                Form::Currency => json!("BRL"),
                Form::Country => json!("BR"),
            },
            Self::Integer { min, max } => json!(1.clamp(*min, *max)),
            Self::Decimal { scale: 0 } => json!("1500"),
            Self::Decimal { scale } => json!(format!("1500.{}", "0".repeat(*scale as usize))),
            Self::Boolean => json!(true),
            Self::Date => json!("2026-12-31"),
            Self::Time => json!("2026-12-31T18:00:00+00:00"),
            Self::Choice(words) => json!(words[0]),
            Self::Reference { .. } => json!("019aa8f0-0000-7000-8000-000000000001"),
            Self::References { .. } => json!(["019aa8f0-0000-7000-8000-000000000001"]),
            Self::Json => json!({}),
            Self::Tags => json!(["vip"]),
            Self::Rows(rows) => {
                json!([rows.fields.iter().map(|field| (field.name, field.kind.sample())).collect::<std::collections::BTreeMap<_, _>>()])
            }
        }
    }
}

/// Where somebody or something is.
#[must_use]
pub fn address() -> Vec<Field> {
    vec![
        Field::line("street", 300, "Street and number.").example("Av. Paulista, 1000"),
        Field::line("city", 120, "The city.").searched().example("São Paulo"),
        Field::line("state", 120, "The state or region.").example("SP"),
        Field::line("postal_code", 20, "The postal code.").example("01310-100"),
        Field::text("country", 2, Form::Country, "The country, as its ISO code."),
    ]
}

/// With whom and about what something is: contacts, companies and deals, each joined by a table, with `own` for the record.
#[must_use]
pub fn parties(own: &'static str, tables: [&'static str; 3]) -> Vec<Field> {
    let [contacts, companies, deals] = tables;
    let joined = |to, table, other| Kind::References { to, table, own, other };
    vec![
        Field::new("contact_ids", joined("contacts", contacts, "contact_id"), "Which contacts it is about."),
        Field::new("company_ids", joined("companies", companies, "company_id"), "Which companies it is about."),
        Field::new("deal_ids", joined("deals", deals, "deal_id"), "Which deals it is about."),
    ]
}
