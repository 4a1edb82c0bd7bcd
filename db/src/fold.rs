//! Texts without case and accents, the same in memory and on both databases: what people search for, sort by and call equal.

/// Letters with accents, and what they are without.
const PLAIN: [(&str, char); 8] = [
    ("áàâãäåÁÀÂÃÄÅ", 'a'),
    ("çÇ", 'c'),
    ("éèêëÉÈÊË", 'e'),
    ("íìîïÍÌÎÏ", 'i'),
    ("ñÑ", 'n'),
    ("óòôõöøÓÒÔÕÖØ", 'o'),
    ("úùûüÚÙÛÜ", 'u'),
    ("ýÿÝŸ", 'y'),
];

/// ASCII letters in lower case, and the letters that people here write with accents without them.
#[must_use]
pub fn fold(text: &str) -> String {
    let plain = |c: char| match c.is_ascii() {
        true => c.to_ascii_lowercase(),
        false => PLAIN.iter().find(|(accented, _)| accented.contains(c)).map_or(c, |(_, plain)| *plain),
    };
    text.chars().map(plain).collect()
}

/// The same of a column, as SQLite says it. Its indexes have the same words, so that it finds them.
#[must_use]
pub fn sqlite(column: &str) -> String {
    let accents = PLAIN.iter().flat_map(|(accented, plain)| accented.chars().map(move |c| (c, *plain)));
    accents.fold(format!("lower({column})"), |text, (accented, plain)| format!("replace({text}, '{accented}', '{plain}')"))
}

/// The same of a column, as PostgreSQL says it, with the function that [`postgres_function`] makes.
#[must_use]
pub fn postgres(column: &str) -> String {
    format!("somo_fold({column})")
}

/// The function of [`postgres`].
#[must_use]
pub fn postgres_function() -> String {
    let from: String = PLAIN.iter().map(|(accented, _)| *accented).collect();
    let to: String = PLAIN.iter().flat_map(|(accented, plain)| accented.chars().map(move |_| *plain)).collect();
    format!(
        "create function somo_fold(text) returns text language sql immutable strict parallel safe
         as $$ select translate(lower($1 collate \"C\"), '{from}', '{to}') $$"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_takes_case_and_accents() {
        assert_eq!(fold("AÇÃO Ünïçödé Łódź"), "acao unicode Łodź");
    }
}
