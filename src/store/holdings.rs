use super::{Store, StoreError, failed};

/// Who holds a session, by which grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    pub session: String,
    pub grant_number: i64,
    pub user_id: String,
    pub seat: String,
    pub granted_at: i64,
}

row!(Holding { session, grant_number, user_id, seat, granted_at });

impl Store {
    /// Gives a session to somebody: the grant's number is higher than all before it, also of those asked for at the same
    /// time.
    pub async fn hold(
        &self,
        session: &str,
        user_id: &str,
        seat: &str,
        now_ms: i64,
    ) -> Result<i64, StoreError> {
        sqlx::query_scalar(
            "INSERT INTO holdings (session, grant_number, user_id, seat, granted_at) VALUES ($1, 1, $2, $3, $4) \
             ON CONFLICT (session) DO UPDATE SET grant_number = holdings.grant_number + 1, \
             user_id = excluded.user_id, seat = excluded.seat, granted_at = excluded.granted_at \
             RETURNING grant_number",
        )
        .bind(session)
        .bind(user_id)
        .bind(seat)
        .bind(now_ms)
        .fetch_one(&self.pool)
        .await
        .map_err(failed("giving a session to a user"))
    }

    pub async fn holding(&self, session: &str) -> Result<Option<Holding>, StoreError> {
        sqlx::query_as(
            "SELECT session, grant_number, user_id, seat, granted_at FROM holdings WHERE session = $1",
        )
        .bind(session)
        .fetch_optional(&self.pool)
        .await
        .map_err(failed("asking who holds a session"))
    }
}
