//! Feeds: each user may have a secret address at which calendar programs read what they do and take part in. Who has the
//! address needs nothing else, so only its fingerprint is kept, and another one can be made at any time.

use chrono::{Months, TimeDelta, Utc};
use db::Db;
use entities::{TenantId, UserId, calendar_feed as table};
use jobs::Ledger;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter,
    sea_query::{Expr, OnConflict},
};
use serde_json::{Value, json};

use super::{
    calendar::{self, When},
    ical::{self, Event},
};
use crate::{
    Error, Result, Scope,
    auth::{
        self,
        tokens::{fingerprint, secret},
    },
    engine::{self, Write, again},
    resource::{
        Record, access,
        filter::Asker,
        list::{self, Wanted},
        registry,
        rows::{self, id_of},
        value,
    },
    settings, users,
};

/// What the addresses' secrets begin with, so that scanners of leaked secrets know them.
const PREFIX: &str = "somo_cal_";
/// So far back a feed reaches, and so far ahead, in months.
const REACH: (Months, Months) = (Months::new(3), Months::new(12));
/// So many activities are in one, the first ones.
const MAX: u64 = 5_000;
/// Programs that read again within this time are not noted.
const NOTED: TimeDelta = TimeDelta::minutes(1);

/// The caller's feed, if they have one.
///
/// # Errors
/// The database's.
pub async fn get(db: &Db, scope: &Scope) -> Result<Option<table::Model>> {
    let (tenant, user) = owner(scope)?;
    Ok(table::Entity::find_by_id((tenant, user)).one(&db.read).await?)
}

/// Makes the caller a feed, or gives theirs another secret, which is shown once.
///
/// # Errors
/// [`Error::Forbidden`] for those who see no activities; the database's.
pub async fn renew(ledger: &Ledger, scope: &Scope) -> Result<String> {
    let (tenant, user) = owner(scope)?;
    let token = secret(PREFIX);
    again(|| async {
        let write = Write::begin(ledger, scope).await?;
        let row = table::ActiveModel {
            tenant_id: Set(tenant),
            user_id: Set(user),
            token_hash: Set(fingerprint(&token)),
            created_at: Set(Utc::now()),
            last_read_at: Set(None),
        };
        let renewed = OnConflict::columns([table::Column::TenantId, table::Column::UserId])
            .update_columns([table::Column::TokenHash, table::Column::CreatedAt, table::Column::LastReadAt])
            .to_owned();
        table::Entity::insert(row).on_conflict(renewed).exec_without_returning(&**write).await?;
        note(&write, user, "created").await?;
        write.commit(()).await
    })
    .await?;
    Ok(token)
}

/// Ends the caller's feed. To have none is no error.
///
/// # Errors
/// As [`renew`].
pub async fn end(ledger: &Ledger, scope: &Scope) -> Result<()> {
    let (tenant, user) = owner(scope)?;
    let write = Write::begin(ledger, scope).await?;
    if table::Entity::delete_by_id((tenant, user)).exec(&**write).await?.rows_affected > 0 {
        note(&write, user, "deleted").await?;
    }
    write.commit(()).await
}

/// Whose feed a caller's is. A token that doesn't let them see activities doesn't let them give those away either.
fn owner(scope: &Scope) -> Result<(TenantId, UserId)> {
    access::see(scope, registry::named("activities"))?;
    Ok((scope.tenant, scope.user().ok_or(Error::NotFound("user"))?))
}

async fn note(write: &Write<'_>, user: UserId, action: &'static str) -> Result<()> {
    write.record(engine::Event { topic: "calendar_feeds", subject_id: user.0, action, data: json!({}) }).await
}

/// The calendar of whoever the secret belongs to, as calendar programs read it.
///
/// # Errors
/// [`Error::NotFound`] for an unknown secret, and for one of somebody who may not sign in; the database's.
pub async fn read(ledger: &Ledger, token: &str) -> Result<String> {
    let db = ledger.db();
    let missing = Error::NotFound("calendar");
    let Some(feed) = table::Entity::find().filter(table::Column::TokenHash.eq(fingerprint(token))).one(&db.read).await? else {
        return Err(missing);
    };
    let Some(scope) = auth::scope_of(db, feed.tenant_id, feed.user_id).await? else { return Err(missing) };
    let text = written(db, &scope, feed.user_id).await?;
    let now = Utc::now();
    let own =
        table::Column::TokenHash.eq(feed.token_hash).and(table::Column::LastReadAt.is_null().or(table::Column::LastReadAt.lt(now - NOTED)));
    table::Entity::update_many().col_expr(table::Column::LastReadAt, Expr::value(now)).filter(own).exec(&db.quick).await?;
    Ok(text)
}

async fn written(db: &Db, scope: &Scope, user: UserId) -> Result<String> {
    let company = settings::zone(&db.read, scope.tenant).await?;
    let records = match found(db, scope, user, company).await {
        // There is nothing that they get to see.
        Err(Error::Forbidden(_) | Error::Invalid(_)) => Vec::new(),
        found => found?,
    };
    let (user, _) = users::me(db, scope).await?;
    let events: Vec<Event<'_>> = records.iter().filter_map(|record| event(record, When::of(record, company)?)).collect();
    Ok(ical::calendar(&user.name, &events))
}

/// What they do and take part in, as they get to see it.
async fn found(db: &Db, scope: &Scope, user: UserId, company: chrono_tz::Tz) -> Result<Vec<Record>> {
    let activities = calendar::shown(scope)?;
    let asker = Asker::of(db, scope).await?;
    let today = asker.now.with_timezone(&asker.zone).date_naive();
    let days = (today.checked_sub_months(REACH.0).unwrap_or(today), today.checked_add_months(REACH.1).unwrap_or(today));
    let mut select = rows::select(activities);
    list::matching(db, scope, activities, &Wanted::default(), &mut select).await?;
    calendar::reaching_into(&mut select, days, asker.zone, company);
    select.and_where(calendar::with(user.0, "/user", &asker, scope, db)?);
    let mut found = calendar::in_order(db, scope, activities, &mut select, MAX).await?;
    rows::show(&db.read, scope, activities, &[], &mut found).await?;
    Ok(found)
}

fn event(activity: &Record, when: When) -> Option<Event<'_>> {
    let text = |field: &str| activity.get(field).and_then(Value::as_str);
    let title = text("title").unwrap_or_default();
    let done = activity.get("completed") == Some(&json!(true));
    Some(Event {
        uid: format!("{}@somo", id_of(activity)),
        sequence: activity.get("version")?.as_i64()?,
        modified: text("updated_at").and_then(value::moment)?,
        when,
        summary: if done { format!("✓ {title}") } else { title.to_owned() },
        description: text("note"),
        category: activity.get("_labels").and_then(|labels| labels.get("type_id")).and_then(Value::as_str),
    })
}
