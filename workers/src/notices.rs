//! What notices say, in the languages that SOMO speaks.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

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
    fn what_comes_from_outside_can_add_no_line() {
        let at = "2026-11-24T02:30:00Z".parse().expect("a time");
        let text = device_down(reader("en"), "Sales\r\nBcc: all@example.com", at, Some("stopped\nSubject: x"));
        assert_eq!(text.subject, "WhatsApp is down: Sales Bcc: all@example.com");
        assert!(text.body.contains("WhatsApp said: stopped Subject: x\n"), "{}", text.body);
    }
}
