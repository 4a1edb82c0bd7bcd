//! What a company sets for all its people: its name, language, time zone, currency, how days and times are written. They are
//! columns of its row in `tenants`, described, taken and noted as the fields of a record are.

use std::sync::LazyLock;

use chrono::Weekday;
use chrono_tz::Tz;
use db::Db;
use entities::{TenantId, tenant};
use jobs::Ledger;
use sea_orm::{
    ConnectionTrait, EntityTrait,
    sea_query::{Alias, Expr, ExprTrait, LockType, Query},
};
use serde_json::{Value, json};

use crate::{
    Error, Result, Scope,
    engine::{Write, again},
    resource::{
        Action, Change, Plain, Record, Resource,
        field::{Field, Form, Kind},
        rows::ROW,
        value, write,
    },
};

/// The languages that SOMO speaks.
pub const LOCALES: &[&str] = &["pt-BR", "en", "es", "fr", "de", "it", "nl", "ar"];

static SETTINGS: LazyLock<Resource> = LazyLock::new(|| {
    let version = Kind::Integer { min: 1, max: i64::MAX };
    let fields = vec![
        Field::line("name", 120, "What the company is called.").required().example("Loja Azul"),
        Field::new("locale", Kind::Choice(LOCALES), "The language of those who have chosen none.").required(),
        Field::line("time_zone", 60, "Where the company's days begin, and those of people who have chosen no other.")
            .required()
            .example("America/Sao_Paulo"),
        Field::text("currency", 3, Form::Currency, "In what deals and products are counted that name no other.").required(),
        Field::new(
            "week_start",
            Kind::Choice(&["monday", "sunday", "saturday"]),
            "The first day of a week, in calendars and in `this_week`.",
        )
        .required(),
        Field::new("date_format", Kind::Choice(&["DD/MM/YYYY", "MM/DD/YYYY", "YYYY-MM-DD", "DD.MM.YYYY"]), "How a day is written.")
            .required(),
        Field::new("time_format", Kind::Choice(&["24h", "12h"]), "How a time is written.").required(),
        Field::new("version", version, "How often they were written; the ETag holds it.").required().by_rules(),
    ];
    Resource {
        name: "company",
        topic: "tenants",
        schema: "Settings",
        doc: "What a company sets for all its people.",
        label: &["name"],
        owner: None,
        visibility: None,
        kept_by_admins: true,
        made: false,
        bulk: false,
        sort: "id",
        fields,
        many: Vec::new(),
        merging: None,
        rules: &Plain,
    }
});

/// Which settings there are. Not a resource of the registry: everybody has one record, and it is their company.
#[must_use]
pub fn settings() -> &'static Resource {
    &SETTINGS
}

/// The caller's. Everybody in the company needs them.
///
/// # Errors
/// The database's.
pub async fn read(db: &Db, scope: &Scope) -> Result<Record> {
    load(&db.read, scope, false).await
}

/// Changes some of them; with `version`, only if they still have it.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] names each that can't be taken; [`Error::Changed`]; the database's.
pub async fn update(ledger: &Ledger, scope: &Scope, body: &Record, version: Option<i64>) -> Result<Record> {
    scope.require("settings:write")?;
    again(|| async {
        let write = Write::begin(ledger, scope).await?;
        let before = load(&**write, scope, true).await?;
        if version.is_some_and(|version| before["version"] != json!(version)) {
            return Err(Error::Changed);
        }
        let mut after = before.clone();
        after.extend(write::taken(scope, &SETTINGS, Action::Update, body)?);
        if after["time_zone"].as_str().is_none_or(|zone| zone.parse::<Tz>().is_err()) {
            return Err(Error::field("/time_zone", "invalid", "takes a time zone such as America/Sao_Paulo"));
        }
        let mut change = Change { action: Action::Update, id: scope.tenant.0, before, after };
        if SETTINGS.writable(Action::Update).any(|field| change.changes(field.name)) {
            let next = change.before["version"].as_i64().unwrap_or(0) + 1;
            change.after.insert("version".into(), json!(next));
            let mut update = Query::update();
            update.table(Alias::new("tenants")).and_where(Expr::col(Alias::new("id")).eq(scope.tenant.0));
            for field in SETTINGS.columns().filter(|field| change.changes(field.name)) {
                update.value(Alias::new(field.name), Expr::val(value::sql(&field.kind, &change.after[field.name])));
            }
            write.execute(&update).await?;
            write::note(&write, &SETTINGS, &change).await?;
        }
        write.commit(change.after).await
    })
    .await
}

async fn load(conn: &impl ConnectionTrait, scope: &Scope, lock: bool) -> Result<Record> {
    let mut select = Query::select();
    select.from_as(Alias::new(SETTINGS.topic), Alias::new(ROW)).and_where(Resource::column(ROW, "id").eq(scope.tenant.0));
    for field in SETTINGS.columns() {
        select.expr_as(Resource::column(ROW, field.name), Alias::new(field.name));
    }
    if lock && conn.get_database_backend() == db::DbBackend::Postgres {
        select.lock(LockType::NoKeyUpdate);
    }
    let row = conn.query_one(&select).await?.ok_or(Error::NotFound("company"))?;
    SETTINGS.columns().map(|field| Ok((field.name.to_owned(), value::json(&field.kind, &row, field.name)?))).collect()
}

/// A company.
///
/// # Errors
/// The database's.
pub(crate) async fn company(conn: &impl ConnectionTrait, id: TenantId) -> Result<tenant::Model> {
    tenant::Entity::find_by_id(id).one(conn).await?.ok_or(Error::NotFound("company"))
}

/// Where a company's days begin.
///
/// # Errors
/// The database's.
pub async fn zone(conn: &impl ConnectionTrait, id: TenantId) -> Result<Tz> {
    // Zones are checked when they are set.
    Ok(company(conn, id).await?.time_zone.parse().unwrap_or(Tz::UTC))
}

/// Gives a record without a currency the company's.
pub(crate) async fn complete_currency(write: &Write<'_>, change: &mut Change) -> Result<()> {
    if change.text("currency").is_none() {
        let currency = company(&***write, write.scope.tenant).await?.currency;
        change.after.insert("currency".into(), Value::String(currency));
    }
    Ok(())
}

/// The first day of a company's week.
pub(crate) fn week_start(company: &tenant::Model) -> Weekday {
    company.week_start.parse().unwrap_or(Weekday::Mon)
}
