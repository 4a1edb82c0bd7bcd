//! Another key for the installation: what was sealed under an old one is sealed anew, while everybody goes on working.

use db::Db;
use sea_orm::{ConnectionTrait, Statement};

use crate::{Result, seal::Sealer};

/// Where sealed secrets lie. Each is another text, even of the same secret, so it names its row.
const SEALED: [(&str, &str); 4] =
    [("whatsapp_devices", "secrets"), ("second_factors", "secret"), ("webhooks", "secret"), ("webhooks", "old_secret")];
/// Rows at once.
const BATCH: i64 = 100;

/// What became of the secrets that were sealed under other keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotated {
    /// They are under the key of now.
    pub sealed: u64,
    /// Nobody named the key that opens them.
    pub unreadable: u64,
}

/// How many secrets are sealed under other keys than that of now.
///
/// # Errors
/// The database's.
pub async fn old(db: &Db, sealer: &Sealer) -> Result<u64> {
    let mut all = 0;
    for (table, column) in SEALED {
        let count = format!("select count(*) as n from {table} where {column} not like $1");
        let count = Statement::from_sql_and_values(db.backend(), count, [format!("{}%", sealer.mark()).into()]);
        let found: i64 = db.read.query_one_raw(count).await?.map_or(Ok(0), |row| row.try_get("", "n"))?;
        all += u64::try_from(found).unwrap_or_default();
    }
    Ok(all)
}

/// Seals them under the key of now. A secret that is replaced meanwhile stays as it is.
///
/// # Errors
/// The database's; what was sealed before stays so.
pub async fn rotate(db: &Db, sealer: &Sealer) -> Result<Rotated> {
    let mut rotated = Rotated::default();
    for (table, column) in SEALED {
        let mut after = String::new();
        loop {
            let some =
                format!("select {column} as old from {table} where {column} not like $1 and {column} > $2 order by {column} limit $3");
            let values = [format!("{}%", sealer.mark()).into(), after.clone().into(), BATCH.into()];
            let rows = db.read.query_all_raw(Statement::from_sql_and_values(db.backend(), some, values)).await?;
            for row in &rows {
                let old: String = row.try_get("", "old")?;
                match sealer.open(&old) {
                    Ok(secret) => {
                        let set = format!("update {table} set {column} = $1 where {column} = $2");
                        let values = [sealer.seal(&secret).into(), old.clone().into()];
                        let set = db.write.execute_raw(Statement::from_sql_and_values(db.backend(), set, values)).await?;
                        rotated.sealed += set.rows_affected();
                    }
                    Err(_) => rotated.unreadable += 1,
                }
                after = old;
            }
            if rows.is_empty() {
                break;
            }
        }
    }
    Ok(rotated)
}
