//! Meta's own paths for messages, templates and the number itself.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use poem::{
    Body, IntoResponse, Request, Response, handler,
    http::{StatusCode, header},
    web::{Data, Json, Path, Query},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    faults::Fate,
    media,
    state::{World, status},
};

/// Meta's error body. `details` says what is wrong in words.
pub(crate) fn refuse(status: u16, code: i64, details: &str) -> Response {
    let body = json!({ "error": {
        "message": format!("(#{code}) {details}"),
        "type": "OAuthException",
        "code": code,
        "error_data": { "messaging_product": "whatsapp", "details": details },
        "fbtrace_id": "SANDBOX",
    } });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    Json(body).with_status(status).into_response()
}

/// Why a call goes no further: HTTP status, Meta's code, and words.
pub(crate) struct Refusal(u16, i64, &'static str);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        refuse(self.0, self.1, self.2)
    }
}

/// The bearer token.
pub(crate) fn token(request: &Request) -> Result<String, Refusal> {
    let header = request.header(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned);
    header.ok_or(Refusal(401, 190, "An access token is required"))
}

/// Whether the token is the number's.
pub(crate) fn allowed(world: &Arc<World>, number: &str, request: &Request) -> Result<(), Refusal> {
    let token = token(request)?;
    match world.number(number).token {
        Some(expected) if expected != token => Err(Refusal(401, 190, "Invalid OAuth access token")),
        _ => Ok(()),
    }
}

#[handler]
pub(crate) async fn send(
    Data(world): Data<&Arc<World>>,
    Path((_version, number)): Path<(String, String)>,
    request: &Request,
    body: Body,
) -> Response {
    if let Err(refusal) = allowed(world, &number, request) {
        return refusal.into_response();
    }
    let refused = |status, code, details: &str| {
        world.stats.refused.fetch_add(1, Relaxed);
        refuse(status, code, details)
    };
    let Ok(body) = body.into_json::<Value>().await else { return refused(400, 100, "The body is not JSON") };
    if let Some(fault) = fault(world, &body) {
        return refused(400, 100, &fault);
    }
    if body["status"] == "read" {
        world.read_by_business(&number, body["message_id"].as_str().unwrap_or_default(), body["typing_indicator"].is_object());
        return Json(json!({ "success": true })).into_response();
    }
    let input = body["to"].as_str().unwrap_or_default().to_owned();
    // A group's id stays as it is.
    let group = body["recipient_type"] == "group";
    let to: String = if group { input.clone() } else { input.chars().filter(char::is_ascii_digit).collect() };
    let delay = world.dice().answer_delay();
    if world.over_pair_limit(&number, &to) {
        tokio::time::sleep(delay).await;
        return refused(400, 131_056, "(Business Account, Consumer Account) pair rate limit hit");
    }
    let fate = world.dice().fate(&number);
    let id = match fate {
        Fate::Refuse { .. } | Fate::Gateway { accepted: false, .. } => String::new(),
        Fate::FailLater { code } => fail(world, &number, &to, body, code),
        _ => accept(world, &number, &to, body),
    };
    // Whoever hangs up now has had their message taken or refused already.
    tokio::time::sleep(delay).await;
    match fate {
        Fate::Refuse { code, http_status } => return refused(http_status, code, "told to fail"),
        Fate::Gateway { status, .. } => return gateway(status),
        Fate::Silence => tokio::time::sleep(Duration::from_secs(120)).await,
        Fate::Good | Fate::FailLater { .. } => {}
    }
    Json(json!({
        "messaging_product": "whatsapp",
        "contacts": [{ "input": input, "wa_id": to }],
        "messages": [{ "id": id, "message_status": "accepted" }],
    }))
    .into_response()
}

/// What stands between a client and Meta, when it is the one to answer.
fn gateway(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let page = format!("<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>");
    Response::builder().status(status).content_type("text/html").body(page)
}

/// What Meta would refuse it for.
fn fault(world: &World, body: &Value) -> Option<String> {
    if let Some(error) = world.schema.iter_errors(body).next() {
        return Some(format!("{} at {}", error, error.instance_path()));
    }
    // What a schema can't say.
    fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
        value[name].as_array().map_or(&[], Vec::as_slice)
    }
    let action = &body["interactive"]["action"];
    let in_sections = |name| list(action, "sections").iter().flat_map(move |section| list(section, name));
    let buttons = |key| list(action, "buttons").iter().map(|button| &button["reply"][key]).collect::<Vec<_>>();
    let repeated = |values: Vec<&Value>| values.iter().enumerate().any(|(at, value)| !value.is_null() && values[..at].contains(value));
    if repeated(buttons("id")) || repeated(buttons("title")) {
        return Some("Buttons must have unique ids and titles".into());
    }
    if repeated(in_sections("rows").map(|row| &row["id"]).collect()) {
        return Some("Rows must have unique ids".into());
    }
    (in_sections("product_items").count() > 30).then(|| "At most 30 products over all sections".into())
}

/// Takes a message and tells the business how it fares.
fn accept(world: &Arc<World>, number: &str, to: &str, body: Value) -> String {
    let statuses: &[&'static str] = if world.options.auto_read { &["sent", "delivered", "read"] } else { &["sent", "delivered"] };
    let seen = statuses[statuses.len() - 1];
    let id = world.accept(number, to, body.clone(), seen);
    world.tell(number, statuses.iter().map(|name| status(&id, to, &body, name)).collect());
    if world.options.auto_reply
        && let Some(text) = body["text"]["body"].as_str()
    {
        let answer = format!("Recebi: {}", text.chars().take(200).collect::<String>());
        world.customer_writes(number, to, None, json!({ "type": "text", "text": { "body": answer } }));
    }
    id
}

/// Takes a message that then can't be delivered.
fn fail(world: &Arc<World>, number: &str, to: &str, body: Value, code: i64) -> String {
    let id = world.accept(number, to, body.clone(), "failed");
    let mut update = status(&id, to, &body, "failed");
    let details = "told to fail later";
    update["statuses"][0]["errors"] = json!([{ "code": code, "title": details, "message": details, "error_data": { "details": details } }]);
    world.tell(number, vec![update]);
    id
}

#[derive(Deserialize)]
pub(crate) struct Fields {
    #[serde(default)]
    fields: String,
}

/// A file's whereabouts, or a number's health.
#[handler]
pub(crate) fn node(
    Data(world): Data<&Arc<World>>,
    Path((_version, id)): Path<(String, String)>,
    Query(Fields { fields }): Query<Fields>,
    request: &Request,
) -> Response {
    if let Err(refusal) = token(request) {
        return refusal.into_response();
    }
    if let Some(file) = world.file(&id) {
        return media::whereabouts(world, &id, &file);
    }
    // What isn't known may be a number, unless a file is asked for.
    if !world.is_known(&id) && !fields.contains("display_phone_number") {
        return refuse(400, 100, "Unsupported get request. Object does not exist");
    }
    match allowed(world, &id, request) {
        Ok(()) => Json(json!({ "id": id, "display_phone_number": id, "verified_name": "SOMO Sandbox", "quality_rating": "GREEN" }))
            .into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

#[derive(Deserialize)]
pub(crate) struct Page {
    #[serde(default)]
    after: String,
}

/// Three templates, two a page.
#[handler]
pub(crate) fn templates(
    Data(world): Data<&Arc<World>>,
    Path((version, account)): Path<(String, String)>,
    Query(page): Query<Page>,
    request: &Request,
) -> Response {
    if let Err(refusal) = token(request) {
        return refusal.into_response();
    }
    let template = |(at, name): (usize, &str)| {
        json!({ "id": format!("{account}-{at}"), "name": name, "language": "pt_BR", "status": "APPROVED", "category": "UTILITY",
            "components": [{ "type": "BODY", "text": "Olá {{1}}" }] })
    };
    let all: Vec<_> = ["boas_vindas", "lembrete", "pesquisa"].into_iter().enumerate().map(template).collect();
    let start = page.after.parse::<usize>().unwrap_or(0).min(all.len());
    let end = (start + 2).min(all.len());
    let mut body = json!({ "data": all[start..end], "paging": { "cursors": { "before": start.to_string(), "after": end.to_string() } } });
    if end < all.len() {
        body["paging"]["next"] = json!(format!("{}/{version}/{account}/message_templates?after={end}", world.url));
    }
    Json(body).into_response()
}
