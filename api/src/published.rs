//! What is published beside the API: its document and the page that shows it, written when they are first asked for; and the page
//! that links in mails lead to.

use std::sync::LazyLock;

use bytes::Bytes;
use poem::{Endpoint, IntoResponse, Response, Route, endpoint::make_sync};
use serde_json::Value;

const HTML: &str = "text/html; charset=utf-8";
/// Where a mail's link is opened: it takes the token that stands after `#`, and asks for the rest.
const LINK: &str = include_str!("link.html");

/// The pages, about this document.
pub(crate) fn routes(document: Value, page: fn(&str) -> String) -> Route {
    let json = document.to_string();
    let shown = json.clone();
    Route::new()
        .at("/api/openapi.json", lazily("application/json", move || json))
        .at("/api/openapi.yaml", lazily("application/yaml", move || serde_yaml::to_string(&document).unwrap_or_default()))
        .at("/docs", lazily(HTML, move || page(&shown)))
        .at("/reset-password", lazily(HTML, || LINK.to_owned()))
        .at("/invitation", lazily(HTML, || LINK.to_owned()))
}

fn lazily(content_type: &'static str, write: impl FnOnce() -> String + Send + 'static) -> impl Endpoint<Output = Response> {
    let write: Box<dyn FnOnce() -> Bytes + Send> = Box::new(move || Bytes::from(write()));
    let content = LazyLock::new(write);
    make_sync(move |_| content.clone().with_content_type(content_type).into_response())
}
