//! What somebody looks for, as conditions on the text index.

use db::DbBackend;
use sea_orm::sea_query::{Expr, ExprTrait, Func, LikeExpr, Query, SelectStatement, UnionType, extension::sqlite::SqliteExpr};

use super::texts::{self, TEXTS};
use crate::resource::{
    Resource,
    custom::{self, TOPICS},
    filter::sql::{Target, escaped},
    value,
};

/// How the statements here call the index.
pub(super) const TEXT: &str = "text_";

/// At most so many words count.
const MAX: usize = 8;

/// What a record must have, all of it, in whichever of its fields.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Words(pub(super) Vec<Wanted>);

/// A word; or a number that is spelled somehow, in one word or several.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    /// As they were written.
    pub(super) words: Vec<String>,
    /// Its digits, where they are spelled otherwise.
    pub(super) digits: Option<String>,
}

impl Words {
    /// Reads what was typed.
    pub(crate) fn read(typed: &str) -> Self {
        let folded = value::fold(typed);
        let mut wanted: Vec<Wanted> = Vec::new();
        let mut number = false;
        for word in texts::words(&folded).take(MAX) {
            let continues = number && is_number(word);
            number = is_number(word) && (continues || word.contains(|c: char| c.is_ascii_digit()));
            match wanted.last_mut().filter(|_| continues) {
                Some(last) => last.words.push(word.to_owned()),
                None => wanted.push(Wanted { words: vec![word.to_owned()], digits: None }),
            }
        }
        for one in &mut wanted {
            one.digits = digits(&one.words).filter(|digits| one.words != [digits.as_str()]);
        }
        Self(wanted)
    }

    /// The conditions that an id of a record of these resources must meet.
    pub(crate) fn conditions(&self, target: Target<'_>, resources: &[&'static Resource], id: &Expr) -> Vec<Expr> {
        self.0.iter().map(|wanted| id.clone().in_subquery(wanted.records(target, resources))).collect()
    }
}

/// Whether it may be part of a phone number.
fn is_number(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_digit() || "+-.()/".contains(c))
}

/// The digits of a number without what is dialled before it from inside a country.
fn digits(words: &[String]) -> Option<String> {
    if !words.iter().all(|word| is_number(word)) {
        return None;
    }
    let digits: String = words.iter().flat_map(|word| word.chars()).filter(char::is_ascii_digit).collect();
    Some(digits.trim_start_matches('0').to_owned()).filter(|digits| !digits.is_empty())
}

impl Wanted {
    /// One text has one of these, if it has anything to do with the record.
    pub(super) fn any(&self) -> Vec<&str> {
        self.words.first().into_iter().chain(&self.digits).map(String::as_str).collect()
    }

    /// The ids of the records that have it.
    fn records(&self, target: Target<'_>, resources: &[&'static Resource]) -> SelectStatement {
        let Some((first, rest)) = self.words.split_first().filter(|(_, rest)| !rest.is_empty()) else {
            return having(target, resources, &self.any());
        };
        let mut all = having(target, resources, &[first.as_str()]);
        for word in rest {
            all.and_where(Expr::col((TEXT, "record_id")).in_subquery(having(target, resources, &[word.as_str()])));
        }
        if let Some(digits) = &self.digits {
            all.union(UnionType::All, having(target, resources, &[digits.as_str()]));
        }
        all
    }
}

/// The ids of the records of which a text that the caller gets to see has one of these parts.
fn having(target: Target<'_>, resources: &[&'static Resource], parts: &[&str]) -> SelectStatement {
    let mut select = Query::select();
    select.expr_as(Expr::col((TEXT, "record_id")), "id").from_as(TEXTS, TEXT);
    select.and_where(shown(target, resources)).and_where(has(target, parts));
    select
}

/// Whether a row is of the tenant's records of these resources, in a field that the caller gets to see.
pub(super) fn shown(target: Target<'_>, resources: &[&'static Resource]) -> Expr {
    let (topic, field) = (|| Expr::col((TEXT, "topic")), || Expr::col((TEXT, "field")));
    let mut open = Vec::new();
    let mut limited = Vec::new();
    for resource in resources {
        let hidden = resource.fields.iter().filter(|field| field.searched && target.scope.hides(resource, field.name));
        let hidden: Vec<&str> = hidden.map(|field| field.name).collect();
        let customs = target.scope.hides(resource, custom::FIELD);
        if hidden.is_empty() && !customs {
            open.push(resource.topic);
            continue;
        }
        let mut own = topic().eq(resource.topic).and(field().is_not_in(hidden));
        if customs {
            own = own.and(field().not_like(format!("{}%", custom::PREFIX)));
        }
        limited.push(own);
    }
    let of = [topic().is_in(open)].into_iter().chain(limited).reduce(ExprTrait::or);
    let of = of.unwrap_or_else(|| Expr::cust("1 = 0"));
    let mut shown = Resource::of(TEXT, target.scope.tenant.0).and(of);
    if resources.iter().any(|resource| TOPICS.contains(&resource.topic)) {
        // A field that lies in the trash is not there, but what it holds stays.
        let mut there = Query::select();
        there
            .expr(Expr::cust("1"))
            .from_as("custom_fields", "added")
            .and_where(Resource::of("added", target.scope.tenant.0))
            .and_where(Expr::col(("added", "topic")).equals((TEXT, "topic")))
            .and_where(Expr::col(("added", "deleted_at")).is_null())
            .and_where(Expr::cust(format!(r#"'{}' || "added"."key""#, custom::PREFIX)).eq(field()));
        shown = shown.and(field().not_like(format!("{}%", custom::PREFIX)).or(Expr::exists(there)));
    }
    shown
}

/// Whether the text of a row has one of these parts.
pub(super) fn has(target: Target<'_>, parts: &[&str]) -> Expr {
    if target.backend == DbBackend::Sqlite {
        let quoted: Vec<String> = parts.iter().map(|part| format!("\"{}\"", needle(part).replace('"', "\"\""))).collect();
        let found = Query::select()
            .column("rowid")
            .from("search_index")
            .and_where(Expr::col("search_index").matches(quoted.join(" OR ")))
            .to_owned();
        return Expr::col((TEXT, "id")).in_subquery(found);
    }
    // Without `escape`, which would keep the index out; a backslash escapes anyway.
    let each = parts.iter().map(|part| Expr::col((TEXT, "text")).like(LikeExpr::new(format!("%{}%", escaped(&needle(part))))));
    each.reduce(ExprTrait::or).unwrap_or_else(|| Expr::cust("1 = 0"))
}

/// Where in the text of a row something begins, from 1; 0 when it doesn't.
pub(super) fn position(target: Target<'_>, part: &str) -> Expr {
    let name = if target.backend == DbBackend::Sqlite { "instr" } else { "strpos" };
    Func::cust(name).args([Expr::col((TEXT, "text")), Expr::val(part)]).into()
}

/// As it stands in a text: a word of one or two letters at the beginning of a word, a longer one anywhere.
pub(super) fn needle(part: &str) -> String {
    format!("{part:>3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(typed: &str) -> Vec<(Vec<String>, Option<String>)> {
        Words::read(typed).0.into_iter().map(|wanted| (wanted.words, wanted.digits)).collect()
    }

    fn one(words: &[&str], digits: Option<&str>) -> (Vec<String>, Option<String>) {
        (words.iter().map(|&word| word.to_owned()).collect(), digits.map(str::to_owned))
    }

    #[test]
    fn words_are_read_as_they_are_meant() {
        assert_eq!(read("  Ána  SOUZA "), [one(&["ana"], None), one(&["souza"], None)]);
        assert_eq!(read("(11) 98765-4321"), [one(&["(11)", "98765-4321"], Some("11987654321"))]);
        assert_eq!(read("ana 98765 4321 x"), [one(&["ana"], None), one(&["98765", "4321"], Some("987654321")), one(&["x"], None)]);
        assert_eq!(read("+55"), [one(&["+55"], Some("55"))]);
        assert_eq!(read("011 3333"), [one(&["011", "3333"], Some("113333"))]);
        assert_eq!(read("2027"), [one(&["2027"], None)]);
        assert_eq!(read("a - b"), [one(&["a"], None), one(&["-"], None), one(&["b"], None)]);
        assert_eq!(read("00"), [one(&["00"], None)]);
        assert_eq!(read("\0 \t"), []);
    }

    #[test]
    fn short_words_begin_a_word() {
        assert_eq!([needle("a"), needle("ab"), needle("abc"), needle("é")], ["  a", " ab", "abc", "  é"]);
    }
}
