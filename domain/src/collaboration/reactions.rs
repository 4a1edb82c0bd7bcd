//! Reactions: an emoji that somebody leaves on a comment, each once.

use std::collections::HashMap;

use chrono::{SubsecRound, Utc};
use entities::{CommentId, UserId, comment_reaction as table};
use jobs::Ledger;
use poem_openapi::Object;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, QueryOrder};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::{
    comments::{self, Comment},
    held,
};
use crate::{
    Error, Result, Scope,
    engine::{Event, Write, again},
    resource::Resource,
};

/// So many emojis may somebody leave on a comment.
const MOST: u64 = 20;
/// Families and flags are several characters joined to one.
const LONGEST: usize = 16;

/// What some think of a comment.
#[derive(Clone, Debug, PartialEq, Object, Serialize)]
#[oai(rename = "CommentReaction")]
pub struct Reaction {
    /// The emoji.
    pub emoji: String,
    /// Who left it, first to last.
    pub user_ids: Vec<UserId>,
}

/// Leaves an emoji on a comment.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; [`Error::Invalid`] when it is no emoji; [`Error::Conflict`] when the record is in the
/// trash; the database's.
pub async fn put(
    ledger: &Ledger,
    scope: &Scope,
    resource: &'static Resource,
    id: Uuid,
    comment: CommentId,
    emoji: &str,
) -> Result<Comment> {
    again(|| async {
        let write = Write::begin(ledger, scope).await?;
        let (_, user) = held(&write, resource, id).await?;
        let row = comments::locked(&write, resource, id, comment).await?;
        check(emoji)?;
        let own = own(scope, comment, user);
        if table::Entity::find().filter(own.clone().and(table::Column::Emoji.eq(emoji))).one(&**write).await?.is_none() {
            if table::Entity::find().filter(own).count(&**write).await? >= MOST {
                return Err(Error::field("/emoji", "too_many", format!("{MOST} on a comment are enough")));
            }
            let reaction = table::ActiveModel {
                tenant_id: Set(scope.tenant),
                comment_id: Set(comment),
                user_id: Set(user),
                emoji: Set(emoji.to_owned()),
                created_at: Set(Utc::now().trunc_subsecs(6)),
            };
            table::Entity::insert(reaction).exec_without_returning(&**write).await?;
            tell(&write, resource, id, comment, emoji, "reacted").await?;
        }
        comments::answered(write, row).await
    })
    .await
}

/// Takes one's own emoji off a comment; one that is not there is no matter.
///
/// # Errors
/// As [`put`].
pub async fn take(
    ledger: &Ledger,
    scope: &Scope,
    resource: &'static Resource,
    id: Uuid,
    comment: CommentId,
    emoji: &str,
) -> Result<Comment> {
    again(|| async {
        let write = Write::begin(ledger, scope).await?;
        let (_, user) = held(&write, resource, id).await?;
        let row = comments::locked(&write, resource, id, comment).await?;
        let gone =
            table::Entity::delete_many().filter(own(scope, comment, user).and(table::Column::Emoji.eq(emoji))).exec(&**write).await?;
        if gone.rows_affected > 0 {
            tell(&write, resource, id, comment, emoji, "unreacted").await?;
        }
        comments::answered(write, row).await
    })
    .await
}

/// What some think of comments, by comment: the emoji that was left first comes first.
pub(super) async fn of(conn: &impl ConnectionTrait, scope: &Scope, ids: &[CommentId]) -> Result<HashMap<CommentId, Vec<Reaction>>> {
    let rows = table::Entity::find()
        .filter(table::Column::TenantId.eq(scope.tenant).and(table::Column::CommentId.is_in(ids.iter().copied())))
        .order_by_asc(table::Column::CreatedAt)
        .order_by_asc(table::Column::UserId)
        .all(conn)
        .await?;
    let mut found: HashMap<CommentId, Vec<Reaction>> = HashMap::new();
    for row in rows {
        let all = found.entry(row.comment_id).or_default();
        match all.iter_mut().find(|reaction| reaction.emoji == row.emoji) {
            Some(reaction) => reaction.user_ids.push(row.user_id),
            None => all.push(Reaction { emoji: row.emoji, user_ids: vec![row.user_id] }),
        }
    }
    Ok(found)
}

fn own(scope: &Scope, comment: CommentId, user: UserId) -> sea_orm::sea_query::Expr {
    table::Column::TenantId.eq(scope.tenant).and(table::Column::CommentId.eq(comment)).and(table::Column::UserId.eq(user))
}

/// Unicode's list of emojis grows every year; words, which they are not, never become some.
fn check(emoji: &str) -> Result<()> {
    let word = |c: char| c.is_alphabetic() || c.is_whitespace() || c.is_control();
    let good = (1..=LONGEST).contains(&emoji.chars().count()) && !emoji.is_ascii() && !emoji.contains(word);
    if good { Ok(()) } else { Err(Error::field("/emoji", "invalid", "takes one emoji")) }
}

async fn tell(write: &Write<'_>, resource: &Resource, id: Uuid, comment: CommentId, emoji: &str, action: &'static str) -> Result<()> {
    let data = json!({ "comment_id": comment, "emoji": emoji });
    write.record(Event { topic: resource.topic, subject_id: id, action, data }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emojis_are_no_words() {
        for good in ["👍", "❤️", "👨‍👩‍👧‍👦", "🇧🇷", "1️⃣"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for wrong in ["", "a", "ok", "olá", "👍 👍", "1", "é", "\u{7}👍", &"👍".repeat(17)] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
