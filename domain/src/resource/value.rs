//! Values of fields: taken from JSON, kept in SQL, compared in memory. One place for each kind, so that both databases and
//! the memory agree.

use chrono::{DateTime, NaiveDate, SubsecRound, Utc};
use sea_orm::{QueryResult, Value as Sql};
use serde_json::{Value, json};
use uuid::Uuid;

use super::field::{Form, Kind};
pub use db::fold::fold;

/// Why a value can't be taken: a stable code, and what to do.
pub type Refusal = (&'static str, String);

fn refuse<T>(code: &'static str, message: impl Into<String>) -> Result<T, Refusal> {
    Err((code, message.into()))
}

/// A value that can be compared. Times are microseconds, days are days, decimals are in their smallest unit.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub enum Cell {
    /// A text or an id.
    Text(String),
    /// A number, a moment, a day.
    Number(i64),
    /// Yes or no.
    Truth(bool),
}

/// The value in its one form, or why it can't be taken. Null stays null.
///
/// # Errors
/// [`Refusal`].
pub fn accept(kind: &Kind, value: &Value) -> Result<Value, Refusal> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    match kind {
        Kind::Text { max, form } => {
            let Some(text) = value.as_str() else { return refuse("wrong_type", "takes a text") };
            let text = form.accept(text)?;
            if text.chars().count() > *max {
                return refuse("too_long", format!("takes at most {max} characters"));
            }
            Ok(Value::String(text))
        }
        Kind::Integer { min, max } => match value.as_i64() {
            Some(number) if number < *min => refuse("too_small", format!("is below {min}")),
            Some(number) if number > *max => refuse("too_large", format!("is above {max}")),
            Some(number) => Ok(json!(number)),
            None => refuse("wrong_type", "takes a whole number"),
        },
        Kind::Decimal { scale } => {
            let Some(text) = value.as_str() else { return refuse("wrong_type", "takes a decimal number as a text") };
            Ok(Value::String(decimal(units(text, *scale)?, *scale)))
        }
        Kind::Boolean => {
            if value.is_boolean() {
                Ok(value.clone())
            } else {
                refuse("wrong_type", "takes true or false")
            }
        }
        Kind::Date => match value.as_str().and_then(day) {
            Some(day) => Ok(json!(day.to_string())),
            None => refuse("invalid", "takes a day such as 2026-12-31"),
        },
        Kind::Time => match value.as_str().and_then(moment) {
            Some(moment) => Ok(json!(moment.to_rfc3339())),
            None => refuse("invalid", "takes a time such as 2026-12-31T18:00:00Z"),
        },
        Kind::Choice(words) => match value.as_str() {
            Some(word) if words.contains(&word) => Ok(value.clone()),
            _ => refuse("invalid", format!("is none of {}", words.join(", "))),
        },
        Kind::Reference { .. } => match value.as_str().and_then(id) {
            Some(id) => Ok(json!(id)),
            None => refuse("invalid", "takes an id"),
        },
        Kind::Json => {
            if value.is_object() {
                Ok(value.clone())
            } else {
                refuse("wrong_type", "takes an object")
            }
        }
        Kind::Tags => {
            let mut names: Vec<String> = Vec::new();
            for name in list(value)? {
                let Some(name) = name.as_str().map(str::trim).filter(|name| (1..=50).contains(&name.chars().count())) else {
                    return refuse("invalid", "takes names of 1 to 50 characters");
                };
                if !names.iter().any(|one| fold(one) == fold(name)) {
                    names.push(name.to_owned());
                }
            }
            names.sort_by_key(|name| fold(name));
            Ok(json!(names))
        }
        Kind::References { .. } => {
            let ids = list(value)?.iter().map(|value| value.as_str().and_then(id));
            let Some(mut ids) = ids.collect::<Option<Vec<Uuid>>>() else { return refuse("invalid", "takes ids") };
            ids.sort_unstable();
            ids.dedup();
            Ok(json!(ids))
        }
        Kind::Rows(rows) => {
            let mut kept: Vec<Value> = Vec::new();
            for row in list(value)? {
                let Some(row) = row.as_object() else { return refuse("wrong_type", "takes objects") };
                if let Some(name) = row.keys().find(|name| rows.fields.iter().all(|field| field.name != name.as_str())) {
                    return refuse("unknown_field", format!("has no field {name}"));
                }
                let mut next = serde_json::Map::new();
                for field in rows.fields {
                    let value = accept(&field.kind, row.get(field.name).unwrap_or(&Value::Null))?;
                    let value = if value.is_null() { field.default.map_or(Value::Null, Value::from) } else { value };
                    if value.is_null() {
                        return refuse("required", format!("needs {}", field.name));
                    }
                    next.insert(field.name.to_owned(), value);
                }
                let about = rows.fields[0].name;
                if !kept.iter().any(|row| row[about] == next[about]) {
                    kept.push(Value::Object(next));
                }
            }
            Ok(json!(kept))
        }
    }
}

fn list(value: &Value) -> Result<&Vec<Value>, Refusal> {
    match value.as_array() {
        Some(list) if list.len() > 100 => refuse("too_many", "takes at most 100"),
        Some(list) => Ok(list),
        None => refuse("wrong_type", "takes a list"),
    }
}

/// A value of a column as SQL keeps it; one that [`accept`] gave.
#[must_use]
pub fn sql(kind: &Kind, value: &Value) -> Sql {
    let text = || value.as_str();
    match kind {
        Kind::Text { .. } | Kind::Choice(_) => Sql::from(text().map(str::to_owned)),
        Kind::Integer { .. } => Sql::from(value.as_i64()),
        Kind::Decimal { scale } => Sql::from(text().and_then(|text| units(text, *scale).ok())),
        Kind::Boolean => Sql::from(value.as_bool()),
        Kind::Date => Sql::from(text().and_then(day)),
        Kind::Time => Sql::from(text().and_then(moment)),
        Kind::Reference { .. } => Sql::from(text().and_then(id)),
        Kind::Json | Kind::Rows(_) | Kind::References { .. } | Kind::Tags => {
            Sql::from(Some(value.clone()).filter(|value| !value.is_null()))
        }
    }
}

/// A column's value as JSON.
///
/// # Errors
/// The column is of another type.
pub fn json(kind: &Kind, row: &QueryResult, column: &str) -> Result<Value, sea_orm::DbErr> {
    Ok(match kind {
        Kind::Text { .. } | Kind::Choice(_) => json!(row.try_get::<Option<String>>("", column)?),
        Kind::Integer { .. } => json!(row.try_get::<Option<i64>>("", column)?),
        Kind::Decimal { scale } => json!(row.try_get::<Option<i64>>("", column)?.map(|units| decimal(units, *scale))),
        Kind::Boolean => json!(row.try_get::<Option<bool>>("", column)?),
        Kind::Date => json!(row.try_get::<Option<NaiveDate>>("", column)?),
        Kind::Time => json!(row.try_get::<Option<DateTime<Utc>>>("", column)?.map(|moment| moment.to_rfc3339())),
        Kind::Reference { .. } => json!(row.try_get::<Option<Uuid>>("", column)?),
        Kind::Json => row.try_get::<Option<Value>>("", column)?.unwrap_or(Value::Null),
        Kind::Rows(_) | Kind::References { .. } | Kind::Tags => Value::Null,
    })
}

/// A value as it is compared in memory; `None` for null.
#[must_use]
pub fn cell(kind: &Kind, value: &Value) -> Option<Cell> {
    let text = value.as_str();
    match kind {
        Kind::Integer { .. } => value.as_i64().map(Cell::Number),
        Kind::Decimal { scale } => text.and_then(|text| units(text, *scale).ok()).map(Cell::Number),
        Kind::Boolean => value.as_bool().map(Cell::Truth),
        Kind::Date => text.and_then(day).map(|day| Cell::Number(i64::from(chrono::Datelike::num_days_from_ce(&day)))),
        Kind::Time => text.and_then(moment).map(|moment| Cell::Number(moment.timestamp_micros())),
        _ => text.map(|text| Cell::Text(text.to_owned())),
    }
}

/// An id.
#[must_use]
pub fn id(text: &str) -> Option<Uuid> {
    Uuid::parse_str(text).ok().filter(|_| text.len() == 36)
}

/// A day that both databases can keep.
#[must_use]
pub fn day(text: &str) -> Option<NaiveDate> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    (1..=9999).contains(&chrono::Datelike::year(&day)).then_some(day)
}

/// A moment that both databases can keep, to the microsecond.
#[must_use]
pub fn moment(text: &str) -> Option<DateTime<Utc>> {
    let moment = DateTime::parse_from_rfc3339(text).ok()?.to_utc().trunc_subsecs(6);
    crate::page::plausible(moment).then_some(moment)
}

/// Now, as both databases keep it.
#[must_use]
pub fn now() -> Value {
    json!(Utc::now().trunc_subsecs(6).to_rfc3339())
}

/// A decimal in its smallest unit.
fn units(text: &str, scale: u32) -> Result<i64, Refusal> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(part) || digits.ends_with('.') {
        return refuse("invalid", "takes a decimal number such as \"1234.50\"");
    }
    if part.len() > scale as usize {
        return refuse("invalid", format!("takes at most {scale} digits after the point"));
    }
    let units = format!("{whole}{part:0<width$}", width = scale as usize).parse::<i64>().ok();
    // Far from the edge, so that a sum of many still fits.
    match units.filter(|units| *units < 1_000_000_000_000_000) {
        Some(units) => Ok(sign * units),
        None => refuse("too_large", "has too many digits"),
    }
}

/// The decimal of so many smallest units.
#[must_use]
pub fn decimal(units: i64, scale: u32) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let (units, one) = (units.unsigned_abs(), 10u64.pow(scale));
    match scale {
        0 => format!("{sign}{units}"),
        _ => format!("{sign}{}.{:0width$}", units / one, units % one, width = scale as usize),
    }
}

impl Form {
    fn accept(self, text: &str) -> Result<String, Refusal> {
        let shown = text.trim();
        if shown.is_empty() {
            return refuse("too_short", "is empty; send null to clear it");
        }
        if self != Self::Lines && shown.chars().any(char::is_control) {
            return refuse("invalid", "takes one line");
        }
        let only = |good: bool, message: &str| if good { Ok(()) } else { refuse("invalid", message) };
        match self {
            Self::Line | Self::Lines => Ok(shown.to_owned()),
            Self::Email => {
                let email = shown.to_lowercase();
                let good = email.split_once('@').is_some_and(|(name, host)| {
                    !name.is_empty() && is_domain(host) && !name.contains(|c: char| c.is_whitespace() || "@<>,;:\"()".contains(c))
                });
                only(good, "takes an address such as ana@example.com").map(|()| email)
            }
            Self::Phone => whatsapp::phone::e164(shown)
                .ok_or_else(|| ("invalid", "takes a number with its country code, such as +55 11 98765-4321".to_owned())),
            Self::Url => {
                let host = shown.strip_prefix("https://").or_else(|| shown.strip_prefix("http://"));
                let good = host.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace));
                only(good, "takes an address that begins with https:// or http://").map(|()| shown.to_owned())
            }
            Self::Domain => {
                let domain = shown.to_lowercase();
                only(is_domain(&domain), "takes a domain such as example.com").map(|()| domain)
            }
            Self::Color => {
                let good = shown.len() == 7 && shown.strip_prefix('#').is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
                only(good, "takes a colour such as #16a34a").map(|()| shown.to_lowercase())
            }
            Self::Currency | Self::Country => {
                let length = if self == Self::Currency { 3 } else { 2 };
                let good = shown.len() == length && shown.bytes().all(|byte| byte.is_ascii_alphabetic());
                only(good, "takes the letters of its ISO code").map(|()| shown.to_uppercase())
            }
        }
    }
}

fn is_domain(host: &str) -> bool {
    let good = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    host.len() <= 253 && host.contains('.') && host.split('.').all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        let kind = Kind::Decimal { scale: 2 };
        let one = |text: &str| accept(&kind, &json!(text)).ok().and_then(|value| value.as_str().map(str::to_owned));
        assert_eq!(one("1234.5").as_deref(), Some("1234.50"));
        assert_eq!(one("-0.07").as_deref(), Some("-0.07"));
        assert_eq!(one("0").as_deref(), Some("0.00"));
        for wrong in ["1.234", "1,5", ".5", "1.", "", "1e3", "99999999999999999999"] {
            assert_eq!(one(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn forms_keep_one_spelling() {
        let one =
            |form, text: &str| accept(&Kind::Text { max: 80, form }, &json!(text)).ok().and_then(|value| value.as_str().map(str::to_owned));
        assert_eq!(one(Form::Email, " Ana@Example.COM ").as_deref(), Some("ana@example.com"));
        assert_eq!(one(Form::Phone, "+55 (11) 8765-4321").as_deref(), Some("+5511987654321"));
        assert_eq!(one(Form::Color, "#16A34A").as_deref(), Some("#16a34a"));
        for (form, wrong) in [(Form::Email, "ana@"), (Form::Phone, "12"), (Form::Url, "ftp://x"), (Form::Line, "a\nb"), (Form::Line, "  ")]
        {
            assert_eq!(one(form, wrong), None, "{form:?} {wrong}");
        }
    }
}
