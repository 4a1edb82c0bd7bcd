//! One spelling for each phone number: E.164 digits, without the plus.
//!
//! WhatsApp itself knows some numbers under an older spelling: Brazil's mobile numbers without their ninth digit, Mexico's
//! with a 1 and Argentina's with a 9 after the country code. Here each has one canonical form.

/// The canonical digits of `number`, which may hold a plus, spaces, dashes, dots and brackets. `None` when it can't be an
/// international number.
#[must_use]
pub fn canonical(number: &str) -> Option<String> {
    let mut digits = String::with_capacity(15);
    for (at, c) in number.trim().chars().enumerate() {
        match c {
            '0'..='9' => digits.push(c),
            '+' if at == 0 => {}
            ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}' => {}
            _ => return None,
        }
    }
    if !(7..=15).contains(&digits.len()) || digits.starts_with('0') {
        return None;
    }
    Some(unified(&digits).unwrap_or(digits))
}

fn unified(digits: &str) -> Option<String> {
    if let Some(rest) = digits.strip_prefix("55") {
        // Area code and eight digits; mobile ones begin with 6 to 9 and got a 9 in front.
        let (area, subscriber) = rest.split_at_checked(2)?;
        return (subscriber.len() == 8 && matches!(subscriber.as_bytes()[0], b'6'..=b'9')).then(|| format!("55{area}9{subscriber}"));
    }
    if let Some(rest) = digits.strip_prefix("521") {
        return (rest.len() == 10).then(|| format!("52{rest}"));
    }
    if let Some(rest) = digits.strip_prefix("54")
        && !rest.starts_with('9')
    {
        return (rest.len() == 10).then(|| format!("549{rest}"));
    }
    None
}

/// `number` as E.164 with its plus.
#[must_use]
pub fn e164(number: &str) -> Option<String> {
    canonical(number).map(|digits| format!("+{digits}"))
}

/// Every spelling under which WhatsApp may know the canonical number `digits`, itself first.
#[must_use]
pub fn variants(digits: &str) -> Vec<String> {
    let mut variants = vec![digits.to_owned()];
    let rest = |country: &str, len: usize| digits.strip_prefix(country).filter(|rest| rest.len() == len);
    if let Some(rest) = rest("55", 11)
        && rest.as_bytes()[2] == b'9'
    {
        variants.push(format!("55{}{}", &rest[..2], &rest[3..]));
    }
    if let Some(rest) = rest("52", 10) {
        variants.push(format!("521{rest}"));
    }
    if let Some(rest) = rest("549", 10) {
        variants.push(format!("54{rest}"));
    }
    variants
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_one_spelling() {
        for (given, expected) in [
            ("+55 (11) 98765-4321", Some("5511987654321")),
            ("551187654321", Some("5511987654321")),
            ("551133334444", Some("551133334444")), // a landline has no ninth digit
            ("+52 1 55 1234 5678", Some("525512345678")),
            ("5491123456789", Some("5491123456789")),
            ("541123456789", Some("5491123456789")),
            ("+1 650-555-1234", Some("16505551234")),
            ("0049 30 1234", None),
            ("12ab34567", None),
            ("123", None),
            ("", None),
        ] {
            assert_eq!(canonical(given).as_deref(), expected, "{given}");
        }
        assert_eq!(e164("551187654321").as_deref(), Some("+5511987654321"));
    }

    #[test]
    fn every_variant_leads_back() {
        for number in ["5511987654321", "525512345678", "5491123456789", "551133334444", "16505551234"] {
            for variant in variants(number) {
                assert_eq!(canonical(&variant).as_deref(), Some(number), "{variant}");
            }
        }
    }
}
