use super::{Store, StoreError, failed};

/// A host that was enrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolledHost {
    pub name: String,
    /// Its Ed25519 public key, in base64url.
    pub host_key: String,
    pub enrolled_at: i64,
    /// When it was last seen; 0: never.
    pub seen_at: i64,
    /// 1: it is given no new sessions.
    pub drained: i64,
}

row!(EnrolledHost { name, host_key, enrolled_at, seen_at, drained });

const COLUMNS: &str = "name, host_key, enrolled_at, seen_at, drained";

impl Store {
    /// Enrols a host under a name; a host that had the name before has it no longer.
    pub async fn enrol_host(&self, name: &str, host_key: &str, now_ms: i64) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO hosts (name, host_key, enrolled_at, seen_at, drained) VALUES ($1, $2, $3, 0, 0) \
             ON CONFLICT (name) DO UPDATE SET host_key = excluded.host_key, \
             enrolled_at = excluded.enrolled_at, seen_at = 0, drained = 0",
        )
        .bind(name)
        .bind(host_key)
        .bind(now_ms)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(failed("enrolling a host"))
    }

    /// Takes a host's right away. Whether it had one.
    pub async fn remove_host(&self, name: &str) -> Result<bool, StoreError> {
        let removed = sqlx::query("DELETE FROM hosts WHERE name = $1").bind(name).execute(&self.pool).await;
        removed.map(|done| done.rows_affected() > 0).map_err(failed("removing a host"))
    }

    pub async fn host(&self, name: &str) -> Result<Option<EnrolledHost>, StoreError> {
        let query = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM hosts WHERE name = $1"));
        let row = sqlx::query_as(query).bind(name).fetch_optional(&self.pool).await;
        row.map_err(failed("looking for a host"))
    }

    /// Every host that is enrolled, by name.
    pub async fn hosts(&self) -> Result<Vec<EnrolledHost>, StoreError> {
        let query = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM hosts ORDER BY name"));
        sqlx::query_as(query).fetch_all(&self.pool).await.map_err(failed("listing hosts"))
    }

    pub async fn host_was_seen(&self, name: &str, now_ms: i64) -> Result<(), StoreError> {
        let seen = sqlx::query("UPDATE hosts SET seen_at = $2 WHERE name = $1");
        let done = seen.bind(name).bind(now_ms).execute(&self.pool).await;
        done.map(drop).map_err(failed("noting a host's visit"))
    }

    /// Gives a host no new sessions, or some again. Whether there is such a host.
    pub async fn drain_host(&self, name: &str, drained: bool) -> Result<bool, StoreError> {
        let set = sqlx::query("UPDATE hosts SET drained = $2 WHERE name = $1");
        let done = set.bind(name).bind(i64::from(drained)).execute(&self.pool).await;
        done.map(|done| done.rows_affected() > 0).map_err(failed("draining a host"))
    }
}
