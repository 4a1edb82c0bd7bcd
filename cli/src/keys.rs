#![expect(clippy::print_stdout, reason = "this is the command's answer")]

use anyhow::bail;
use config::Settings;
use domain::keys::{self, Rotated};

use crate::{accounts::plain, args::KeysAction, open};

/// Looks after the installation's keys.
pub(crate) async fn run(settings: &Settings, action: KeysAction) -> anyhow::Result<()> {
    let KeysAction::Rotate = action;
    let db = open::database(settings).await?;
    let Rotated { sealed, unreadable } = keys::rotate(&db, &open::sealer(settings)).await.map_err(plain)?;
    println!("{sealed} secrets were sealed anew");
    if unreadable > 0 {
        bail!("{unreadable} secrets can't be read: name the key that they were sealed with in SOMO_SECRET_KEYS_OLD");
    }
    Ok(())
}
