//! Tells a webhook what happened: one try. The receiver is asked while no transaction is open; the address is looked at when
//! it is connected to (`egress`), and redirects are not followed: what is signed is for the one address that was entered.

use std::time::Instant;

use chrono::Utc;
use domain::{
    engine::Write,
    entities::TenantId,
    payloads::DeliverWebhook,
    webhooks::{
        delivery::{self, Answered, Letter, Prepared, Verdict},
        sign,
    },
};
use egress::Refused;
use jobs::{Outcome, Run};
use reqwest::{Method, Response};

use crate::{Context, scope};

/// So much of an answer is kept, in bytes.
const KEPT: usize = 1024;

pub(crate) async fn run(context: Context, run: Run, DeliverWebhook { delivery_id }: DeliverWebhook) -> anyhow::Result<Outcome> {
    let letter = match delivery::prepare(context.ledger.db(), &context.sealer, TenantId(run.tenant), delivery_id).await? {
        Prepared::Letter(letter) => letter,
        Prepared::Nothing => return Ok(Outcome::Done),
        Prepared::Never(why) => {
            let scope = scope(&run);
            let write = Write::within(run.begin().await?, &scope);
            delivery::cancel(&write, delivery_id, why).await?;
            return run.settle(write.into_tx()).await;
        }
    };
    let answered = ask(&context.webhooks.client, &letter).await;
    let scope = scope(&run);
    let write = Write::within(run.begin().await?, &scope);
    run.hold(&write).await?;
    let attempt = (run.attempt, run.last_attempt);
    match delivery::note(&write, &letter, answered, attempt, context.webhooks.retry_speed).await? {
        Verdict::Arrived => run.settle(write.into_tx()).await,
        Verdict::Again(pause, error) => {
            write.commit(()).await?;
            Ok(Outcome::Retry { after: Some(pause), error })
        }
        Verdict::Never(why) => {
            write.commit(()).await?;
            Ok(Outcome::Dead(why))
        }
    }
}

/// Sends it, and says what came of it.
async fn ask(client: &egress::Client, letter: &Letter) -> Answered {
    let began = Instant::now();
    let timestamp = Utc::now().timestamp();
    let failed = |error: &str| Answered { status: None, error: Some(error.to_owned()), response: None, duration: began.elapsed() };
    let request = match client.request(Method::POST, &letter.url) {
        Ok(request) => request
            .header("content-type", "application/json")
            .header("user-agent", concat!("SOMO/", env!("CARGO_PKG_VERSION"), " (webhooks)"))
            .header("webhook-id", &letter.message_id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", sign::signatures(&letter.secrets, &letter.message_id, timestamp, &letter.body))
            .body(letter.body.clone()),
        Err(refused) => return failed(&format!("the address is not called: {refused}")),
    };
    match request.send().await {
        Ok(response) => {
            let status = response.status();
            let error = match status.as_u16() {
                200..300 => None,
                code @ 300..400 => Some(format!("the receiver answered {code}: redirects are not followed")),
                code => Some(format!("the receiver answered {code}")),
            };
            let response = beginning(response).await;
            Answered { status: Some(status.as_u16()), error, response, duration: began.elapsed() }
        }
        Err(error) => match Refused::of(&error) {
            Some(refused) => failed(&format!("the address is not called: {refused}")),
            None if error.is_timeout() => failed("the receiver took too long"),
            None if error.is_connect() => failed("the receiver can't be reached"),
            None => failed("the receiver broke the connection off"),
        },
    }
}

/// The beginning of an answer, as text that both databases take. What comes after it isn't read.
async fn beginning(mut response: Response) -> Option<String> {
    let mut kept = Vec::new();
    while kept.len() < KEPT {
        match response.chunk().await {
            Ok(Some(chunk)) => kept.extend_from_slice(&chunk[..chunk.len().min(KEPT - kept.len())]),
            Ok(None) | Err(_) => break,
        }
    }
    let text = String::from_utf8_lossy(&kept).replace('\0', "\u{fffd}");
    Some(text).filter(|text| !text.is_empty())
}
