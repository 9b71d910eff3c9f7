use super::{Store, StoreError, failed};

/// Somebody is signed in, at a seat or elsewhere, until then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    pub id: String,
    pub user_id: String,
    pub method: String,
    /// The seat's name, or where the client said that it is. Empty: unknown.
    pub seat: String,
    pub begun_at: i64,
    pub seen_at: i64,
    pub ends_at: i64,
}

row!(SignIn { id, user_id, method, seat, begun_at, seen_at, ends_at });

const COLUMNS: &str = "id, user_id, method, seat, begun_at, seen_at, ends_at";

impl Store {
    /// Remembers a sign-in by the hash of what its client will show.
    pub async fn add_sign_in(&self, sign_in: &SignIn, secret_hash: &str) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO sign_ins (id, secret, user_id, method, seat, begun_at, seen_at, ends_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&sign_in.id)
        .bind(secret_hash)
        .bind(&sign_in.user_id)
        .bind(&sign_in.method)
        .bind(&sign_in.seat)
        .bind(sign_in.begun_at)
        .bind(sign_in.seen_at)
        .bind(sign_in.ends_at)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(failed("remembering a sign-in"))
    }

    /// The sign-in of a secret, if it has not ended and was seen since `idle_since_ms`.
    pub async fn sign_in(
        &self,
        secret_hash: &str,
        idle_since_ms: i64,
        now_ms: i64,
    ) -> Result<Option<SignIn>, StoreError> {
        self.sign_in_by("secret", secret_hash, idle_since_ms, now_ms).await
    }

    /// The same by the sign-in's name.
    pub async fn sign_in_by_id(
        &self,
        id: &str,
        idle_since_ms: i64,
        now_ms: i64,
    ) -> Result<Option<SignIn>, StoreError> {
        self.sign_in_by("id", id, idle_since_ms, now_ms).await
    }

    async fn sign_in_by(
        &self,
        column: &'static str,
        value: &str,
        idle_since_ms: i64,
        now_ms: i64,
    ) -> Result<Option<SignIn>, StoreError> {
        let query = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM sign_ins WHERE {column} = $1 AND ends_at > $2 AND seen_at >= $3"
        ));
        sqlx::query_as(query)
            .bind(value)
            .bind(now_ms)
            .bind(idle_since_ms)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed("looking for a sign-in"))
    }

    pub async fn sign_in_was_seen(&self, id: &str, now_ms: i64) -> Result<(), StoreError> {
        let seen = sqlx::query("UPDATE sign_ins SET seen_at = $2 WHERE id = $1 AND seen_at < $2");
        let done = seen.bind(id).bind(now_ms).execute(&self.pool).await;
        done.map(drop).map_err(failed("noting a sign-in's use"))
    }

    /// Ends a sign-in: its secret opens nothing any more.
    pub async fn end_sign_in(&self, id: &str) -> Result<bool, StoreError> {
        let ended = sqlx::query("DELETE FROM sign_ins WHERE id = $1").bind(id).execute(&self.pool).await;
        ended.map(|done| done.rows_affected() > 0).map_err(failed("ending a sign-in"))
    }

    /// Ends all sign-ins of a user, and says which they were.
    pub async fn end_sign_ins_of(&self, user_id: &str) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar("DELETE FROM sign_ins WHERE user_id = $1 RETURNING id")
            .bind(user_id)
            .fetch_all(&self.pool)
            .await
            .map_err(failed("ending a user's sign-ins"))
    }

    /// Forgets the sign-ins that have ended. To be called now and then.
    pub async fn forget_sign_ins(&self, now_ms: i64) -> Result<u64, StoreError> {
        let forgotten =
            sqlx::query("DELETE FROM sign_ins WHERE ends_at <= $1").bind(now_ms).execute(&self.pool).await;
        forgotten.map(|done| done.rows_affected()).map_err(failed("forgetting sign-ins"))
    }
}
