//! Every answer that is not a success: `application/problem+json` (RFC 9457), with a stable code and the request's id.
//!
//! Handlers return [`Failure`]; whatever else goes wrong on the way (an unknown path, a body that can't be read, a panic)
//! becomes a problem in [`of_error`]. No SQL, path or secret leaves: the inner text of a fault of ours is logged only.

use domain::{Error, FieldError};
use poem::{
    IntoResponse, Response,
    error::ResponseError,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse, Object,
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{ToJSON, Type},
};

/// The content type of problems.
pub(crate) const CONTENT_TYPE: &str = "application/problem+json";

/// What went wrong (RFC 9457).
#[derive(Clone, Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct Problem {
    /// `about:blank`: the code says more.
    #[oai(rename = "type")]
    pub kind: String,
    /// The HTTP status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Stable, for programs.
    pub code: String,
    /// For people: what to do.
    pub detail: Option<String>,
    /// The request, as the log calls it.
    pub request_id: String,
    /// What is wrong with which part of the request.
    pub errors: Option<Vec<Fault>>,
}

/// A part of the request that can't be taken.
#[derive(Clone, Debug, Object)]
pub(crate) struct Fault {
    /// Where: a JSON pointer into the body, or the name of a parameter after a slash.
    pub pointer: String,
    /// Stable, for programs.
    pub code: String,
    /// For people: what to do.
    pub message: String,
}

impl From<FieldError> for Fault {
    fn from(error: FieldError) -> Self {
        Self { pointer: error.pointer, code: error.code.into(), message: error.message }
    }
}

/// A problem before it knows the request it belongs to.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) status: StatusCode,
    pub(crate) code: String,
    pub(crate) detail: Option<String>,
    pub(crate) errors: Option<Vec<Fault>>,
    pub(crate) retry_after: Option<u64>,
}

impl Draft {
    pub(crate) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), detail: Some(detail.into()), errors: None, retry_after: None }
    }

    pub(crate) fn invalid(errors: Vec<Fault>) -> Self {
        let detail = "some parts of the request can't be taken; see errors";
        Self { errors: Some(errors), ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail) }
    }

    pub(crate) fn into_response(self, request_id: &str) -> Response {
        let Self { status, code, detail, errors, retry_after } = self;
        let problem = Problem {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or("Error").into(),
            status: status.as_u16(),
            code,
            detail,
            request_id: request_id.to_owned(),
            errors,
        };
        let mut response = problem.to_json_string().with_content_type(CONTENT_TYPE).with_status(status).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// What a handler returns when it doesn't succeed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct Failure(#[from] pub(crate) Error);

/// A handler's answer.
pub(crate) type Answer<T> = Result<T, Failure>;

impl ResponseError for Failure {
    fn status(&self) -> StatusCode {
        match &self.0 {
            Error::NotFound(_) => StatusCode::NOT_FOUND,
            Error::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Error::Conflict { .. } => StatusCode::CONFLICT,
            Error::Changed => StatusCode::PRECONDITION_FAILED,
            Error::Forbidden(_) => StatusCode::FORBIDDEN,
            Error::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Error::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Error::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Error::Db(error) if db::is_away(error) || db::is_stuck(error) => StatusCode::SERVICE_UNAVAILABLE,
            Error::Db(_) | Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl Failure {
    pub(crate) fn draft(&self) -> Draft {
        let status = self.status();
        let draft = |code: &str, detail: String| Draft::new(status, code, detail);
        match &self.0 {
            Error::NotFound(what) => draft("not_found", format!("there is no such {what}")),
            Error::Invalid(faults) => Draft::invalid(faults.iter().cloned().map(Fault::from).collect()),
            Error::Conflict { code, message } => draft(code, message.clone()),
            Error::Changed => draft("changed", "somebody else has changed it since you read it; read it again and decide".into()),
            Error::Forbidden(ability) => draft("forbidden", format!("your role or token lacks the ability {ability}")),
            Error::Unauthorized { code, message } => draft(code, (*message).to_owned()),
            Error::TooManyRequests { retry_after } => {
                Draft { retry_after: Some(*retry_after), ..draft("too_many_requests", "wait a moment and ask again".into()) }
            }
            Error::Unavailable(what) => Draft { retry_after: Some(1), ..draft("unavailable", (*what).to_owned()) },
            Error::Db(error) if db::is_stuck(error) => {
                tracing::warn!(%error, "a transaction got in the way of others again and again");
                Draft { retry_after: Some(1), ..draft("unavailable", "others are writing the same records; ask again in a moment".into()) }
            }
            Error::Db(error) if db::is_away(error) => {
                tracing::warn!(%error, "the database is away");
                Draft { retry_after: Some(1), ..draft("unavailable", "the database doesn't answer; ask again in a moment".into()) }
            }
            Error::Db(error) => {
                tracing::error!(%error, "a statement failed");
                internal()
            }
            Error::Internal(error) => {
                tracing::error!(error = format!("{error:#}"), "a request failed");
                internal()
            }
        }
    }
}

pub(crate) fn internal() -> Draft {
    Draft::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "this is a fault of ours; the request id finds it in the log")
}

/// What became of a request that no handler answered.
///
/// `names` are those of the parameters in its path: poem-openapi only counts them.
pub(crate) fn of_error(error: &poem::Error, names: &[String]) -> Draft {
    use poem_openapi::error::{ContentTypeError, ParseParamError, ParsePathError, ParseRequestPayloadError};
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.draft();
    }
    if let Some(ParseParamError { name, reason }) = error.downcast_ref() {
        return unreadable(&format!("/{name}"), reason);
    }
    if let Some(ParsePathError { name, reason }) = error.downcast_ref() {
        let name = name.strip_prefix("param").and_then(|at| names.get(at.parse::<usize>().ok()?)).map_or(*name, String::as_str);
        return unreadable(&format!("/{name}"), reason);
    }
    if let Some(ParseRequestPayloadError { reason }) = error.downcast_ref() {
        return unreadable("", reason);
    }
    if error.is::<ContentTypeError>() {
        return unsupported_media_type();
    }
    match error.status() {
        StatusCode::NOT_FOUND => Draft::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path; /docs lists what there is"),
        StatusCode::METHOD_NOT_ALLOWED => {
            Draft::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path doesn't take this method")
        }
        StatusCode::UNAUTHORIZED => unauthorized(),
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        status if status.is_client_error() => Draft::new(status, "bad_request", "the request can't be read"),
        StatusCode::SERVICE_UNAVAILABLE => Draft::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "ask again in a moment"),
        _ => {
            tracing::error!(%error, "a request failed");
            internal()
        }
    }
}

pub(crate) fn unauthorized() -> Draft {
    Draft::new(StatusCode::UNAUTHORIZED, "unauthorized", "sign in, or send a valid token as Authorization: Bearer …")
}

pub(crate) fn unsupported_media_type() -> Draft {
    Draft::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "send the body as application/json")
}

/// More than somebody may ask.
pub(crate) fn too_often(wait: u64) -> Draft {
    let draft = Draft::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "you have asked too often; wait and ask again");
    Draft { retry_after: Some(wait), ..draft }
}

pub(crate) fn overloaded() -> Draft {
    let draft = Draft::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "too much is asked at once; ask again in a moment");
    Draft { retry_after: Some(1), ..draft }
}

pub(crate) fn too_large() -> Draft {
    Draft::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is larger than this path takes")
}

/// Parsers repeat what they were given and name types that nobody knows: what they say is put in other words.
fn unreadable(pointer: &str, reason: &str) -> Draft {
    let (code, message) = match reason.split_once("verification failed. ") {
        Some((_, rule)) => ("invalid", format!("breaks the rule {}", rule.chars().take(200).collect::<String>())),
        None if reason.ends_with("expects an input value.") => ("required", "is required".into()),
        None => ("invalid", "has a form that is not taken here".into()),
    };
    Draft::invalid(vec![Fault { pointer: pointer.into(), code: code.into(), message }])
}

/// What every operation may answer besides success.
const STATUSES: [(u16, &str); 12] = [
    (400, "The request can't be read."),
    (401, "Nobody is signed in, or the credentials are wrong."),
    (403, "The role or token lacks the ability."),
    (404, "There is no such thing."),
    (405, "The path doesn't take this method."),
    (409, "The state of things doesn't allow it; the code says why."),
    (413, "The body is too large."),
    (415, "The body is of another type."),
    (422, "Parts of the request can't be taken; errors names each."),
    (429, "Too many requests; Retry-After says when to ask again."),
    (500, "A fault of ours."),
    (503, "Something needed is away; Retry-After says when to ask again."),
];

impl ApiResponse for Failure {
    fn meta() -> MetaResponses {
        let response = |(status, description)| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType { content_type: CONTENT_TYPE, schema: Problem::schema_ref() }],
            headers: vec![],
        };
        MetaResponses { responses: STATUSES.map(response).into() }
    }

    fn register(registry: &mut Registry) {
        Problem::register(registry);
    }
}
