//! Contacts and companies, and the names under which contacts are known outside.

pub(crate) mod company;
pub(crate) mod contact;
pub(crate) mod industry;
pub(crate) mod source;

use chrono::Utc;
use entities::{ContactId, TenantId, contact as table, contact_identity, contact_phone};
use jobs::{NewJob, Tx};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, ExprTrait, QueryFilter, Statement, prelude::Expr,
    sea_query::OnConflict,
};
use serde_json::json;
use uuid::Uuid;
use whatsapp::phone;

use crate::{
    Result,
    engine::{Event, Write},
    payloads::SyncContact,
};

/// The contact known to WhatsApp as `wa_id`: matched by any spelling of the number, made when there is none.
///
/// # Errors
/// The database's.
pub async fn match_or_create(write: &Write<'_>, wa_id: &str, profile_name: Option<&str>) -> Result<ContactId> {
    let tenant = write.scope.tenant;
    let number = phone::canonical(wa_id);
    let key = number.clone().unwrap_or_else(|| wa_id.to_owned());
    alone(write, tenant, &key).await?;
    let of = |kind: &str, values: Vec<String>| {
        contact_identity::Column::TenantId
            .eq(tenant)
            .and(contact_identity::Column::Kind.eq(kind))
            .and(contact_identity::Column::Value.is_in(values))
    };
    let spellings = number.as_deref().map_or_else(|| vec![wa_id.to_owned()], phone::variants);
    let mut names = of("wa_id", spellings);
    if let Some(number) = &number {
        names = names.or(of("phone", vec![number.clone()]));
    }
    if let Some(known) = contact_identity::Entity::find().filter(names).one(&***write).await? {
        identify(write, known.contact_id, "wa_id", wa_id).await?;
        return Ok(known.contact_id);
    }
    let id = ContactId::new();
    let shown = profile_name.map(str::trim).filter(|name| !name.is_empty());
    let name = shown.map_or_else(|| number.as_ref().map_or_else(|| wa_id.to_owned(), |number| format!("+{number}")), str::to_owned);
    let (first, last) = name.split_once(' ').map_or((name.as_str(), None), |(first, last)| (first, Some(last.trim().to_owned())));
    let row = table::ActiveModel {
        id: Set(id),
        tenant_id: Set(tenant),
        first_name: Set(first.to_owned()),
        last_name: Set(last),
        origin: Set("whatsapp".into()),
        created_at: Set(Utc::now()),
        updated_at: Set(Utc::now()),
        ..Default::default()
    };
    table::Entity::insert(row).exec_without_returning(&***write).await?;
    identify(write, id, "wa_id", wa_id).await?;
    if let Some(number) = &number {
        identify(write, id, "phone", number).await?;
    }
    write.record(Event { topic: "contacts", subject_id: id.0, action: "created", data: json!({ "source": "whatsapp" }) }).await?;
    write.enqueue(NewJob::new(tenant.0, &SyncContact { contact_id: id }).unique_key(format!("sync:{id}"))).await?;
    Ok(id)
}

/// One at a time for each name, so that two first messages make one contact. SQLite's writer is alone anyway.
async fn alone(tx: &Tx, tenant: TenantId, key: &str) -> Result<()> {
    if tx.get_database_backend() == DbBackend::Postgres {
        let lock = "select pg_advisory_xact_lock(hashtextextended($1, 7203))";
        let name = format!("contact:{tenant}:{key}");
        tx.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, lock, [name.into()])).await?;
    }
    Ok(())
}

/// A name that a contact is no longer known by.
async fn forget(write: &Write<'_>, contact: ContactId, kind: &str, value: &str) -> Result<()> {
    let own = contact_identity::Column::TenantId.eq(write.scope.tenant).and(contact_identity::Column::ContactId.eq(contact));
    let name = contact_identity::Column::Kind.eq(kind).and(contact_identity::Column::Value.eq(value));
    contact_identity::Entity::delete_many().filter(own.and(name)).exec(&***write).await?;
    Ok(())
}

async fn identify(write: &Write<'_>, contact: ContactId, kind: &str, value: &str) -> Result<()> {
    let row = contact_identity::ActiveModel {
        id: Set(Uuid::now_v7()),
        tenant_id: Set(write.scope.tenant),
        contact_id: Set(contact),
        kind: Set(kind.to_owned()),
        value: Set(value.to_owned()),
        created_at: Set(Utc::now()),
    };
    let columns = [contact_identity::Column::TenantId, contact_identity::Column::Kind, contact_identity::Column::Value];
    let once = OnConflict::columns(columns).do_nothing().to_owned();
    contact_identity::Entity::insert(row).on_conflict(once).exec_without_returning(&***write).await?;
    Ok(())
}

/// Completes a contact from its identities: each number it is known by is among its phones.
///
/// # Errors
/// The database's.
pub async fn sync(write: &Write<'_>, id: ContactId) -> Result<()> {
    let tenant = write.scope.tenant;
    let own = contact_identity::Column::TenantId.eq(tenant).and(contact_identity::Column::ContactId.eq(id));
    let numbers = contact_identity::Entity::find().filter(own.and(contact_identity::Column::Kind.eq("phone"))).all(&***write).await?;
    for identity in numbers {
        let row = contact_phone::ActiveModel {
            id: Set(Uuid::now_v7()),
            tenant_id: Set(tenant),
            contact_id: Set(id),
            number: Set(format!("+{}", identity.value)),
            kind: Set("mobile".into()),
        };
        let columns = [contact_phone::Column::TenantId, contact_phone::Column::ContactId, contact_phone::Column::Number];
        let once = OnConflict::columns(columns).do_nothing().to_owned();
        let new = contact_phone::Entity::insert(row).on_conflict(once).exec_without_returning(&***write).await?;
        if new == 1 {
            let touched = table::Column::TenantId.eq(tenant).and(table::Column::Id.eq(id));
            table::Entity::update_many()
                .col_expr(table::Column::UpdatedAt, Expr::value(Utc::now()))
                .col_expr(table::Column::Version, Expr::col(table::Column::Version).add(1))
                .filter(touched)
                .exec(&***write)
                .await?;
            write.record(Event { topic: "contacts", subject_id: id.0, action: "updated", data: json!({ "phones": 1 }) }).await?;
        }
    }
    Ok(())
}
