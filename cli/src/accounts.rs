#![expect(clippy::print_stdout, reason = "this is the command's answer")]

use anyhow::bail;
use config::Settings;
use domain::{
    Error,
    auth::tokens,
    entities::Role,
    users::{self, NewUser},
};

use crate::{
    args::{RoleName, TokenAction, UserAction},
    open,
};

/// Makes a user.
pub(crate) async fn user(settings: &Settings, action: UserAction) -> anyhow::Result<()> {
    let UserAction::Create { email, password, password_hash, tenant, role } = action;
    let opened = open::all(settings, true).await?;
    let role = match role {
        RoleName::Admin => Role::Admin,
        RoleName::Agent => Role::Agent,
        RoleName::Viewer => Role::Viewer,
    };
    let secret = password_hash.as_ref().or(password.as_ref()).map_or("", String::as_str);
    let new = NewUser { email: &email, password: secret, name: "", role, tenant: &tenant };
    let made = match password_hash {
        Some(_) => users::take_over(&opened.ledger, new).await,
        None => users::create(&opened.ledger, new).await,
    };
    let (tenant, user) = made.map_err(plain)?;
    println!("user {user} of tenant {tenant}");
    Ok(())
}

/// Makes a token.
pub(crate) async fn token(settings: &Settings, action: TokenAction) -> anyhow::Result<()> {
    let TokenAction::Create { email, abilities, name } = action;
    let opened = open::all(settings, true).await?;
    println!("{}", tokens::create(&opened.ledger, &email, &name, abilities).await.map_err(plain)?);
    Ok(())
}

/// In words, with each fault.
pub(crate) fn plain(error: Error) -> anyhow::Error {
    match error {
        Error::Invalid(faults) => {
            let faults: Vec<_> =
                faults.iter().map(|fault| format!("{} {}", fault.pointer.trim_start_matches('/'), fault.message)).collect();
            anyhow::anyhow!(faults.join("; "))
        }
        other => other.into(),
    }
}

/// Whether an account is there; a hint when not.
pub(crate) async fn must_exist(db: &db::Db, email: &str) -> anyhow::Result<()> {
    match users::by_email(db, email).await? {
        Some(_) => Ok(()),
        None => bail!("there is no user {email}"),
    }
}
