//! Statements for many records. While a transaction gathers, what it inserts waits, and goes out with one statement for the rows
//! of each table; what records have in common is looked up once. The way that a record goes is the same: only its statements are
//! fewer.
//!
//! Until [`Write::flush`], what waits is not there for anybody, this transaction too. So between [`Write::gather`] and it, no
//! record is written twice, and no two that have something that only one may have: whoever gathers answers for it.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use sea_orm::{
    ConnectionTrait, DbErr, Statement, Value as Sql,
    sea_query::{Alias, Expr, ExprTrait, OnConflict, Query},
};
use uuid::Uuid;

use super::{Event, Write};
use crate::{
    Result,
    resource::{Record, custom::Customs, write::taken_by_another},
    webhooks,
};

/// Rows of one statement at most; fewer of wide tables: SQLite takes so many values.
const ROWS: usize = 256;
const VALUES: usize = 32_000;

/// Rows to be inserted into a table.
pub(crate) struct Insert {
    pub(crate) table: &'static str,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) otherwise: Otherwise,
    pub(crate) rows: Vec<Vec<Sql>>,
}

/// What becomes of a row that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Otherwise {
    /// The statement fails.
    Fail,
    /// It stays as it is.
    Skip,
    /// Found by these columns, it gets the others.
    Replace(&'static [&'static str]),
}

/// What a transaction that gathers has gathered.
#[derive(Default)]
pub(super) struct Set(Mutex<Option<Gathered>>);

#[derive(Default)]
struct Gathered {
    /// What hung on records that are changed, and is written anew.
    cleared: Vec<Cleared>,
    /// Records: what hangs on them refers to them, so they go first.
    records: Vec<Insert>,
    parts: Vec<Insert>,
    events: Vec<Gone>,
    known: Known,
}

/// Rows of a table that are someone's, by the column that says whose.
struct Cleared {
    table: &'static str,
    owner: &'static str,
    ids: Vec<Uuid>,
}

/// What was looked up once for all of them.
#[derive(Default)]
pub(crate) struct Known {
    /// The fields that the tenant added.
    pub(crate) customs: Option<Arc<Customs>>,
    /// Records that others refer to, by topic: whether they are there for the caller.
    pub(crate) seen: HashMap<(&'static str, Uuid), bool>,
    /// Tags by their key: the name as it is spelled, and the id.
    pub(crate) tags: HashMap<String, (String, Uuid)>,
}

/// An event on its way.
pub(super) struct Gone {
    pub(super) id: Uuid,
    pub(super) at: DateTime<Utc>,
    pub(super) event: Event,
    pub(super) record: Option<Record>,
}

/// A place to go back to.
#[derive(Debug, Default)]
pub(crate) struct Mark {
    cleared: Vec<usize>,
    records: Vec<usize>,
    parts: Vec<usize>,
    events: usize,
}

impl Set {
    fn lock(&self) -> MutexGuard<'_, Option<Gathered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cleared {
    async fn run(self, conn: &impl ConnectionTrait, tenant: Uuid) -> std::result::Result<(), DbErr> {
        let Self { table, owner, ids } = self;
        let clear = Query::delete()
            .from_table(Alias::new(table))
            .and_where(Expr::col(Alias::new("tenant_id")).eq(tenant))
            .and_where(Expr::col(Alias::new(owner)).is_in(ids))
            .to_owned();
        conn.execute(&clear).await?;
        Ok(())
    }
}

impl Insert {
    /// Inserts them now.
    pub(crate) async fn run(self, conn: &impl ConnectionTrait) -> std::result::Result<(), DbErr> {
        let Self { table, columns, otherwise, rows } = self;
        let most = ROWS.min(VALUES / columns.len().max(1)).max(1);
        let mut rest = rows.into_iter();
        while rest.len() > 0 {
            // Powers of two, so that few statements are ever prepared.
            let next = 1 << rest.len().min(most).ilog2();
            let mut insert = Query::insert();
            insert.into_table(Alias::new(table)).columns(columns.iter().map(|column| Alias::new(*column)));
            for row in rest.by_ref().take(next) {
                insert.values_panic(row.into_iter().map(Expr::val));
            }
            match otherwise {
                Otherwise::Fail => {}
                Otherwise::Skip => _ = insert.on_conflict(OnConflict::new().do_nothing().to_owned()),
                Otherwise::Replace(key) => {
                    let others = columns.iter().filter(|column| !key.contains(column)).map(|column| Alias::new(*column));
                    insert.on_conflict(OnConflict::columns(key.iter().map(|column| Alias::new(*column))).update_columns(others).to_owned());
                }
            }
            conn.execute(&insert).await?;
        }
        Ok(())
    }
}

impl Write<'_> {
    /// Begins to gather.
    pub(crate) fn gather(&self) {
        *self.set.lock() = Some(Gathered::default());
    }

    /// Whether it gathers.
    pub(crate) fn gathers(&self) -> bool {
        self.set.lock().is_some()
    }

    /// Forgets what was gathered: the savepoint before it is gone back to.
    pub(crate) fn discard(&self) {
        *self.set.lock() = None;
    }

    /// How much was gathered so far.
    pub(crate) fn mark(&self) -> Mark {
        let count = |inserts: &[Insert]| inserts.iter().map(|insert| insert.rows.len()).collect();
        self.set.lock().as_ref().map_or_else(Mark::default, |gathered| Mark {
            cleared: gathered.cleared.iter().map(|cleared| cleared.ids.len()).collect(),
            records: count(&gathered.records),
            parts: count(&gathered.parts),
            events: gathered.events.len(),
        })
    }

    /// Forgets what was gathered since: of a record that was refused half way.
    pub(crate) fn back_to(&self, mark: &Mark) {
        let back = |inserts: &mut Vec<Insert>, counts: &[usize]| {
            inserts.truncate(counts.len());
            inserts.iter_mut().zip(counts).for_each(|(insert, count)| insert.rows.truncate(*count));
        };
        if let Some(gathered) = self.set.lock().as_mut() {
            gathered.cleared.truncate(mark.cleared.len());
            gathered.cleared.iter_mut().zip(&mark.cleared).for_each(|(cleared, count)| cleared.ids.truncate(*count));
            back(&mut gathered.records, &mark.records);
            back(&mut gathered.parts, &mark.parts);
            gathered.events.truncate(mark.events);
            // It may have made one.
            gathered.known.tags.clear();
        }
    }

    /// Looks at what is known of what the gathered records have in common; nothing is while nothing is gathered.
    pub(crate) fn known<T>(&self, look: impl FnOnce(&mut Known) -> T) -> Option<T> {
        self.set.lock().as_mut().map(|gathered| look(&mut gathered.known))
    }

    /// Inserts rows, or lets them wait.
    pub(crate) async fn insert(&self, insert: Insert) -> std::result::Result<(), DbErr> {
        match self.waits(|gathered| &mut gathered.parts, insert) {
            Some(now) => now.run(&*self.tx).await,
            None => Ok(()),
        }
    }

    /// [`Write::insert`] of what others hang on.
    pub(crate) async fn insert_record(&self, insert: Insert) -> std::result::Result<(), DbErr> {
        match self.waits(|gathered| &mut gathered.records, insert) {
            Some(now) => now.run(&*self.tx).await,
            None => Ok(()),
        }
    }

    /// Puts rows beside those of their kind; gives them back when nothing is gathered.
    fn waits(&self, among: fn(&mut Gathered) -> &mut Vec<Insert>, insert: Insert) -> Option<Insert> {
        let mut set = self.set.lock();
        let Some(gathered) = set.as_mut() else { return Some(insert) };
        let waiting = among(gathered);
        let same = |one: &&mut Insert| one.table == insert.table && one.otherwise == insert.otherwise && one.columns == insert.columns;
        match waiting.iter_mut().find(same) {
            Some(one) => one.rows.extend(insert.rows),
            None => waiting.push(insert),
        }
        None
    }

    /// Deletes the rows of a table that hang on a record, or lets that wait: a record that is refused half way keeps them.
    pub(crate) async fn clear(&self, table: &'static str, owner: &'static str, id: Uuid) -> std::result::Result<(), DbErr> {
        if let Some(gathered) = self.set.lock().as_mut() {
            match gathered.cleared.iter_mut().find(|one| one.table == table && one.owner == owner) {
                Some(one) => one.ids.push(id),
                None => gathered.cleared.push(Cleared { table, owner, ids: vec![id] }),
            }
            return Ok(());
        }
        Cleared { table, owner, ids: vec![id] }.run(&*self.tx, self.scope.tenant.0).await
    }

    /// Lets an event wait for those of the other records.
    pub(super) fn let_wait(&self, gone: Gone) {
        if let Some(gathered) = self.set.lock().as_mut() {
            gathered.events.push(gone);
        }
    }

    /// Writes what was gathered, and gathers no more.
    ///
    /// # Errors
    /// As those of each record; nothing says whose it was.
    pub(crate) async fn flush(&self) -> Result<()> {
        let Some(Gathered { cleared, records, parts, events, known: _ }) = mem::take(&mut *self.set.lock()) else { return Ok(()) };
        for cleared in cleared {
            cleared.run(&*self.tx, self.scope.tenant.0).await?;
        }
        for insert in records.into_iter().chain(parts) {
            insert.run(&*self.tx).await.map_err(taken_by_another)?;
        }
        if events.is_empty() {
            return Ok(());
        }
        let (tenant, (actor_kind, actor_id)) = (self.scope.tenant.0, self.scope.actor.parts());
        let row = |Gone { id, event, .. }: &Gone| {
            let data = event.data.clone().into();
            let (topic, action) = (event.topic.into(), event.action.into());
            vec![(*id).into(), tenant.into(), topic, event.subject_id.into(), action, actor_kind.into(), actor_id.into(), data]
        };
        let columns = vec!["id", "tenant_id", "topic", "subject_id", "action", "actor_kind", "actor_id", "data"];
        let rows = events.iter().map(row).collect();
        Insert { table: "events", columns, otherwise: Otherwise::Fail, rows }.run(&*self.tx).await?;
        // After them: a webhook that was made before hears of it.
        let any = "select 1 as one from webhooks where tenant_id = $1 and state in ('active', 'failing') limit 1";
        let any = Statement::from_sql_and_values(self.tx.get_database_backend(), any, [tenant.into()]);
        if self.tx.query_one_raw(any).await?.is_some() {
            for Gone { id, at, event, record } in &events {
                webhooks::announce(self, webhooks::Happened { id: *id, at: *at, event, record: record.as_ref() }).await?;
            }
        }
        Ok(())
    }
}
