//! Contacts and companies, and the names under which contacts are known outside.

pub(crate) mod company;
pub(crate) mod contact;
pub(crate) mod industry;
pub(crate) mod source;

use chrono::{SubsecRound, Utc};
use entities::{ContactId, contact_identity};
use jobs::NewJob;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, Statement, sea_query::Expr};
use serde_json::json;
use uuid::Uuid;
use whatsapp::phone;

use crate::{
    Result,
    engine::{
        Write,
        set::{Insert, Otherwise},
    },
    payloads::SyncContact,
    resource::{access::Act, registry, related, rows, write},
};

/// The contact known to WhatsApp as `wa_id`: matched by any spelling of the number, made when there is none.
///
/// # Errors
/// The database's.
pub async fn match_or_create(write: &Write<'_>, wa_id: &str, profile_name: Option<&str>) -> Result<ContactId> {
    let tenant = write.scope.tenant;
    let number = phone::canonical(wa_id);
    let key = number.clone().unwrap_or_else(|| wa_id.to_owned());
    // One at a time for each name, so that two first messages make one contact.
    related::alone(write, &format!("contact={key}")).await?;
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
        identify(write, known.contact_id, vec![("wa_id", wa_id.to_owned())]).await?;
        return Ok(known.contact_id);
    }
    // What WhatsApp calls them may be anything.
    let plain = |text: &str| text.chars().filter(|c| !c.is_control()).take(120).collect::<String>().trim().to_owned();
    let shown = profile_name.map(plain).filter(|name| !name.is_empty());
    let name = shown.unwrap_or_else(|| number.as_ref().map_or_else(|| wa_id.to_owned(), |number| format!("+{number}")));
    let (first, last) = name.split_once(' ').map_or((name.as_str(), None), |(first, last)| (first, Some(plain(last))));
    let named = |pairs: Vec<(&str, serde_json::Value)>| pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let body = named(vec![("first_name", json!(first))]);
    let own = named(vec![("last_name", json!(last)), ("owner_id", json!(null)), ("origin", json!("whatsapp"))]);
    let record = write::create_with(write, registry::named("contacts"), &body, own).await?;
    let id = ContactId(rows::id_of(&record));
    identify(write, id, [("wa_id", wa_id.to_owned())].into_iter().chain(number.map(|number| ("phone", number))).collect()).await?;
    write.enqueue(NewJob::new(tenant.0, &SyncContact { contact_id: id }).unique_key(format!("sync:{id}"))).await?;
    Ok(id)
}

/// Under what people enter that a contact is known by.
#[derive(Clone, Copy, Debug)]
enum Name {
    Email,
    Phone,
}

impl Name {
    fn kind(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
        }
    }
}

/// A name that a contact is no longer known by. It goes to the oldest other one that has it, and so do WhatsApp's names for it.
async fn forget(write: &Write<'_>, contact: ContactId, name: Name, value: &str) -> Result<()> {
    let own = contact_identity::Column::TenantId.eq(write.scope.tenant).and(contact_identity::Column::ContactId.eq(contact));
    let of = |kind: &str, values: Vec<String>| {
        own.clone().and(contact_identity::Column::Kind.eq(kind)).and(contact_identity::Column::Value.is_in(values))
    };
    contact_identity::Entity::delete_many().filter(of(name.kind(), vec![value.to_owned()])).exec(&***write).await?;
    let Some(heir) = heir(write, contact, name, value).await? else { return Ok(()) };
    identify(write, heir, vec![(name.kind(), value.to_owned())]).await?;
    if matches!(name, Name::Phone) {
        contact_identity::Entity::update_many()
            .col_expr(contact_identity::Column::ContactId, Expr::value(heir.0))
            .filter(of("wa_id", phone::variants(value)))
            .exec(&***write)
            .await?;
    }
    Ok(())
}

/// The oldest other contact that has this address or number.
async fn heir(write: &Write<'_>, but: ContactId, name: Name, value: &str) -> Result<Option<ContactId>> {
    let (table, column) = match name {
        Name::Email => ("contact_emails", "email"),
        Name::Phone => ("contact_phones", "number"),
    };
    let find = format!(
        "select c.id from contacts c join {table} n on n.tenant_id = c.tenant_id and n.contact_id = c.id
         where c.tenant_id = $1 and n.{column} in ($2, $3) and c.id <> $4 and c.deleted_at is null order by c.id limit 1"
    );
    let values = [write.scope.tenant.0.into(), value.into(), format!("+{value}").into(), but.0.into()];
    let row = write.query_one_raw(Statement::from_sql_and_values(write.get_database_backend(), find, values)).await?;
    Ok(row.map(|row| row.try_get("", "id")).transpose()?.map(ContactId))
}

/// Makes a contact known by these, each a kind and a value; what another one is known by stays theirs.
async fn identify(write: &Write<'_>, contact: ContactId, names: Vec<(&str, String)>) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let row = |(kind, value): (&str, String)| {
        let (tenant, now) = (write.scope.tenant.0, Utc::now().trunc_subsecs(6));
        vec![Uuid::now_v7().into(), tenant.into(), contact.0.into(), kind.into(), value.into(), now.into()]
    };
    let columns = vec!["id", "tenant_id", "contact_id", "kind", "value", "created_at"];
    let rows = names.into_iter().map(row).collect();
    write.insert(Insert { table: "contact_identities", columns, otherwise: Otherwise::Skip, rows }).await?;
    Ok(())
}

/// Completes a contact from its identities: each number it is known by is among its phones. One in the trash stays as it is.
///
/// # Errors
/// The database's.
pub async fn sync(write: &Write<'_>, id: ContactId) -> Result<()> {
    let contacts = registry::named("contacts");
    let found = write::load(write, contacts, Act::Edit, id.0, true).await?;
    let Some(record) = found.filter(|record| record["deleted_at"] == json!(null)) else { return Ok(()) };
    let own = contact_identity::Column::TenantId.eq(write.scope.tenant).and(contact_identity::Column::ContactId.eq(id));
    let numbers = contact_identity::Entity::find().filter(own.and(contact_identity::Column::Kind.eq("phone"))).all(&***write).await?;
    let mut phones = record["phones"].as_array().cloned().unwrap_or_default();
    for number in numbers.into_iter().map(|identity| format!("+{}", identity.value)) {
        if phones.iter().all(|phone| phone["number"] != json!(number)) {
            phones.push(json!({ "number": number }));
        }
    }
    let body = [("phones".to_owned(), json!(phones))].into_iter().collect();
    write::update(write, contacts, id.0, &body, None).await?;
    Ok(())
}
