//! Asks every device of the installation how it is. One that doesn't answer keeps nobody else waiting.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use domain::{
    Scope,
    engine::Write,
    entities::{DeviceStatus, whatsapp_device},
    payloads::CheckDevices,
    scope::Actor,
    whatsapp::devices,
};
use futures::{StreamExt, stream};
use jobs::{Outcome, Run};
use whatsapp::{
    channel::{ChannelError, Health},
    cloud::errors::{Action, action},
};

use crate::Context;

/// How many are asked at once.
const AT_ONCE: usize = 8;
/// How long one may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// A number that WhatsApp has stopped answers this question all the same, so it isn't believed at once: it would be tried,
/// stopped and mailed about again every few minutes.
const REST: TimeDelta = TimeDelta::hours(1);

pub(crate) async fn run(context: Context, run: Run, CheckDevices {}: CheckDevices) -> anyhow::Result<Outcome> {
    let mut after = None;
    loop {
        let page = devices::every(context.ledger.db(), after).await?;
        let Some(last) = page.last() else { return Ok(Outcome::Done) };
        after = Some(last.id);
        let checks = page.into_iter().map(|device| check(&context, &run, device));
        stream::iter(checks).buffer_unordered(AT_ONCE).collect::<()>().await;
    }
}

async fn check(context: &Context, run: &Run, device: whatsapp_device::Model) {
    let health = match context.channels.clone().patience(PATIENCE).of(&context.sealer, &device) {
        Ok(channel) => channel.health().await,
        Err(error) => Err(error),
    };
    let Some((status, reason)) = verdict(&device, health) else { return };
    let scope = Scope::system(device.tenant_id, Actor::Job(run.id));
    let written = async {
        let write = Write::begin(&context.ledger, &scope).await?;
        devices::set_status(&write, device.id, status, reason.as_deref()).await?;
        write.commit(()).await
    };
    if let Err(error) = written.await {
        tracing::warn!(device = %device.id, %error, "how a device is could not be written");
    }
}

/// What the answer says of the device; `None`: nothing new.
fn verdict(device: &whatsapp_device::Model, health: Result<Health, ChannelError>) -> Option<(DeviceStatus, Option<String>)> {
    match health {
        Ok(health) => match device.status {
            DeviceStatus::Slowed if health.quality_rating == "RED" => None,
            DeviceStatus::Stopped if device.status_at > Utc::now() - REST => None,
            _ => Some((DeviceStatus::Connected, None)),
        },
        Err(ChannelError::Unauthorized(error)) => {
            let stopped = action(error.code, error.http_status) == Action::Stop;
            Some((if stopped { DeviceStatus::Stopped } else { DeviceStatus::Unauthorized }, Some(error.message)))
        }
        // Whether it can send, a question that went wrong doesn't tell: the next send does.
        Err(error) => {
            tracing::warn!(device = %device.id, %error, "a device could not be asked how it is");
            None
        }
    }
}
