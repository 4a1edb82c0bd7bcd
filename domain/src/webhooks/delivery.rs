//! One try to tell a webhook something: what is sent, and what follows from the answer.
//!
//! Nothing is open while the receiver is asked. A process that dies after the receiver has taken it and before that is noted
//! sends it again, under the same `webhook-id`: receivers tell by it what they have.

use std::time::Duration;

use chrono::{SecondsFormat, SubsecRound, TimeDelta, Utc};
use db::Db;
use entities::{
    NotificationKind, TenantId, WebhookAttemptId, WebhookDeliveryId, WebhookDeliveryState, WebhookId, WebhookState, webhook,
    webhook_attempt as attempts, webhook_delivery as table,
};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, sea_query::Expr};
use serde_json::{Value, json};

use super::{announce::shown, deliveries, listens, topics};
use crate::{
    Result, Scope, auth,
    collaboration::notifications,
    engine::{Event, Write},
    resource::{filter::Asker, registry},
    seal::Sealer,
};

/// The pauses after the first, second … failed try: those that Standard Webhooks recommends, and two more days.
const PAUSES: [u64; 11] = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400, 86_400, 86_400];
/// A webhook to which nothing got through for so long is told nothing any more.
const PATIENCE: TimeDelta = TimeDelta::days(5);

/// What goes to a webhook.
#[derive(Clone)]
pub struct Letter {
    /// The delivery.
    pub id: WebhookDeliveryId,
    /// Of which webhook.
    pub webhook: WebhookId,
    /// Where to.
    pub url: String,
    /// What the receiver knows it by.
    pub message_id: String,
    /// The body.
    pub body: String,
    /// What it is signed with: the secret, and for a while the one before.
    pub secrets: Vec<String>,
}

/// What there is to do.
pub enum Prepared {
    /// It is to be sent.
    Letter(Box<Letter>),
    /// It can't be told any more, and why.
    Never(&'static str),
    /// It is done already.
    Nothing,
}

/// What came of a try.
#[derive(Clone, Debug)]
pub struct Answered {
    /// What HTTP said.
    pub status: Option<u16>,
    /// Why it failed; `None`: it arrived.
    pub error: Option<String>,
    /// The beginning of the answer.
    pub response: Option<String>,
    /// How long it took.
    pub duration: Duration,
}

/// What follows from a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It arrived.
    Arrived,
    /// It is tried again after this pause.
    Again(Duration, String),
    /// It is given up.
    Never(String),
}

/// What is to be sent now.
///
/// # Errors
/// The database's; a secret that can't be opened.
pub async fn prepare(db: &Db, sealer: &Sealer, tenant: TenantId, id: WebhookDeliveryId) -> Result<Prepared> {
    let own = table::Column::TenantId.eq(tenant).and(table::Column::Id.eq(id));
    let Some(row) = table::Entity::find().filter(own).one(&db.write).await? else { return Ok(Prepared::Nothing) };
    if row.state != WebhookDeliveryState::Pending {
        return Ok(Prepared::Nothing);
    }
    let own = webhook::Column::TenantId.eq(tenant).and(webhook::Column::Id.eq(row.webhook_id));
    let Some(hook) = webhook::Entity::find().filter(own).one(&db.write).await? else { return Ok(Prepared::Nothing) };
    let test = (row.topic.as_str(), row.action.as_str()) == deliveries::TEST;
    if !test && !listens(hook.state) {
        return Ok(Prepared::Never("the webhook is off"));
    }
    let Some(eyes) = auth::scope_of(db, tenant, hook.owner_id).await? else { return Ok(Prepared::Never("its owner may not sign in")) };
    let data = match test {
        true => Some(row.data),
        false => still_seen(db, &eyes, &row.topic, row.data).await?,
    };
    let Some(Value::Object(mut data)) = data else { return Ok(Prepared::Never("its owner doesn't see it any more")) };
    for (name, value) in [
        ("event_id", json!(row.event_id)),
        ("topic", json!(row.topic)),
        ("action", json!(row.action)),
        ("subject_id", json!(row.subject_id)),
    ] {
        data.insert(name.to_owned(), value);
    }
    let at = row.happened_at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let body = json!({ "type": format!("{}.{}", row.topic, row.action), "timestamp": at, "data": data });
    let old = hook.old_secret.filter(|_| hook.old_secret_until.is_some_and(|until| until > Utc::now()));
    let secrets = [Some(hook.secret), old].into_iter().flatten().map(|sealed| opened(sealer, &sealed));
    Ok(Prepared::Letter(Box::new(Letter {
        id,
        webhook: hook.id,
        url: hook.url,
        message_id: deliveries::message_id(row.event_id, hook.id),
        body: body.to_string(),
        secrets: secrets.collect::<Result<_>>()?,
    })))
}

fn opened(sealer: &Sealer, sealed: &str) -> Result<String> {
    Ok(String::from_utf8_lossy(&sealer.open(sealed)?).into_owned())
}

/// What the owner saw when it happened, as far as they still would: roles may have changed since.
async fn still_seen(db: &Db, eyes: &Scope, topic: &str, data: Value) -> Result<Option<Value>> {
    let Some(resource) = registry::find(topic) else {
        return Ok(Some(data).filter(|_| topics::ability(topic).is_some_and(|ability| eyes.require(ability).is_ok())));
    };
    let Value::Object(mut data) = data else { return Ok(None) };
    let Some(Value::Object(mut record)) = data.remove("record") else { return Ok(None) };
    let team = Asker::of(db, eyes).await?.team;
    if !eyes.sees(resource, &team, &record) {
        return Ok(None);
    }
    eyes.mask(resource, &mut record);
    if let Some(Value::Object(changes)) = data.remove("changes") {
        data.insert("changes".into(), Value::Object(shown(eyes, resource, &changes)));
    }
    data.insert("record".into(), Value::Object(record));
    Ok(Some(Value::Object(data)))
}

/// Notes a try and what follows: for the delivery, and for the webhook. `speed` is how many times faster than usual it is tried
/// again.
///
/// # Errors
/// The database's.
pub async fn note(write: &Write<'_>, letter: &Letter, answered: Answered, (attempt, last): (i16, bool), speed: f64) -> Result<Verdict> {
    let Answered { status, error, response, duration } = answered;
    let now = Utc::now().trunc_subsecs(6);
    let row = attempts::ActiveModel {
        id: Set(WebhookAttemptId::new()),
        tenant_id: Set(write.scope.tenant),
        delivery_id: Set(letter.id),
        status: Set(status.map(i32::from)),
        error: Set(error.clone()),
        response: Set(response),
        duration_ms: Set(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        created_at: Set(now),
    };
    let own = table::Column::TenantId.eq(write.scope.tenant).and(table::Column::Id.eq(letter.id));
    let counted = table::Entity::update_many()
        .col_expr(table::Column::Attempts, Expr::col(table::Column::Attempts).add(1))
        .filter(own)
        .exec(&***write)
        .await?;
    if counted.rows_affected == 0 {
        return Ok(Verdict::Never("the webhook was deleted".into()));
    }
    attempts::Entity::insert(row).exec_without_returning(&***write).await?;
    let Some(error) = error else {
        finish(write, letter.id, WebhookDeliveryState::Delivered, None).await?;
        turn(write, letter.webhook, &[WebhookState::Failing], WebhookState::Active, None).await?;
        return Ok(Verdict::Arrived);
    };
    if status == Some(410) {
        let reason = "the receiver answered 410: it is gone for good";
        finish(write, letter.id, WebhookDeliveryState::Failed, Some(reason)).await?;
        end(write, letter.webhook, WebhookState::Ended, reason).await?;
        return Ok(Verdict::Never(reason.into()));
    }
    if !turn(write, letter.webhook, &[WebhookState::Active], WebhookState::Failing, Some(&error)).await? {
        let long = webhook::Column::TenantId
            .eq(write.scope.tenant)
            .and(webhook::Column::Id.eq(letter.webhook))
            .and(webhook::Column::State.eq(WebhookState::Failing))
            .and(webhook::Column::StateAt.lt(now - PATIENCE));
        if webhook::Entity::find().filter(long).one(&***write).await?.is_some() {
            end(write, letter.webhook, WebhookState::Paused, &format!("nothing got through for days; the last try: {error}")).await?;
        }
    }
    if last {
        finish(write, letter.id, WebhookDeliveryState::Failed, Some(&error)).await?;
        return Ok(Verdict::Never(error));
    }
    Ok(Verdict::Again(pause(attempt, speed), error))
}

/// Notes that it will not be told.
///
/// # Errors
/// The database's.
pub async fn cancel(write: &Write<'_>, id: WebhookDeliveryId, why: &str) -> Result<()> {
    finish(write, id, WebhookDeliveryState::Cancelled, Some(why)).await
}

/// After the failed try of this number, ± 10 % so that what failed together doesn't come back together.
fn pause(attempt: i16, speed: f64) -> Duration {
    let n = usize::from(attempt.unsigned_abs()).saturating_sub(1).clamp(0, PAUSES.len() - 1);
    Duration::from_secs(PAUSES[n]).mul_f64((0.9 + 0.2 * rand::random::<f64>()) / speed.max(0.001))
}

async fn finish(write: &Write<'_>, id: WebhookDeliveryId, state: WebhookDeliveryState, reason: Option<&str>) -> Result<()> {
    table::Entity::update_many()
        .col_expr(table::Column::State, Expr::value(state.as_str()))
        .col_expr(table::Column::StateReason, Expr::value(reason.map(str::to_owned)))
        .col_expr(table::Column::FinishedAt, Expr::value(Utc::now().trunc_subsecs(6)))
        .filter(table::Column::TenantId.eq(write.scope.tenant).and(table::Column::Id.eq(id)))
        .exec(&***write)
        .await?;
    Ok(())
}

/// Brings a webhook from one of these states to another; whether it was in one of them.
async fn turn(write: &Write<'_>, id: WebhookId, from: &[WebhookState], to: WebhookState, reason: Option<&str>) -> Result<bool> {
    let turned = webhook::Entity::update_many()
        .col_expr(webhook::Column::State, Expr::value(to.as_str()))
        .col_expr(webhook::Column::StateReason, Expr::value(reason.map(str::to_owned)))
        .col_expr(webhook::Column::StateAt, Expr::value(Utc::now().trunc_subsecs(6)))
        .filter(webhook::Column::TenantId.eq(write.scope.tenant).and(webhook::Column::Id.eq(id)))
        .filter(webhook::Column::State.is_in(from.iter().copied()))
        .exec(&***write)
        .await?;
    Ok(turned.rows_affected > 0)
}

/// A webhook is told nothing any more, and admins are told of that.
async fn end(write: &Write<'_>, id: WebhookId, state: WebhookState, reason: &str) -> Result<()> {
    if !turn(write, id, &[WebhookState::Active, WebhookState::Failing], state, Some(reason)).await? {
        return Ok(());
    }
    let data = json!({ "state": state, "reason": reason });
    write.record(Event { topic: "webhooks", subject_id: id.0, action: "stopped", data }).await?;
    notifications::tell_admins(write, NotificationKind::WebhookPaused, "webhooks", id.0).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_tries_take_more_than_five_days() {
        let all: Duration = (1..12).map(|attempt| pause(attempt, 1.0)).sum();
        assert!(all > Duration::from_secs(4 * 86_400) && all < Duration::from_secs(6 * 86_400), "{all:?}");
        assert!(pause(1, 1.0) >= Duration::from_millis(4500) && pause(1, 1.0) <= Duration::from_millis(5500));
        assert!(pause(12, 600.0) <= Duration::from_secs(160));
    }
}
