//! Sums of money in hundredths, exact: they don't overflow, and are rounded once, at their end.

use sea_orm::{QueryResult, sea_query::Expr};

use crate::Result;

/// The sum of the deals' amounts; as a text, which has room for every one.
pub(crate) fn of_amounts() -> Expr {
    Expr::cust(r#"cast(coalesce(sum("row_"."amount"), 0) as text)"#)
}

/// Such a sum of a row.
pub(crate) fn read(row: &QueryResult, column: &str) -> Result<i128> {
    let text: String = row.try_get("", column)?;
    Ok(text.parse().map_err(anyhow::Error::from)?)
}

/// A sum as JSON has it.
pub(crate) fn shown(sum: i128) -> String {
    let (sign, units) = (if sum < 0 { "-" } else { "" }, sum.unsigned_abs());
    format!("{sign}{}.{:02}", units / 100, units % 100)
}

/// A sum of amounts that were each multiplied by a probability in percent, rounded half up to the hundredth.
pub(crate) fn weighted(sum: i128) -> i128 {
    (sum + 50).div_euclid(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact() {
        assert_eq!(shown(0), "0.00");
        assert_eq!(shown(-7), "-0.07");
        assert_eq!(shown(999_999_999_999_999 * 1_000_000), "9999999999999990000.00");
    }

    #[test]
    fn halves_are_rounded_up() {
        let of = |amount: i128, probability: i128| shown(weighted(amount * probability));
        assert_eq!(of(1, 50), "0.01");
        assert_eq!(of(1, 49), "0.00");
        assert_eq!(of(-1, 50), "0.00");
        assert_eq!(of(-1, 51), "-0.01");
        assert_eq!(of(33_333, 33), "110.00");
        assert_eq!(of(12_345, 100), "123.45");
    }
}
