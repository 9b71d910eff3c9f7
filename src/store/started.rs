//! Sessions that hosts start for the users of several gateways. The database decides which gateway starts one, and which
//! ends it; its clock alone says which gateways are there.

use super::gateways::NOW;
use super::{Store, StoreError, failed};

/// A session that a host is to start, runs, or ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedSession {
    pub session: String,
    pub application: String,
    pub user_id: String,
    pub title: String,
    /// Empty where a user has one session of the application; else the session itself.
    pub slot: String,
    pub host: String,
    /// 0: it is being started; 1: it runs; 2: it has ended.
    pub state: i64,
    /// Why it has ended.
    pub reason: String,
}

row!(StartedSession { session, application, user_id, title, slot, host, state, reason });

const COLUMNS: &str = "session, application, user_id, title, slot, host, state, reason";
/// Ends are told of for this long, and remembered for a day.
const TOLD_MS: i64 = 600_000;
const REMEMBERED_MS: i64 = 86_400_000;

impl Store {
    /// Takes the right to start a session, in the state `row.state`. Whether this gateway has it: not while another session
    /// of the user's in this slot runs, or is being started by a gateway that is there.
    pub async fn claim_start(&self, row: &StartedSession, start_id: &str) -> Result<bool, StoreError> {
        let doing = "taking the right to start a session";
        let stale = format!(
            "DELETE FROM started_sessions WHERE user_id = $1 AND application = $2 AND slot = $3 AND state = 0 \
             AND NOT EXISTS (SELECT 1 FROM gateways WHERE gateways.start_id = started_sessions.start_id \
             AND gateways.until > {NOW})"
        );
        let stale = sqlx::query(sqlx::AssertSqlSafe(stale)).bind(&row.user_id).bind(&row.application);
        stale.bind(&row.slot).execute(&self.pool).await.map_err(failed(doing))?;
        let text = format!(
            "INSERT INTO started_sessions (session, application, user_id, title, slot, host, start_id, \
             started_at, state, reason, ended_at) VALUES ($1, $2, $3, $4, $5, $6, $7, {NOW}, $8, '', 0) \
             ON CONFLICT DO NOTHING"
        );
        let claimed = sqlx::query(sqlx::AssertSqlSafe(text)).bind(&row.session).bind(&row.application);
        let claimed = claimed.bind(&row.user_id).bind(&row.title).bind(&row.slot).bind(&row.host);
        let claimed = claimed.bind(start_id).bind(row.state).execute(&self.pool).await;
        claimed.map(|done| done.rows_affected() > 0).map_err(failed(doing))
    }

    /// What a user has of an application in a slot, or is being given.
    pub async fn started_in(
        &self,
        user_id: &str,
        application: &str,
        slot: &str,
    ) -> Result<Option<StartedSession>, StoreError> {
        let text = format!(
            "SELECT {COLUMNS} FROM started_sessions WHERE user_id = $1 AND application = $2 AND slot = $3 \
             AND state < 2"
        );
        let found = sqlx::query_as(sqlx::AssertSqlSafe(text)).bind(user_id).bind(application).bind(slot);
        found.fetch_optional(&self.pool).await.map_err(failed("asking what a user has of an application"))
    }

    /// Before a session is ordered: under which name, and from which host. Whether this gateway still may.
    pub async fn order_start(
        &self,
        before: &str,
        session: &str,
        host: &str,
        start_id: &str,
    ) -> Result<bool, StoreError> {
        let set = sqlx::query(
            "UPDATE started_sessions SET session = $2, host = $3, slot = CASE slot WHEN '' THEN '' ELSE $2 END \
             WHERE session = $1 AND start_id = $4 AND state = 0",
        );
        let done = set.bind(before).bind(session).bind(host).bind(start_id).execute(&self.pool).await;
        done.map(|done| done.rows_affected() > 0).map_err(failed("noting an order of a session"))
    }

    /// A session that this gateway ordered runs. Whether it may.
    pub async fn start_done(&self, session: &str, start_id: &str) -> Result<bool, StoreError> {
        let set = sqlx::query(
            "UPDATE started_sessions SET state = 1 WHERE session = $1 AND start_id = $2 AND state = 0",
        );
        let done = set.bind(session).bind(start_id).execute(&self.pool).await;
        done.map(|done| done.rows_affected() > 0).map_err(failed("noting that a session runs"))
    }

    /// This gateway could not start it.
    pub async fn start_failed(&self, session: &str, start_id: &str) -> Result<(), StoreError> {
        let text = "DELETE FROM started_sessions WHERE session = $1 AND start_id = $2 AND state = 0";
        let done = sqlx::query(text).bind(session).bind(start_id).execute(&self.pool).await;
        done.map(drop).map_err(failed("noting that a session was not started"))
    }

    /// Ends a session. Whether it had not ended before; with `unless_of_others`, also only if no other gateway that is there
    /// has it.
    pub async fn finish_started(
        &self,
        session: &str,
        reason: &str,
        unless_of_others: Option<&str>,
    ) -> Result<bool, StoreError> {
        let text = format!(
            "UPDATE started_sessions SET state = 2, reason = $2, ended_at = {NOW} WHERE session = $1 \
             AND state < 2 AND ($3 = '' OR NOT EXISTS (SELECT 1 FROM leases JOIN gateways \
             ON gateways.start_id = leases.start_id WHERE leases.session = $1 AND leases.start_id <> $3 \
             AND gateways.until > {NOW}))"
        );
        let done = sqlx::query(sqlx::AssertSqlSafe(text)).bind(session).bind(reason);
        let done = done.bind(unless_of_others.unwrap_or_default()).execute(&self.pool).await;
        done.map(|done| done.rows_affected() > 0).map_err(failed("ending a session"))
    }

    /// The sessions that run, and those that ended not long ago.
    pub async fn started_sessions(&self) -> Result<Vec<StartedSession>, StoreError> {
        let text = format!(
            "SELECT {COLUMNS} FROM started_sessions WHERE state = 1 OR (state = 2 AND ended_at > {NOW} - {TOLD_MS})"
        );
        let found = sqlx::query_as(sqlx::AssertSqlSafe(text)).fetch_all(&self.pool).await;
        found.map_err(failed("asking which sessions run"))
    }

    pub async fn started_session(&self, session: &str) -> Result<Option<StartedSession>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM started_sessions WHERE session = $1");
        let found = sqlx::query_as(sqlx::AssertSqlSafe(text)).bind(session).fetch_optional(&self.pool).await;
        found.map_err(failed("asking for a session"))
    }

    /// Forgets which gateway had a session that has ended: no other one will ever have its name.
    pub async fn forget_lease(&self, session: &str, start_id: &str) -> Result<(), StoreError> {
        let text = "DELETE FROM leases WHERE session = $1 AND start_id = $2";
        let done = sqlx::query(text).bind(session).bind(start_id).execute(&self.pool).await;
        done.map(drop).map_err(failed("forgetting who had a session"))
    }

    /// Forgets what ended long ago, and what gateways began to start that are not there any more.
    pub async fn forget_started(&self) -> Result<(), StoreError> {
        let text = format!(
            "DELETE FROM started_sessions WHERE (state = 2 AND ended_at <= {NOW} - {REMEMBERED_MS}) OR (state = 0 \
             AND NOT EXISTS (SELECT 1 FROM gateways WHERE gateways.start_id = started_sessions.start_id \
             AND gateways.until > {NOW}))"
        );
        let done = sqlx::query(sqlx::AssertSqlSafe(text)).execute(&self.pool).await;
        done.map(drop).map_err(failed("forgetting sessions"))
    }
}
