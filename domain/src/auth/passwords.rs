//! Passwords: argon2id, hashed away from the async threads and one at a time, so that a flood of sign-ins can't take the
//! machine's cores and memory from everybody else.

use argon2::{
    Argon2,
    password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString, rand_core::OsRng},
};
use tokio::sync::Semaphore;

use crate::{Error, Result};

/// One hash at a time; a few wait, more are told to come back.
static TURN: Semaphore = Semaphore::const_new(1);
static QUEUE: Semaphore = Semaphore::const_new(20);

/// The shortest password taken, in characters.
pub const MIN_LENGTH: usize = 8;

/// The hash of a new password.
///
/// # Errors
/// [`Error::Invalid`] when it is too short or too long; [`Error::TooManyRequests`].
pub async fn hash(password: &str) -> Result<String> {
    let length = password.chars().count();
    if !(MIN_LENGTH..=256).contains(&length) {
        return Err(Error::field("/password", "invalid", format!("needs {MIN_LENGTH} to 256 characters")));
    }
    let password = password.to_owned();
    in_turn(move || {
        let salt = SaltString::generate(&mut OsRng);
        let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
        hash.map(|hash| hash.to_string()).map_err(|error| anyhow::anyhow!("hashing failed: {error}").into())
    })
    .await
}

/// Whether `password` is the one hashed. Without a hash it takes as long and is not.
///
/// # Errors
/// [`Error::TooManyRequests`].
pub async fn verify(password: &str, hash: Option<String>) -> Result<bool> {
    /// Of nobody's password.
    const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tb3NvbW9zb21vc29tbw$VRnRyT7IXGZ0NHZfgVZjVMOQY8n6nZyEbXX0wO4uPcU";
    if password.len() > 1024 {
        return Ok(false);
    }
    let password = password.to_owned();
    in_turn(move || {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODY.to_owned());
        let right = PasswordHash::new(&hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
        Ok(known && right)
    })
    .await
}

async fn in_turn<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let _place = QUEUE.try_acquire().map_err(|_| Error::TooManyRequests { retry_after: 2 })?;
    let _turn = TURN.acquire().await.map_err(anyhow::Error::from)?;
    tokio::task::spawn_blocking(work).await.map_err(anyhow::Error::from)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_same_password_verifies() {
        let hash = hash("correct horse").await.expect("hashes");
        assert!(hash.starts_with("$argon2id$"));
        assert!(verify("correct horse", Some(hash.clone())).await.expect("verifies"));
        assert!(!verify("wrong horse", Some(hash)).await.expect("verifies"));
        assert!(!verify("correct horse", None).await.expect("verifies"));
        assert!(super::hash("short").await.is_err());
    }
}
