//! Brands: how a company shows itself in mails and documents. One of them is the default.

use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Error, FieldError, Result,
    engine::Write,
    resource::{
        Action, Change, Record, Resource, Rules,
        field::{Field, Form, Kind},
        registry, related, value, write,
    },
    settings::LOCALES,
};

/// Where a brand has texts.
const PLACES: &[&str] = &["mail_header", "mail_footer", "pdf_header", "pdf_footer"];
/// So many characters has one at most.
const LONGEST: usize = 5_000;

/// The resource.
pub(crate) fn resource() -> Resource {
    let fields = vec![
        Field::line("name", 120, "What it is called among colleagues.").required().unique().searched().example("Loja Azul"),
        Field::line("display_name", 120, "What customers read; absent: its name.").searched().example("Loja Azul Móveis"),
        Field::text("logo_url", 300, Form::Url, "Where its logo is, for light ground."),
        Field::text("logo_dark_url", 300, Form::Url, "Where its logo is, for dark ground."),
        Field::text("primary_color", 7, Form::Color, "Its colour."),
        Field::new(
            "texts",
            Kind::Json,
            "What stands in mails and documents: per language, `mail_header`, `mail_footer`, `pdf_header` and `pdf_footer`.",
        )
        .default(json!({}))
        .example(json!({ "pt-BR": { "mail_footer": "Loja Azul, São Paulo" }, "en": { "mail_footer": "Loja Azul, São Paulo, Brazil" } })),
        Field::new(
            "is_default",
            Kind::Boolean,
            "Whether it is taken where none is named. One always is: it stays so until another one is.",
        )
        .default(false),
    ];
    let resource = Resource::new("brand", "brands", "Brand", "How a company shows itself.", fields);
    Resource { kept_by_admins: true, sort: "name", rules: &Brands, ..resource }
}

struct Brands;

#[async_trait::async_trait]
impl Rules for Brands {
    async fn check(&self, write: &Write<'_>, change: &mut Change) -> Result<()> {
        let (was, is) = (is_default(&change.before), is_default(&change.after));
        if change.action.ends() {
            return match was {
                true => Err(Error::conflict("default_brand", "this is the default brand; make another one the default first")),
                false => Ok(()),
            };
        }
        texts(&change.after)?;
        if change.action == Action::Update && was == is {
            return Ok(());
        }
        // Of two that become the default at once, the second sees what the first did.
        related::alone(write, "brands").await?;
        if !is && others(write, change.id).await?.is_empty() {
            if was {
                return Err(Error::field("/is_default", "invalid", "one brand is the default; make another one the default instead"));
            }
            change.after.insert("is_default".into(), json!(true));
        }
        Ok(())
    }

    /// Whichever was the default before is it no more.
    async fn follow(&self, write: &Write<'_>, change: &Change) -> Result<()> {
        if change.action == Action::Purge || !change.changes("is_default") || !is_default(&change.after) {
            return Ok(());
        }
        let body: Record = [("is_default".to_owned(), json!(false))].into_iter().collect();
        for other in others(write, change.id).await? {
            write::update(write, registry::named("brands"), other, &body, None).await?;
        }
        Ok(())
    }
}

fn is_default(brand: &Record) -> bool {
    brand.get("is_default") == Some(&json!(true))
}

/// The other brands that are the default: one, but for a moment.
async fn others(write: &Write<'_>, but: Uuid) -> Result<Vec<Uuid>> {
    let find = "select id from brands where tenant_id = $1 and id <> $2 and is_default and deleted_at is null";
    let values = [write.scope.tenant.0.into(), but.into()];
    let rows = write.query_all_raw(Statement::from_sql_and_values(write.get_database_backend(), find, values)).await?;
    Ok(rows.iter().map(|row| row.try_get("", "id")).collect::<std::result::Result<_, _>>()?)
}

/// Texts in languages that there are, at places that there are.
fn texts(brand: &Record) -> Result<()> {
    let mut faults = Vec::new();
    let mut fault = |pointer: String, code, message: String| faults.push(FieldError { pointer, code, message });
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    for (locale, places) in brand.get("texts").and_then(Value::as_object).into_iter().flatten() {
        let at = format!("/texts/{}", escaped(locale));
        let Some(places) = places.as_object().filter(|_| LOCALES.contains(&locale.as_str())) else {
            match LOCALES.contains(&locale.as_str()) {
                true => fault(at, "wrong_type", format!("takes an object with {}", PLACES.join(", "))),
                false => fault(at, "unknown_field", format!("is none of {}", LOCALES.join(", "))),
            }
            continue;
        };
        for (place, text) in places {
            let at = format!("{at}/{}", escaped(place));
            if !PLACES.contains(&place.as_str()) {
                fault(at, "unknown_field", format!("is none of {}", PLACES.join(", ")));
            } else if let Err((code, message)) = value::accept(&Kind::Text { max: LONGEST, form: Form::Lines }, text) {
                fault(at, code, message);
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}
