//! The cheapest thing that poem can do: one route, one text. What `GET /api/me` is measured against.

use poem::{Route, Server, get, handler, listener::TcpListener};

#[handler]
fn hello() -> &'static str {
    "hello"
}

/// Serves `hello` on `address` until it is killed.
pub(crate) async fn serve(address: &str) -> anyhow::Result<()> {
    let app = Route::new().at("/", get(hello));
    Ok(Server::new(TcpListener::bind(address)).run(app).await?)
}
