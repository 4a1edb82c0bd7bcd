//! What the published document says of each operation, for requests on their way to it: which methods a path takes, who may
//! ask, what a body looks like.
//!
//! Bodies are checked before a handler sees them: every fault is named with its place, and nothing passes that the document
//! forbids.

use jsonschema::{Draft, Validator, error::ValidationErrorKind};
use poem::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    document::{SIGNATURE, TOKEN},
    problem::{Draft as Problem, Fault, unsupported_media_type},
};

/// Every operation.
pub(crate) struct Operations(Vec<Operation>);

/// One of them.
pub(crate) struct Operation {
    method: Method,
    path: Vec<Part>,
    body: Option<Validator>,
    /// The names of the parameters in its path.
    pub(crate) names: Vec<String>,
    /// Whether it wants a token.
    pub(crate) secured: bool,
    /// What it answers when all is well.
    pub(crate) success: StatusCode,
}

enum Part {
    Literal(String),
    Any,
}

impl Operations {
    /// From the published document.
    pub(crate) fn of(document: &Value) -> anyhow::Result<Self> {
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                // What Meta signed is checked by its signature, over the raw bytes.
                let signed = operation["security"][0].get(SIGNATURE).is_some();
                let body = operation["requestBody"]["content"]["application/json"].get("schema").filter(|_| !signed);
                let body = body.map(|body| validator(document, body)).transpose();
                let body = body.map_err(|error| anyhow::anyhow!("the body of {method} {path} is not a schema: {error}"))?;
                let success = operation["responses"].as_object().into_iter().flatten().find_map(|(status, _)| status.parse().ok());
                let part = |part: &str| if part.starts_with('{') { Part::Any } else { Part::Literal(part.to_owned()) };
                let name = |part: &str| part.strip_prefix('{').and_then(|part| part.strip_suffix('}')).map(str::to_owned);
                operations.push(Operation {
                    names: path.split('/').filter_map(name).collect(),
                    method: method.to_uppercase().parse()?,
                    path: path.split('/').map(part).collect(),
                    body,
                    secured: operation["security"][0].get(TOKEN).is_some(),
                    success: success.unwrap_or(StatusCode::OK),
                });
            }
        }
        // A path with a fixed part comes before one that takes anything there.
        operations.sort_by_key(Operation::wildcards);
        Ok(Self(operations))
    }

    /// The operation that a request is for.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Option<&Operation> {
        self.at(path).find(|operation| operation.method == *method)
    }

    /// The methods that a path takes, as `Allow` lists them.
    pub(crate) fn allowed(&self, path: &str) -> String {
        let mut methods: Vec<&str> = self.at(path).map(|operation| operation.method.as_str()).collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.join(", ")
    }

    fn at(&self, path: &str) -> impl Iterator<Item = &Operation> {
        let asked: Vec<&str> = path.split('/').collect();
        let nearest = self.0.iter().find(|operation| operation.fits(&asked)).map(Operation::wildcards);
        self.0.iter().filter(move |operation| Some(operation.wildcards()) == nearest && operation.fits(&asked))
    }
}

fn validator(document: &Value, body: &Value) -> Result<Validator, jsonschema::ValidationError<'static>> {
    let schema = json!({ "components": document["components"], "allOf": [body] });
    let uuid = |text: &str| uuid::Uuid::parse_str(text).is_ok();
    jsonschema::options().with_draft(Draft::Draft202012).with_format("uuid", uuid).should_validate_formats(true).build(&schema)
}

impl Operation {
    fn wildcards(&self) -> usize {
        self.path.iter().filter(|part| matches!(part, Part::Any)).count()
    }

    fn fits(&self, asked: &[&str]) -> bool {
        let same = |(part, asked): (&Part, &&str)| match part {
            Part::Literal(text) => text == asked,
            Part::Any => true,
        };
        self.path.len() == asked.len() && self.path.iter().zip(asked).all(same)
    }

    /// Whether a body is what the operation takes.
    pub(crate) fn check(&self, content_type: Option<&str>, body: &[u8]) -> Result<(), Problem> {
        let Some(validator) = &self.body else { return Ok(()) };
        let essence = content_type.map(|kind| kind.split(';').next().unwrap_or_default().trim());
        if !body.is_empty() && !essence.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
            return Err(unsupported_media_type());
        }
        let body: Value = match serde_json::from_slice(body) {
            Ok(body) => body,
            Err(_) if body.is_empty() => return Err(malformed("the body is empty; send a JSON object".into())),
            // Where, not what: the body may hold a secret.
            Err(error) => return Err(malformed(format!("the body is not JSON: line {}, column {}", error.line(), error.column()))),
        };
        let mut found: Vec<Fault> = validator.iter_errors(&body).take(50).flat_map(|error| faults(&error)).collect();
        if found.is_empty() {
            nul(&body, &mut String::new(), &mut found);
        }
        if found.is_empty() { Ok(()) } else { Err(Problem::invalid(found)) }
    }
}

fn malformed(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed_body", detail)
}

/// PostgreSQL keeps no NUL in a text.
fn nul(value: &Value, at: &mut String, found: &mut Vec<Fault>) {
    let fault = |at: &str| Fault { pointer: at.to_owned(), code: "invalid".into(), message: "takes no NUL character".into() };
    match value {
        Value::String(text) if text.contains('\0') => found.push(fault(at)),
        Value::Array(parts) => parts.iter().enumerate().for_each(|(n, part)| within(&n.to_string(), at, |at| nul(part, at, found))),
        Value::Object(members) => {
            for (name, member) in members {
                if name.contains('\0') {
                    found.push(fault(at));
                } else {
                    within(&name.replace('~', "~0").replace('/', "~1"), at, |at| nul(member, at, found));
                }
            }
        }
        _ => {}
    }
}

fn within(name: &str, at: &mut String, look: impl FnOnce(&mut String)) {
    let length = at.len();
    at.push('/');
    at.push_str(name);
    look(at);
    at.truncate(length);
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
            let pointer = |name: &String| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            unexpected.iter().map(|name| fault(pointer(name), "unknown_field", "is not a field of this object".into())).collect()
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
        // An optional object comes first, null second: what is wrong with the object is what there is to say.
        Kind::AnyOf { context } => match context.iter().find(|branch| !branch.is_empty()) {
            Some(branch) => branch.iter().flat_map(faults).collect(),
            None => here("invalid", "can't be taken".into()),
        },
        _ => here("invalid", "can't be taken".into()),
    }
}
