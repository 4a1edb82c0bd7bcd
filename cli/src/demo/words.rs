//! What the demo's records say. A language more is a file beside `english.rs` and a case of [`Locale`].

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{english::ENGLISH, portuguese::PORTUGUESE};

/// In which language the demo is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Locale {
    /// Portuguese of Brazil.
    #[default]
    #[value(name = "pt-BR")]
    #[serde(rename = "pt-BR")]
    Portuguese,
    /// English.
    #[value(name = "en")]
    #[serde(rename = "en")]
    English,
}

impl Locale {
    /// As users keep it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Portuguese => "pt-BR",
            Self::English => "en",
        }
    }

    /// What is said in it.
    pub(super) fn words(self) -> &'static Words {
        match self {
            Self::Portuguese => &PORTUGUESE,
            Self::English => &ENGLISH,
        }
    }
}

/// Everything that is said in a language. `{}` stands for the name of whom it is about.
pub(super) struct Words {
    /// Who works here: name, job.
    pub(super) agents: [(&'static str, &'static str); 5],
    /// Their teams: name, what it does. The first three agents are in the first one, the others in the second.
    pub(super) teams: [(&'static str, &'static str); 2],
    /// The ways of deals: name, stages.
    pub(super) pipelines: [(&'static str, &'static [Stage]); 2],
    /// What companies do, with the names of four that do it.
    pub(super) industries: [(&'static str, [&'static str; 4]); 10],
    pub(super) sources: [&'static str; 6],
    pub(super) lost_reasons: [&'static str; 6],
    /// Name, colour.
    pub(super) tags: [(&'static str, &'static str); 8],
    /// Name, picture, colour, what is to be done.
    pub(super) activity_types: [(&'static str, &'static str, &'static str, [&'static str; 3]); 5],
    /// Name, colour, what was said. What comes of a call that nobody takes has nothing that was said.
    pub(super) call_outcomes: [(&'static str, &'static str, &'static [&'static str]); 5],
    /// Given names. No number divides both how many these are and how many family names there are, so that no two contacts
    /// have the same name.
    pub(super) first_names: [&'static str; 40],
    /// Family names.
    pub(super) last_names: [&'static str; 37],
    /// What contacts do.
    pub(super) job_titles: [&'static str; 10],
    /// What deals are about, by pipeline.
    pub(super) deals: [&'static [&'static str]; 2],
    /// Name, price in hundredths.
    pub(super) products: [(&'static str, i64); 20],
    /// What one of a product is.
    pub(super) unit: &'static str,
    pub(super) notes: [&'static str; 12],
    /// What the customer has just asked.
    pub(super) question: &'static str,
    /// What may be answered.
    pub(super) answer: &'static str,
    /// What other customers write when the demo is new: each list is one customer.
    pub(super) chats: [&'static [&'static str]; 4],
}

/// A stage: how likely a deal is won from there, after how many days it rots, how many open deals are there.
pub(super) struct Stage {
    pub(super) name: &'static str,
    pub(super) probability: i64,
    pub(super) rotting_days: i64,
    pub(super) deals: usize,
}

/// A stage.
pub(super) const fn stage(name: &'static str, probability: i64, rotting_days: i64, deals: usize) -> Stage {
    Stage { name, probability, rotting_days, deals }
}

/// Where customers are: city, state, area code, the first digits of its postal codes.
pub(super) const CITIES: [(&str, &str, u32, &str); 12] = [
    ("São Paulo", "SP", 11, "01310"),
    ("Campinas", "SP", 19, "13015"),
    ("Santos", "SP", 13, "11010"),
    ("Rio de Janeiro", "RJ", 21, "20040"),
    ("Niterói", "RJ", 21, "24020"),
    ("Belo Horizonte", "MG", 31, "30130"),
    ("Curitiba", "PR", 41, "80010"),
    ("Florianópolis", "SC", 48, "88010"),
    ("Porto Alegre", "RS", 51, "90010"),
    ("Salvador", "BA", 71, "40020"),
    ("Recife", "PE", 81, "50030"),
    ("Fortaleza", "CE", 85, "60025"),
];

/// Streets that most of these cities have.
pub(super) const STREETS: [&str; 10] = [
    "Rua das Flores",
    "Rua XV de Novembro",
    "Av. Brasil",
    "Rua Sete de Setembro",
    "Av. Getúlio Vargas",
    "Rua Marechal Deodoro",
    "Rua Santo Antônio",
    "Av. Independência",
    "Rua Tiradentes",
    "Praça da Matriz",
];
