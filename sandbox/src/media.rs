//! Files: given in one step, fetched in two, as Meta does.

use std::sync::Arc;

use poem::{
    IntoResponse, Request, Response, handler,
    http::header,
    web::{Data, Json, Multipart, Path},
};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    graph::{allowed, refuse, token},
    state::{File, World},
};

const MB: usize = 1024 * 1024;

/// The types that Meta takes, and how many bytes of each.
const TYPES: &[(&str, usize)] = &[
    ("audio/aac", 16 * MB),
    ("audio/amr", 16 * MB),
    ("audio/mp4", 16 * MB),
    ("audio/mpeg", 16 * MB),
    ("audio/ogg", 16 * MB),
    ("audio/opus", 16 * MB),
    ("application/msword", 100 * MB),
    ("application/pdf", 100 * MB),
    ("application/vnd.ms-excel", 100 * MB),
    ("application/vnd.ms-powerpoint", 100 * MB),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", 100 * MB),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", 100 * MB),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", 100 * MB),
    ("text/plain", 100 * MB),
    ("image/jpeg", 5 * MB),
    ("image/png", 5 * MB),
    ("image/webp", 500 * 1024),
    ("video/3gpp", 16 * MB),
    ("video/mp4", 16 * MB),
];

#[handler]
pub(crate) async fn upload(
    Data(world): Data<&Arc<World>>,
    Path((_version, number)): Path<(String, String)>,
    request: &Request,
    mut form: Multipart,
) -> Response {
    if let Err(refusal) = allowed(world, &number, request) {
        return refusal.into_response();
    }
    let (mut product, mut kind, mut file) = (false, None, None);
    while let Ok(Some(field)) = form.next_field().await {
        match field.name() {
            Some("messaging_product") => product = field.text().await.is_ok_and(|text| text == "whatsapp"),
            Some("type") => kind = field.text().await.ok(),
            Some("file") => {
                let mime_type = field.content_type().map(str::to_owned);
                let name = field.file_name().unwrap_or("file").to_owned();
                file = field.bytes().await.ok().map(|bytes| (mime_type, name, bytes));
            }
            _ => {}
        }
    }
    let Some((mime_type, name, bytes)) = file.filter(|_| product) else {
        return refuse(400, 100, "messaging_product and file are required");
    };
    let mime_type = mime_type.or(kind).unwrap_or_default();
    let plain = mime_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match TYPES.iter().find(|(name, _)| *name == plain) {
        None => refuse(400, 100, "Param file must be a file of one of the types that WhatsApp takes"),
        Some((_, most)) if bytes.len() > *most => refuse(400, 131_053, &format!("Media upload error: at most {most} bytes")),
        Some(_) => Json(json!({ "id": world.keep(File { mime_type, name, bytes: bytes.into() }) })).into_response(),
    }
}

/// Where a file can be fetched.
pub(crate) fn whereabouts(world: &World, id: &str, file: &File) -> Response {
    let sha256 = hex::encode(Sha256::digest(&file.bytes));
    let url = format!("{}/files/{id}", world.url);
    Json(json!({ "messaging_product": "whatsapp", "id": id, "url": url, "mime_type": file.mime_type, "sha256": sha256, "file_size": file.bytes.len() })).into_response()
}

#[handler]
pub(crate) fn fetch(Data(world): Data<&Arc<World>>, Path(id): Path<String>, request: &Request) -> Response {
    match token(request) {
        Ok(_) => bytes(world, &id),
        Err(refusal) => refusal.into_response(),
    }
}

/// For the phone page: without a token.
#[handler]
pub(crate) fn show(Data(world): Data<&Arc<World>>, Path(id): Path<String>) -> Response {
    bytes(world, &id)
}

fn bytes(world: &World, id: &str) -> Response {
    let Some(file) = world.file(id) else { return refuse(404, 100, "no such file") };
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._- ".contains(c) { c } else { '_' };
    Response::builder()
        .content_type(&file.mime_type)
        .header(header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", file.name.chars().map(plain).collect::<String>()))
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .body(file.bytes.clone())
}

#[handler]
pub(crate) fn forget(Data(world): Data<&Arc<World>>, Path((_version, id)): Path<(String, String)>, request: &Request) -> Response {
    match token(request) {
        Err(refusal) => refusal.into_response(),
        Ok(_) if world.forget(&id) => Json(json!({ "success": true })).into_response(),
        Ok(_) => refuse(404, 100, "no such file"),
    }
}
