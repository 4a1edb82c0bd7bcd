//! Calendars in the words of RFC 5545, as calendar programs read them.

use std::fmt::Write;

use chrono::{DateTime, NaiveDate, Utc};

/// So many bytes has a line at most.
const WIDTH: usize = 75;

/// Something in a calendar.
#[derive(Clone, Debug)]
pub(super) struct Event<'a> {
    /// Its name, the same for ever.
    pub(super) uid: String,
    /// How often it was written.
    pub(super) sequence: i64,
    /// When it was last written.
    pub(super) modified: DateTime<Utc>,
    /// When it is.
    pub(super) when: super::calendar::When,
    /// What it is called.
    pub(super) summary: String,
    /// What there is to know.
    pub(super) description: Option<&'a str>,
    /// Of what kind it is.
    pub(super) category: Option<&'a str>,
}

/// A calendar of that name. The same events make the same text, so that who reads it again can tell that nothing is new.
pub(super) fn calendar(name: &str, events: &[Event<'_>]) -> String {
    let mut text = String::new();
    let mut line = |content: &str| fold(&mut text, content);
    for fixed in ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//SOMO//Calendar//EN", "CALSCALE:GREGORIAN"] {
        line(fixed);
    }
    line(&format!("X-WR-CALNAME:{}", escaped(name)));
    line("REFRESH-INTERVAL;VALUE=DURATION:PT15M");
    for Event { uid, sequence, modified, when, summary, description, category } in events {
        line("BEGIN:VEVENT");
        line(&format!("UID:{uid}"));
        line(&format!("DTSTAMP:{}", moment(*modified)));
        line(&format!("LAST-MODIFIED:{}", moment(*modified)));
        line(&format!("SEQUENCE:{sequence}"));
        match when {
            super::calendar::When::Time(from, to) => {
                line(&format!("DTSTART:{}", moment(*from)));
                if let Some(to) = to.filter(|to| to > from) {
                    line(&format!("DTEND:{}", moment(to)));
                }
            }
            super::calendar::When::Days(first, last) => {
                line(&format!("DTSTART;VALUE=DATE:{}", day(*first)));
                // The day after: an end is not part of an event.
                line(&format!("DTEND;VALUE=DATE:{}", day(last.succ_opt().unwrap_or(*last))));
            }
        }
        line(&format!("SUMMARY:{}", escaped(summary)));
        if let Some(description) = description {
            line(&format!("DESCRIPTION:{}", escaped(description)));
        }
        if let Some(category) = category {
            line(&format!("CATEGORIES:{}", escaped(category)));
        }
        line("STATUS:CONFIRMED");
        line("END:VEVENT");
    }
    line("END:VCALENDAR");
    text
}

fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y%m%dT%H%M%SZ").to_string()
}

fn day(day: NaiveDate) -> String {
    day.format("%Y%m%d").to_string()
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => _ = write!(escaped, "\\{c}"),
            '\n' => escaped.push_str("\\n"),
            '\t' => escaped.push(' '),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

/// A line, broken where it would be too wide, never within a character.
fn fold(text: &mut String, line: &str) {
    let mut room = WIDTH;
    for c in line.chars() {
        if c.len_utf8() > room {
            text.push_str("\r\n ");
            room = WIDTH - 1;
        }
        room -= c.len_utf8();
        text.push(c);
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::{super::calendar::When, *};

    #[test]
    fn an_event_is_written_as_the_standard_has_it() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
        let day: NaiveDate = "2026-12-31".parse().expect("a day");
        let event = |when| Event {
            uid: "one@somo".into(),
            sequence: 3,
            modified: at("2026-11-26T05:00:00.25Z"),
            when,
            summary: "Ana; Bia, \\o/".into(),
            description: Some("first\r\nsecond"),
            category: None,
        };
        let events = [event(When::Time(at("2026-12-01T13:00:00Z"), Some(at("2026-12-01T14:30:00Z")))), event(When::Days(day, day))];
        let text = calendar("Ana", &events);
        let expected = "BEGIN:VEVENT\r\nUID:one@somo\r\nDTSTAMP:20261126T050000Z\r\nLAST-MODIFIED:20261126T050000Z\r\nSEQUENCE:3\r\n\
            DTSTART:20261201T130000Z\r\nDTEND:20261201T143000Z\r\nSUMMARY:Ana\\; Bia\\, \\\\o/\r\nDESCRIPTION:first\\nsecond\r\n\
            STATUS:CONFIRMED\r\nEND:VEVENT\r\n";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("DTSTART;VALUE=DATE:20261231\r\nDTEND;VALUE=DATE:20270101\r\n"), "{text}");
    }

    #[test]
    fn no_line_is_too_wide_and_no_character_is_broken() {
        for letter in ["a", "ã", "老", "🎉"] {
            let long = letter.repeat(200);
            let mut text = String::new();
            fold(&mut text, &long);
            assert!(text.split("\r\n").all(|line| line.len() <= WIDTH), "{text}");
            assert_eq!(text.replace("\r\n ", ""), format!("{long}\r\n"));
        }
    }
}
