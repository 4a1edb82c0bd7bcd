//! The WhatsApp numbers of a tenant: their secrets, their pace, how they are.

use chrono::{DateTime, Utc};
use db::Db;
use entities::{DeviceId, DeviceStatus, Provider, Role, TenantId, user, whatsapp_device as table};
use jobs::{Ledger, NewJob};
use poem_openapi::Object;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, SqlErr, prelude::Expr,
    sea_query::LockType,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Error, FieldError, Result, Scope,
    auth::tokens::fingerprint,
    engine::{Event, Write},
    payloads::{Notice, SendMail},
    seal::Sealer,
};

/// So many numbers may a tenant have.
const LIMIT: u64 = 10;

/// A WhatsApp number of the tenant. Its secrets are never shown.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[oai(rename = "WhatsAppDevice", skip_serializing_if_is_none)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// What the team calls it.
    pub name: String,
    /// How it reaches WhatsApp.
    pub provider: Provider,
    /// The number, as Meta calls it.
    pub phone_number_id: Option<String>,
    /// The account, as Meta calls it.
    pub business_account_id: Option<String>,
    /// Whether it works.
    pub status: DeviceStatus,
    /// Why it doesn't.
    pub status_reason: Option<String>,
    /// Since when.
    pub status_at: DateTime<Utc>,
    /// How fast it sends.
    pub settings: DeviceSettings,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed.
    pub updated_at: DateTime<Utc>,
}

/// How fast a device sends. Meta's own limits by default.
#[derive(Clone, Debug, PartialEq, Object, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[oai(rename = "WhatsAppDeviceSettings", default, deny_unknown_fields)]
pub struct DeviceSettings {
    /// Messages per second from the number, 0.1 to 1000.
    #[oai(validator(minimum(value = "0.1"), maximum(value = "1000")))]
    pub per_second: f64,
    /// Messages per second to one customer, 0.01 to 1000. Meta allows one in six seconds.
    #[oai(validator(minimum(value = "0.01"), maximum(value = "1000")))]
    pub pair_per_second: f64,
    /// How many may go to one customer at once, 1 to 1000.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
    pub pair_burst: u32,
}

impl Default for DeviceSettings {
    fn default() -> Self {
        Self { per_second: 80.0, pair_per_second: 1.0 / 6.0, pair_burst: 45 }
    }
}

/// A device to be made.
#[derive(Clone, Debug, Object)]
#[oai(rename = "WhatsAppDeviceCreate", deny_unknown_fields)]
pub struct DeviceCreate {
    /// What the team calls it, 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
    /// How it reaches WhatsApp. This version connects `cloud` numbers.
    pub provider: Provider,
    /// For `cloud`: what Meta's developer console shows.
    pub cloud: Option<CloudAccess>,
    /// How fast it sends.
    pub settings: Option<DeviceSettings>,
}

/// Changes to a device; what is absent stays.
#[derive(Clone, Debug, Default, Object)]
#[oai(rename = "WhatsAppDeviceUpdate", deny_unknown_fields)]
pub struct DeviceUpdate {
    /// What the team calls it, 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: Option<String>,
    /// A new access token, when Meta refuses the old one.
    #[oai(validator(min_length = 1, max_length = 1000))]
    pub access_token: Option<String>,
    /// How fast it sends.
    pub settings: Option<DeviceSettingsUpdate>,
}

/// Changes to how fast a device sends; what is absent stays.
#[derive(Clone, Debug, Default, Object)]
#[oai(rename = "WhatsAppDeviceSettingsUpdate", deny_unknown_fields)]
pub struct DeviceSettingsUpdate {
    /// Messages per second from the number, 0.1 to 1000.
    #[oai(validator(minimum(value = "0.1"), maximum(value = "1000")))]
    pub per_second: Option<f64>,
    /// Messages per second to one customer, 0.01 to 1000. Meta allows one in six seconds.
    #[oai(validator(minimum(value = "0.01"), maximum(value = "1000")))]
    pub pair_per_second: Option<f64>,
    /// How many may go to one customer at once, 1 to 1000.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
    pub pair_burst: Option<u32>,
}

impl DeviceSettingsUpdate {
    fn onto(self, before: &DeviceSettings) -> DeviceSettings {
        let Self { per_second, pair_per_second, pair_burst } = self;
        DeviceSettings {
            per_second: per_second.unwrap_or(before.per_second),
            pair_per_second: pair_per_second.unwrap_or(before.pair_per_second),
            pair_burst: pair_burst.unwrap_or(before.pair_burst),
        }
    }
}

/// What Meta's developer console shows of a Cloud number.
#[derive(Clone, Object)]
#[oai(rename = "WhatsAppCloudAccess", deny_unknown_fields)]
pub struct CloudAccess {
    /// "Phone number ID".
    #[oai(validator(min_length = 1, max_length = 64, pattern = "^[0-9A-Za-z_-]+$"))]
    pub phone_number_id: String,
    /// "WhatsApp Business Account ID".
    #[oai(validator(min_length = 1, max_length = 64, pattern = "^[0-9A-Za-z_-]+$"))]
    pub business_account_id: String,
    /// A permanent access token.
    #[oai(validator(min_length = 1, max_length = 1000))]
    pub access_token: String,
    /// The app's secret; it signs the webhooks.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub app_secret: String,
    /// What Meta shows when the webhook is set up; your own choice.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub verify_token: String,
}

impl std::fmt::Debug for CloudAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CloudAccess").field("phone_number_id", &self.phone_number_id).finish_non_exhaustive()
    }
}

/// What is sealed of a device.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secrets {
    /// For calls.
    pub access_token: String,
    /// For signatures.
    pub app_secret: String,
}

impl From<table::Model> for Device {
    fn from(row: table::Model) -> Self {
        let table::Model {
            id,
            tenant_id: _,
            name,
            provider,
            phone_number_id,
            business_account_id,
            secrets: _,
            verify_token_hash: _,
            status,
            status_reason,
            status_at,
            settings,
            version: _,
            deleted_at: _,
            created_at,
            updated_at,
        } = row;
        // What an older release wrote and this one can't read is the default.
        let settings = serde_json::from_value(settings).unwrap_or_default();
        Self {
            id,
            name,
            provider,
            phone_number_id,
            business_account_id,
            status,
            status_reason,
            status_at,
            settings,
            created_at,
            updated_at,
        }
    }
}

impl Secrets {
    /// Those of a device.
    ///
    /// # Errors
    /// They were sealed with another key.
    pub fn open(sealer: &Sealer, device: &table::Model) -> anyhow::Result<Self> {
        let sealed = device.secrets.as_deref().unwrap_or_default();
        Ok(serde_json::from_slice(&sealer.open(sealed)?)?)
    }

    fn seal(&self, sealer: &Sealer) -> String {
        sealer.seal(&serde_json::to_vec(self).expect("two texts"))
    }
}

fn live(tenant: TenantId) -> sea_orm::sea_query::SimpleExpr {
    table::Column::TenantId.eq(tenant).and(table::Column::DeletedAt.is_null())
}

/// Adds a number.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::Conflict`] when the number is connected already or there are too many; the database's.
pub async fn create(ledger: &Ledger, sealer: &Sealer, scope: &Scope, new: DeviceCreate) -> Result<Device> {
    scope.require("devices:write")?;
    let mut faults = Vec::new();
    let mut fault = |pointer: &str, code, message: &str| faults.push(FieldError { pointer: pointer.into(), code, message: message.into() });
    if new.name.trim().is_empty() {
        fault("/name", "required", "needs a name");
    }
    match (new.provider, &new.cloud) {
        (Provider::Cloud, None) => fault("/cloud", "required", "a cloud number needs its access"),
        (Provider::Web, _) => fault("/provider", "unsupported", "this version connects cloud numbers only"),
        (Provider::Cloud, Some(_)) => {}
    }
    let Some(CloudAccess { phone_number_id, business_account_id, access_token, app_secret, verify_token }) =
        new.cloud.filter(|_| faults.is_empty())
    else {
        return Err(Error::Invalid(faults));
    };
    let write = Write::begin(ledger, scope).await?;
    // One at a time, or two at once would both find room.
    entities::tenant::Entity::find_by_id(scope.tenant).lock(LockType::NoKeyUpdate).one(&**write).await?;
    if table::Entity::find().filter(live(scope.tenant)).count(&**write).await? >= LIMIT {
        return Err(Error::conflict("device_limit", format!("a team may have {LIMIT} numbers; delete one first")));
    }
    let now = Utc::now();
    let row = table::ActiveModel {
        id: Set(DeviceId::new()),
        tenant_id: Set(scope.tenant),
        name: Set(new.name.trim().to_owned()),
        provider: Set(new.provider),
        phone_number_id: Set(Some(phone_number_id)),
        business_account_id: Set(Some(business_account_id)),
        secrets: Set(Some(Secrets { access_token, app_secret }.seal(sealer))),
        verify_token_hash: Set(Some(fingerprint(&verify_token))),
        status: Set(DeviceStatus::Connecting),
        status_reason: Set(None),
        status_at: Set(now),
        settings: Set(json!(new.settings.unwrap_or_default())),
        version: Set(1),
        deleted_at: Set(None),
        created_at: Set(now),
        updated_at: Set(now),
    };
    let row = table::Entity::insert(row).exec_with_returning(&**write).await.map_err(|error| match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => {
            Error::conflict("number_taken", "this number is connected already; a number belongs to one device of the installation")
        }
        _ => error.into(),
    })?;
    write.record(Event { topic: "devices", subject_id: row.id.0, action: "created", data: json!({ "name": row.name }) }).await?;
    write.commit(Device::from(row)).await
}

/// All of them, oldest first.
///
/// # Errors
/// The database's.
pub async fn list(db: &Db, scope: &Scope) -> Result<Vec<Device>> {
    scope.require("devices:read")?;
    let rows = table::Entity::find().filter(live(scope.tenant)).order_by_asc(table::Column::Id).all(&db.read).await?;
    Ok(rows.into_iter().map(Device::from).collect())
}

/// One of them.
///
/// # Errors
/// [`Error::NotFound`]; the database's.
pub async fn get(db: &Db, scope: &Scope, id: DeviceId) -> Result<Device> {
    scope.require("devices:read")?;
    Ok(row(&db.read, scope.tenant, id).await?.into())
}

/// The row of one.
///
/// # Errors
/// [`Error::NotFound`]; the database's.
pub async fn row(db: &impl sea_orm::ConnectionTrait, tenant: TenantId, id: DeviceId) -> Result<table::Model> {
    table::Entity::find().filter(live(tenant).and(table::Column::Id.eq(id))).one(db).await?.ok_or(Error::NotFound("device"))
}

/// Every device of the installation, by pages of 100 after an id: for checks of all.
///
/// # Errors
/// The database's.
pub async fn every(db: &Db, after: Option<DeviceId>) -> Result<Vec<table::Model>> {
    let mut find = table::Entity::find().filter(table::Column::DeletedAt.is_null());
    if let Some(after) = after {
        find = find.filter(table::Column::Id.gt(after));
    }
    Ok(find.order_by_asc(table::Column::Id).limit(100).all(&db.read).await?)
}

/// Changes one.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Invalid`]; the database's.
pub async fn update(ledger: &Ledger, sealer: &Sealer, scope: &Scope, id: DeviceId, change: DeviceUpdate) -> Result<Device> {
    scope.require("devices:write")?;
    let DeviceUpdate { name, access_token, settings } = change;
    if name.as_ref().is_some_and(|name| name.trim().is_empty()) {
        return Err(Error::field("/name", "required", "needs a name"));
    }
    let write = Write::begin(ledger, scope).await?;
    let find = table::Entity::find().filter(live(scope.tenant).and(table::Column::Id.eq(id))).lock(LockType::NoKeyUpdate);
    let device = find.one(&**write).await?.ok_or(Error::NotFound("device"))?;
    let changed: Vec<_> = [("name", name.is_some()), ("access_token", access_token.is_some()), ("settings", settings.is_some())]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
        .collect();
    let mut next = table::ActiveModel { id: Set(id), version: Set(device.version + 1), updated_at: Set(Utc::now()), ..Default::default() };
    if let Some(name) = name {
        next.name = Set(name.trim().to_owned());
    }
    if let Some(settings) = settings {
        let before = serde_json::from_value(device.settings.clone()).unwrap_or_default();
        next.settings = Set(json!(settings.onto(&before)));
    }
    if let Some(access_token) = access_token {
        let secrets = Secrets { access_token, ..Secrets::open(sealer, &device)? };
        next.secrets = Set(Some(secrets.seal(sealer)));
        // The next health check says whether it works.
        (next.status, next.status_reason, next.status_at) = (Set(DeviceStatus::Connecting), Set(None), Set(Utc::now()));
    }
    let row = table::Entity::update(next).exec(&**write).await?;
    write.record(Event { topic: "devices", subject_id: id.0, action: "updated", data: json!({ "changed": changed }) }).await?;
    write.commit(Device::from(row)).await
}

/// Removes one. Its conversations stay; its number can be connected again.
///
/// # Errors
/// [`Error::NotFound`]; the database's.
pub async fn delete(ledger: &Ledger, scope: &Scope, id: DeviceId) -> Result<()> {
    scope.require("devices:write")?;
    let write = Write::begin(ledger, scope).await?;
    let gone = table::Entity::update_many()
        .col_expr(table::Column::DeletedAt, Expr::value(Utc::now()))
        .filter(live(scope.tenant).and(table::Column::Id.eq(id)))
        .exec(&**write)
        .await?;
    if gone.rows_affected == 0 {
        return Err(Error::NotFound("device"));
    }
    write.record(Event { topic: "devices", subject_id: id.0, action: "deleted", data: json!({}) }).await?;
    write.commit(()).await
}

/// Notes how a device is. When it stops working, the tenant's admins get a mail.
///
/// # Errors
/// The database's.
pub async fn set_status(write: &Write<'_>, id: DeviceId, status: DeviceStatus, reason: Option<&str>) -> Result<()> {
    let tenant = write.scope.tenant;
    let Some(before) =
        table::Entity::find().filter(live(tenant).and(table::Column::Id.eq(id))).lock(LockType::NoKeyUpdate).one(&***write).await?
    else {
        return Ok(());
    };
    if before.status == status && before.status_reason.as_deref() == reason {
        return Ok(());
    }
    let now = Utc::now();
    table::Entity::update_many()
        .col_expr(table::Column::Status, Expr::value(status.as_str()))
        .col_expr(table::Column::StatusReason, Expr::value(reason))
        .col_expr(table::Column::StatusAt, Expr::value(now))
        .col_expr(table::Column::UpdatedAt, Expr::value(now))
        .filter(live(tenant).and(table::Column::Id.eq(id)))
        .exec(&***write)
        .await?;
    let data = json!({ "status": [before.status, status], "reason": reason });
    write.record(Event { topic: "devices", subject_id: id.0, action: "status_changed", data }).await?;
    if before.status != status && down(status) && !down(before.status) {
        let admins = user::Column::TenantId.eq(tenant).and(user::Column::Role.eq(Role::Admin)).and(user::Column::DisabledAt.is_null());
        for admin in user::Entity::find().filter(admins).all(&***write).await? {
            let mail = SendMail { user_id: admin.id, notice: Notice::DeviceDown { device_id: id } };
            write.enqueue(NewJob::new(tenant.0, &mail).unique_key(format!("down:{id}:{}", admin.id))).await?;
        }
    }
    Ok(())
}

/// Whether a device in this status sends nothing.
#[must_use]
pub fn down(status: DeviceStatus) -> bool {
    matches!(status, DeviceStatus::Stopped | DeviceStatus::Unauthorized | DeviceStatus::Disconnected)
}
