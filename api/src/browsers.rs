//! What browsers need to be told, and what they tell: which other sites may read answers (CORS), whether another site makes them
//! send a request (CSRF), and what the pages that they show may do.
//!
//! The cookie of a sign-in goes along by itself, so the paths that it is for are held to whoever asks from where. It is
//! `SameSite=Strict`; but browsers count all of `*.example.com` as one site, and old ones count nothing. Every browser says with a
//! `POST` where it comes from, in `Sec-Fetch-Site`, or in `Origin` where there is no TLS. Programs say neither, and have
//! nobody's cookie. Everything else wants a token in a header, which no other site can add.

use std::sync::Arc;

use poem::{
    Request, Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};

/// What those who may read answers may send, and see.
const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";
const SENT: &str = "authorization, content-type, idempotency-key, if-match, if-none-match, x-request-id";
const SEEN: &str = "content-disposition, etag, idempotency-replayed, location, ratelimit-limit, ratelimit-remaining, ratelimit-reset, \
    retry-after, x-request-id";

/// How it deals with browsers.
#[derive(Clone)]
pub(crate) struct Browsers {
    own: Option<String>,
    others: Arc<[String]>,
    https: bool,
}

impl Browsers {
    /// Of the installation at `public_url`, whose answers the pages of `others` may read.
    pub(crate) fn new(public_url: &str, others: &[String]) -> Self {
        let own = public_url.split_once("://").map(|(scheme, rest)| {
            let host = rest.split('/').next().unwrap_or_default();
            format!("{scheme}://{host}").to_lowercase()
        });
        Self { own, others: others.into(), https: public_url.starts_with("https://") }
    }

    /// The other site that asks, if it may read the answer.
    pub(crate) fn reader(&self, request: &Request) -> Option<HeaderValue> {
        let origin = request.headers().get(header::ORIGIN)?;
        self.others.iter().any(|other| other.as_bytes() == origin.as_bytes()).then(|| origin.clone())
    }

    /// Whether a site that has no business here makes a browser send this.
    pub(crate) fn foreign(&self, request: &Request) -> bool {
        let origin = request.header(header::ORIGIN);
        if self.reader(request).is_some() || origin.is_some_and(|origin| self.own.as_deref() == Some(origin)) {
            return false;
        }
        match request.header("sec-fetch-site") {
            Some(site) => !matches!(site, "same-origin" | "none"),
            None => origin.is_some_and(|origin| origin.split_once("://").map(|(_, host)| host) != request.header(header::HOST)),
        }
    }

    /// The answer to a browser that asks whether its page may ask, for a site that may.
    pub(crate) fn preflight(&self, request: &Request) -> Option<Response> {
        let asks = *request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        self.reader(request).filter(|_| asks)?;
        let answer = Response::builder().status(StatusCode::NO_CONTENT);
        let answer = answer.header(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS).header(header::ACCESS_CONTROL_ALLOW_HEADERS, SENT);
        Some(answer.header(header::ACCESS_CONTROL_MAX_AGE, "600").finish())
    }

    /// Adds what every answer has. What its handler said of itself stays.
    pub(crate) fn complete(&self, reader: Option<HeaderValue>, headers: &mut HeaderMap) {
        let page = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        // A page says itself what it is made of; everything else is no page, whatever a browser takes it for.
        let policy = if page {
            "frame-ancestors 'none'; base-uri 'self'; form-action 'self'; object-src 'none'"
        } else {
            "default-src 'none'; frame-ancestors 'none'"
        };
        headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(policy));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        // Addresses may be secrets: those of calendars are.
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
        headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        if self.https {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
        }
        if !self.others.is_empty() {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(reader) = reader {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, reader);
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(SEEN));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_from_elsewhere_is_known() {
        let browsers = Browsers::new("https://crm.example/", &["https://panel.example".to_owned()]);
        let asks = |headers: &[(&str, &str)]| {
            let request = headers.iter().fold(Request::builder(), |request, (name, value)| request.header(*name, *value));
            browsers.foreign(&request.header("host", "127.0.0.1:8080").finish())
        };
        // A program.
        assert!(!asks(&[]));
        // The panel, by its public address or another one, with TLS or without; an address that somebody typed.
        assert!(!asks(&[("origin", "https://crm.example"), ("sec-fetch-site", "same-origin")]));
        assert!(!asks(&[("origin", "http://127.0.0.1:8080")]));
        assert!(!asks(&[("origin", "https://crm.example")]));
        assert!(!asks(&[("sec-fetch-site", "none")]));
        // One that may.
        assert!(!asks(&[("origin", "https://panel.example"), ("sec-fetch-site", "cross-site")]));
        // Others, and pages that hide where they are from.
        assert!(asks(&[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")]));
        assert!(asks(&[("origin", "https://old.crm.example"), ("sec-fetch-site", "same-site")]));
        assert!(asks(&[("origin", "https://evil.example")]));
        assert!(asks(&[("origin", "null")]));
        assert!(asks(&[("sec-fetch-site", "cross-site")]));
    }
}
