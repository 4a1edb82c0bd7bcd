use std::time::Duration;

use db::Db;
use jobs::{Ledger, Transport};
use poem::{IntoResponse, Response, http::StatusCode};
use poem_openapi::{ApiResponse, Object, OpenApi, payload::Json};

use crate::{Figures, Tag, problem::Answer};

pub(crate) struct Health {
    pub(crate) db: Db,
    pub(crate) transport: Transport,
}

/// Whether the process lives.
#[derive(Object)]
struct Live {
    /// Always `ok`.
    status: String,
    /// Which version.
    version: String,
}

/// Whether the process can do its work.
#[derive(Object)]
struct Ready {
    /// `ok` or `failing`.
    status: String,
    /// Each thing it needs.
    checks: Vec<Check>,
}

/// Something the process needs.
#[derive(Object)]
struct Check {
    /// `database` or `delivery`.
    name: String,
    /// `ok` or `failing`.
    status: String,
    /// What it is.
    kind: String,
}

#[derive(ApiResponse)]
enum Readiness {
    /// It can.
    #[oai(status = 200)]
    Ready(Json<Ready>),
    /// It can't, for now. Work that was accepted is not lost.
    #[oai(status = 503)]
    Failing(Json<Ready>),
}

#[OpenApi(prefix_path = "/health", tag = "Tag::Health")]
impl Health {
    /// Whether the process lives.
    #[oai(path = "/live", method = "get", operation_id = "health_live")]
    async fn live(&self) -> Answer<Json<Live>> {
        Ok(Json(Live { status: "ok".into(), version: env!("CARGO_PKG_VERSION").into() }))
    }

    /// Whether the database and the delivery of jobs answer.
    #[oai(path = "/ready", method = "get", operation_id = "health_ready")]
    async fn ready(&self) -> Readiness {
        let within = Duration::from_secs(2);
        let database = tokio::time::timeout(within, self.db.ping()).await.is_ok_and(|answer| answer.is_ok());
        let delivery = tokio::time::timeout(within, self.transport.ping()).await.is_ok_and(|answer| answer.is_ok());
        let word = |ok: bool| if ok { "ok" } else { "failing" }.to_owned();
        let kind = if self.db.is_sqlite() { "sqlite" } else { "postgres" };
        let checks = vec![
            Check { name: "database".into(), status: word(database), kind: kind.into() },
            Check { name: "delivery".into(), status: word(delivery), kind: self.transport.name().into() },
        ];
        let ready = Ready { status: word(database && delivery), checks };
        if database && delivery { Readiness::Ready(Json(ready)) } else { Readiness::Failing(Json(ready)) }
    }
}

/// `GET /metrics`.
pub(crate) async fn metrics((figures, ledger): (Figures, Ledger)) -> poem::Result<Response> {
    match figures.render(&ledger).await {
        Ok(text) => Ok(text.with_content_type("text/plain; version=0.0.4").into_response()),
        Err(error) => Err(crate::problem::Failure(error.into()).into()),
    }
    .map(|response: Response| response.with_status(StatusCode::OK).into_response())
}
