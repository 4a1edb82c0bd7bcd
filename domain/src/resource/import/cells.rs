//! What people write into cells, as the values that fields take: numbers and days as the file writes them, lists in one cell, phone
//! numbers without their country.

use chrono::{NaiveDate, NaiveDateTime, TimeZone};
use chrono_tz::Tz;
use serde_json::{Value, json};

use super::plan::DateOrder;
use crate::resource::{
    field::{Form, Kind},
    value::{Refusal, fold},
};

/// How a file writes what can be written in several ways.
#[derive(Clone, Debug)]
pub(super) struct Notation {
    pub(super) dates: DateOrder,
    /// The sign before the digits behind the point.
    pub(super) decimal: char,
    /// The calling code of numbers that have none: `55`.
    pub(super) country: Option<String>,
    /// Where times without a zone were.
    pub(super) zone: Tz,
}

const YES: &[&str] = &["true", "yes", "y", "1", "x", "sim", "s", "verdadeiro", "si", "oui", "ja", "on"];
const NO: &[&str] = &["false", "no", "n", "0", "nao", "falso", "non", "nein", "off"];

impl Notation {
    /// A cell that is not empty, as one value.
    pub(super) fn value(&self, kind: &Kind, cell: &str) -> Result<Value, Refusal> {
        let cell = cell.trim();
        let refuse = |message: String| Err(("invalid", message));
        Ok(match kind {
            Kind::Text { form: Form::Phone, .. } => json!(self.phone(cell)),
            Kind::Text { form: Form::Email, .. } => json!(cell.strip_prefix("mailto:").unwrap_or(cell)),
            Kind::Text { form: Form::Url, .. } if !cell.contains("://") => json!(format!("https://{cell}")),
            Kind::Text { form: Form::Domain, .. } => json!(domain(cell)),
            Kind::Text { form: Form::Line, .. } => json!(cell.split_whitespace().collect::<Vec<_>>().join(" ")),
            Kind::Integer { .. } => match self.number(cell).and_then(|number| number.parse::<i64>().ok()) {
                Some(number) => json!(number),
                None => return refuse(format!("\"{}\" is no whole number", short(cell))),
            },
            Kind::Decimal { .. } => match self.number(cell) {
                Some(number) => json!(number),
                None => return refuse(format!("\"{}\" is no number", short(cell))),
            },
            Kind::Boolean => match fold(cell) {
                word if YES.contains(&word.as_str()) => json!(true),
                word if NO.contains(&word.as_str()) => json!(false),
                _ => return refuse(format!("\"{}\" is neither yes nor no", short(cell))),
            },
            Kind::Date => match self.day(cell) {
                Some(day) => json!(day.to_string()),
                None => return refuse(format!("\"{}\" is no day such as {}", short(cell), self.dates.example())),
            },
            Kind::Time => match self.moment(cell) {
                Some(moment) => json!(moment),
                None => return refuse(format!("\"{}\" is no time such as {} 18:30", short(cell), self.dates.example())),
            },
            Kind::Choice(words) => {
                let same = |word: &&&str| fold(&word.replace('_', " ")) == fold(&cell.replace(['_', '-'], " "));
                json!(words.iter().find(same).copied().unwrap_or(cell))
            }
            Kind::Json => serde_json::from_str(cell).unwrap_or_else(|_| json!(cell)),
            _ => json!(cell),
        })
    }

    /// With its country, if it has none.
    fn phone(&self, cell: &str) -> String {
        let cell = cell.strip_prefix("tel:").unwrap_or(cell).trim();
        let digits: String = cell.chars().filter(char::is_ascii_digit).collect();
        let (digits, international) = match digits.strip_prefix("00") {
            Some(rest) => (rest.to_owned(), true),
            None => (digits, cell.starts_with('+')),
        };
        let spelled = cell.chars().all(|c| c.is_ascii_digit() || " -.()/+\u{a0}".contains(c));
        match &self.country {
            _ if !spelled || digits.is_empty() => cell.to_owned(),
            _ if international => format!("+{digits}"),
            Some(country) => {
                let national = digits.trim_start_matches('0');
                let has_it = national.strip_prefix(country.as_str()).is_some_and(|rest| rest.len() >= 9 && national.len() > 11);
                if has_it { format!("+{national}") } else { format!("+{country}{national}") }
            }
            None => digits,
        }
    }

    /// A number with a point and without what groups its digits.
    fn number(&self, cell: &str) -> Option<String> {
        let group = if self.decimal == ',' { '.' } else { ',' };
        let bare = cell.trim_start_matches(|c: char| c.is_alphabetic() || "$€£¥ \u{a0}".contains(c));
        let bare = bare.trim_end_matches(|c: char| c.is_alphabetic() || "%$€£¥ \u{a0}".contains(c));
        let (sign, digits) = bare.strip_prefix('-').map_or(("", bare), |rest| ("-", rest));
        let (whole, part) = digits.rsplit_once(self.decimal).map_or((digits, None), |(whole, part)| (whole, Some(part)));
        let plain: String = whole.chars().filter(|c| !(*c == group || *c == ' ' || *c == '\u{a0}' || *c == '\'')).collect();
        // What groups digits stands before three of them: 1.5 is no fifteen where the comma is the decimal sign.
        let grouped = whole.split(group).skip(1).all(|part| part.len() == 3) && (!whole.contains(group) || whole.find(group) <= Some(3));
        let good = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !grouped || !good(&plain) || part.is_some_and(|part| !good(part)) {
            return None;
        }
        Some(match part {
            Some(part) if part.bytes().any(|byte| byte != b'0') => format!("{sign}{plain}.{part}"),
            _ => format!("{sign}{plain}"),
        })
    }

    fn day(&self, cell: &str) -> Option<NaiveDate> {
        let day = cell.split([' ', 'T']).next()?;
        let parts: Vec<&str> = day.split(['-', '/', '.']).collect();
        let [a, b, c] = parts[..] else { return None };
        let (year, month, day) = match self.dates {
            _ if a.len() == 4 => (a, b, c),
            DateOrder::Dmy | DateOrder::Ymd => (c, b, a),
            DateOrder::Mdy => (c, a, b),
        };
        let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.len() <= 4);
        let year = match (number(year)?, year.len()) {
            (short, 2) if short < 70 => 2000 + short,
            (short, 2) => 1900 + short,
            (year, 4) => year,
            _ => return None,
        };
        NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, number(month)?, number(day)?)
    }

    fn moment(&self, cell: &str) -> Option<String> {
        if let Ok(moment) = chrono::DateTime::parse_from_rfc3339(cell) {
            return Some(moment.to_utc().to_rfc3339());
        }
        let day = self.day(cell)?;
        let clock = cell.split_once([' ', 'T']).map_or("00:00", |(_, clock)| clock.trim());
        let time = ["%H:%M:%S%.f", "%H:%M", "%I:%M %p", "%I:%M:%S %p"]
            .iter()
            .find_map(|form| chrono::NaiveTime::parse_from_str(clock, form).ok())?;
        let local = self.zone.from_local_datetime(&NaiveDateTime::new(day, time));
        // An hour that a clock shows twice is the first of them; one that it leaves out is an hour later.
        let moment = local
            .earliest()
            .or_else(|| self.zone.from_local_datetime(&(NaiveDateTime::new(day, time) + chrono::TimeDelta::hours(1))).earliest())?;
        Some(moment.to_utc().to_rfc3339())
    }
}

/// The values that a cell lists.
pub(super) fn listed<'a>(kind: &Kind, cell: &'a str) -> impl Iterator<Item = &'a str> {
    // Names of companies have commas in them; addresses, numbers and tags have none.
    let names = matches!(kind, Kind::References { .. });
    cell.split(move |c| c == ';' || c == '\n' || (!names && c == ',')).map(str::trim).filter(|one| !one.is_empty())
}

/// The host of an address, or the domain as it is.
fn domain(cell: &str) -> &str {
    let host = cell.split_once("://").map_or(cell, |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or(host);
    host.strip_prefix("www.").unwrap_or(host)
}

/// Of a cell, as much as a message shows.
pub(super) fn short(cell: &str) -> String {
    let mut chars = cell.chars();
    let shown: String = chars.by_ref().take(40).collect();
    if chars.next().is_some() { format!("{shown}…") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brazilian() -> Notation {
        Notation { dates: DateOrder::Dmy, decimal: ',', country: Some("55".to_owned()), zone: chrono_tz::America::Sao_Paulo }
    }

    fn one(kind: &Kind, cell: &str) -> Option<String> {
        brazilian().value(kind, cell).ok().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    #[test]
    fn phone_numbers_get_their_country() {
        let kind = Kind::Text { max: 40, form: Form::Phone };
        for (cell, number) in [
            ("(11) 98765-4321", "+5511987654321"),
            ("011 98765-4321", "+5511987654321"),
            ("1187654321", "+551187654321"),
            ("5511987654321", "+5511987654321"),
            ("55 11 8765-4321", "+551187654321"),
            ("55 98765-4321", "+5555987654321"),
            ("+1 415 555 2671", "+14155552671"),
            ("0049 30 901820", "+4930901820"),
            ("ask Ana", "ask Ana"),
        ] {
            assert_eq!(one(&kind, cell).as_deref(), Some(number), "{cell}");
        }
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        let kind = Kind::Decimal { scale: 2 };
        for (cell, number) in [("R$ 1.234,50", Some("1234.50")), ("-7", Some("-7")), ("1.234.567", Some("1234567")), ("0,5", Some("0.5"))] {
            assert_eq!(one(&kind, cell).as_deref(), number, "{cell}");
        }
        for cell in ["1.5", "1234.567", "1,2,3", "viel", "--1", "1,"] {
            assert_eq!(one(&kind, cell), None, "{cell}");
        }
        assert_eq!(one(&Kind::Integer { min: 0, max: 10_000 }, "1.200,00").as_deref(), Some("1200"));
    }

    #[test]
    fn days_and_times_are_read_in_the_order_of_the_file() {
        for (cell, day) in
            [("31/12/1990", "1990-12-31"), ("1.2.05", "2005-02-01"), ("1990-05-17 00:00:00", "1990-05-17"), ("3/4/71", "1971-04-03")]
        {
            assert_eq!(one(&Kind::Date, cell).as_deref(), Some(day), "{cell}");
        }
        for cell in ["12/31/1990", "today", "1/2", "31/02/2020"] {
            assert_eq!(one(&Kind::Date, cell), None, "{cell}");
        }
        assert_eq!(one(&Kind::Time, "17/05/2026 18:30").as_deref(), Some("2026-05-17T21:30:00+00:00"));
        assert_eq!(one(&Kind::Time, "2026-05-17T18:30:00Z").as_deref(), Some("2026-05-17T18:30:00+00:00"));
    }

    #[test]
    fn words_are_read_in_several_languages() {
        assert_eq!(one(&Kind::Boolean, "Sim").as_deref(), Some("true"));
        assert_eq!(one(&Kind::Boolean, "não").as_deref(), Some("false"));
        assert_eq!(one(&Kind::Boolean, "vielleicht"), None);
        assert_eq!(one(&Kind::Choice(&["in_progress", "done"]), "In Progress").as_deref(), Some("in_progress"));
        assert_eq!(listed(&Kind::Tags, "vip, novo; Ação\n").collect::<Vec<_>>(), ["vip", "novo", "Ação"]);
        let companies = Kind::References { to: "companies", table: "x", own: "x", other: "x" };
        assert_eq!(listed(&companies, "Silva, Souza & Cia; Acme").collect::<Vec<_>>(), ["Silva, Souza & Cia", "Acme"]);
    }
}
