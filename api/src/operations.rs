//! What the published document says of each operation, for requests on their way to it: which methods a path takes, who may
//! ask, what a body looks like.
//!
//! Bodies are checked before a handler sees them: every fault is named with its place, and nothing passes that the document
//! forbids.

use std::sync::{Arc, OnceLock};

use jsonschema::{Draft, Registry, Validator, error::ValidationErrorKind};
use matchit::Router;
use poem::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    document::{SIGNATURE, TOKEN},
    problem::{Draft as Problem, Fault, unsupported_media_type},
};

/// Every operation, by its path.
pub(crate) struct Operations(Router<Vec<Operation>>);

/// One of them.
pub(crate) struct Operation {
    method: Method,
    body: Option<Body>,
    /// The names of the parameters in its path.
    pub(crate) names: Vec<String>,
    /// Whether it wants a token.
    pub(crate) secured: bool,
    /// What it answers when all is well.
    pub(crate) success: StatusCode,
}

/// What a body has to look like. Made when the first one comes: all of them at once would take seconds and a lot of memory.
struct Body {
    schema: Value,
    document: Arc<Registry<'static>>,
    validator: OnceLock<Validator>,
}

/// What the parts of the document are called among the schemas.
const DOCUMENT: &str = "somo:document";

impl Operations {
    /// From the published document.
    pub(crate) fn of(document: &Value) -> anyhow::Result<Self> {
        let components = json!({ "components": document["components"] });
        let registry = Registry::new().add(DOCUMENT, Draft::Draft202012.create_resource(components))?.prepare()?;
        let registry = Arc::new(registry);
        let mut router = Router::new();
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            let name = |part: &str| part.strip_prefix('{').and_then(|part| part.strip_suffix('}')).map(str::to_owned);
            let names: Vec<String> = path.split('/').filter_map(name).collect();
            let mut operations = Vec::new();
            for (method, operation) in item.as_object().into_iter().flatten() {
                // What Meta signed is checked by its signature, over the raw bytes.
                let signed = operation["security"][0].get(SIGNATURE).is_some();
                let body = operation["requestBody"]["content"]["application/json"].get("schema").filter(|_| !signed);
                let success = operation["responses"].as_object().into_iter().flatten().find_map(|(status, _)| status.parse().ok());
                operations.push(Operation {
                    names: names.clone(),
                    method: method.to_uppercase().parse()?,
                    body: body.map(|body| Body::new(body.clone(), &registry)),
                    secured: operation["security"][0].get(TOKEN).is_some(),
                    success: success.unwrap_or(StatusCode::OK),
                });
            }
            router.insert(path, operations)?;
        }
        Ok(Self(router))
    }

    /// The operation that a request is for.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Option<&Operation> {
        self.at(path).iter().find(|operation| operation.method == *method)
    }

    /// The methods that a path takes, as `Allow` lists them.
    pub(crate) fn allowed(&self, path: &str) -> String {
        let mut methods: Vec<&str> = self.at(path).iter().map(|operation| operation.method.as_str()).collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.join(", ")
    }

    fn at(&self, path: &str) -> &[Operation] {
        self.0.at(path).map_or(&[], |found| found.value)
    }
}

impl Body {
    fn new(mut schema: Value, document: &Arc<Registry<'static>>) -> Self {
        lead_to_document(&mut schema);
        Self { schema, document: document.clone(), validator: OnceLock::new() }
    }

    /// # Panics
    /// The document has a schema that none can be made of: a test makes every one.
    fn validator(&self) -> &Validator {
        self.validator.get_or_init(|| {
            let uuid = |text: &str| uuid::Uuid::parse_str(text).is_ok();
            jsonschema::options()
                .with_draft(Draft::Draft202012)
                .with_format("uuid", uuid)
                .should_validate_formats(true)
                .with_registry(&self.document)
                .build(&self.schema)
                .expect("the document's schemas are schemas")
        })
    }
}

/// A schema outside the components points into them.
fn lead_to_document(schema: &mut Value) {
    match schema {
        Value::Object(members) => members.iter_mut().for_each(|(name, member)| match member {
            Value::String(to) if name == "$ref" && to.starts_with('#') => to.insert_str(0, DOCUMENT),
            member => lead_to_document(member),
        }),
        Value::Array(parts) => parts.iter_mut().for_each(lead_to_document),
        _ => {}
    }
}

impl Operation {
    /// Whether a body is what the operation takes.
    pub(crate) fn check(&self, content_type: Option<&str>, body: &[u8]) -> Result<(), Problem> {
        let Some(wanted) = &self.body else { return Ok(()) };
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
        let mut found: Vec<Fault> = wanted.validator().iter_errors(&body).take(50).flat_map(|error| faults(&error)).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_can_be_checked_and_the_nearest_path_is_found() {
        let operations = Operations::of(&crate::document()).expect("a document");
        let document = crate::document();
        let paths = document["paths"].as_object().expect("paths");
        let mut bodies = 0;
        for path in paths.keys() {
            for operation in operations.at(path) {
                bodies += operation.body.iter().map(Body::validator).count();
            }
        }
        assert!(bodies > 90, "{bodies} bodies");
        let id = "01a217e5-1024-775b-9fc2-acddcc115f02";
        let find = |method, path: &str| operations.find(&method, path).map(|operation| operation.names.len());
        assert_eq!(find(Method::POST, "/api/contacts/query"), Some(0));
        assert_eq!(find(Method::POST, &format!("/api/contacts/{id}")), None);
        assert_eq!(find(Method::GET, &format!("/api/contacts/{id}")), Some(1));
        assert_eq!(find(Method::PUT, &format!("/api/contacts/{id}/links/companies/{id}")), Some(3));
        assert_eq!(operations.allowed("/api/contacts"), "GET, POST, HEAD");
        assert_eq!(operations.allowed("/api/nowhere"), "");
    }
}
