//! Deals.

use chrono::Utc;
use entities::NotificationKind;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{drag, position::LONGEST};
use crate::{
    Error, Result,
    collaboration::{followers, notifications},
    engine::Write,
    resource::{
        Action, Change, Resource, Rules,
        field::{Field, Form, Kind},
        registry, value,
    },
    settings,
};

/// The resource.
pub(crate) fn resource() -> Resource {
    let contacts = Kind::References { to: "contacts", table: "deal_contacts", own: "deal_id", other: "contact_id" };
    let fields = vec![
        Field::line("name", 200, "What it is called.").required().searched().example("120 chairs for the new office"),
        Field::reference("pipeline_id", "pipelines", "Which way it goes: the first, if none is named.").required().default(Value::Null),
        Field::reference("stage_id", "stages", "How far it is: the first stage of its pipeline, if none is named.")
            .required()
            .default(Value::Null),
        Field::new("status", Kind::Choice(&["open", "won", "lost"]), "How it stands.").default("open"),
        Field::new("amount", Kind::Decimal { scale: 2 }, "What it is worth."),
        Field::text("currency", 3, Form::Currency, "In which currency: the company's, if none is named.").required().default(Value::Null),
        Field::new("expected_close", Kind::Date, "When it should be decided."),
        Field::reference("owner_id", "users", "Who works on it; whoever makes it, if nobody is named."),
        Field::new("contact_ids", contacts, "With whom."),
        Field::reference("company_id", "companies", "With which company."),
        Field::reference("source_id", "sources", "Where it comes from."),
        Field::reference("lost_reason_id", "lost_reasons", "Why it was lost."),
        Field::text("lost_note", 2_000, Form::Lines, "What there is to say about that."),
        Field::new("tags", Kind::Tags, "Its tags; new ones are made."),
        Field::text("description", 10_000, Form::Lines, "What else there is to know."),
        Field::line("position", LONGEST, "Its place in its stage: a deal with a smaller text stands before.")
            .required()
            .by_rules()
            .example("i00001"),
        Field::new("stage_entered_at", Kind::Time, "Since when it is in its stage.").required().by_rules(),
        Field::new("won_at", Kind::Time, "When it was won.").by_rules(),
        Field::new("lost_at", Kind::Time, "When it was lost.").by_rules(),
        Field::new("next_activity_at", Kind::Time, "When its next activity is due.").by_rules(),
    ];
    let resource = Resource::new("deal", "deals", "Deal", "Something that may be sold to somebody.", fields);
    let many = vec![("activities", "deal_ids"), ("notes", "deal_ids"), ("calls", "deal_ids")];
    Resource { many, owner: Some("owner_id"), rules: &Deals, bulk: true, ..resource }
}

struct Deals;

#[async_trait::async_trait]
impl Rules for Deals {
    async fn check(&self, write: &Write<'_>, change: &mut Change) -> Result<()> {
        if change.action.ends() {
            return Ok(());
        }
        if change.reference("pipeline_id").is_none() {
            let sql = "select id from pipelines where tenant_id = $1 and deleted_at is null order by position, id limit 1";
            let first = first(write, sql, None).await?;
            let missing = || Error::field("/pipeline_id", "required", "there is no pipeline yet; make one with its stages first");
            change.after.insert("pipeline_id".into(), json!(first.ok_or_else(missing)?));
        }
        settings::complete_currency(write, change).await?;
        let pipeline = change.reference("pipeline_id");
        if change.reference("stage_id").is_none() || change.changes("pipeline_id") && !change.changes("stage_id") {
            let sql =
                "select id from stages where tenant_id = $1 and pipeline_id = $2 and deleted_at is null order by position, id limit 1";
            let first = first(write, sql, pipeline).await?;
            let missing = || Error::field("/stage_id", "required", "the pipeline has no stage yet; make one first");
            change.after.insert("stage_id".into(), json!(first.ok_or_else(missing)?));
        }
        let now = value::now();
        if change.changes("stage_id") {
            let sql = "select pipeline_id as id from stages where tenant_id = $1 and id = $2";
            if first(write, sql, change.reference("stage_id")).await?.is_some_and(|of| Some(of) != pipeline) {
                return Err(Error::field("/stage_id", "invalid", "is a stage of another pipeline"));
            }
            change.after.insert("stage_entered_at".into(), now.clone());
            // Where nobody dragged it, it stands last.
            if !change.changes("position") {
                let end = drag::end(write, change.reference("stage_id"), change.id).await?;
                change.after.insert("position".into(), json!(end));
            }
        }
        // Why it was lost is of no deal that isn't.
        if change.text("status") != Some("lost") {
            for field in ["lost_reason_id", "lost_note"] {
                if change.changes(field) && change.after[field] != Value::Null {
                    return Err(Error::field(format!("/{field}"), "invalid", "is only for a deal that is lost"));
                }
                change.after.insert(field.into(), Value::Null);
            }
        }
        if change.changes("status") {
            let status = change.text("status").unwrap_or_default().to_owned();
            for (name, field) in [("won", "won_at"), ("lost", "lost_at")] {
                change.after.insert(field.into(), if status == name { now.clone() } else { Value::Null });
            }
        }
        Ok(())
    }

    async fn follow(&self, write: &Write<'_>, change: &Change) -> Result<()> {
        let news = match change.text("status") {
            Some("won") => Some(NotificationKind::Won),
            Some("lost") => Some(NotificationKind::Lost),
            _ => None,
        };
        if let Some(news) = news.filter(|_| change.action == Action::Update && change.changes("status")) {
            let deals = registry::named("deals");
            let followers = followers::of(write, deals, &change.after).await?;
            notifications::send(write, (deals, change.id), news, None, followers).await?;
        }
        if change.action == Action::Purge || !change.changes("stage_id") {
            return Ok(());
        }
        let (tenant, at) = (write.scope.tenant.0, Utc::now());
        let left = "update deal_stage_visits set left_at = $3 where tenant_id = $1 and deal_id = $2 and left_at is null";
        let entered = "insert into deal_stage_visits (id, tenant_id, deal_id, stage_id, entered_at) values ($4, $1, $2, $5, $3)";
        let backend = write.get_database_backend();
        write.execute_raw(Statement::from_sql_and_values(backend, left, [tenant.into(), change.id.into(), at.into()])).await?;
        let values = [tenant.into(), change.id.into(), at.into(), Uuid::now_v7().into(), change.reference("stage_id").into()];
        write.execute_raw(Statement::from_sql_and_values(backend, entered, values)).await?;
        Ok(())
    }
}

async fn first(write: &Write<'_>, sql: &str, of: Option<Uuid>) -> Result<Option<Uuid>> {
    let values: Vec<sea_orm::Value> = [Some(write.scope.tenant.0), of].into_iter().flatten().map(Into::into).collect();
    let row = write.query_one_raw(Statement::from_sql_and_values(write.get_database_backend(), sql, values)).await?;
    Ok(row.map(|row| row.try_get("", "id")).transpose()?)
}
