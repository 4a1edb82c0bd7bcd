//! Chance that falls the same way every time, so that everybody sees the same company.

/// Steele's SplitMix64: three lines, and spread well enough for names and amounts.
pub(super) struct Dice(u64);

impl Dice {
    /// Those that fall as `seed` says.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A place in a list of so many.
    pub(super) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.throw() % count as u64).expect("it is below a usize")
    }

    /// A number from `first` to `last`.
    pub(super) fn between(&mut self, first: i64, last: i64) -> i64 {
        let span = u64::try_from(last - first + 1).expect("the last one is not before the first");
        first + i64::try_from(self.throw() % span).expect("it is below an i64")
    }

    /// One of them.
    pub(super) fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Whether something happens that happens so often in a hundred.
    pub(super) fn percent(&mut self, often: i64) -> bool {
        self.between(1, 100) <= often
    }
}
