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

/// They forgot their password. What stands after `#` in a link is told to no server on the way.
pub(crate) fn password_reset(reader: Reader<'_>, token: &str) -> Text {
    let link = format!("{}/reset-password#{token}", reader.public_url);
    match reader.language() {
        Language::Portuguese => reader.write(
            "Escolha uma nova senha".into(),
            &[
                "Alguém, provavelmente você, pediu para escolher uma nova senha para a sua conta:".into(),
                link,
                "O link vale por uma hora e uma só vez. Se não foi você, não é preciso fazer nada.".into(),
            ],
        ),
        Language::English => reader.write(
            "Choose another password".into(),
            &[
                "Somebody, probably you, asked to choose another password for your account:".into(),
                link,
                "The link is good for an hour and once. If it was not you, there is nothing to do.".into(),
            ],
        ),
    }
}

/// They have another password.
pub(crate) fn password_changed(reader: Reader<'_>, at: DateTime<Utc>) -> Text {
    let at = reader.clock(at);
    match reader.language() {
        Language::Portuguese => reader.write(
            "Sua senha foi trocada".into(),
            &[
                format!("A senha da sua conta foi trocada em {at}. As outras sessões foram encerradas."),
                "Se não foi você, peça agora mesmo uma nova senha na tela de entrada e avise um administrador.".into(),
            ],
        ),
        Language::English => reader.write(
            "Your password was changed".into(),
            &[
                format!("The password of your account was changed at {at}. Your other sessions have ended."),
                "If it was not you, ask for another password where you sign in right away, and tell an admin.".into(),
            ],
        ),
    }
}

/// A company asks them to join.
pub(crate) fn invitation(reader: Reader<'_>, company: &str, token: &str) -> Text {
    let (company, link) = (line(company), format!("{}/invitation#{token}", reader.public_url));
    match reader.language() {
        Language::Portuguese => reader.write(
            format!("Convite de {company}"),
            &[
                format!("{company} convida você para trabalhar junto no SOMO. Escolha seu nome e sua senha:"),
                link,
                "O link vale por sete dias e uma só vez.".into(),
            ],
        ),
        Language::English => reader.write(
            format!("{company} invites you"),
            &[
                format!("{company} invites you to work together in SOMO. Choose your name and your password:"),
                link,
                "The link is good for seven days and once.".into(),
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
    fn links_lead_to_the_panel() {
        let text = password_reset(reader("en"), "somo_reset_x");
        assert!(text.body.contains("\n\nhttps://crm.example/reset-password#somo_reset_x\n\n"), "{}", text.body);
        let text = invitation(reader("pt-BR"), "Loja\nAzul", "somo_invite_x");
        assert_eq!(text.subject, "Convite de Loja Azul");
        assert!(text.body.contains("\n\nhttps://crm.example/invitation#somo_invite_x\n\n"), "{}", text.body);
        let text = password_changed(reader("pt-BR"), "2026-11-24T02:30:00Z".parse().expect("a time"));
        assert!(text.body.contains("23/11/2026 23:30"), "{}", text.body);
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
