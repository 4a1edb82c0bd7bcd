//! The records of a resource as rows: by their ids, so that what is made or changed meanwhile shifts nothing. A record that is made
//! meanwhile may be in it, one that is deleted may be missing; every other one is in it once.

use std::sync::Arc;

use db::Db;
use sea_orm::sea_query::{Alias, ExprTrait, Order, SelectStatement};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ExportRequest, source::PAGE};
use crate::{
    Error, FieldError, Result, Scope,
    resource::{
        Record, Resource, access,
        custom::{self, Custom, Customs},
        field::{Field, Kind},
        list::{self, Wanted},
        rows::{self, ROW},
    },
    saved_views,
};

/// The records of a resource.
pub(super) struct Records {
    resource: &'static Resource,
    columns: Vec<Column>,
    select: SelectStatement,
    after: Option<Uuid>,
    over: bool,
}

enum Column {
    Field(&'static Field),
    /// What the records are called that a field names.
    Label(&'static Field),
    Custom(Arc<Custom>),
}

impl Records {
    pub(super) async fn of(db: &Db, scope: &Scope, resource: &'static Resource, request: ExportRequest) -> Result<Self> {
        let ExportRequest { format: _, fields, filter, view_id, q } = request;
        access::see(scope, resource)?;
        let customs = Customs::of(&db.read, scope.tenant.0).await?;
        let all = columns(scope, resource, &customs);
        let columns = match fields {
            None => all,
            Some(names) => {
                let (mut kept, mut faults) = (Vec::new(), Vec::new());
                let mut all: Vec<Option<Column>> = all.into_iter().map(Some).collect();
                for (n, name) in names.iter().enumerate() {
                    let found = all.iter_mut().find(|one| one.as_ref().is_some_and(|one| one.name() == *name));
                    match found.and_then(Option::take) {
                        Some(column) => kept.push(column),
                        None => faults.push(FieldError {
                            pointer: format!("/fields/{n}"),
                            code: "unknown_field",
                            message: format!("is no field of a {} that you get to see, or is named twice", resource.name),
                        }),
                    }
                }
                if !faults.is_empty() {
                    return Err(Error::Invalid(faults));
                }
                if kept.is_empty() {
                    return Err(Error::field("/fields", "required", "name at least one, or leave it out"));
                }
                kept
            }
        };
        let wanted = Wanted { filter, q, ..Wanted::default() };
        let mut select = rows::select(resource);
        list::matching(db, scope, resource, &wanted, &mut select).await?;
        if let Some(id) = view_id {
            let view = saved_views::named(db, scope, resource, id).await?;
            list::shown_by(db, scope, resource, &view, &mut select).await?;
        }
        Ok(Self { resource, columns, select, after: None, over: false })
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.columns.iter().map(Column::name).collect()
    }

    pub(super) async fn next(&mut self, db: &Db, scope: &Scope, plain: bool) -> Result<Vec<Vec<Value>>> {
        if self.over {
            return Ok(Vec::new());
        }
        let mut select = self.select.clone();
        if let Some(after) = self.after {
            select.and_where(Resource::column(ROW, "id").gt(after));
        }
        select.order_by((Alias::new(ROW), Alias::new("id")), Order::Asc).limit(PAGE);
        let mut records = rows::read(&db.read, scope, self.resource, &select).await?;
        self.over = (records.len() as u64) < PAGE;
        self.after = records.last().map(rows::id_of).or(self.after);
        rows::show(&db.read, scope, self.resource, &[], &mut records).await?;
        Ok(records.iter().map(|record| self.columns.iter().map(|column| column.of(record, plain)).collect()).collect())
    }
}

fn columns(scope: &Scope, resource: &'static Resource, customs: &Customs) -> Vec<Column> {
    let mut columns = Vec::new();
    for field in resource.fields.iter().filter(|field| !scope.hides(resource, field.name)) {
        if field.name == custom::FIELD {
            columns.extend(customs.on(resource).iter().map(|custom| Column::Custom(custom.clone())));
            continue;
        }
        columns.push(Column::Field(field));
        if field.name != "id" && field.leads_to().is_some() {
            columns.push(Column::Label(field));
        }
    }
    columns
}

impl Column {
    fn name(&self) -> String {
        match self {
            Self::Field(field) => field.name.to_owned(),
            Self::Label(field) => format!("{}.label", field.name),
            Self::Custom(custom) => custom.path(),
        }
    }

    /// The value, or what a cell says of it.
    fn of(&self, record: &Record, plain: bool) -> Value {
        let value = match self {
            Self::Field(field) => record.get(field.name),
            Self::Label(field) => record.get("_labels").and_then(|labels| labels.get(field.name)),
            Self::Custom(custom) => Some(custom.of(record)),
        };
        let value = value.cloned().unwrap_or(Value::Null);
        if !plain {
            return value;
        }
        match (self, value) {
            (_, Value::Array(list)) if list.is_empty() => Value::Null,
            (Self::Field(Field { kind: Kind::Rows(rows), .. }), Value::Array(list)) => {
                let about = rows.fields[0].name;
                joined(list.iter().map(|row| &row[about]))
            }
            (_, Value::Array(list)) => joined(list.iter()),
            (_, Value::Object(object)) => json!(Value::Object(object).to_string()),
            (_, value) => value,
        }
    }
}

fn joined<'a>(list: impl Iterator<Item = &'a Value>) -> Value {
    let texts: Vec<String> = list.map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned)).collect();
    json!(texts.join("; "))
}
