//! Deliveries from Meta: checked, kept with a job for each change, answered. Nothing else happens in the request.

use std::collections::{BTreeSet, HashMap};

use chrono::Utc;
use db::Db;
use entities::{DeviceId, TenantId, whatsapp_device, whatsapp_inbox};
use jobs::{Ledger, NewJob};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::Value;
use whatsapp::{
    cloud::{
        signature,
        webhook::{Event, addressees, parse, split},
    },
    phone,
};

use super::devices::Secrets;
use crate::{Error, Result, auth::tokens::fingerprint, payloads::IngestWebhook, seal::Sealer};

/// Deliveries that name nobody we know are checked against so many secrets at most.
const GUESSES: u64 = 16;

/// A delivery names so many numbers and accounts at most.
const NAMED: usize = 1000;

/// A change on its way into the inbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// Whose.
    pub tenant: TenantId,
    /// Of which device.
    pub device: DeviceId,
    /// What is handled one after the other.
    pub line: String,
    /// A delivery with this one change.
    pub body: Value,
}

/// What a delivery holds for us.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delivery {
    /// What is to be kept.
    pub arrivals: Vec<Arrival>,
    /// Changes of numbers and accounts that are not ours, or whose own secret didn't sign this.
    pub dropped: usize,
}

/// Whether `token` is the verify token of a device, as Meta asks when a webhook is set up.
///
/// # Errors
/// The database's.
pub async fn is_verify_token(db: &Db, token: &str) -> Result<bool> {
    use whatsapp_device::Column;
    let known = Column::VerifyTokenHash.eq(fingerprint(token)).and(Column::DeletedAt.is_null());
    Ok(whatsapp_device::Entity::find().filter(known).one(&db.read).await?.is_some())
}

/// Checks a delivery over its raw bytes and tells whose its changes are.
///
/// A change that names a number or account is taken only if the secret of that very device signed the delivery: otherwise
/// whoever owns one number of the installation could write into another's conversations.
///
/// # Errors
/// [`Error::Unauthorized`] when no secret signed it, [`Error::Invalid`] when it is not JSON; the database's.
pub async fn check(db: &Db, sealer: &Sealer, body: &[u8], signature: Option<&str>) -> Result<Delivery> {
    const WRONG: Error =
        Error::Unauthorized { code: "invalid_signature", message: "X-Hub-Signature-256 does not sign this body with a known app secret" };
    let signature = signature.ok_or(WRONG)?;
    let json: Option<Value> = serde_json::from_slice(body).ok();
    // Whoever asks is anybody until the signature is checked: what it costs to take a delivery apart is for those who signed it.
    let named = json.as_ref().map_or_else(|| Some(BTreeSet::new()), |json| addressees(json, NAMED)).ok_or(WRONG)?;
    let devices = candidates(db, &named).await?;

    let mut signed_by = HashMap::new();
    let mut signers = Vec::new();
    for device in devices {
        let secret = match Secrets::open(sealer, &device) {
            Ok(secrets) => secrets.app_secret,
            Err(error) => {
                tracing::error!(device = %device.id, %error, "a device's secrets can't be opened");
                continue;
            }
        };
        // Numbers of one app share its secret: it is tried once.
        let signed = *signed_by.entry(secret).or_insert_with_key(|secret| signature::verify(secret.as_bytes(), body, signature));
        if signed {
            signers.push(device);
        }
    }
    if signers.is_empty() {
        return Err(WRONG);
    }
    if json.is_none() {
        return Err(Error::field("", "invalid", "the body is not JSON"));
    }
    let parts = json.iter().flat_map(split).flat_map(|part| parse(&part).into_iter().map(move |change| (part.clone(), change)));
    let mut delivery = Delivery::default();
    for (body, change) in parts {
        let of = |device: &&whatsapp_device::Model| match (&change.phone_number_id, &change.business_account_id) {
            (Some(number), _) => device.phone_number_id.as_ref() == Some(number),
            (None, Some(account)) => device.business_account_id.as_ref() == Some(account),
            (None, None) => false,
        };
        match signers.iter().find(of) {
            Some(device) => {
                delivery.arrivals.push(Arrival { tenant: device.tenant_id, device: device.id, line: line(device.id, &change.event), body })
            }
            None => delivery.dropped += 1,
        }
    }
    Ok(delivery)
}

/// What is about one chat is handled in its order; the rest of a device, too.
fn line(device: DeviceId, event: &Event) -> String {
    let chat = match event {
        Event::Message(message) => message.from.as_str(),
        Event::Status(status) => status.recipient.as_str(),
        Event::Other { .. } => "",
    };
    format!("in:{device}:{}", phone::canonical(chat).as_deref().unwrap_or(chat))
}

/// The devices whose secrets may have signed it.
async fn candidates(db: &Db, named: &BTreeSet<(Option<String>, Option<String>)>) -> Result<Vec<whatsapp_device::Model>> {
    use whatsapp_device::{Column, Entity};
    let live = || Entity::find().filter(Column::DeletedAt.is_null().and(Column::Secrets.is_not_null()));
    let numbers: BTreeSet<&str> = named.iter().filter_map(|(number, _)| number.as_deref()).collect();
    let mut devices = match numbers.is_empty() {
        true => Vec::new(),
        false => live().filter(Column::PhoneNumberId.is_in(numbers)).all(&db.read).await?,
    };
    let known = |number: &Option<String>| number.is_some() && devices.iter().any(|device| device.phone_number_id == *number);
    let accounts: BTreeSet<&str> =
        named.iter().filter(|(number, _)| !known(number)).filter_map(|(_, account)| account.as_deref()).collect();
    if !accounts.is_empty() {
        // The oldest first: nobody pushes them out by claiming their account, too.
        devices
            .extend(live().filter(Column::BusinessAccountId.is_in(accounts)).order_by_asc(Column::Id).limit(GUESSES).all(&db.read).await?);
    }
    if devices.is_empty() {
        devices = live().order_by_desc(Column::Id).limit(GUESSES).all(&db.read).await?;
    }
    Ok(devices)
}

/// Keeps arrivals, each with its job, in one durable transaction: of one delivery or of several that came together.
///
/// # Errors
/// The database's; nothing was kept then, and Meta delivers again.
pub async fn keep(ledger: &Ledger, arrivals: &[Arrival]) -> Result<()> {
    if arrivals.is_empty() {
        return Ok(());
    }
    let tx = ledger.begin().await?;
    let now = Utc::now();
    let mut rows = Vec::with_capacity(arrivals.len());
    let mut jobs = Vec::with_capacity(arrivals.len());
    for Arrival { tenant, device, line, body } in arrivals {
        let id = entities::InboxId::new();
        rows.push(whatsapp_inbox::ActiveModel {
            id: Set(id),
            tenant_id: Set(*tenant),
            device_id: Set(*device),
            body: Set(body.clone()),
            received_at: Set(now),
            processed_at: Set(None),
        });
        jobs.push(NewJob::new(tenant.0, &IngestWebhook { inbox_id: id }).order_key(line.clone()));
    }
    whatsapp_inbox::Entity::insert_many(rows).exec_without_returning(&*tx).await?;
    for job in jobs {
        tx.enqueue(job).await?;
    }
    tx.commit().await?;
    Ok(())
}
