//! Passwords: argon2id, hashed away from the async threads and one at a time, so that a flood of sign-ins can't take the
//! machine's cores and memory from everybody else.
//!
//! Hashes that other programs made are good too: bcrypt, and argon2 with other parameters. Who signs in with one that is weaker
//! than ours gets one of ours. bcrypt reads no more than a password's first 72 bytes, and so do we until then. What would
//! take too long or too much memory is nobody's password ([`usable`]).

use argon2::{
    ARGON2ID_IDENT, Argon2, Params, Version,
    password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString, rand_core::OsRng},
};
use bcrypt::HashParts;
use tokio::sync::Semaphore;

use crate::{Error, Result};

/// One hash at a time; a few wait, more are told to come back.
static TURN: Semaphore = Semaphore::const_new(1);
static QUEUE: Semaphore = Semaphore::const_new(20);

/// The shortest password taken, in characters.
pub const MIN_LENGTH: usize = 8;

/// The most that bcrypt may cost: about a second and a half. Each one more doubles it.
const MAX_BCRYPT_COST: u32 = 14;

/// The most that argon2 may take: memory in KiB, passes, lanes.
const MAX_ARGON2: (u32, u32, u32) = (256 * 1024, 8, 16);

/// The hash of a new password.
///
/// # Errors
/// [`Error::Invalid`] when it is too short or too long; [`Error::TooManyRequests`].
pub async fn hash(password: &str) -> Result<String> {
    let length = password.chars().count();
    if !(MIN_LENGTH..=256).contains(&length) {
        return Err(Error::field("/password", "invalid", format!("needs {MIN_LENGTH} to 256 characters")));
    }
    renewed(password).await
}

/// The hash of a password that is somebody's already, however short.
pub(super) async fn renewed(password: &str) -> Result<String> {
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
        let hash = hash.filter(|hash| usable(hash));
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODY.to_owned());
        let right = match bcrypt_cost(&hash) {
            Some(_) => bcrypt::verify(&password, &hash).unwrap_or(false),
            None => PasswordHash::new(&hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()),
        };
        Ok(known && right)
    })
    .await
}

/// Whether somebody can sign in with what this is the hash of: argon2, or bcrypt (`$2a$`, `$2b$`, `$2y$`) up to a cost of 14.
#[must_use]
pub fn usable(hash: &str) -> bool {
    if let Some(cost) = bcrypt_cost(hash) {
        return cost <= MAX_BCRYPT_COST;
    }
    let (memory, passes, lanes) = MAX_ARGON2;
    argon2_of(hash).is_some_and(|(_, it)| it.m_cost() <= memory && it.t_cost() <= passes && it.p_cost() <= lanes)
}

/// Whether a hash is weaker than those made now.
pub(super) fn outdated(hash: &str) -> bool {
    argon2_of(hash).is_none_or(|(current, it)| !current || it.m_cost() < Params::DEFAULT_M_COST || it.t_cost() < Params::DEFAULT_T_COST)
}

/// An argon2 hash's parameters, and whether it is of the kind and version made now.
fn argon2_of(hash: &str) -> Option<(bool, Params)> {
    let hash = PasswordHash::new(hash).ok().filter(|hash| hash.hash.is_some() && hash.salt.is_some())?;
    argon2::Algorithm::try_from(hash.algorithm).ok()?;
    let current = hash.algorithm == ARGON2ID_IDENT && hash.version == Some(Version::V0x13.into());
    Some((current, Params::try_from(&hash).ok()?))
}

/// What a bcrypt hash costs; `None` for what is none. `$2x$` is of a bcrypt with a mistake in it.
fn bcrypt_cost(hash: &str) -> Option<u32> {
    let plain = hash.len() == 60 && hash.is_ascii() && ["$2a$", "$2b$", "$2y$"].iter().any(|kind| hash.starts_with(kind));
    plain.then(|| hash.parse::<HashParts>().ok().map(|parts| parts.get_cost())).flatten()
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

    #[tokio::test]
    async fn who_finds_the_queue_full_is_told_when_to_come_back() {
        let all = QUEUE.acquire_many(20).await.expect("nobody closes it");
        let refused = verify("correct horse", None).await.expect_err("there is no place");
        assert!(matches!(refused, Error::TooManyRequests { retry_after: 2 }), "{refused}");
        drop(all);
        assert!(verify("correct horse", None).await.is_ok());
    }

    /// As Laravel makes it.
    const BCRYPT: &str = "$2y$10$92IXUNpkjO0rOQ5byMi.Ye4oKoEa3Ro9llC/.og/at2.uheWG/igi";

    #[tokio::test]
    async fn bcrypt_verifies_whatever_it_calls_itself() {
        for kind in ["$2a$", "$2b$", "$2y$"] {
            let hash = BCRYPT.replace("$2y$", kind);
            assert!(usable(&hash) && outdated(&hash), "{hash}");
            assert!(verify("password", Some(hash.clone())).await.expect("verifies"), "{hash}");
            assert!(!verify("passwore", Some(hash)).await.expect("verifies"));
        }
    }

    #[tokio::test]
    async fn what_would_take_too_long_is_nobodys_password() {
        let argon2 =
            |m: u32, t: u32| format!("$argon2id$v=19$m={m},t={t},p=1$c29tb3NvbW9zb21vc29tbw$VRnRyT7IXGZ0NHZfgVZjVMOQY8n6nZyEbXX0wO4uPcU");
        let slow = [BCRYPT.replace("$10$", "$15$"), BCRYPT.replace("$10$", "$31$"), argon2(1 << 30, 2), argon2(19456, 1000)];
        let none = [BCRYPT.replace("$2y$", "$2x$"), BCRYPT[..59].to_owned(), "password".to_owned(), String::new()];
        for hash in slow.into_iter().chain(none) {
            assert!(!usable(&hash), "{hash}");
            assert!(!verify("password", Some(hash)).await.expect("verifies"));
        }
        assert!(usable(&BCRYPT.replace("$10$", "$14$")));
    }

    #[tokio::test]
    async fn a_weaker_argon2_is_outdated_and_a_stronger_one_is_not() {
        let ours = hash("correct horse").await.expect("hashes");
        assert!(!outdated(&ours));
        for (part, weaker) in [("m=19456", "m=8192"), ("t=2", "t=1"), ("v=19", "v=16"), ("$argon2id$", "$argon2i$")] {
            assert!(ours.contains(part), "{part} in {ours}");
            let weaker = ours.replace(part, weaker);
            assert!(usable(&weaker) && outdated(&weaker), "{weaker}");
        }
        assert!(!outdated(&ours.replace("m=19456", "m=65536")));
    }
}
