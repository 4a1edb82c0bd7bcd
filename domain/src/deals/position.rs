//! Places on the board: texts that sort as the deals of a stage stand. Between two of them there is room for another, so that
//! a drag writes one deal.
//!
//! A text is a fraction, `i` one half. It never ends with the digit nought: nothing would go between `a` and `a0`.

/// In the order in which both databases sort them. No capitals: lists leave case aside, and would have another order.
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const BASE: u64 = DIGITS.len() as u64;
/// At the ends of a stage texts are counted up and down with so many digits, so that they stay short there.
const WIDTH: u32 = 6;
const WHOLE: u64 = BASE.pow(WIDTH);
/// How long a text may be.
pub(crate) const LONGEST: usize = 200;

/// A text that sorts after the one and before the other; without one of them, at that end. `None` when there is no room: they
/// are equal, or the text would be longer than [`LONGEST`].
pub(crate) fn between(after: Option<&str>, before: Option<&str>) -> Option<String> {
    let low = digits(after.unwrap_or_default())?;
    let high = match before {
        Some(text) => Some(digits(text)?),
        None => None,
    };
    let made = match (after, &high) {
        (None, None) => of(WHOLE / 2),
        (Some(_), None) => Some(whole(&low) + 1).filter(|next| *next < WHOLE).map_or_else(|| middle(&low, None), of),
        (None, Some(high)) => match whole(high) {
            0 | 1 if high.is_empty() => return None,
            0 | 1 => middle(&low, Some(high)),
            next => of(next - 1),
        },
        (Some(_), Some(high)) if low < *high => middle(&low, Some(high)),
        (Some(_), Some(_)) => return None,
    };
    (made.len() <= LONGEST).then(|| made.iter().map(|digit| char::from(DIGITS[usize::from(*digit)])).collect())
}

/// Texts for so many deals, far from both ends, with room between them.
pub(crate) fn spread(count: usize) -> impl Iterator<Item = String> {
    let first = WHOLE / 2 - BASE * (count as u64 / 2).min(WHOLE / BASE / 2 - 1);
    (0..count as u64).map(move |n| of(first + n * BASE).iter().map(|digit| char::from(DIGITS[usize::from(*digit)])).collect())
}

fn digits(text: &str) -> Option<Vec<u8>> {
    let value = |byte: u8| DIGITS.iter().position(|digit| *digit == byte).and_then(|value| u8::try_from(value).ok());
    let mut digits = text.bytes().map(value).collect::<Option<Vec<u8>>>()?;
    digits.truncate(digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1));
    Some(digits)
}

/// The first digits as a number.
fn whole(digits: &[u8]) -> u64 {
    (0..WIDTH as usize).fold(0, |number, at| number * BASE + u64::from(digits.get(at).copied().unwrap_or(0)))
}

/// The digits of such a number.
fn of(number: u64) -> Vec<u8> {
    let digit = |at: u32| u8::try_from(number / BASE.pow(WIDTH - 1 - at) % BASE).unwrap_or(0);
    let mut digits: Vec<u8> = (0..WIDTH).map(digit).collect();
    digits.truncate(digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1));
    digits
}

/// About half way from `low` to `high`, which is above it; to one without it.
fn middle(low: &[u8], high: Option<&[u8]>) -> Vec<u8> {
    let mut made = Vec::new();
    let mut high = high;
    for at in 0.. {
        let from = low.get(at).copied().unwrap_or(0);
        let to = high.map_or(DIGITS.len() as u8, |high| high.get(at).copied().unwrap_or(0));
        if to - from > 1 {
            made.push(from + (to - from) / 2);
            break;
        }
        if to > from {
            high = None; // whatever follows is below it
        }
        made.push(from);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same numbers every time.
    struct Dice(u64);

    impl Dice {
        fn throw(&mut self, sides: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.0 >> 33).unwrap() % sides
        }
    }

    fn neighbours(stage: &[String], at: usize) -> (Option<&str>, Option<&str>) {
        (at.checked_sub(1).map(|before| stage[before].as_str()), stage.get(at).map(String::as_str))
    }

    fn insert(stage: &mut Vec<String>, at: usize) -> usize {
        let (low, high) = neighbours(stage, at);
        let made = between(low, high).unwrap_or_else(|| panic!("no room between {low:?} and {high:?}"));
        assert!(low.is_none_or(|low| low < made.as_str()) && high.is_none_or(|high| made.as_str() < high), "{low:?} {made} {high:?}");
        assert!(!made.ends_with('0') && !made.is_empty());
        let length = made.len();
        stage.insert(at, made);
        length
    }

    #[test]
    fn ten_thousand_drops_anywhere_stay_short() {
        for seed in 0..5 {
            let (mut stage, mut dice) = (Vec::new(), Dice(seed));
            let longest = (0..10_000)
                .map(|n| {
                    let at = dice.throw(n + 1);
                    insert(&mut stage, at)
                })
                .max();
            assert!(longest < Some(24), "{longest:?}");
            assert!(stage.is_sorted_by(|a, b| a < b));
        }
    }

    #[test]
    fn deals_are_put_at_an_end_as_often_as_one_likes() {
        let mut stage = Vec::new();
        for n in 0..10_000 {
            assert!(insert(&mut stage, if n % 2 == 0 { n } else { 0 }) <= 6);
        }
        let (mut up, mut down) = (Vec::new(), Vec::new());
        for n in 0..10_000 {
            assert!(insert(&mut up, n).max(insert(&mut down, 0)) <= 6);
        }
    }

    #[test]
    fn at_the_very_ends_there_is_still_room() {
        for (low, high) in [(Some("zzzzzz"), None), (Some("zzzzzzzz"), None), (None, Some("000001")), (None, Some("0000000001"))] {
            let made = between(low, high).unwrap();
            assert!(low.is_none_or(|low| low < made.as_str()) && high.is_none_or(|high| made.as_str() < high), "{low:?} {made} {high:?}");
        }
    }

    #[test]
    fn one_gap_takes_hundreds_before_it_is_full() {
        let mut stage = vec!["a".to_owned(), "b".to_owned()];
        let full = (0..)
            .take_while(|_| {
                let (low, high) = neighbours(&stage, 1);
                let made = between(low, high);
                made.map(|made| stage.insert(1, made)).is_some()
            })
            .count();
        assert!(full > 900, "{full}");
        assert!(stage.is_sorted_by(|a, b| a < b) && stage.iter().all(|text| text.len() <= LONGEST));
    }

    #[test]
    fn where_nothing_goes_between_nothing_is_made_up() {
        for (low, high) in [(Some("i"), Some("i")), (Some("k"), Some("i")), (Some("i"), Some("i0")), (None, Some("0")), (Some("I"), None)] {
            assert_eq!(between(low, high), None, "{low:?} {high:?}");
        }
    }

    #[test]
    fn places_that_are_spread_have_room_everywhere() {
        for count in [0, 1, 2, 3, 1_000, 100_000] {
            let stage: Vec<String> = spread(count).collect();
            assert_eq!(stage.len(), count);
            assert!(stage.is_sorted_by(|a, b| a < b) && stage.iter().all(|text| text.len() <= 6));
            for at in [0, count / 2, count] {
                insert(&mut stage.clone(), at);
            }
        }
    }
}
