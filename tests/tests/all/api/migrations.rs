//! The schema, there and back.

use std::process::{Command, Stdio};

use db::{Db, PoolSizes};
use sea_orm::{ConnectionTrait, Statement};
use tests::{
    database::{self, Kind},
    on_both_databases,
};

/// Every table, column and index there is, but for the history's own.
async fn schema(db: &Db) -> Vec<String> {
    let parts = if db.is_sqlite() {
        "select type || ' ' || name || ' ' || coalesce(sql, '') as part from sqlite_master where name not like 'sqlite_%' and tbl_name <> 'seaql_migrations' order by 1"
    } else {
        "select table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '') as part
         from information_schema.columns where table_schema = 'public' and table_name <> 'seaql_migrations'
         union all select indexdef from pg_indexes where schemaname = 'public' and tablename <> 'seaql_migrations'
         union all select conrelid::regclass || ' ' || pg_get_constraintdef(oid) from pg_constraint where connamespace = 'public'::regnamespace and conrelid::regclass::text <> 'seaql_migrations'
         order by 1"
    };
    let rows = db.write.query_all_raw(Statement::from_string(db.backend(), parts)).await.unwrap();
    rows.iter().map(|row| row.try_get("", "part").unwrap()).collect()
}

on_both_databases! {
    async fn the_schema_goes_back_to_nothing_and_comes_again(kind: Kind) {
        let database = database::fresh(kind).await;
        let db = &database.db;
        let all = |applied: bool| move |status: Vec<(String, bool)>| status.len() == migration::count() && status.iter().all(|(_, is)| *is == applied);
        let before = schema(db).await;
        assert!(before.iter().any(|part| part.contains("whatsapp_messages")), "{before:#?}");
        assert!(all(true)(migration::status(db).await.unwrap()));
        migration::up(db).await.unwrap(); // nothing to do
        assert_eq!(schema(db).await, before);

        // One step back takes the last one only.
        migration::down(db, 1).await.unwrap();
        let status = migration::status(db).await.unwrap();
        assert_eq!(status.iter().filter(|(_, applied)| !applied).map(|(name, _)| name).collect::<Vec<_>>(), [&status.last().unwrap().0]);
        migration::down(db, u32::try_from(migration::count()).unwrap()).await.unwrap();
        assert!(all(false)(migration::status(db).await.unwrap()));
        assert_eq!(schema(db).await, [] as [String; 0]);

        migration::up(db).await.unwrap();
        assert_eq!(schema(db).await, before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_migrate_at_once_wait_for_each_other() {
    let database = database::fresh(Kind::Postgres).await;
    let before = schema(&database.db).await;
    migration::down(&database.db, u32::try_from(migration::count()).unwrap()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let processes: Vec<_> = (0..4)
        .map(|_| {
            let mut somo = Command::new(env!("CARGO_BIN_EXE_somo_under_test"));
            somo.args(["migrate", "up"]).env("SOMO_DATABASE_URL", &database.url).env("SOMO_DATA_DIR", folder.path());
            somo.env("SOMO_SECRET_KEY", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
            somo.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for process in processes {
        let ended = process.wait_with_output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    let fresh = Db::open_with(&database.url, PoolSizes { write: 1, quick: 1, read: 1 }).await.unwrap();
    assert_eq!(schema(&fresh).await, before);
    let names = "select version as name from seaql_migrations";
    let rows = fresh.write.query_all_raw(Statement::from_string(fresh.backend(), names)).await.unwrap();
    assert_eq!(rows.len(), migration::count(), "each was applied once");
}
