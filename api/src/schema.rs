//! The OpenAPI document as it is published, and the check of bodies against it.
//!
//! poem-openapi makes the document from the handlers. It can't say that an optional member may be null, nor that a POST takes
//! an `Idempotency-Key`; both are added here, so that what is published is what is true. Bodies are checked against the
//! published document before a handler sees them: every fault is named with its place, and nothing passes that the document
//! forbids.

use std::collections::HashMap;

use jsonschema::{Draft, Validator, error::ValidationErrorKind};
use poem::http::Method;
use serde_json::{Map, Value, json};

use crate::problem::{Draft as Problem, Fault};

/// The document as it is published.
pub(crate) fn publish(mut document: Value) -> Value {
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.values_mut().for_each(null_the_optional);
    }
    for (path, operations) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in operations.as_object_mut().into_iter().flatten() {
            if method == "post" && operation.get("security").is_some() {
                idempotent(operation);
            }
            if path == "/api/whatsapp/webhook" && method == "post" {
                operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": { "type": "object" } } } });
            }
        }
    }
    document
}

/// A member that may be left out may be null, too.
fn null_the_optional(schema: &mut Value) {
    let required: Vec<String> =
        schema["required"].as_array().map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect()).unwrap_or_default();
    for (name, member) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        if required.contains(name) {
            continue;
        }
        if member.get("$ref").is_some() {
            *member = json!({ "allOf": [member.take()], "nullable": true });
        } else {
            member["nullable"] = json!(true);
        }
    }
}

fn idempotent(operation: &mut Value) {
    let header = json!({
        "name": "Idempotency-Key", "in": "header", "required": false,
        "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
        "description": "Your own name for this request. Sent again within 24 hours, it gets the same answer and nothing is done twice.",
    });
    match operation.get_mut("parameters").and_then(Value::as_array_mut) {
        Some(parameters) => parameters.push(header),
        None => operation["parameters"] = json!([header]),
    }
}

/// The body of each operation, as the document has it.
pub(crate) struct Bodies {
    operations: HashMap<Method, Vec<(Vec<Part>, Validator)>>,
}

enum Part {
    Literal(String),
    Any,
}

impl Bodies {
    /// From the published document.
    pub(crate) fn of(document: &Value) -> anyhow::Result<Self> {
        let mut operations: HashMap<Method, Vec<_>> = HashMap::new();
        let components = json_schema(document["components"].clone());
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                let body = &operation["requestBody"]["content"]["application/json; charset=utf-8"]["schema"];
                if body.is_null() {
                    continue;
                }
                let schema = json!({ "components": components, "allOf": [json_schema(body.clone())] });
                let uuid = |text: &str| uuid::Uuid::parse_str(text).is_ok();
                let validator = jsonschema::options()
                    .with_draft(Draft::Draft4)
                    .with_format("uuid", uuid)
                    .should_validate_formats(true)
                    .build(&schema)
                    .map_err(|error| anyhow::anyhow!("the body of {method} {path} is not a schema: {error}"))?;
                let part = |part: &str| if part.starts_with('{') { Part::Any } else { Part::Literal(part.to_owned()) };
                operations.entry(method.to_uppercase().parse()?).or_default().push((path.split('/').map(part).collect(), validator));
            }
        }
        Ok(Self { operations })
    }

    /// Whether the body of a request is what its operation takes.
    pub(crate) fn check(&self, method: &Method, path: &str, body: &[u8]) -> Result<(), Problem> {
        let Some(validator) = self.validator(method, path) else { return Ok(()) };
        let body: Value = match serde_json::from_slice(body) {
            Ok(body) => body,
            Err(error) if body.is_empty() => {
                tracing::debug!(%error, "no body");
                return Err(malformed("the body is empty; send a JSON object".into()));
            }
            // Where, not what: the body may hold a secret.
            Err(error) => return Err(malformed(format!("the body is not JSON: line {}, column {}", error.line(), error.column()))),
        };
        let faults: Vec<Fault> = validator.iter_errors(&body).take(50).flat_map(|error| faults(&error)).collect();
        if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults)) }
    }

    fn validator(&self, method: &Method, path: &str) -> Option<&Validator> {
        let asked: Vec<&str> = path.split('/').collect();
        let fits = |parts: &[Part]| {
            parts.len() == asked.len()
                && parts.iter().zip(&asked).all(|(part, asked)| match part {
                    Part::Literal(text) => text == asked,
                    Part::Any => true,
                })
        };
        self.operations.get(method)?.iter().find(|(parts, _)| fits(parts)).map(|(_, validator)| validator)
    }
}

fn malformed(detail: String) -> Problem {
    Problem::new(poem::http::StatusCode::BAD_REQUEST, "malformed_body", detail)
}

/// OpenAPI 3.0's `nullable` in JSON Schema's words.
fn json_schema(mut schema: Value) -> Value {
    match &mut schema {
        Value::Array(parts) => parts.iter_mut().for_each(|part| *part = json_schema(part.take())),
        Value::Object(members) => {
            members.values_mut().for_each(|part| *part = json_schema(part.take()));
            if members.remove("nullable") == Some(json!(true)) {
                return json!({ "anyOf": [{ "type": "null" }, Value::Object(std::mem::take(members))] });
            }
        }
        _ => {}
    }
    schema
}

/// In the project's own words: the validator's would repeat what was sent.
fn faults(error: &jsonschema::ValidationError<'_>) -> Vec<Fault> {
    use ValidationErrorKind as Kind;
    let at = error.instance_path().to_string();
    let fault = |pointer: String, code: &str, message: String| Fault { pointer, code: code.into(), message };
    let here = |code: &str, message: String| vec![fault(at.clone(), code, message)];
    match error.kind() {
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![fault(format!("{at}/{name}"), "required", "is required".into())]
        }
        Kind::AdditionalProperties { unexpected } => {
            unexpected.iter().map(|name| fault(format!("{at}/{name}"), "unknown_field", "is not a field of this object".into())).collect()
        }
        Kind::Type { .. } => here("wrong_type", "has another type than it should have".into()),
        Kind::Enum { options } => here("invalid", format!("is none of {options}")),
        Kind::Format { format } => here("invalid", format!("is not a {format}")),
        Kind::MinLength { limit } => here("too_short", format!("needs at least {limit} characters")),
        Kind::MaxLength { limit } => here("too_long", format!("takes at most {limit} characters")),
        Kind::MinItems { limit } => here("too_few", format!("needs at least {limit} items")),
        Kind::MaxItems { limit } => here("too_many", format!("takes at most {limit} items")),
        Kind::Minimum { limit } | Kind::ExclusiveMinimum { limit } => here("too_small", format!("is below {limit}")),
        Kind::Maximum { limit } | Kind::ExclusiveMaximum { limit } => here("too_large", format!("is above {limit}")),
        Kind::Pattern { pattern } => here("invalid", format!("does not match {pattern}")),
        // An optional member: null is no fault, so the other branch says what is.
        Kind::AnyOf { context } => match context.iter().rev().find(|branch| !branch.is_empty()) {
            Some(branch) => branch.iter().flat_map(faults).collect(),
            None => here("invalid", "can't be taken".into()),
        },
        _ => here("invalid", "can't be taken".into()),
    }
}

/// Sorted, so that a document that did not change is the same text.
pub(crate) fn sorted(value: Value) -> Value {
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
