//! Tables of medians and spreads, and the page they become.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use anyhow::Context;

use crate::stats::Samples;

/// A figure's name and how many decimals it is worth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    name: &'static str,
    decimals: usize,
}

impl Column {
    pub(crate) const fn new(name: &'static str, decimals: usize) -> Self {
        Self { name, decimals }
    }
}

/// Rows of contenders, columns of figures.
pub(crate) struct Table {
    letter: &'static str,
    title: &'static str,
    note: &'static str,
    columns: Vec<Column>,
    rows: Vec<(String, BTreeMap<&'static str, Samples>)>,
}

impl Table {
    pub(crate) fn new(letter: &'static str, title: &'static str, note: &'static str, columns: &[Column]) -> Self {
        Self { letter, title, note, columns: columns.to_vec(), rows: Vec::new() }
    }

    /// One round's figure.
    pub(crate) fn push(&mut self, row: &str, column: &'static str, value: f64) {
        let at = self.rows.iter().position(|(name, _)| name == row).unwrap_or_else(|| {
            self.rows.push((row.to_owned(), BTreeMap::new()));
            self.rows.len() - 1
        });
        self.rows[at].1.entry(column).or_default().push(value);
    }

    /// `None`: not measured.
    pub(crate) fn median(&self, row: &str, column: &str) -> Option<f64> {
        let (_, figures) = self.rows.iter().find(|(name, _)| name == row)?;
        figures.get(column)?.median()
    }

    /// Puts the rows in the order of `names`, whatever the order they were measured in.
    pub(crate) fn order(&mut self, names: &[&str]) {
        self.rows.sort_by_key(|(name, _)| names.iter().position(|known| known == name));
    }

    /// Nothing was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn markdown(&self) -> String {
        let mut page = format!("## {}. {}\n\n{}\n\n|", self.letter, self.title, self.note);
        for column in std::iter::once("").chain(self.columns.iter().map(|column| column.name)) {
            _ = write!(page, " {column} |");
        }
        page.push_str("\n|---|");
        page.push_str(&"---:|".repeat(self.columns.len()));
        for (name, figures) in &self.rows {
            _ = write!(page, "\n| {name} |");
            for Column { name, decimals } in &self.columns {
                let cell = figures.get(name).and_then(|samples| Some((samples.median()?, samples.spread()?)));
                _ = match cell {
                    Some((median, (least, most))) => {
                        let [median, least, most] = [median, least, most].map(|value| number(value, *decimals));
                        write!(page, " **{median}** ({least}–{most}) |")
                    }
                    None => write!(page, " – |"),
                };
            }
        }
        page.push('\n');
        page
    }
}

/// With commas between thousands.
fn number(value: f64, decimals: usize) -> String {
    let plain = format!("{value:.decimals$}");
    let (whole, rest) = plain.split_once('.').map_or((plain.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::from(sign);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    rest.map_or_else(|| grouped.clone(), |rest| format!("{grouped}.{rest}"))
}

/// What was promised, and what came of it.
pub(crate) struct Target {
    pub(crate) what: &'static str,
    /// The figure it is about; `None`: not measured in this run.
    pub(crate) value: Option<f64>,
    pub(crate) limit: f64,
    /// Whether the value must be at most the limit, instead of at least.
    pub(crate) at_most: bool,
    pub(crate) unit: &'static str,
}

impl Target {
    fn row(&self) -> String {
        let sign = if self.at_most { "≤" } else { "≥" };
        let (value, verdict) = match self.value {
            None => ("–".to_owned(), "not measured"),
            Some(value) => {
                let holds = if self.at_most { value <= self.limit } else { value >= self.limit };
                (
                    format!("{}{}", number(value, if value >= 100.0 { 0 } else { 2 }), self.unit),
                    if holds { "holds" } else { "**falls short**" },
                )
            }
        };
        format!(
            "| {} | {sign} {}{} | {value} | {verdict} |\n",
            self.what,
            number(self.limit, if self.limit >= 100.0 { 0 } else { 2 }),
            self.unit
        )
    }
}

/// The page.
pub(crate) fn page<'a>(about: &str, targets: &[Target], tables: impl Iterator<Item = &'a Table>) -> String {
    let mut page = format!(
        "# Benchmarks\n\nWritten by `script/bench`; don't edit. Everything below ran side by side on one machine, one PostgreSQL and \
         one Redis. Each figure is the median of the rounds, with the smallest and the largest in brackets; in each round every \
         contender had its turn, so that whatever else the machine did hit all alike. Ratios between rows mean more than the rows.\n\n\
         {about}\n## Targets\n\nFor the default transport.\n\n| what | target | measured | |\n|---|---|---|---|\n"
    );
    for target in targets {
        page.push_str(&target.row());
    }
    for table in tables {
        page.push('\n');
        page.push_str(&table.markdown());
    }
    page
}

/// Writes the page, keeping what was written by hand below the mark.
pub(crate) fn write(path: &Path, page: &str) -> anyhow::Result<()> {
    const MARK: &str = "\n<!-- Below this line is written by hand. -->\n";
    let old = std::fs::read_to_string(path).unwrap_or_default();
    let by_hand = old.split_once(MARK).map_or("", |(_, by_hand)| by_hand);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, format!("{page}{MARK}{by_hand}")).with_context(|| format!("{} can't be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(number(1_234_567.0, 0), "1,234,567");
        assert_eq!(number(-1234.5, 1), "-1,234.5");
        assert_eq!(number(999.0, 0), "999");
    }

    #[test]
    fn a_table_shows_median_and_spread() {
        let mut table = Table::new("a", "T", "N", &[Column::new("jobs/s", 0), Column::new("ms", 2)]);
        for value in [3000.0, 1000.0, 2000.0] {
            table.push("one", "jobs/s", value);
        }
        assert!(table.markdown().ends_with("| one | **2,000** (1,000–3,000) | – |\n"), "{}", table.markdown());
        assert_eq!(table.median("one", "jobs/s"), Some(2000.0));
    }

    #[test]
    fn what_was_written_by_hand_stays() {
        let folder = std::env::temp_dir().join(format!("bench-{}", std::process::id()));
        let path = folder.join("page.md");
        write(&path, "first\n").unwrap();
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("mine\n");
        std::fs::write(&path, text).unwrap();
        write(&path, "second\n").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("second") && text.ends_with("mine\n"), "{text}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
