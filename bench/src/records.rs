//! (f) A million contacts: what the kernel of resources costs over SQL that somebody wrote by hand for the one purpose.

use std::time::Instant;

use anyhow::{Context, ensure};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait, Value};
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    api::{Client, Installation},
    contender::{Env, connect},
    load::{self, Load},
    report::{Column, Table},
    stats::percentile,
};

/// The row it is about.
pub(crate) const SOMO: &str = "SOMO, over HTTP";
/// The row it is measured against.
pub(crate) const BY_HAND: &str = "SQL by hand, in process";
/// The figures.
pub(crate) const FILTERED: &str = "filtered list p50, ms";
pub(crate) const FIRST: &str = "first page p50, ms";
pub(crate) const LAST: &str = "last page p50, ms";
pub(crate) const CREATES: &str = "creates/s";

/// So many contacts each person looks after.
const OWNERS: i64 = 50;
/// Connections that create.
const WRITERS: u32 = 16;

/// The table, still empty.
pub(crate) fn table() -> Table {
    Table::new(
        "f",
        "A million contacts",
        "One company with 1,000,000 contacts, each with a name, a phone, an address and one of fifty owners, on PostgreSQL. Lists: one \
         connection, one request after another, 25 contacts with their phones, addresses and tags and the names of their owners; \
         filtered: those of one owner, newest first. By hand: one prepared statement that reads the same from the same tables, over \
         the database's own protocol. Creates: 16 connections, each contact with a phone and an address; by hand: the same rows in a \
         transaction for each, the event, the text index and the contact's names for messages among them. The last page was reached \
         by going through all pages.",
        &[Column::new(FILTERED, 2), Column::new(FIRST, 2), Column::new(LAST, 2), Column::new(CREATES, 0)],
    )
}

/// What was put there.
pub(crate) struct Million {
    tenant: Uuid,
    owner: Uuid,
    /// The query that leads to the last page.
    last: String,
    /// Some of the contacts: no more than a process takes as an argument.
    pub(crate) some: Vec<String>,
}

impl Million {
    /// Fills the installation, and goes through all pages once.
    pub(crate) async fn make(installation: &Installation, quick: bool) -> anyhow::Result<Self> {
        let count: i64 = if quick { 20_000 } else { 1_000_000 };
        let database = installation.database();
        let row = one(database, "select tenant_id, id from users limit 1", []).await?;
        let (tenant, user): (Uuid, Uuid) = (row.try_get("", "tenant_id")?, row.try_get("", "id")?);
        let users = format!(
            "insert into users (id, tenant_id, email, name, password_hash, role)
             select gen_random_uuid(), tenant_id, 'agent' || g || '@example.com', 'Agent ' || g, password_hash, 'agent'
             from users, generate_series(2, {OWNERS}) as g where id = '{user}'"
        );
        let contacts = format!(
            "insert into contacts (id, tenant_id, first_name, last_name, owner_id, origin, created_at)
             select gen_random_uuid(), '{tenant}', 'Ana ' || g, 'Souza ' || g % 5000, o.ids[1 + g % {OWNERS}], 'manual',
                    now() - g * interval '1 s'
             from generate_series(1, {count}) as g, (select array_agg(id order by id) as ids from users) as o"
        );
        let phones = "insert into contact_phones (id, tenant_id, contact_id, number)
             select gen_random_uuid(), tenant_id, id, '+5511' || substr(first_name, 5) from contacts";
        let emails = "insert into contact_emails (id, tenant_id, contact_id, email)
             select gen_random_uuid(), tenant_id, id, 'ana' || substr(first_name, 5) || '@example.com' from contacts";
        for statement in [&users, &contacts, phones, emails] {
            database.execute_unprepared(statement).await?;
        }
        // The text index is written as a restored dump would write it: the rows first.
        let row = one(database, "select pg_get_indexdef('search_texts_parts'::regclass)", []).await?;
        let index: String = row.try_get_by(0)?;
        for statement in ["drop index search_texts_parts", TEXTS, &index] {
            database.execute_unprepared(statement).await?;
        }
        for table in ["contacts", "contact_phones", "contact_emails", "search_texts", "users"] {
            database.execute_unprepared(&format!("vacuum analyze {table}")).await?;
        }
        let row = one(database, "select owner_id from contacts where owner_id <> $1 limit 1", [user.into()]).await?;
        let rows = "select id from contacts order by id limit 2000";
        let rows = database.query_all_raw(Statement::from_string(DbBackend::Postgres, rows)).await?;
        let some = rows.iter().map(|row| row.try_get::<Uuid>("", "id").map(|id| id.to_string())).collect::<Result<_, _>>()?;
        let last = last_page(installation).await?;
        Ok(Self { tenant, owner: row.try_get("", "owner_id")?, last, some })
    }
}

/// Goes through all contacts; the query of the last page.
async fn last_page(installation: &Installation) -> anyhow::Result<String> {
    let api = installation.serve().await?;
    let mut client = Client::new(&api, &installation.token).await?;
    let mut query = "limit=25".to_owned();
    let mut page = client.get("/api/contacts?limit=200&count=exact").await?;
    let mut left = page["page"]["total"].as_i64().context("a total")?;
    loop {
        left -= i64::try_from(page["data"].as_array().context("a page")?.len())?;
        let Some(cursor) = page["page"]["next_cursor"].as_str() else { break };
        query = format!("limit=25&cursor={cursor}");
        page = client.get(&format!("/api/contacts?limit=200&cursor={cursor}")).await?;
    }
    ensure!(left == 0, "the pages have {left} contacts less than there are");
    Ok(query)
}

/// SOMO's figures.
pub(crate) async fn somo(env: &Env, quick: bool, table: &mut Table) -> anyhow::Result<()> {
    let (installation, million) = (env.installation().await?, env.million(quick).await?);
    let api = installation.serve().await?;
    let mut client = Client::new(&api, &installation.token).await?;
    let filter: String = percent(&json!({ "field": "owner_id", "op": "eq", "value": million.owner }).to_string());
    for (column, path) in [
        (FILTERED, format!("/api/contacts?limit=25&filter={filter}")),
        (FIRST, "/api/contacts?limit=25".to_owned()),
        (LAST, format!("/api/contacts?{}", million.last)),
    ] {
        let mut times = Vec::new();
        for _ in 0..asks(quick) {
            let sent = Instant::now();
            client.get(&path).await?;
            times.push(sent.elapsed().as_secs_f64() * 1e3);
        }
        table.push(SOMO, column, p50(times)?);
    }
    let contact = json!({ "first_name": "Bia {n}", "last_name": "Lima", "emails": [{ "email": "bia{n}@example.com" }],
        "phones": [{ "number": "+55119{n}" }] });
    let load = Load {
        address: api.address.clone(),
        method: "POST".into(),
        path: "/api/contacts".into(),
        headers: vec![
            ("Content-Type".into(), "application/json".into()),
            ("Authorization".into(), format!("Bearer {}", installation.token)),
        ],
        body: contact.to_string(),
        secret: None,
        connections: WRITERS,
        warm_up: 1.0,
        seconds: seconds(quick),
    };
    table.push(SOMO, CREATES, load::send(env.me(), &load).await?.per_second);
    forget(installation).await
}

/// The same by hand.
pub(crate) async fn by_hand(env: &Env, quick: bool, table: &mut Table) -> anyhow::Result<()> {
    let (installation, million) = (env.installation().await?, env.million(quick).await?);
    let database = connect(installation.address()).await?;
    let mut times = Vec::new();
    for _ in 0..asks(quick) {
        let sent = Instant::now();
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, LIST, [million.tenant.into(), million.owner.into()]);
        let rows = database.query_all_raw(statement).await?;
        ensure!(rows.len() == 26, "{} contacts", rows.len());
        times.push(sent.elapsed().as_secs_f64() * 1e3);
    }
    table.push(BY_HAND, FILTERED, p50(times)?);
    let until = Instant::now() + std::time::Duration::from_secs_f64(seconds(quick));
    let (began, mut writers) = (Instant::now(), JoinSet::new());
    for writer in 0..WRITERS {
        let (database, million) = (connect(installation.address()).await?, (million.tenant, million.owner));
        writers.spawn(async move {
            let mut made = 0u64;
            while Instant::now() < until {
                create(&database, million, u64::from(writer) * 1_000_000 + made).await?;
                made += 1;
            }
            anyhow::Ok(made)
        });
    }
    let mut made = 0;
    while let Some(writer) = writers.join_next().await {
        made += writer??;
    }
    table.push(BY_HAND, CREATES, made as f64 / began.elapsed().as_secs_f64());
    forget(installation).await
}

/// What the searched fields of all contacts say, as the index keeps it.
const TEXTS: &str = "
insert into search_texts (tenant_id, topic, record_id, field, text)
select c.tenant_id, 'contacts', c.id, said.field, said.text
from contacts c join contact_phones p on p.tenant_id = c.tenant_id and p.contact_id = c.id, lateral (values
    ('first_name', '  ana  ' || substr(c.first_name, 5)),
    ('last_name', '  souza  ' || substr(c.last_name, 7)),
    ('emails', '  ana' || substr(c.first_name, 5) || '@example.com'),
    ('phones', '  ' || substr(p.number, 2))) as said (field, text)";

/// A page and one more, with what the API answers beside the contact's own columns.
const LIST: &str = "
select c.*, u.name as owner_name,
    (select json_agg(json_build_object('number', p.number, 'kind', p.kind) order by p.id) from contact_phones p
     where p.tenant_id = c.tenant_id and p.contact_id = c.id) as phones,
    (select json_agg(json_build_object('email', e.email, 'kind', e.kind) order by e.id) from contact_emails e
     where e.tenant_id = c.tenant_id and e.contact_id = c.id) as emails,
    (select json_agg(t.name order by t.name) from taggings g join tags t on t.tenant_id = g.tenant_id and t.id = g.tag_id
     where g.tenant_id = c.tenant_id and g.subject_id = c.id) as tags,
    (select json_agg(cc.company_id) from contact_companies cc where cc.tenant_id = c.tenant_id and cc.contact_id = c.id) as companies
from contacts c left join users u on u.tenant_id = c.tenant_id and u.id = c.owner_id
where c.tenant_id = $1 and c.owner_id = $2 and c.deleted_at is null
order by c.created_at desc, c.id desc limit 26";

/// What the API writes for a contact.
async fn create(database: &DatabaseConnection, (tenant, owner): (Uuid, Uuid), n: u64) -> anyhow::Result<()> {
    let id = Uuid::now_v7();
    let (email, number) = (format!("bia{n}@by-hand.example.com"), format!("+55219{n:08}"));
    let event = json!({ "first_name": "Bia", "last_name": "Lima", "emails": [{ "email": email, "kind": "work" }],
        "phones": [{ "number": number, "kind": "mobile" }], "owner_id": owner, "origin": "manual" });
    let (said_email, said_number) = (format!("  {email}"), format!("  {}", &number[1..]));
    let new = || Value::from(Uuid::now_v7());
    let tx = database.begin().await?;
    for (sql, values) in [
        (
            "insert into contacts (id, tenant_id, first_name, last_name, owner_id, origin) values ($1, $2, 'Bia', 'Lima', $3, 'manual')",
            vec![id.into(), tenant.into(), owner.into()],
        ),
        (
            "insert into contact_emails (id, tenant_id, contact_id, email) values ($1, $2, $3, $4)",
            vec![new(), tenant.into(), id.into(), email.clone().into()],
        ),
        (
            "insert into contact_phones (id, tenant_id, contact_id, number) values ($1, $2, $3, $4)",
            vec![new(), tenant.into(), id.into(), number.clone().into()],
        ),
        (
            "insert into contact_identities (id, tenant_id, contact_id, kind, value) values ($1, $2, $3, 'email', $4), ($5, $2, $3, 'phone', $6)",
            vec![new(), tenant.into(), id.into(), email.into(), new(), number.into()],
        ),
        (
            "insert into events (id, tenant_id, topic, subject_id, action, actor_kind, actor_id, data)
             values ($1, $2, 'contacts', $3, 'created', 'user', $4, $5)",
            vec![new(), tenant.into(), id.into(), owner.into(), event.into()],
        ),
        (
            "insert into search_texts (tenant_id, topic, record_id, field, text) values ($1, 'contacts', $2, 'first_name', '  bia'),
             ($1, 'contacts', $2, 'last_name', '  lima'), ($1, 'contacts', $2, 'emails', $3), ($1, 'contacts', $2, 'phones', $4)",
            vec![tenant.into(), id.into(), said_email.into(), said_number.into()],
        ),
    ] {
        tx.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
    }
    Ok(tx.commit().await?)
}

/// Takes away what was created, so that each turn finds the same contacts.
async fn forget(installation: &Installation) -> anyhow::Result<()> {
    let database = installation.database();
    database
        .execute_unprepared("delete from search_texts where record_id in (select id from contacts where first_name like 'Bia%')")
        .await?;
    database.execute_unprepared("delete from contacts where first_name like 'Bia%'").await?;
    for table in ["contacts", "search_texts"] {
        database.execute_unprepared(&format!("vacuum {table}")).await?;
    }
    database.execute_unprepared("checkpoint").await?;
    Ok(())
}

async fn one<const N: usize>(database: &DatabaseConnection, sql: &str, values: [Value; N]) -> anyhow::Result<sea_orm::QueryResult> {
    let row = database.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
    row.with_context(|| format!("no row: {sql}"))
}

fn p50(mut times: Vec<f64>) -> anyhow::Result<f64> {
    percentile(&mut times, 0.5).context("nothing was asked")
}

fn asks(quick: bool) -> u32 {
    if quick { 50 } else { 500 }
}

fn seconds(quick: bool) -> f64 {
    if quick { 1.0 } else { 5.0 }
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
