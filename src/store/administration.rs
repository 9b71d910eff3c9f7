//! What only administrators ask.

use super::{SignIn, Store, StoreError, failed};

impl Store {
    /// A user's sign-ins that have not ended, the newest first, at most `most`.
    pub async fn sign_ins_of(
        &self,
        user_id: &str,
        now_ms: i64,
        most: u32,
    ) -> Result<Vec<SignIn>, StoreError> {
        sqlx::query_as(
            "SELECT id, user_id, method, seat, begun_at, seen_at, ends_at FROM sign_ins \
             WHERE user_id = $1 AND ends_at > $2 ORDER BY begun_at DESC, id LIMIT $3",
        )
        .bind(user_id)
        .bind(now_ms)
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await
        .map_err(failed("listing a user's sign-ins"))
    }
}
