//! A filter as a condition of a statement, for both databases.

use db::DbBackend;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, JoinType, LikeExpr, Query, SelectStatement};

use super::{By, Filter, Hop, Leaf, Operand, Test, What};
use crate::{
    Result, Scope,
    resource::{
        Resource,
        access::Act,
        field::{Field, Kind},
        value,
    },
};

/// What statements are made for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The database.
    pub backend: DbBackend,
    /// Whose data, seen by whom.
    pub scope: &'a Scope,
}

impl Filter {
    /// The condition on rows of `resource` that the statement calls `alias`.
    ///
    /// # Errors
    /// [`crate::Error::Forbidden`] when it looks through a relation that the caller may not see.
    pub fn sql(&self, resource: &'static Resource, alias: &str, target: Target<'_>) -> Result<Expr> {
        Ok(match self {
            Self::And(parts) => join(parts, resource, alias, target, true)?,
            Self::Or(parts) => join(parts, resource, alias, target, false)?,
            Self::Leaf(leaf) => {
                let Leaf { place, test, not } = leaf.as_ref();
                let holds = match (place.hop, &place.what) {
                    (Some(hop), What::Count) => {
                        let count = target.behind(hop, alias, "hop")?.expr(Func::count(Resource::column("hop", "id"))).to_owned();
                        compare(Expr::SubQuery(None, Box::new(count.into())), What::Count.kind(), test)
                    }
                    (Some(hop), what) => {
                        let inner = target.holds(what, test, "hop");
                        exists(target.behind(hop, alias, "hop")?.and_where(inner))
                    }
                    (None, what) => target.holds(what, test, alias),
                };
                if *not { untrue(holds) } else { holds }
            }
        })
    }
}

/// Not `not`: a null is not true either.
fn untrue(holds: Expr) -> Expr {
    Expr::from(Func::coalesce([holds, Expr::cust("false")])).not()
}

fn join(parts: &[Filter], resource: &'static Resource, alias: &str, target: Target<'_>, all: bool) -> Result<Expr> {
    let parts = parts.iter().map(|part| part.sql(resource, alias, target)).collect::<Result<Vec<_>>>()?;
    let joined = parts.into_iter().reduce(|a, b| if all { a.and(b) } else { a.or(b) });
    Ok(joined.unwrap_or_else(|| Expr::cust(if all { "1 = 1" } else { "1 = 0" })))
}

pub(super) fn exists(select: &mut SelectStatement) -> Expr {
    Expr::exists(select.expr(Expr::cust("1")).to_owned())
}

impl Target<'_> {
    /// The rows behind a relation that the caller may see.
    fn behind(&self, hop: Hop, alias: &str, inner: &'static str) -> Result<SelectStatement> {
        let ours = |name: &'static str| (Alias::new(alias), Alias::new(name));
        let mut select = Query::select();
        select
            .from_as(Alias::new(hop.to.topic), Alias::new(inner))
            .and_where(self.scope.within(hop.to, Act::View, inner)?)
            .and_where(Resource::column(inner, "deleted_at").is_null());
        match hop.by {
            By::Ours(field) => select.and_where(Resource::column(inner, "id").equals(ours(field))),
            By::Theirs(field) => select.and_where(Resource::column(inner, field).equals(ours("id"))),
            By::Joined { table, ours: own, theirs } => {
                let link = |name: &'static str| Resource::column("link", name);
                let joined = link("tenant_id").equals((inner, "tenant_id")).and(link(theirs).equals((inner, "id")));
                select.join_as(JoinType::InnerJoin, table, "link", joined).and_where(link(own).equals(ours("id")))
            }
        };
        Ok(select)
    }

    /// Whether the test holds for one of the values.
    fn holds(&self, what: &What, test: &Test, alias: &str) -> Expr {
        match what {
            What::Count => Expr::cust("1 = 0"), // only behind a relation
            What::Row(_, rows, part) => {
                let mut select = self.of(rows.table, rows.owner, alias);
                exists(select.and_where(self.test("part", part.name, &part.kind, test)))
            }
            What::Field(field) => self.field(field, test, alias),
            What::Custom(custom) => self.custom(custom, test, alias),
        }
    }

    /// The rows of another table that belong to the record.
    fn of(&self, table: &'static str, owner: &'static str, alias: &str) -> SelectStatement {
        Query::select()
            .from_as(table, "part")
            .and_where(Resource::of("part", self.scope.tenant.0))
            .and_where(Resource::column("part", owner).equals((Alias::new(alias), "id")))
            .to_owned()
    }

    fn field(&self, field: &Field, test: &Test, alias: &str) -> Expr {
        let (mut select, key) = match &field.kind {
            Kind::Rows(rows) => (self.of(rows.table, rows.owner, alias), None),
            Kind::References { table, own, other, .. } => (self.of(table, own, alias), Some(Expr::col(("part", *other)))),
            Kind::Tags => {
                let mut select = self.of("taggings", "subject_id", alias);
                select.join_as(
                    JoinType::InnerJoin,
                    "tags",
                    "tag",
                    Expr::col(("tag", "tenant_id")).equals(("part", "tenant_id")).and(Expr::col(("tag", "id")).equals(("part", "tag_id"))),
                );
                select.and_where(Expr::col(("tag", "deleted_at")).is_null());
                (select, Some(self.folded("tag", "name")))
            }
            kind => return self.test(alias, field.name, kind, test),
        };
        let one_of = |select: &SelectStatement, key: &Expr, operands: &[Operand]| {
            exists(select.clone().and_where(is_in(key.clone(), &element(&field.kind), operands)))
        };
        match (test, key) {
            (Test::In(operands), Some(key)) => one_of(&select, &key, operands),
            (Test::All(operands), Some(key)) => {
                let each = operands.iter().map(|operand| one_of(&select, &key, std::slice::from_ref(operand)));
                each.reduce(ExprTrait::and).unwrap_or_else(|| Expr::cust("1 = 1"))
            }
            _ => exists(&mut select),
        }
    }

    fn test(&self, alias: &str, name: &'static str, kind: &Kind, test: &Test) -> Expr {
        let column = Resource::column(alias, name);
        match test {
            Test::Like { text, before, after } => like(self.folded(alias, name), text, *before, *after),
            Test::Below(..) | Test::Above(..) | Test::Between(..) if matches!(kind, Kind::Text { .. }) => {
                compare(self.bytewise(column), kind, test)
            }
            _ => compare(column, kind, test),
        }
    }

    /// Without case and accents; [`db::fold`] says the same in memory.
    pub(crate) fn folded(&self, alias: &str, column: &str) -> Expr {
        self.fold(&format!(r#""{alias}"."{column}""#))
    }

    /// A text of SQL without case and accents.
    pub(super) fn fold(&self, text: &str) -> Expr {
        match self.backend {
            DbBackend::Sqlite => Expr::cust(db::fold::sqlite(text)),
            _ => Expr::cust(db::fold::postgres(text)),
        }
    }

    /// A text as SQLite and the memory sort it: byte by byte.
    pub(crate) fn bytewise(&self, text: Expr) -> Expr {
        match self.backend {
            DbBackend::Sqlite => text,
            _ => Expr::cust_with_expr(r#"$1 collate "C""#, text),
        }
    }
}

/// The kind of one of several.
fn element(kind: &Kind) -> Kind {
    match kind {
        Kind::References { to, .. } => Kind::Reference { to },
        _ => Kind::Text { max: 0, form: crate::resource::field::Form::Line },
    }
}

/// Whether a folded text has another one in it, as it is written.
pub(super) fn like(folded: Expr, text: &str, before: bool, after: bool) -> Expr {
    let any = |wanted| if wanted { "%" } else { "" };
    folded.like(LikeExpr::new(format!("{}{}{}", any(before), escaped(text), any(after))).escape('\\'))
}

/// A text in a pattern, where it stands for nothing but itself.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

pub(super) fn is_in(column: Expr, kind: &Kind, operands: &[Operand]) -> Expr {
    match operands {
        [] => Expr::cust("1 = 0"),
        [one] => column.eq(value::sql(kind, &one.value)),
        many => column.is_in(many.iter().map(|one| value::sql(kind, &one.value))),
    }
}

pub(super) fn compare(column: Expr, kind: &Kind, test: &Test) -> Expr {
    let sql = |operand: &Operand| value::sql(kind, &operand.value);
    match test {
        Test::Present => column.is_not_null(),
        Test::In(operands) => is_in(column, kind, operands),
        Test::Below(operand, false) => column.lt(sql(operand)),
        Test::Below(operand, true) => column.lte(sql(operand)),
        Test::Above(operand, false) => column.gt(sql(operand)),
        Test::Above(operand, true) => column.gte(sql(operand)),
        Test::Between(from, to, true) => column.clone().gte(sql(from)).and(column.lte(sql(to))),
        Test::Between(from, to, false) => column.clone().gte(sql(from)).and(column.lt(sql(to))),
        // Only texts and lists have these, and those come by another way.
        Test::Like { .. } | Test::All(_) => Expr::cust("1 = 0"),
    }
}
