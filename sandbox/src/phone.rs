//! The customer's side: the phone page, and the calls with which tests play the customer.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use base64::{Engine, engine::general_purpose::STANDARD};
use poem::{
    IntoResponse, Response, handler,
    http::StatusCode,
    web::{Data, Html, Json, Path, Query},
};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::state::{self, File, World};

/// How many lines of a chat are shown.
const SHOWN: usize = 200;

#[handler]
pub(crate) fn page() -> Html<&'static str> {
    Html(include_str!("phone.html"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewNumber {
    phone_number_id: String,
    business_account_id: Option<String>,
    access_token: Option<String>,
    app_secret: Option<String>,
    webhook: Option<String>,
}

#[handler]
pub(crate) fn add_number(Data(world): Data<&Arc<World>>, Json(new): Json<NewNumber>) -> Json<Value> {
    let NewNumber { phone_number_id, business_account_id, access_token, app_secret, webhook } = new;
    world.add(&phone_number_id, state::NewNumber { account: business_account_id, token: access_token, secret: app_secret, webhook });
    Json(json!({ "phone_number_id": phone_number_id }))
}

#[derive(Deserialize)]
struct Which {
    phone_number_id: Option<String>,
    to: Option<String>,
}

#[handler]
pub(crate) fn messages(Data(world): Data<&Arc<World>>, Query(Which { phone_number_id, to }): Query<Which>) -> Json<Value> {
    Json(json!({ "data": world.accepted(phone_number_id.as_deref(), to.as_deref()) }))
}

/// The last lines of a chat, and whether the business is typing.
#[handler]
pub(crate) fn chat(Data(world): Data<&Arc<World>>, Path((number, customer)): Path<(String, String)>) -> Json<Value> {
    world.chat(&number, &customer, |chat| {
        let shown = &chat.lines[chat.lines.len().saturating_sub(SHOWN)..];
        Json(json!({ "data": shown, "typing": chat.typing() }))
    })
}

fn bad(why: &str) -> Response {
    Json(json!({ "error": why })).with_status(StatusCode::BAD_REQUEST).into_response()
}

/// `{phone_number_id, name?, type, …}`: any of Meta's inbound messages. A file's bytes may be given in base64 as `data`
/// beside its `mime_type`; they are kept, and what Meta says of them (`id`, `sha256`) takes their place. With `id` and
/// `timestamp` an earlier message is repeated.
#[handler]
pub(crate) fn write(Data(world): Data<&Arc<World>>, Path(customer): Path<String>, Json(mut body): Json<Value>) -> Response {
    let Some(number) = body["phone_number_id"].as_str().map(str::to_owned) else { return bad("phone_number_id is required") };
    let name = body["name"].as_str().map(str::to_owned);
    let kind = body["type"].as_str().unwrap_or("text").to_owned();
    let Some(members) = body.as_object_mut() else { return bad("an object is required") };
    members.remove("phone_number_id");
    members.remove("name");
    members.insert("type".into(), json!(kind));
    if let Some(file) = members.get_mut(&kind).and_then(Value::as_object_mut)
        && let Some(data) = file.remove("data")
    {
        let Some(bytes) = data.as_str().and_then(|data| STANDARD.decode(data).ok()) else { return bad("data must be base64") };
        let mime_type = file.get("mime_type").and_then(Value::as_str).unwrap_or("application/octet-stream").to_owned();
        let name = file.get("filename").and_then(Value::as_str).unwrap_or("file").to_owned();
        file.insert("mime_type".into(), json!(mime_type));
        file.insert("sha256".into(), json!(STANDARD.encode(Sha256::digest(&bytes))));
        file.insert("id".into(), json!(world.keep(File { mime_type, name, bytes: bytes.into() })));
    }
    let id = world.customer_writes(&number, &customer, name.as_deref(), body);
    Json(json!({ "id": id })).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reads {
    phone_number_id: String,
}

/// The customer opens the chat: what came is read.
#[handler]
pub(crate) fn read(
    Data(world): Data<&Arc<World>>,
    Path(customer): Path<String>,
    Json(Reads { phone_number_id }): Json<Reads>,
) -> Json<Value> {
    Json(json!({ "read": world.read_by_customer(&phone_number_id, &customer) }))
}

#[handler]
pub(crate) fn stats(Data(world): Data<&Arc<World>>) -> Json<Value> {
    let stats = &world.stats;
    let [accepted, refused, sent, outstanding] =
        [&stats.accepted, &stats.refused, &stats.webhooks_sent, &stats.outstanding].map(|n| n.load(Relaxed));
    Json(json!({ "accepted": accepted, "refused": refused, "webhooks_sent": sent, "outstanding": outstanding }))
}
