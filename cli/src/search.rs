#![expect(clippy::print_stdout, reason = "this is the command's answer")]

use config::Settings;
use domain::resource::search::rebuild::{self, Place};

use crate::{accounts::plain, args::SearchAction, open};

/// Makes the text index of what is there.
pub(crate) async fn run(settings: &Settings, action: SearchAction) -> anyhow::Result<()> {
    let SearchAction::Rebuild = action;
    let opened = open::all(settings, false).await?;
    let (mut place, mut records) = (Some(Place::first()), 0);
    while let Some(at) = place {
        let (next, done) = rebuild::step(&opened.ledger, at).await.map_err(plain)?;
        records += done;
        if next.is_none_or(|next| next.topic != at.topic) {
            println!("{}: {records} records", at.topic);
            records = 0;
        }
        place = next;
    }
    Ok(())
}
