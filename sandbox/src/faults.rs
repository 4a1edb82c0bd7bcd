//! Misbehaviour on request. Chances lie between 0 and 1.
//!
//! With a `seed` the dice fall alike each time: each number has its own dice for each fault, and the n-th event of a number
//! meets the n-th throw, whatever the other numbers do meanwhile.

use std::{collections::HashMap, sync::Arc, time::Duration};

use poem::{
    handler,
    web::{Data, Json},
};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{state::World, webhooks::News};

/// What goes wrong, how often.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// What a webhook tells is told again in a second delivery.
    pub duplicate: f64,
    /// Statuses of a message come in another order; a customer's message comes after the next one.
    pub reorder: f64,
    /// A webhook is lost, and sent again half a second later, as Meta does, after what came behind it.
    pub drop_webhooks: f64,
    /// Webhooks wait so many milliseconds.
    pub delay_ms: u64,
    /// Sends are answered only after so many milliseconds.
    pub delay_answer_ms: u64,
    /// Sends are refused with a Graph error.
    pub error: Option<ErrorFault>,
    /// Sends are answered by a gateway, not by Meta: a 5xx with a page of HTML.
    pub http_error: Option<HttpFault>,
    /// Sends are accepted, but not answered for two minutes.
    pub accept_then_timeout: Option<Chance>,
    /// Sends are accepted, but the webhook says `failed`.
    pub fail_later: Option<FailFault>,
    /// At most so many messages a second to one customer; beyond, error 131056.
    pub pair_per_second: Option<f64>,
    /// How many may come at once.
    pub pair_burst: Option<f64>,
    /// Makes the chances repeatable.
    pub seed: Option<u64>,
}

/// How often, and how many times in all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chance {
    /// Between 0 and 1; always when absent.
    #[serde(default = "always")]
    pub rate: f64,
    /// Then no more.
    #[serde(default)]
    pub times: Option<u64>,
}

/// A Graph error on sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorFault {
    /// Meta's code.
    pub code: i64,
    /// The HTTP status.
    #[serde(default = "bad_request")]
    pub http_status: u16,
    /// Between 0 and 1; always when absent.
    #[serde(default = "always")]
    pub rate: f64,
    /// Then no more.
    #[serde(default)]
    pub times: Option<u64>,
}

/// A gateway's error on sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpFault {
    /// The HTTP status.
    #[serde(default = "bad_gateway")]
    pub status: u16,
    /// Whether Meta took the message nevertheless.
    #[serde(default)]
    pub accepted: bool,
    /// Between 0 and 1; always when absent.
    #[serde(default = "always")]
    pub rate: f64,
    /// Then no more.
    #[serde(default)]
    pub times: Option<u64>,
}

/// A failure that only the webhook tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailFault {
    /// Meta's code.
    pub code: i64,
    /// Between 0 and 1; always when absent.
    #[serde(default = "always")]
    pub rate: f64,
    /// Then no more.
    #[serde(default)]
    pub times: Option<u64>,
}

fn bad_request() -> u16 {
    400
}

fn bad_gateway() -> u16 {
    502
}

fn always() -> f64 {
    1.0
}

/// The faults and their dice.
pub(crate) struct Dice {
    faults: Faults,
    seed: u64,
    throws: HashMap<String, StdRng>,
}

/// A fault's rate, and how many times are left.
type Odds<'a> = (f64, &'a mut Option<u64>);

/// What becomes of a send.
#[derive(Debug, PartialEq)]
pub(crate) enum Fate {
    Good,
    Refuse { code: i64, http_status: u16 },
    Gateway { status: u16, accepted: bool },
    Silence,
    FailLater { code: i64 },
}

impl Dice {
    pub(crate) fn new(faults: Faults) -> Self {
        let seed = faults.seed.unwrap_or_else(rand::random);
        Self { faults, seed, throws: HashMap::new() }
    }

    /// The dice of one number for one fault.
    fn of(&mut self, number: &str, fault: &str) -> &mut StdRng {
        let seed = self.seed;
        let name = format!("{fault} {number}");
        // FNV-1a: the same on every machine and in every version.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        self.throws.entry(name).or_insert_with(|| StdRng::seed_from_u64(seed ^ hash))
    }

    fn chance(&mut self, number: &str, fault: &str, rate: f64) -> bool {
        rate > 0.0 && self.of(number, fault).random_bool(rate.clamp(0.0, 1.0))
    }

    /// Whether a fault strikes that has a rate and a number of times.
    fn strikes(&mut self, number: &str, fault: &str, of: fn(&mut Faults) -> Option<Odds<'_>>) -> bool {
        let Some((rate, &mut times)) = of(&mut self.faults) else { return false };
        let struck = times != Some(0) && self.chance(number, fault, rate);
        if struck && let Some((_, Some(left))) = of(&mut self.faults) {
            *left -= 1;
        }
        struck
    }

    pub(crate) fn fate(&mut self, number: &str) -> Fate {
        if self.strikes(number, "error", |faults| faults.error.as_mut().map(|fault| (fault.rate, &mut fault.times)))
            && let Some(ErrorFault { code, http_status, .. }) = self.faults.error
        {
            return Fate::Refuse { code, http_status };
        }
        if self.strikes(number, "http_error", |faults| faults.http_error.as_mut().map(|fault| (fault.rate, &mut fault.times)))
            && let Some(HttpFault { status, accepted, .. }) = self.faults.http_error
        {
            return Fate::Gateway { status, accepted };
        }
        if self.strikes(number, "accept_then_timeout", |faults| {
            faults.accept_then_timeout.as_mut().map(|fault| (fault.rate, &mut fault.times))
        }) {
            return Fate::Silence;
        }
        if self.strikes(number, "fail_later", |faults| faults.fail_later.as_mut().map(|fault| (fault.rate, &mut fault.times)))
            && let Some(FailFault { code, .. }) = self.faults.fail_later
        {
            return Fate::FailLater { code };
        }
        Fate::Good
    }

    /// How long the answer to a send waits.
    pub(crate) fn answer_delay(&self) -> Duration {
        Duration::from_millis(self.faults.delay_answer_ms)
    }

    /// Messages a second to one customer, and how many at once.
    pub(crate) fn pair_limit(&self) -> Option<(f64, f64)> {
        self.faults.pair_per_second.map(|rate| (rate, self.faults.pair_burst.unwrap_or(1.0)))
    }

    /// What happened at once to a number, with what will go wrong in telling it.
    pub(crate) fn news(&mut self, number: &str, mut values: Vec<Value>) -> News {
        let Faults { duplicate, reorder, drop_webhooks, delay_ms, .. } = self.faults;
        let reordered = self.chance(number, "reorder", reorder);
        if reordered && values.len() > 1 {
            let before = values.clone();
            let dice = self.of(number, "order");
            while values == before {
                values.shuffle(dice);
            }
        }
        News {
            late: reordered && values.len() == 1,
            twice: self.chance(number, "duplicate", duplicate),
            lost: self.chance(number, "drop_webhooks", drop_webhooks),
            due: Instant::now() + Duration::from_millis(delay_ms),
            values,
        }
    }
}

/// From now on these faults, with fresh dice and fresh pair limits.
#[handler]
pub(crate) fn set(world: Data<&Arc<World>>, Json(faults): Json<Faults>) -> Json<Value> {
    let answer = json!(faults);
    world.misbehave(faults);
    Json(answer)
}

#[handler]
pub(crate) fn clear(world: Data<&Arc<World>>) -> Json<Value> {
    world.misbehave(Faults::default());
    Json(json!({}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(dice: &mut Dice, number: &str) -> Vec<bool> {
        (0..64).map(|_| dice.fate(number) != Fate::Good).collect()
    }

    #[test]
    fn a_seed_repeats_for_each_number_whatever_the_others_do() {
        let faults: Faults = serde_json::from_value(json!({ "error": { "code": 1, "rate": 0.5 }, "seed": 7 })).expect("faults");
        let alone = fates(&mut Dice::new(faults.clone()), "1");
        assert!(alone.contains(&true) && alone.contains(&false));
        let mut dice = Dice::new(faults.clone());
        let other = fates(&mut dice, "2");
        assert_eq!(fates(&mut dice, "1"), alone);
        assert_ne!(other, alone);
        assert_ne!(fates(&mut Dice::new(Faults { seed: Some(8), ..faults }), "1"), alone);
    }

    #[test]
    fn news_is_repeatable_too_and_reordering_always_changes_the_order() {
        let faults = Faults { duplicate: 0.5, drop_webhooks: 0.5, reorder: 1.0, seed: Some(3), ..Faults::default() };
        let told = || {
            let mut dice = Dice::new(faults.clone());
            let news = |_| dice.news("1", vec![json!(1), json!(2), json!(3)]);
            (0..32).map(news).map(|news| (news.values, news.twice, news.lost)).collect::<Vec<_>>()
        };
        assert_eq!(told(), told());
        assert!(told().iter().all(|(values, ..)| *values != [1, 2, 3]));
    }

    #[test]
    fn times_run_out() {
        let faults = Faults { accept_then_timeout: Some(Chance { rate: 1.0, times: Some(2) }), ..Faults::default() };
        let mut dice = Dice::new(faults);
        let fates: Vec<_> = (0..3).map(|_| dice.fate("1")).collect();
        assert_eq!(fates, [Fate::Silence, Fate::Silence, Fate::Good]);
    }
}
