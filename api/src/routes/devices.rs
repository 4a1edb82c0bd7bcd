use domain::{
    entities::DeviceId,
    seal::Sealer,
    whatsapp::devices::{self, Device, DeviceCreate, DeviceUpdate},
};
use jobs::Ledger;
use poem_openapi::{ApiResponse, Object, OpenApi, param::Path, payload::Json};

use crate::{Tag, guard::Caller, problem::Answer};

pub(crate) struct Devices {
    pub(crate) ledger: Ledger,
    pub(crate) sealer: Sealer,
}

/// All devices.
#[derive(Object)]
struct DeviceList {
    /// Oldest first.
    data: Vec<Device>,
}

#[derive(ApiResponse)]
enum Created {
    /// The device. Its secrets are never shown.
    #[oai(status = 201)]
    Device(Json<Device>),
}

#[derive(ApiResponse)]
enum Deleted {
    /// It is gone; its conversations stay.
    #[oai(status = 204)]
    Done,
}

#[OpenApi(prefix_path = "/whatsapp/devices", tag = "Tag::Devices")]
impl Devices {
    /// All WhatsApp numbers of the team.
    #[oai(path = "/", method = "get", operation_id = "whatsapp_devices_list")]
    async fn list(&self, caller: Caller) -> Answer<Json<DeviceList>> {
        Ok(Json(DeviceList { data: devices::list(self.ledger.db(), &caller.scope()).await? }))
    }

    /// Connect a WhatsApp number.
    #[oai(path = "/", method = "post", operation_id = "whatsapp_devices_create")]
    async fn create(&self, caller: Caller, body: Json<DeviceCreate>) -> Answer<Created> {
        Ok(Created::Device(Json(devices::create(&self.ledger, &self.sealer, &caller.scope(), body.0).await?)))
    }

    /// One WhatsApp number.
    #[oai(path = "/:id", method = "get", operation_id = "whatsapp_devices_get")]
    async fn get(&self, caller: Caller, id: Path<DeviceId>) -> Answer<Json<Device>> {
        Ok(Json(devices::get(self.ledger.db(), &caller.scope(), id.0).await?))
    }

    /// Rename it, renew its token, change its pace.
    #[oai(path = "/:id", method = "patch", operation_id = "whatsapp_devices_update")]
    async fn update(&self, caller: Caller, id: Path<DeviceId>, body: Json<DeviceUpdate>) -> Answer<Json<Device>> {
        Ok(Json(devices::update(&self.ledger, &self.sealer, &caller.scope(), id.0, body.0).await?))
    }

    /// Disconnect it.
    #[oai(path = "/:id", method = "delete", operation_id = "whatsapp_devices_delete")]
    async fn delete(&self, caller: Caller, id: Path<DeviceId>) -> Answer<Deleted> {
        devices::delete(&self.ledger, &caller.scope(), id.0).await?;
        Ok(Deleted::Done)
    }
}
