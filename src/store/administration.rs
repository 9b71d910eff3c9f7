//! What only administrators ask.

use super::{SignIn, Store, StoreError, failed};

/// Who a badge let in at a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtSeat {
    pub seat: String,
    pub name: String,
    pub title: String,
    pub begun_at: i64,
}

row!(AtSeat { seat, name, title, begun_at });

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

    /// Who is at the seats now: sign-ins by badge that have not ended and were used since.
    pub async fn at_seats(&self, idle_since_ms: i64, now_ms: i64) -> Result<Vec<AtSeat>, StoreError> {
        sqlx::query_as(
            "SELECT s.seat, u.name, u.title, s.begun_at FROM sign_ins s JOIN users u ON u.id = s.user_id \
             WHERE s.method = 'badge' AND s.ends_at > $1 AND s.seen_at > $2 ORDER BY s.begun_at",
        )
        .bind(now_ms)
        .bind(idle_since_ms)
        .fetch_all(&self.pool)
        .await
        .map_err(failed("looking for who is at the seats"))
    }

    /// How many wrong PINs there were since the last right one. `None` if the user has no PIN.
    pub async fn wrong_pins(&self, user_id: &str) -> Result<Option<i64>, StoreError> {
        let found = sqlx::query_scalar("SELECT attempts FROM pins WHERE user_id = $1").bind(user_id);
        found.fetch_optional(&self.pool).await.map_err(failed("looking for a PIN"))
    }
}
