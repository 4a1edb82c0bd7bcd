//! What every request passes: an id, a bounded body that matches the document, the key of a repeated request, a panic's
//! catch, problems for whatever fails, a line in the log, figures.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use domain::idempotency::{self, Begun};
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
    guard::{Guard, bearer},
    problem::{Draft, Failure, internal, of_error, too_large},
    schema::Bodies,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// How long a body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(30);

/// Wraps the app.
pub(crate) struct Edge {
    pub(crate) ledger: Ledger,
    pub(crate) guard: Arc<Guard>,
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) max_body: usize,
}

impl<E: Endpoint> Middleware<E> for Edge {
    type Output = Edged<E>;

    fn transform(&self, inner: E) -> Edged<E> {
        let Self { ledger, guard, bodies, max_body } = self;
        Edged { inner, edge: Edge { ledger: ledger.clone(), guard: guard.clone(), bodies: bodies.clone(), max_body: *max_body } }
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
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let span = tracing::info_span!("request", id, %method, path);
        let answered = AssertUnwindSafe(self.answer(request)).catch_unwind().instrument(span.clone()).await;
        let mut response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => span.in_scope(|| of_error(&error)).into_response(&id),
            Err(_panic) => {
                span.in_scope(|| tracing::error!("a handler panicked"));
                internal().into_response(&id)
            }
        };
        let status = response.status();
        let millis = began.elapsed().as_secs_f64() * 1000.0;
        metrics::counter!("somo_http_requests_total", "method" => method.as_str().to_owned(), "status" => status.as_str().to_owned()).increment(1);
        metrics::histogram!("somo_http_request_seconds").record(millis / 1000.0);
        if status.is_server_error() {
            span.in_scope(|| tracing::warn!(status = status.as_u16(), ms = millis, "answered"));
        } else {
            span.in_scope(|| tracing::debug!(status = status.as_u16(), ms = millis, "answered"));
        }
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&id) {
            headers.insert(REQUEST_ID, id);
        }
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        Ok(response)
    }
}

impl<E: Endpoint> Edged<E> {
    async fn answer(&self, mut request: Request) -> Result<Response> {
        let body = match takes_json(&request) {
            false => None,
            true => {
                let read = request.take_body().into_bytes_limit(self.edge.max_body);
                let bytes = match tokio::time::timeout(BODY_PATIENCE, read).await {
                    Ok(Ok(bytes)) => bytes,
                    Ok(Err(ReadBodyError::PayloadTooLarge)) => return Ok(self.refuse(&request, too_large())),
                    Ok(Err(_)) => return Ok(self.refuse(&request, Draft::new(StatusCode::BAD_REQUEST, "bad_request", "the body broke off"))),
                    Err(_) => return Ok(self.refuse(&request, Draft::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the body took too long"))),
                };
                request.set_body(Body::from_bytes(bytes.clone()));
                Some(bytes)
            }
        };
        let key = request.header(IDEMPOTENCY_KEY).filter(|_| *request.method() == Method::POST).map(str::to_owned);
        match (key, bearer(&request).map(str::to_owned)) {
            (Some(key), Some(token)) => self.once(request, &key, &token, body.unwrap_or_default()).await,
            _ => self.checked(request, body).await,
        }
    }

    fn refuse(&self, request: &Request, draft: Draft) -> Response {
        draft.into_response(&request_id(request))
    }

    /// Hands over what matches the document.
    async fn checked(&self, request: Request, body: Option<bytes::Bytes>) -> Result<Response> {
        if let Some(body) = body
            && let Err(draft) = self.edge.bodies.check(request.method(), request.uri().path(), &body)
        {
            // Who isn't signed in learns nothing of what a body should look like.
            if let Some(token) = bearer(&request) {
                self.edge.guard.principal(token).await.map_err(Failure)?;
            }
            return Ok(self.refuse(&request, draft));
        }
        self.inner.call(request).await.map(IntoResponse::into_response)
    }

    /// The same key gets the same answer.
    async fn once(&self, mut request: Request, key: &str, token: &str, body: bytes::Bytes) -> Result<Response> {
        let principal = self.edge.guard.principal(token).await.map_err(Failure)?;
        if key.is_empty() || key.len() > 255 {
            let draft = Draft::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_idempotency_key", "Idempotency-Key takes 1 to 255 characters");
            return Ok(self.refuse(&request, draft));
        }
        let actor = principal.scope(None).actor.parts().1.unwrap_or_default();
        let tenant = principal.me.tenant.id;
        let what = format!("{} {}\n", request.method(), request.uri());
        let fingerprint = hex::encode(Sha256::new().chain_update(what).chain_update(&body).finalize());
        let claim = match idempotency::begin(&self.edge.ledger, tenant, actor, key, &fingerprint).await.map_err(Failure)? {
            Begun::Fresh(claim) => claim,
            Begun::Replay { status, body } => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
                let mut response = match body {
                    serde_json::Value::Null => Response::builder().status(status).finish(),
                    body => poem::web::Json(body).with_status(status).into_response(),
                };
                response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
                return Ok(response);
            }
            Begun::InFlight => {
                let draft = Draft::new(StatusCode::CONFLICT, "request_in_flight", "a request with this Idempotency-Key is under way; ask again in a moment");
                return Ok(self.refuse(&request, Draft { retry_after: Some(1), ..draft }));
            }
            Begun::Mismatch => {
                let draft = Draft::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", "this Idempotency-Key was used for another request");
                return Ok(self.refuse(&request, draft));
            }
        };
        request.extensions_mut().insert(principal);
        request.extensions_mut().insert(claim.clone());
        let id = request_id(&request);
        let answered = self.checked(request, Some(body).filter(|body| !body.is_empty())).await;
        let response = answered.unwrap_or_else(|error| of_error(&error).into_response(&id));
        let (status, (parts, body)) = (response.status(), response.into_parts());
        let bytes = body.into_bytes().await.unwrap_or_default();
        let shown = serde_json::from_slice(&bytes).ok();
        // If this fails, the answer that the work kept in its own transaction stands in.
        if let Err(error) = idempotency::end(&self.edge.ledger, tenant, &claim, status.as_u16(), shown).await {
            tracing::warn!(error = %error, "an idempotency key could not be ended; it runs out by itself");
        }
        Ok(Response::from_parts(parts, Body::from_bytes(bytes)))
    }
}

/// The request's own id when it brings a harmless one; the same for everybody who asks.
fn request_id(request: &Request) -> String {
    let given = request.header(REQUEST_ID).filter(|id| {
        (8..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    });
    match (given, request.extensions().get::<RequestId>()) {
        (_, Some(id)) => id.0.clone(),
        (Some(id), None) => id.to_owned(),
        (None, None) => Uuid::now_v7().to_string(),
    }
}

#[derive(Clone)]
struct RequestId(String);

/// Whether the body is to be read here: all but uploads.
fn takes_json(request: &Request) -> bool {
    let bodied = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    bodied && !request.content_type().is_some_and(|kind| kind.starts_with("multipart/"))
}
