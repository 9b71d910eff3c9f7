use super::{Store, StoreError, failed};

impl Store {
    /// Keeps what a user signs in with on a host, sealed, in place of what was kept before.
    pub async fn set_credential(
        &self,
        user_id: &str,
        host: &str,
        sealed: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO credentials (user_id, host, sealed, changed_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (user_id, host) DO UPDATE SET sealed = excluded.sealed, changed_at = excluded.changed_at",
        )
        .bind(user_id)
        .bind(host)
        .bind(sealed)
        .bind(now_ms)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(failed("keeping a credential"))
    }

    /// What is kept for a user on a host, sealed.
    pub async fn credential(&self, user_id: &str, host: &str) -> Result<Option<String>, StoreError> {
        let query = sqlx::query_scalar("SELECT sealed FROM credentials WHERE user_id = $1 AND host = $2");
        let row = query.bind(user_id).bind(host).fetch_optional(&self.pool).await;
        row.map_err(failed("looking for a credential"))
    }

    /// Whether there was one.
    pub async fn forget_credential(&self, user_id: &str, host: &str) -> Result<bool, StoreError> {
        let query = sqlx::query("DELETE FROM credentials WHERE user_id = $1 AND host = $2");
        let done = query.bind(user_id).bind(host).execute(&self.pool).await;
        done.map(|done| done.rows_affected() > 0).map_err(failed("forgetting a credential"))
    }
}
