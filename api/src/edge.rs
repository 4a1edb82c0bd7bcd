//! What every request passes: an id, a bounded body that matches the document, the key of a repeated request, a panic's
//! catch, problems for whatever fails, a line in the log, figures.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{
    auth::network,
    collaboration::attachments,
    idempotency::{self, Begun},
    resource::import,
    seal::Sealer,
};
use futures::FutureExt;
use jobs::Ledger;
use poem::{
    Body, Endpoint, IntoResponse, Middleware, Request, Response, Result,
    error::ReadBodyError,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
};
use sha2::{Digest, Sha256};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    address,
    browsers::Browsers,
    document::confidential,
    guard::{Guard, Principal, bearer},
    limits::{Asker, Class, Gate, Turn},
    load::{Load, Urgency},
    operations::Operations,
    places::Places,
    problem::{Draft, Failure, internal, of_error, overloaded, too_large, too_often, unauthorized},
    routes::realtime::EVENTS,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// How long a body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(30);

/// So many files may come at once: each lies in the temporary folder until it is kept.
pub(crate) const UPLOADS: usize = 8;

/// How long a file may take to arrive.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(300);

/// WhatsApp takes documents of up to 100 MB; the rest is the form around it.
const MAX_UPLOAD: u64 = 101 * 1024 * 1024;

/// Files whose rows become records; the rest is the form around them.
const MAX_IMPORT: u64 = 501 * 1024 * 1024;

/// Wraps the app.
pub(crate) struct Edge {
    pub(crate) ledger: Ledger,
    pub(crate) sealer: Sealer,
    pub(crate) guard: Arc<Guard>,
    pub(crate) operations: Arc<Operations>,
    pub(crate) browsers: Browsers,
    pub(crate) gate: Arc<Gate>,
    pub(crate) load: Load,
    /// How many proxies requests pass.
    pub(crate) proxies: usize,
    pub(crate) max_body: usize,
    /// Room for files that come at once.
    pub(crate) uploads: Places,
}

impl<E: Endpoint> Middleware<E> for Edge {
    type Output = Edged<E>;

    fn transform(&self, inner: E) -> Edged<E> {
        let Self { ledger, sealer, guard, operations, browsers, gate, load, proxies, max_body, uploads } = self;
        Edged {
            inner,
            edge: Edge {
                ledger: ledger.clone(),
                sealer: sealer.clone(),
                guard: guard.clone(),
                operations: operations.clone(),
                browsers: browsers.clone(),
                gate: gate.clone(),
                load: load.clone(),
                proxies: *proxies,
                max_body: *max_body,
                uploads: uploads.clone(),
            },
        }
    }
}

impl Edge {
    /// The turn of who asks, if they are counted. Meta may always ask, and who watches the installation.
    async fn turn(&self, request: &mut Request) -> Option<Turn> {
        let path = request.uri().path().strip_prefix("/api/")?;
        let class = Class::of(request.method(), path);
        if path == "whatsapp/webhook" || path.starts_with("health/") || path.starts_with("openapi.") {
            return None;
        }
        // Who signs in is nobody yet.
        let token = bearer(request).filter(|_| !path.starts_with("auth/") || *request.method() != Method::POST).map(str::to_owned);
        let asker = match token {
            Some(token) => self.guard.principal(&token).await.ok(),
            None => None,
        };
        let asker = match asker {
            Some(principal) => {
                let asker = principal.asker();
                request.extensions_mut().insert(principal);
                asker
            }
            // From the machine itself comes whoever a proxy lets in that SOMO was not told of.
            None => address::of(request, self.proxies).filter(|ip| !ip.is_loopback()).map(|ip| Asker::Address(network(ip))),
        };
        self.gate.turn(asker?, class, Instant::now())
    }

    /// How urgent a request is; `None` for who is always answered: whoever watches the installation.
    fn urgency(request: &Request) -> Option<Urgency> {
        let path = request.uri().path();
        // Meta may always tell, too: what it says is kept at once for many deliveries together.
        let below = path.strip_prefix("/api/").filter(|below| !below.starts_with("health/") && *below != "whatsapp/webhook")?;
        Some(match Class::of(request.method(), below) {
            Class::Chat => Urgency::Chat,
            Class::Bulk => Urgency::Bulk,
            Class::Usual => match request.extensions().get::<Arc<Principal>>().and_then(|principal| principal.asker()) {
                Some(Asker::Token(_)) => Urgency::Program,
                _ => Urgency::Panel,
            },
        })
    }
}

/// The app in its wrapping.
pub(crate) struct Edged<E> {
    inner: E,
    edge: Edge,
}

impl<E: Endpoint> Endpoint for Edged<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let began = Instant::now();
        let id = request_id(&request);
        request.extensions_mut().insert(RequestId(id.clone()));
        let reader = self.edge.browsers.reader(&request);
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let span = tracing::info_span!("request", id, %method, path = shown(&path));
        let turn = self.edge.turn(&mut request).instrument(span.clone()).await;
        let wait = turn.filter(|turn| !turn.allowed).map(|turn| turn.wait);
        let urgency = Edge::urgency(&request);
        let work = async move {
            if let Some(wait) = wait {
                return Ok(self.refuse(&request, too_often(wait)));
            }
            let busy = urgency.map(|urgency| self.edge.load.enter(urgency));
            if let (Some(None), Some(urgency)) = (&busy, urgency) {
                metrics::counter!("somo_http_shed_total", "urgency" => urgency.as_str()).increment(1);
                return Ok(self.refuse(&request, overloaded()));
            }
            self.answer(request).await
        };
        let answered = AssertUnwindSafe(work).catch_unwind().instrument(span.clone()).await;
        let mut response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => span.in_scope(|| self.problem(&method, &path, &error)).into_response(&id),
            Err(_panic) => {
                span.in_scope(|| tracing::error!("a handler panicked"));
                internal().into_response(&id)
            }
        };
        let status = response.status();
        let millis = began.elapsed().as_secs_f64() * 1000.0;
        metrics::counter!("somo_http_requests_total", "method" => label(&method), "status" => status.as_str().to_owned()).increment(1);
        metrics::histogram!("somo_http_request_seconds").record(millis / 1000.0);
        if status.is_server_error() {
            span.in_scope(|| tracing::warn!(status = status.as_u16(), ms = millis, "answered"));
        } else {
            span.in_scope(|| tracing::debug!(status = status.as_u16(), ms = millis, "answered"));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED
            && let Ok(allowed) = HeaderValue::from_str(&self.edge.operations.allowed(&path))
        {
            response.headers_mut().insert(header::ALLOW, allowed);
        }
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&id) {
            headers.insert(REQUEST_ID, id);
        }
        self.edge.browsers.complete(reader, headers);
        if let Some(turn) = turn {
            turn.tell(headers);
        }
        Ok(response)
    }
}

impl<E: Endpoint> Edged<E> {
    async fn answer(&self, mut request: Request) -> Result<Response> {
        if let Some(answer) = self.edge.browsers.preflight(&request) {
            return Ok(answer);
        }
        let path = request.uri().path();
        // A page elsewhere may open a WebSocket to anywhere, and its `EventSource` may send the cookie along.
        let listens = path == "/api/realtime" || path == EVENTS;
        let signs_in = path.starts_with("/api/auth/") && *request.method() == Method::POST;
        if (signs_in || listens) && self.edge.browsers.foreign(&request) {
            let detail = "another site made your browser ask; SOMO_CORS_ORIGINS names those that may";
            return Ok(self.refuse(&request, Draft::new(StatusCode::FORBIDDEN, "cross_site", detail)));
        }
        // Neither database keeps a NUL in a text.
        if request.uri().path_and_query().is_some_and(|asked| asked.as_str().contains("%00")) {
            return Ok(self.refuse(&request, Draft::new(StatusCode::BAD_REQUEST, "bad_request", "an address takes no NUL character")));
        }
        if let Some((ability, most)) = upload(&request) {
            // Before a byte of it is kept: who may not, and what there is no room for.
            let Some(token) = bearer(&request) else { return Ok(self.refuse(&request, unauthorized())) };
            let scope = self.edge.guard.principal(token).await.map_err(Failure)?.scope(None);
            scope.require(ability).map_err(Failure)?;
            let Some(_place) = self.edge.uploads.take(scope.tenant) else {
                let draft = Draft::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too_many_requests",
                    "too many files come at once; send it again in a moment",
                );
                return Ok(self.refuse(&request, Draft { retry_after: Some(2), ..draft }));
            };
            let id = request_id(&request);
            return match length(&request) {
                Some(length) if length <= most => match tokio::time::timeout(UPLOAD_PATIENCE, self.inner.call(request)).await {
                    Ok(answer) => answer.map(IntoResponse::into_response),
                    Err(_) => Ok(Draft::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the file took too long").into_response(&id)),
                },
                Some(_) => Ok(self.refuse(&request, too_large())),
                // Without a length nobody knows how much of the disk it would take.
                None => {
                    Ok(self
                        .refuse(&request, Draft::new(StatusCode::LENGTH_REQUIRED, "length_required", "an upload needs a Content-Length")))
                }
            };
        }
        let body = match *request.method() {
            Method::POST | Method::PUT | Method::PATCH => {
                let read = request.take_body().into_bytes_limit(self.edge.max_body);
                let bytes = match tokio::time::timeout(BODY_PATIENCE, read).await {
                    Ok(Ok(bytes)) => bytes,
                    Ok(Err(ReadBodyError::PayloadTooLarge)) => return Ok(self.refuse(&request, too_large())),
                    Ok(Err(_)) => {
                        return Ok(self.refuse(&request, Draft::new(StatusCode::BAD_REQUEST, "bad_request", "the body broke off")));
                    }
                    Err(_) => {
                        return Ok(self.refuse(&request, Draft::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the body took too long")));
                    }
                };
                request.set_body(Body::from_bytes(bytes.clone()));
                Some(bytes)
            }
            _ => None,
        };
        let repeatable = *request.method() == Method::POST && !confidential(request.uri().path());
        let key = request.headers().get(IDEMPOTENCY_KEY).filter(|_| repeatable).cloned();
        match (key, bearer(&request).map(str::to_owned)) {
            (Some(key), Some(token)) => self.once(request, &key, &token, body.unwrap_or_default()).await,
            _ => self.checked(request, body).await,
        }
    }

    fn problem(&self, method: &Method, path: &str, error: &poem::Error) -> Draft {
        let names = self.edge.operations.find(method, path).map_or(&[][..], |operation| &operation.names);
        of_error(error, names)
    }

    fn refuse(&self, request: &Request, draft: Draft) -> Response {
        draft.into_response(&request_id(request))
    }

    /// Hands over what matches the document.
    async fn checked(&self, request: Request, body: Option<bytes::Bytes>) -> Result<Response> {
        let operation = self.edge.operations.find(request.method(), request.uri().path());
        if let (Some(operation), Some(body)) = (operation, body)
            && let Err(draft) = operation.check(request.content_type(), &body)
        {
            // Who isn't signed in learns nothing of what a body should look like.
            if operation.secured {
                let Some(token) = bearer(&request) else { return Ok(self.refuse(&request, unauthorized())) };
                self.edge.guard.principal(token).await.map_err(Failure)?;
            }
            return Ok(self.refuse(&request, draft));
        }
        self.inner.call(request).await.map(IntoResponse::into_response)
    }

    /// The same key gets the same answer.
    async fn once(&self, mut request: Request, key: &HeaderValue, token: &str, body: bytes::Bytes) -> Result<Response> {
        let principal = self.edge.guard.principal(token).await.map_err(Failure)?;
        let Some(key) = key.to_str().ok().filter(|key| (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()))
        else {
            let draft = Draft::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_idempotency_key",
                "Idempotency-Key takes 1 to 255 ASCII characters, none of them a space",
            );
            return Ok(self.refuse(&request, draft));
        };
        let actor = principal.scope(None).actor.parts().1.unwrap_or_default();
        let tenant = principal.tenant;
        let what = format!("{} {}\n", request.method(), request.uri());
        let fingerprint = hex::encode(Sha256::new().chain_update(what).chain_update(&body).finalize());
        let claim =
            match idempotency::begin(&self.edge.ledger, &self.edge.sealer, tenant, actor, key, &fingerprint).await.map_err(Failure)? {
                Begun::Fresh(claim) => claim,
                Begun::Replay { status, body } => {
                    let planned = || self.edge.operations.find(request.method(), request.uri().path()).map(|operation| operation.success);
                    // Without a status, whoever did the work died between its commit and the answer.
                    let status = status.and_then(|status| StatusCode::from_u16(status).ok()).or_else(planned).unwrap_or(StatusCode::OK);
                    let mut response = match body {
                        serde_json::Value::Null => Response::builder().status(status).finish(),
                        body => poem::web::Json(body).with_status(status).into_response(),
                    };
                    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
                    return Ok(response);
                }
                Begun::InFlight => {
                    let draft = Draft::new(
                        StatusCode::CONFLICT,
                        "request_in_flight",
                        "a request with this Idempotency-Key is under way; ask again in a moment",
                    );
                    return Ok(self.refuse(&request, Draft { retry_after: Some(1), ..draft }));
                }
                Begun::Mismatch => {
                    let draft = Draft::new(
                        StatusCode::UNPROCESSABLE_ENTITY,
                        "idempotency_key_reused",
                        "this Idempotency-Key was used for another request",
                    );
                    return Ok(self.refuse(&request, draft));
                }
            };
        request.extensions_mut().insert(principal);
        request.extensions_mut().insert(claim.clone());
        let id = request_id(&request);
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answered = self.checked(request, Some(body)).await;
        let response = answered.unwrap_or_else(|error| self.problem(&method, &path, &error).into_response(&id));
        let (status, (parts, body)) = (response.status(), response.into_parts());
        let bytes = body.into_bytes().await.unwrap_or_default();
        let shown = serde_json::from_slice(&bytes).ok();
        // If this fails, the answer that the work kept in its own transaction stands in.
        if let Err(error) = idempotency::end(&self.edge.ledger, &self.edge.sealer, tenant, &claim, status.as_u16(), shown).await {
            tracing::warn!(error = %error, "an idempotency key could not be ended; it runs out by itself");
        }
        Ok(Response::from_parts(parts, Body::from_bytes(bytes)))
    }
}

/// What it takes to be allowed to send a file and the form around it, if it is one: that is streamed to the disk by its handler,
/// and not read here.
fn upload(request: &Request) -> Option<(&'static str, u64)> {
    if *request.method() != Method::POST || !request.content_type().is_some_and(|kind| kind.starts_with("multipart/")) {
        return None;
    }
    match request.uri().path().strip_prefix("/api/")?.split('/').collect::<Vec<_>>()[..] {
        ["whatsapp", "media"] => Some(("messages:send", MAX_UPLOAD)),
        [topic, _, "attachments"] => Some((attachments::ability(&topic.replace('-', "_"))?, MAX_UPLOAD)),
        [topic, "import"] => Some((import::ability(&topic.replace('-', "_"))?, MAX_IMPORT)),
        _ => None,
    }
}

fn length(request: &Request) -> Option<u64> {
    request.header(header::CONTENT_LENGTH)?.parse().ok()
}

/// The request's own id when it brings a harmless one; the same for everybody who asks.
fn request_id(request: &Request) -> String {
    let given = request
        .header(REQUEST_ID)
        .filter(|id| (8..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
    match (given, request.extensions().get::<RequestId>()) {
        (_, Some(id)) => id.0.clone(),
        (Some(id), None) => id.to_owned(),
        (None, None) => Uuid::now_v7().to_string(),
    }
}

/// A path as the log has it: the addresses of calendars are secrets.
fn shown(path: &str) -> &str {
    const CALENDARS: &str = "/api/calendar/";
    if path.starts_with(CALENDARS) { CALENDARS } else { path }
}

#[derive(Clone)]
struct RequestId(String);

/// A label of figures: strangers may call methods anything.
fn label(method: &Method) -> String {
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    if known.contains(method) { method.as_str().to_owned() } else { "other".into() }
}

#[cfg(test)]
mod tests {
    use db::Db;
    use jobs::Wake;
    use poem::EndpointExt;
    use serde_json::{Value, json};

    use super::*;
    use crate::Limits;

    #[test]
    fn the_log_has_no_secret_address() {
        assert_eq!(shown("/api/calendar/somo_cal_secret.ics"), "/api/calendar/");
        assert_eq!(shown("/api/activities/calendar"), "/api/activities/calendar");
    }

    #[tokio::test]
    async fn a_panic_becomes_a_problem_and_the_next_request_is_answered() {
        let ledger = Ledger::new(Db::open("sqlite::memory:").await.expect("SQLite opens"), Wake::local());
        let edge = Edge {
            ledger: ledger.clone(),
            sealer: Sealer::new(&[7; 32]),
            guard: Arc::new(Guard::new(ledger, &[7; 32], &[])),
            operations: Arc::new(Operations::of(&json!({})).expect("an empty document")),
            browsers: Browsers::new("http://127.0.0.1:8080", &[]),
            gate: Arc::new(Gate::new(Limits::default())),
            load: Load::new(256),
            proxies: 0,
            max_body: 100,
            uploads: Places::new(1),
        };
        let app = poem::endpoint::make(|request: Request| async move {
            assert!(request.uri().path() == "/well", "a secret of the handler");
            Ok::<_, poem::Error>("well")
        })
        .with(edge);
        let ask = |path: &'static str| app.call(Request::builder().uri_str(path).header("x-request-id", "the-request").finish());
        let panicked = ask("/ill").await.expect("an answer");
        assert_eq!((panicked.status(), panicked.content_type()), (StatusCode::INTERNAL_SERVER_ERROR, Some("application/problem+json")));
        let problem: Value = panicked.into_body().into_json().await.expect("JSON");
        assert_eq!((&problem["code"], &problem["request_id"]), (&json!("internal"), &json!("the-request")));
        assert!(!problem.to_string().contains("secret"));
        assert_eq!(ask("/well").await.expect("an answer").status(), StatusCode::OK);
    }
}
