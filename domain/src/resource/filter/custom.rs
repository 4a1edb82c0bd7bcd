//! Fields that a tenant added, in statements: parts of one JSON column.

use db::DbBackend;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, Query};
use serde_json::{Value, json};

use super::{
    Test,
    sql::{Target, compare, exists, is_in, like},
};
use crate::resource::{
    Resource,
    custom::{Custom, FIELD},
    field::{Form, Kind},
};

impl Target<'_> {
    /// Whether the test holds for what the record keeps.
    pub(crate) fn custom(&self, custom: &Custom, test: &Test, alias: &str) -> Expr {
        let text = self.text_of(custom, alias);
        match test {
            Test::Present => Expr::cust(text).is_not_null(),
            Test::In(operands) => {
                let each = operands.iter().map(|operand| self.has(custom, &operand.value, alias));
                each.reduce(ExprTrait::or).unwrap_or_else(|| Expr::cust("1 = 0"))
            }
            Test::All(operands) => {
                let each = operands.iter().map(|operand| self.has(custom, &operand.value, alias));
                each.reduce(ExprTrait::and).unwrap_or_else(|| Expr::cust("1 = 1"))
            }
            Test::Like { text: part, before, after } => like(self.fold(&text), part, *before, *after),
            Test::Below(..) | Test::Above(..) | Test::Between(..) => {
                let value = self.value_of(custom, alias);
                let value = if matches!(custom.kind, Kind::Text { .. }) { self.bytewise(value) } else { value };
                compare(value, kind(custom), test)
            }
        }
    }

    /// What the record keeps, as it is compared and sorted.
    pub(crate) fn value_of(&self, custom: &Custom, alias: &str) -> Expr {
        let text = self.text_of(custom, alias);
        let lite = self.backend == DbBackend::Sqlite;
        Expr::cust(match &custom.kind {
            Kind::Integer { .. } if !lite => format!("({text})::bigint"),
            // All of them have as many digits after the point.
            Kind::Decimal { .. } if lite => format!("cast(replace({text}, '.', '') as integer)"),
            Kind::Decimal { .. } => format!("replace({text}, '.', '')::bigint"),
            Kind::Boolean if !lite => format!("({text})::boolean"),
            Kind::Date if !lite => format!("({text})::date"),
            Kind::Time if !lite => format!("({text})::timestamptz"),
            _ => text,
        })
    }

    /// What the record keeps, without case and accents.
    pub(crate) fn folded_of(&self, custom: &Custom, alias: &str) -> Expr {
        self.fold(&self.text_of(custom, alias))
    }

    /// Keys are plain words: see the rules of the resource `custom_fields`.
    fn text_of(&self, custom: &Custom, alias: &str) -> String {
        match self.backend {
            DbBackend::Sqlite => format!(r#"json_extract("{alias}"."{FIELD}", '$."{}"')"#, custom.key),
            _ => format!(r#"("{alias}"."{FIELD}" ->> '{}')"#, custom.key),
        }
    }

    /// Whether it is, or has among its values, this one.
    fn has(&self, custom: &Custom, value: &Value, alias: &str) -> Expr {
        if self.backend == DbBackend::Postgres {
            // As the index on the column finds it, and when it holds at all.
            let wanted = if custom.many { json!([value]) } else { value.clone() };
            let wanted = json!({ custom.key.clone(): wanted });
            let has = Expr::cust_with_exprs("$1 @> $2", [Resource::column(alias, FIELD), Expr::val(wanted)]);
            return has.and(Expr::cust(format!(r#""{alias}"."{FIELD}" <> '{{}}'::jsonb"#)));
        }
        if !custom.many {
            return is_in(self.value_of(custom, alias), kind(custom), &[super::Operand::of(value)]);
        }
        let path = Expr::val(format!(r#"$."{}""#, custom.key));
        let each = Func::cust("json_each").args([Resource::column(alias, FIELD), path]);
        let mut select = Query::select();
        exists(select.from_function(each, "item").and_where(Expr::col((Alias::new("item"), Alias::new("value"))).eq(text(value))))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The kind as SQL compares it: ids are texts there.
pub(crate) fn kind(custom: &Custom) -> &Kind {
    static TEXT: Kind = Kind::Text { max: 300, form: Form::Line };
    match custom.kind {
        Kind::Reference { .. } => &TEXT,
        _ => &custom.kind,
    }
}
