//! Medians, spreads, percentiles.

/// One figure, measured once in each round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn push(&mut self, value: f64) {
        let at = self.0.partition_point(|known| *known < value);
        self.0.insert(at, value);
    }

    /// `None`: never measured.
    pub(crate) fn median(&self) -> Option<f64> {
        let middle = self.0.len() / 2;
        match self.0.len() % 2 {
            0 => Some((self.0.get(middle.checked_sub(1)?)? + self.0.get(middle)?) / 2.0),
            _ => self.0.get(middle).copied(),
        }
    }

    /// The smallest and the largest.
    pub(crate) fn spread(&self) -> Option<(f64, f64)> {
        Some((*self.0.first()?, *self.0.last()?))
    }
}

/// The value that `part` (0.5, 0.99 …) of `values` don't exceed; the nearest rank.
pub(crate) fn percentile(values: &mut [f64], part: f64) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let rank = (values.len() as f64 * part).ceil() as usize;
    values.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        let mut samples = Samples::default();
        assert_eq!(samples.median(), None);
        for value in [5.0, 1.0, 9.0] {
            samples.push(value);
        }
        assert_eq!(samples.median(), Some(5.0));
        samples.push(7.0);
        assert_eq!(samples.median(), Some(6.0));
        assert_eq!(samples.spread(), Some((1.0, 9.0)));
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let mut values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut values, 0.5), Some(100.0));
        assert_eq!(percentile(&mut values, 0.99), Some(198.0));
        assert_eq!(percentile(&mut values, 1.0), Some(200.0));
        assert_eq!(percentile(&mut [], 0.5), None);
    }
}
