use super::{Store, StoreError, failed};

/// A host without chevet, as an administrator added it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteHostRow {
    pub name: String,
    /// JSON, without a password.
    pub settings: String,
    /// The password; empty: none.
    pub sealed: String,
    pub changed_at: i64,
}

row!(RemoteHostRow { name, settings, sealed, changed_at });

const COLUMNS: &str = "name, settings, sealed, changed_at";

impl Store {
    /// Adds a host; its name must be free.
    pub async fn add_remote_host(&self, host: &RemoteHostRow) -> Result<(), StoreError> {
        let RemoteHostRow { name, settings, sealed, changed_at } = host;
        let query = sqlx::query(
            "INSERT INTO remote_hosts (name, settings, sealed, changed_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (name) DO NOTHING",
        );
        let done = query.bind(name).bind(settings).bind(sealed).bind(changed_at).execute(&self.pool).await;
        match done.map_err(failed("adding a remote host"))?.rows_affected() {
            0 => Err(StoreError::Taken(format!("a host called {name:?}"))),
            _ => Ok(()),
        }
    }

    /// Writes a host anew. Whether there is one of this name.
    pub async fn change_remote_host(&self, host: &RemoteHostRow) -> Result<bool, StoreError> {
        let RemoteHostRow { name, settings, sealed, changed_at } = host;
        let query = sqlx::query(
            "UPDATE remote_hosts SET settings = $2, sealed = $3, changed_at = $4 WHERE name = $1",
        );
        let done = query.bind(name).bind(settings).bind(sealed).bind(changed_at).execute(&self.pool).await;
        done.map(|done| done.rows_affected() > 0).map_err(failed("changing a remote host"))
    }

    /// Whether there was one.
    pub async fn remove_remote_host(&self, name: &str) -> Result<bool, StoreError> {
        let query = sqlx::query("DELETE FROM remote_hosts WHERE name = $1");
        let done = query.bind(name).execute(&self.pool).await;
        done.map(|done| done.rows_affected() > 0).map_err(failed("removing a remote host"))
    }

    /// Every one, by name.
    pub async fn remote_hosts(&self) -> Result<Vec<RemoteHostRow>, StoreError> {
        let query = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM remote_hosts ORDER BY name"));
        sqlx::query_as(query).fetch_all(&self.pool).await.map_err(failed("listing remote hosts"))
    }

    /// Changes with every change of any of them. PostgreSQL alone.
    pub async fn remote_hosts_digest(&self) -> Result<String, StoreError> {
        let query = sqlx::query_scalar(
            "SELECT md5(coalesce(string_agg(md5(name) || md5(settings) || md5(sealed) || changed_at::text, ',' \
             ORDER BY name), '')) FROM remote_hosts",
        );
        query.fetch_one(&self.pool).await.map_err(failed("asking whether remote hosts have changed"))
    }
}
