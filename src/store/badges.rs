use super::users::wait_after;
use super::{Store, StoreError, failed};

/// Wrong PINs in a row after which none is looked at until a new one is set: a PIN has few digits.
pub const MOST_WRONG_PINS: i64 = 10;

/// A badge, without its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Badge {
    pub id: String,
    pub user_id: String,
    pub created_at: i64,
    pub revoked_at: Option<i64>,
}

/// Whether a PIN may be tried now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinAttempt {
    /// The hash to check it against.
    Allowed(String),
    /// Too many were wrong; the next one is looked at later.
    Wait,
    /// So many were wrong that a new one must be set.
    Blocked,
    /// The user has none.
    None,
}

struct Row {
    id: String,
    user_id: String,
    created_at: i64,
    revoked_at: i64,
}

row!(Row { id, user_id, created_at, revoked_at });

impl Row {
    fn badge(self) -> Badge {
        Badge {
            id: self.id,
            user_id: self.user_id,
            created_at: self.created_at,
            revoked_at: (self.revoked_at != 0).then_some(self.revoked_at),
        }
    }
}

struct PinRow {
    pin: String,
    attempts: i64,
    retry_at: i64,
}

row!(PinRow { pin, attempts, retry_at });

impl Store {
    /// Gives a badge to a user, by the hash of its number. A revoked one may be given again.
    pub async fn add_badge(
        &self,
        id: &str,
        number_hash: &str,
        user_id: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let doing = "adding a badge";
        let mut change = self.pool.begin().await.map_err(failed(doing))?;
        sqlx::query("DELETE FROM badges WHERE number_hash = $1 AND revoked_at <> 0")
            .bind(number_hash)
            .execute(&mut *change)
            .await
            .map_err(failed(doing))?;
        let added = sqlx::query(
            "INSERT INTO badges (number_hash, id, user_id, created_at, revoked_at) VALUES ($1, $2, $3, $4, 0)",
        )
        .bind(number_hash)
        .bind(id)
        .bind(user_id)
        .bind(now_ms)
        .execute(&mut *change)
        .await;
        added.map_err(|source| match source.as_database_error() {
            Some(error) if error.is_unique_violation() => {
                StoreError::Taken("a user of this badge; revoke it first, or choose another".into())
            }
            _ => StoreError::Query { doing, source },
        })?;
        change.commit().await.map_err(failed(doing))
    }

    /// The badge of a number's hash, unless it was revoked.
    pub async fn badge(&self, number_hash: &str) -> Result<Option<Badge>, StoreError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT id, user_id, created_at, revoked_at FROM badges WHERE number_hash = $1 AND revoked_at = 0",
        )
        .bind(number_hash)
        .fetch_optional(&self.pool)
        .await
        .map_err(failed("looking for a badge"))?;
        Ok(row.map(Row::badge))
    }

    /// Whether a badge still is its user's.
    pub async fn is_badge_of(&self, id: &str, user_id: &str) -> Result<bool, StoreError> {
        let found: Option<String> =
            sqlx::query_scalar("SELECT id FROM badges WHERE id = $1 AND user_id = $2 AND revoked_at = 0")
                .bind(id)
                .bind(user_id)
                .fetch_optional(&self.pool)
                .await
                .map_err(failed("looking for a badge"))?;
        Ok(found.is_some())
    }

    pub async fn badges_of(&self, user_id: &str) -> Result<Vec<Badge>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, user_id, created_at, revoked_at FROM badges WHERE user_id = $1 ORDER BY created_at, id",
        )
        .bind(user_id)
        .fetch_all(&self.pool)
        .await
        .map_err(failed("listing a user's badges"))?;
        Ok(rows.into_iter().map(Row::badge).collect())
    }

    /// Revokes a badge of a user, or all of them, and ends the grace. How many there were.
    pub async fn revoke_badges(
        &self,
        user_id: &str,
        id: Option<&str>,
        now_ms: i64,
    ) -> Result<u64, StoreError> {
        let doing = "revoking a badge";
        let revoked = sqlx::query(
            "UPDATE badges SET revoked_at = $3 WHERE user_id = $1 AND revoked_at = 0 AND (id = $2 OR $2 = '')",
        )
        .bind(user_id)
        .bind(id.unwrap_or_default())
        .bind(now_ms.max(1))
        .execute(&self.pool)
        .await
        .map_err(failed(doing))?;
        self.end_grace(user_id).await?;
        Ok(revoked.rows_affected())
    }

    /// A new PIN's hash. Earlier wrong ones, and the grace, are forgotten.
    pub async fn set_pin(&self, user_id: &str, hash: &str) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO pins (user_id, pin, attempts, retry_at, grace_until, grace_place, grace_badge) \
             VALUES ($1, $2, 0, 0, 0, '', '') ON CONFLICT (user_id) DO UPDATE SET pin = excluded.pin, \
             attempts = 0, retry_at = 0, grace_until = 0, grace_place = '', grace_badge = ''",
        )
        .bind(user_id)
        .bind(hash)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(failed("setting a PIN"))
    }

    /// Whether the user had a PIN, which is none any more.
    pub async fn remove_pin(&self, user_id: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM pins WHERE user_id = $1").bind(user_id).execute(&self.pool).await;
        done.map(|done| done.rows_affected() > 0).map_err(failed("removing a PIN"))
    }

    /// Begins an attempt at a PIN. It counts as wrong until [`Store::pin_was_right`], as with passwords.
    pub async fn begin_pin(&self, user_id: &str, now_ms: i64) -> Result<PinAttempt, StoreError> {
        for _ in 0..3 {
            let row: Option<PinRow> =
                sqlx::query_as("SELECT pin, attempts, retry_at FROM pins WHERE user_id = $1")
                    .bind(user_id)
                    .fetch_optional(&self.pool)
                    .await
                    .map_err(failed("looking for a PIN"))?;
            let Some(row) = row else { return Ok(PinAttempt::None) };
            if row.attempts >= MOST_WRONG_PINS {
                return Ok(PinAttempt::Blocked);
            }
            if row.retry_at > now_ms {
                return Ok(PinAttempt::Wait);
            }
            let counted = sqlx::query(
                "UPDATE pins SET attempts = $3, retry_at = $4 WHERE user_id = $1 AND attempts = $2",
            )
            .bind(user_id)
            .bind(row.attempts)
            .bind(row.attempts + 1)
            .bind(now_ms + wait_after(row.attempts + 1))
            .execute(&self.pool)
            .await
            .map_err(failed("counting an attempt at a PIN"))?;
            if counted.rows_affected() == 1 {
                return Ok(PinAttempt::Allowed(row.pin));
            }
        }
        Ok(PinAttempt::Wait)
    }

    /// The PIN was right: until then taps of this badge in this place need none.
    pub async fn pin_was_right(
        &self,
        user_id: &str,
        badge_id: &str,
        place: &str,
        until_ms: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE pins SET attempts = 0, retry_at = 0, grace_until = $4, grace_place = $3, grace_badge = $2 \
             WHERE user_id = $1",
        )
        .bind(user_id)
        .bind(badge_id)
        .bind(place)
        .bind(until_ms)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(failed("noting a PIN"))
    }

    /// Whether a tap of this badge in this place needs no PIN now.
    pub async fn has_grace(
        &self,
        user_id: &str,
        badge_id: &str,
        place: &str,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT grace_until FROM pins WHERE user_id = $1 AND grace_badge = $2 AND grace_place = $3 \
             AND grace_until > $4",
        )
        .bind(user_id)
        .bind(badge_id)
        .bind(place)
        .bind(now_ms)
        .fetch_optional(&self.pool)
        .await
        .map_err(failed("asking whether a PIN is needed"))?;
        Ok(found.is_some())
    }

    /// Whether the user may come back without a PIN, somewhere.
    pub async fn has_some_grace(&self, user_id: &str, now_ms: i64) -> Result<bool, StoreError> {
        let found: Option<i64> =
            sqlx::query_scalar("SELECT grace_until FROM pins WHERE user_id = $1 AND grace_until > $2")
                .bind(user_id)
                .bind(now_ms)
                .fetch_optional(&self.pool)
                .await
                .map_err(failed("asking whether a badge is in its grace"))?;
        Ok(found.is_some())
    }

    /// The next tap asks for the PIN.
    pub async fn end_grace(&self, user_id: &str) -> Result<(), StoreError> {
        let done = sqlx::query("UPDATE pins SET grace_until = 0 WHERE user_id = $1");
        let done = done.bind(user_id).execute(&self.pool).await;
        done.map(drop).map_err(failed("ending a badge's grace"))
    }

    /// Ends the sign-ins that badges began at a seat, and says which they were and whose.
    pub async fn end_sign_ins_at(&self, seat: &str) -> Result<Vec<(String, String)>, StoreError> {
        sqlx::query_as("DELETE FROM sign_ins WHERE method = 'badge' AND seat = $1 RETURNING id, user_id")
            .bind(seat)
            .fetch_all(&self.pool)
            .await
            .map_err(failed("ending a seat's sign-ins"))
    }

    /// Ends the sign-ins that a user's badges began at other seats than this one.
    pub async fn end_sign_ins_elsewhere(&self, user_id: &str, seat: &str) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(
            "DELETE FROM sign_ins WHERE method = 'badge' AND user_id = $1 AND seat <> $2 RETURNING id",
        )
        .bind(user_id)
        .bind(seat)
        .fetch_all(&self.pool)
        .await
        .map_err(failed("ending a user's sign-ins at other seats"))
    }

    /// The session that a user was given last, of all that are remembered.
    pub async fn last_sessions_of(&self, user_id: &str) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(
            "SELECT session FROM holdings WHERE user_id = $1 ORDER BY granted_at DESC, session LIMIT 16",
        )
        .bind(user_id)
        .fetch_all(&self.pool)
        .await
        .map_err(failed("looking for a user's last session"))
    }
}
