//! The OpenAPI document as it is published.
//!
//! poem-openapi makes a 3.0 document from the handlers. What it can't say is added here, so that what is published is what
//! is true: which members may be null, that nobody takes unknown ones, that a POST takes an `Idempotency-Key`, what every
//! operation may answer. It is published as 3.1, whose schemas are JSON Schema: bodies are checked against them as they are.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::problem::CONTENT_TYPE;

/// The scheme of the tokens, as the handlers' `Caller` is called.
pub(crate) const TOKEN: &str = "Caller";
/// The scheme of Meta's deliveries.
pub(crate) const SIGNATURE: &str = "Signature";
/// The scheme of the cookie that renews the access token.
const COOKIE: &str = "Refresh";

/// The scheme of the cookie that a page of the panel listens with.
const EVENTS: &str = "Events";

/// What every operation may answer.
const EVERYWHERE: [(&str, &str); 5] = [
    ("401", "Nobody is signed in, or the credentials are wrong."),
    ("403", "The role or token lacks the ability."),
    ("422", "Parts of the request can't be taken; errors names each."),
    ("429", "Too many requests; Retry-After says when to ask again."),
    ("503", "Something needed is away; Retry-After says when to ask again."),
];

/// The document as it is published.
pub(crate) fn publish(mut document: Value) -> Value {
    document["openapi"] = json!("3.1.0");
    document["info"]["license"] = json!({ "name": "Apache License 2.0", "identifier": "Apache-2.0" });
    document["components"]["securitySchemes"][COOKIE] = json!({
        "type": "apiKey", "in": "cookie", "name": "somo_refresh",
        "description": "Set by a sign-in; renewed with every use.",
    });
    document["components"]["securitySchemes"][EVENTS] = json!({
        "type": "apiKey", "in": "cookie", "name": "somo_events",
        "description": "Set by a sign-in, and good as long as its access token.",
    });
    document["components"]["securitySchemes"][SIGNATURE] = json!({
        "type": "apiKey", "in": "header", "name": "X-Hub-Signature-256",
        "description": "`sha256=` and the HMAC-SHA256 of the raw body under the app's secret, in hex.",
    });
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            complete(path, method, operation);
        }
    }
    document = modern(document);
    let taken = taken(&document);
    for (name, schema) in document["components"]["schemas"].as_object_mut().into_iter().flatten() {
        if taken.contains(name) {
            close(schema);
        }
        null_the_optional(schema);
    }
    sorted(document)
}

/// Whether nothing of what is asked and answered at a path is kept for a repeated request: passwords and secrets are not.
pub(crate) fn confidential(path: &str) -> bool {
    path.starts_with("/api/auth/") || path == "/api/me/password"
}

/// Adds what every operation has.
fn complete(path: &str, method: &str, operation: &mut Value) {
    let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
    match id.as_str() {
        "events_stream" => operation["security"] = json!([{ TOKEN: [] }, { EVENTS: [] }]),
        "auth_refresh" => operation["security"] = json!([{ COOKIE: [] }]),
        "whatsapp_webhook_receive" => {
            operation["security"] = json!([{ SIGNATURE: [] }]);
            operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": { "type": "object" } } } });
        }
        _ if operation["security"].is_null() => operation["security"] = json!([]),
        _ => {}
    }
    let form = operation["requestBody"]["content"].get("multipart/form-data").is_some();
    let slow = operation.get("requestBody").filter(|body| !body.is_null()).map(|_| ("408", "The body took too long."));
    let endless = form.then_some(("411", "An upload needs a Content-Length."));
    let parameters = || operation["parameters"].as_array().into_iter().flatten();
    let conditional = parameters().any(|parameter| parameter["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case("if-match")));
    let socket = (id == "realtime_connect").then_some(("400", "It is no beginning of a WebSocket."));
    let changed = conditional.then_some(("412", "Somebody else has changed it since."));
    for (status, description) in EVERYWHERE.into_iter().chain(slow).chain(endless).chain(socket).chain(changed) {
        let problem =
            json!({ "description": description, "content": { CONTENT_TYPE: { "schema": { "$ref": "#/components/schemas/Problem" } } } });
        let answer = operation["responses"].as_object_mut().expect("every operation answers").entry(status).or_insert(problem);
        if matches!(status, "429" | "503") {
            answer["headers"]["Retry-After"] = json!({ "description": "Seconds.", "schema": { "type": "integer" } });
        }
    }
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        if parameter["description"].is_null() {
            parameter["description"] = parameter["schema"]["title"].clone();
        }
    }
    // An upload is streamed, so nobody can tell whether it is the same one.
    if method == "post" && !form && !confidential(path) && operation["security"][0].get(TOKEN).is_some() {
        let header = json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
            "description": "Your own name for this request. Sent again within 24 hours, it gets the same answer and nothing is done twice.",
        });
        match operation.get_mut("parameters").and_then(Value::as_array_mut) {
            Some(parameters) => parameters.push(header),
            None => operation["parameters"] = json!([header]),
        }
    }
}

/// The names of the schemas that bodies are made of.
fn taken(document: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let bodies = document["paths"].as_object().into_iter().flatten().flat_map(|(_, item)| item.as_object().into_iter().flatten());
    let mut open: Vec<&Value> = bodies.filter_map(|(_, operation)| operation.get("requestBody")).collect();
    while let Some(part) = open.pop() {
        match part {
            Value::Array(parts) => open.extend(parts),
            Value::Object(members) => {
                open.extend(members.values());
                let name = members.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/components/schemas/"));
                if let Some(name) = name
                    && names.insert(name.to_owned())
                {
                    open.push(&document["components"]["schemas"][name]);
                }
            }
            _ => {}
        }
    }
    names
}

/// Takes no unknown members, and does without those that have a default.
fn close(schema: &mut Value) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let defaulted: Vec<Value> =
        properties.iter().filter(|(_, member)| member.get("default").is_some()).map(|(name, _)| json!(name)).collect();
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| !defaulted.contains(name));
    }
    schema["additionalProperties"] = json!(false);
}

/// A member that may be left out may be null, too; one with a default may only be left out.
fn null_the_optional(schema: &mut Value) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, member) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        if required.contains(&json!(name)) || member.get("default").is_some() {
            continue;
        }
        if let Some(name) = member["$ref"].as_str() {
            let either = json!([{ "$ref": name }, { "type": "null" }]);
            let members = member.as_object_mut().expect("a schema is an object");
            members.remove("$ref");
            members.insert("anyOf".into(), either);
        } else if member["type"].is_string() {
            member["type"] = json!([member["type"], "null"]);
            if let Some(words) = member.get_mut("enum").and_then(Value::as_array_mut) {
                words.push(Value::Null);
            }
        }
    }
}

/// OpenAPI 3.0 in 3.1's words, and media types without their charset: JSON has but one.
fn modern(value: Value) -> Value {
    match value {
        Value::Array(parts) => Value::Array(parts.into_iter().map(modern).collect()),
        Value::Object(mut members) => {
            // A reference could have no neighbours in 3.0, so a description stands beside it in `allOf`.
            if let Some(Value::Array(parts)) = members.get("allOf")
                && parts.iter().filter(|part| part.get("$ref").is_some()).count() == 1
                && parts.iter().all(|part| {
                    part.get("$ref").is_some()
                        || part.as_object().is_some_and(|part| part.keys().all(|key| key == "description" || key == "default"))
                })
            {
                let parts = parts.clone();
                members.remove("allOf");
                members
                    .extend(parts.into_iter().filter_map(|part| if let Value::Object(part) = part { Some(part) } else { None }).flatten());
            }
            let plain = |name: String| match name.strip_suffix("; charset=utf-8") {
                Some(plain) => plain.to_owned(),
                None => name,
            };
            Value::Object(members.into_iter().map(|(name, member)| (plain(name), modern(member))).collect())
        }
        other => other,
    }
}

/// Sorted, so that a document that did not change is the same text.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut pairs: Vec<_> = members.into_iter().collect();
            pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(pairs.into_iter().map(|(name, member)| (name, sorted(member))).collect::<Map<_, _>>())
        }
        Value::Array(parts) => Value::Array(parts.into_iter().map(sorted).collect()),
        other => other,
    }
}
