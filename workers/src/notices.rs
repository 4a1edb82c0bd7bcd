//! What notices say, in the languages that SOMO speaks.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use domain::activities::{calendar::When, reminder::Reminder};

/// A subject and a plain text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) subject: String,
    pub(crate) body: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Portuguese,
    English,
}

/// Who reads it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) name: &'a str,
    /// `pt-BR`, `en`, …; what SOMO doesn't speak is English.
    pub(crate) locale: &'a str,
    pub(crate) time_zone: &'a str,
    /// Where they find the panel.
    pub(crate) public_url: &'a str,
}

impl Reader<'_> {
    fn language(&self) -> Language {
        if self.locale.to_ascii_lowercase().starts_with("pt") { Language::Portuguese } else { Language::English }
    }

    fn clock(&self, at: DateTime<Utc>) -> String {
        // Zones were checked when they were set.
        let local = at.with_timezone(&self.time_zone.parse::<Tz>().unwrap_or(Tz::UTC));
        let form = match self.language() {
            Language::Portuguese => "%d/%m/%Y %H:%M (%Z)",
            Language::English => "%Y-%m-%d %H:%M (%Z)",
        };
        local.format(form).to_string()
    }

    fn day(&self, day: NaiveDate) -> String {
        let form = match self.language() {
            Language::Portuguese => "%d/%m/%Y",
            Language::English => "%Y-%m-%d",
        };
        day.format(form).to_string()
    }

    fn when(&self, when: When) -> String {
        match when {
            When::Time(at, _) => self.clock(at),
            When::Days(first, last) if first == last => self.day(first),
            When::Days(first, last) => format!("{} – {}", self.day(first), self.day(last)),
        }
    }

    fn write(&self, subject: String, paragraphs: &[String]) -> Text {
        let (greeting, sign) = match self.language() {
            Language::Portuguese => ("Olá", "Esta mensagem foi enviada pelo SOMO"),
            Language::English => ("Hello", "SOMO sent this message"),
        };
        let body = format!("{greeting}, {}!\n\n{}\n\n-- \n{sign}: {}\n", line(self.name), paragraphs.join("\n\n"), self.public_url);
        Text { subject: line(&subject), body }
    }
}

/// What comes from outside stays on one line and short.
fn line(text: &str) -> String {
    text.split(char::is_control).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ").chars().take(200).collect()
}

/// Somebody signed in as them from a new place.
pub(crate) fn login(reader: Reader<'_>, at: DateTime<Utc>, address: Option<&str>, user_agent: Option<&str>) -> Text {
    let unknown = match reader.language() {
        Language::Portuguese => "desconhecido",
        Language::English => "unknown",
    };
    let (address, program) = (line(address.unwrap_or(unknown)), line(user_agent.unwrap_or(unknown)));
    let at = reader.clock(at);
    match reader.language() {
        Language::Portuguese => reader.write(
            "Novo acesso à sua conta".into(),
            &[
                "Alguém entrou na sua conta a partir de um lugar novo.".into(),
                format!("Quando: {at}\nEndereço: {address}\nPrograma: {program}"),
                "Se foi você, não é preciso fazer nada. Se não foi, troque sua senha e encerre as sessões abertas agora mesmo.".into(),
            ],
        ),
        Language::English => reader.write(
            "New sign-in to your account".into(),
            &[
                "Somebody signed in to your account from a new place.".into(),
                format!("When: {at}\nAddress: {address}\nProgram: {program}"),
                "If it was you, there is nothing to do. If not, change your password and end the open sessions right away.".into(),
            ],
        ),
    }
}

/// A device doesn't work any more.
pub(crate) fn device_down(reader: Reader<'_>, device: &str, since: DateTime<Utc>, reason: Option<&str>) -> Text {
    let (device, since) = (line(device), reader.clock(since));
    let why = |words: &str| reason.map_or_else(String::new, |reason| format!("\n{words}: {}", line(reason)));
    match reader.language() {
        Language::Portuguese => reader.write(
            format!("WhatsApp parado: {device}"),
            &[
                format!("O número \"{device}\" não está enviando mensagens."),
                format!("Desde: {since}{}", why("O WhatsApp disse")),
                "Abra o painel, em WhatsApp > Números, para ver o que fazer. As mensagens novas são recusadas até que ele volte.".into(),
            ],
        ),
        Language::English => reader.write(
            format!("WhatsApp is down: {device}"),
            &[
                format!("The number \"{device}\" is not sending messages."),
                format!("Since: {since}{}", why("WhatsApp said")),
                "Open the panel, under WhatsApp > Numbers, to see what to do. New messages are refused until it is back.".into(),
            ],
        ),
    }
}

/// An activity is due soon.
pub(crate) fn activity(reader: Reader<'_>, Reminder { title, when, with }: &Reminder) -> Text {
    let (title, when, with) = (line(title), reader.when(*when), line(&with.join(", ")));
    let facts = |time: &str, people: &str| match with.as_str() {
        "" => format!("{time}: {when}"),
        with => format!("{time}: {when}\n{people}: {with}"),
    };
    match reader.language() {
        Language::Portuguese => {
            reader.write(format!("Lembrete: {title}"), &[format!("Está chegando a hora de \"{title}\"."), facts("Quando", "Com")])
        }
        Language::English => {
            reader.write(format!("Reminder: {title}"), &[format!("It is almost time for \"{title}\"."), facts("When", "With")])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(locale: &str) -> Reader<'_> {
        Reader { name: "Ana", locale, time_zone: "America/Sao_Paulo", public_url: "https://crm.example" }
    }

    #[test]
    fn a_notice_speaks_the_readers_language_and_time() {
        let at = "2026-11-24T02:30:00Z".parse().expect("a time");
        let portuguese = login(reader("pt-BR"), at, Some("203.0.113.7"), None);
        assert_eq!(portuguese.subject, "Novo acesso à sua conta");
        assert!(portuguese.body.contains("Olá, Ana!"), "{}", portuguese.body);
        assert!(portuguese.body.contains("23/11/2026 23:30 (-03)\nEndereço: 203.0.113.7\nPrograma: desconhecido"), "{}", portuguese.body);
        let english = login(reader("de"), at, None, Some("Firefox"));
        assert!(english.body.contains("2026-11-23 23:30 (-03)\nAddress: unknown\nProgram: Firefox"), "{}", english.body);
        assert!(english.body.ends_with("https://crm.example\n"));
    }

    #[test]
    fn a_reminder_says_when_in_the_readers_words() {
        let at = "2026-12-01T13:00:00Z".parse().expect("a time");
        let reminder = Reminder { title: "Visita".into(), when: When::Time(at, None), with: vec!["Ana".into(), "Acme".into()] };
        let text = activity(reader("pt-BR"), &reminder);
        assert_eq!(text.subject, "Lembrete: Visita");
        assert!(text.body.contains("Quando: 01/12/2026 10:00 (-03)\nCom: Ana, Acme\n"), "{}", text.body);
        let (first, last) = ("2026-12-01".parse().expect("a day"), "2026-12-02".parse().expect("a day"));
        let text = activity(reader("en"), &Reminder { when: When::Days(first, last), with: Vec::new(), ..reminder });
        assert!(text.body.contains("When: 2026-12-01 – 2026-12-02\n\n"), "{}", text.body);
    }

    #[test]
    fn what_comes_from_outside_can_add_no_line() {
        let at = "2026-11-24T02:30:00Z".parse().expect("a time");
        let text = device_down(reader("en"), "Sales\r\nBcc: all@example.com", at, Some("stopped\nSubject: x"));
        assert_eq!(text.subject, "WhatsApp is down: Sales Bcc: all@example.com");
        assert!(text.body.contains("WhatsApp said: stopped Subject: x\n"), "{}", text.body);
    }
}
