use super::{Store, StoreError, failed};

/// Something that was changed by command, beside the gateway that keeps the audit journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub id: String,
    pub changed_at: i64,
    /// "user" or "seat".
    pub kind: String,
    /// The user's or seat's name.
    pub whom: String,
    pub what: String,
}

row!(Change { id, changed_at, kind, whom, what });

impl Store {
    /// Notes a change, for the next gateway that looks.
    pub async fn note_change(&self, change: &Change) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO changes (id, changed_at, kind, whom, what) VALUES ($1, $2, $3, $4, $5)")
            .bind(&change.id)
            .bind(change.changed_at)
            .bind(&change.kind)
            .bind(&change.whom)
            .bind(&change.what)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(failed("noting a change"))
    }

    /// The changes that no gateway has told yet, the oldest first, at most `most`.
    pub async fn changes(&self, most: u32) -> Result<Vec<Change>, StoreError> {
        sqlx::query_as(
            "SELECT id, changed_at, kind, whom, what FROM changes ORDER BY changed_at, id LIMIT $1",
        )
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await
        .map_err(failed("looking for changes"))
    }

    pub async fn change_was_told(&self, id: &str) -> Result<(), StoreError> {
        let told = sqlx::query("DELETE FROM changes WHERE id = $1").bind(id).execute(&self.pool).await;
        told.map(drop).map_err(failed("noting that a change was told"))
    }
}
