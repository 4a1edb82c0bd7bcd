#![expect(clippy::print_stdout, reason = "this is the command's answer")]

use config::Settings;

use crate::{args::Direction, open};

pub(crate) async fn run(settings: &Settings, direction: Direction) -> anyhow::Result<()> {
    let db = open::database(settings).await?;
    match direction {
        Direction::Up => migration::up(&db).await?,
        Direction::Down { steps } => migration::down(&db, steps).await?,
        Direction::Status => {}
    }
    for (name, applied) in migration::status(&db).await? {
        println!("{} {name}", if applied { "applied" } else { "pending" });
    }
    Ok(())
}
