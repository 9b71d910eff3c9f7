//! Gateways that share one PostgreSQL: who is there, which of them has which session, which tickets were shown. The
//! database's clock alone says what has run out.

use super::{Store, StoreError, failed};
use sqlx::postgres::PgListener;

/// Milliseconds since 1970 by the database's clock.
pub(super) const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
/// What gateways tell each other by.
const CHANNEL: &str = "chevet";

/// A gateway that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedGateway {
    pub name: String,
    pub start_id: String,
    /// JSON.
    pub address: String,
    /// 1: it takes nothing new.
    pub draining: i64,
    /// The applications that its hosts can be given, as JSON.
    pub offers: String,
}

row!(SharedGateway { name, start_id, address, draining, offers });

/// A session and the gateway that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub session: String,
    pub title: String,
    pub start_id: String,
    pub fence: i64,
}

row!(Lease { session, title, start_id, fence });

impl Store {
    /// Whether several gateways can share this store.
    pub fn is_shared(&self) -> bool {
        !self.address.starts_with("sqlite:")
    }

    /// Says that a gateway is there for the next `lasts_ms`.
    pub async fn gateway_is_there(&self, gateway: &SharedGateway, lasts_ms: i64) -> Result<(), StoreError> {
        let there = format!(
            "INSERT INTO gateways (name, start_id, address, draining, offers, until) \
             VALUES ($1, $2, $3, $4, $6, {NOW} + $5) \
             ON CONFLICT (name) DO UPDATE SET start_id = excluded.start_id, address = excluded.address, \
             draining = excluded.draining, offers = excluded.offers, until = excluded.until"
        );
        sqlx::query(sqlx::AssertSqlSafe(there))
            .bind(&gateway.name)
            .bind(&gateway.start_id)
            .bind(&gateway.address)
            .bind(gateway.draining)
            .bind(lasts_ms)
            .bind(&gateway.offers)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(failed("saying that this gateway is there"))
    }

    /// Says that a gateway is gone, and with it what it had.
    pub async fn gateway_is_gone(&self, start_id: &str) -> Result<(), StoreError> {
        let doing = "saying that this gateway is gone";
        // What it had is nobody's. The row stays, and with it the count: a fence that began again would be lower than that
        // of a gateway that still believes to have the session.
        for text in [
            "UPDATE leases SET start_id = '' WHERE start_id = $1",
            "DELETE FROM gateways WHERE start_id = $1",
        ] {
            sqlx::query(text).bind(start_id).execute(&self.pool).await.map_err(failed(doing))?;
        }
        Ok(())
    }

    /// The gateways that are there, by name.
    pub async fn gateways(&self) -> Result<Vec<SharedGateway>, StoreError> {
        let text = format!(
            "SELECT name, start_id, address, draining, offers FROM gateways WHERE until > {NOW} ORDER BY name"
        );
        let found = sqlx::query_as(sqlx::AssertSqlSafe(text)).fetch_all(&self.pool).await;
        found.map_err(failed("asking which gateways there are"))
    }

    /// A host has brought a session to this gateway: whoever had it has it no longer. The fence is higher than all before.
    pub async fn take_session(&self, session: &str, title: &str, start_id: &str) -> Result<i64, StoreError> {
        sqlx::query_scalar(
            "INSERT INTO leases (session, title, start_id, fence) VALUES ($1, $2, $3, 1) \
             ON CONFLICT (session) DO UPDATE SET title = excluded.title, start_id = excluded.start_id, \
             fence = leases.fence + 1 RETURNING fence",
        )
        .bind(session)
        .bind(title)
        .bind(start_id)
        .fetch_one(&self.pool)
        .await
        .map_err(failed("taking a session"))
    }

    /// Takes a session that no gateway which is there has. `None`: one has it.
    pub async fn take_free_session(
        &self,
        session: &str,
        title: &str,
        start_id: &str,
    ) -> Result<Option<i64>, StoreError> {
        let text = format!(
            "INSERT INTO leases (session, title, start_id, fence) VALUES ($1, $2, $3, 1) \
             ON CONFLICT (session) DO UPDATE SET title = excluded.title, start_id = excluded.start_id, \
             fence = leases.fence + 1 WHERE NOT EXISTS \
             (SELECT 1 FROM gateways WHERE gateways.start_id = leases.start_id AND gateways.until > {NOW}) \
             RETURNING fence"
        );
        let taken = sqlx::query_scalar(sqlx::AssertSqlSafe(text)).bind(session).bind(title).bind(start_id);
        taken.fetch_optional(&self.pool).await.map_err(failed("taking a session"))
    }

    /// Gives up a session, if this gateway has it. Its count goes on.
    pub async fn leave_session(&self, session: &str, start_id: &str) -> Result<(), StoreError> {
        let left = sqlx::query("UPDATE leases SET start_id = '' WHERE session = $1 AND start_id = $2");
        let left = left.bind(session).bind(start_id).execute(&self.pool).await;
        left.map(drop).map_err(failed("leaving a session"))
    }

    /// The sessions that gateways which are there have, by name.
    pub async fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        let text = format!(
            "SELECT session, title, leases.start_id, fence FROM leases JOIN gateways \
             ON gateways.start_id = leases.start_id WHERE until > {NOW} ORDER BY session"
        );
        let found = sqlx::query_as(sqlx::AssertSqlSafe(text)).fetch_all(&self.pool).await;
        found.map_err(failed("asking which gateway has which session"))
    }

    /// Who has a session, if a gateway that is there does.
    pub async fn lease(&self, session: &str) -> Result<Option<Lease>, StoreError> {
        let text = format!(
            "SELECT session, title, leases.start_id, fence FROM leases JOIN gateways \
             ON gateways.start_id = leases.start_id WHERE until > {NOW} AND session = $1"
        );
        let found = sqlx::query_as(sqlx::AssertSqlSafe(text)).bind(session).fetch_optional(&self.pool).await;
        found.map_err(failed("asking which gateway has a session"))
    }

    /// A ticket is shown: for how many milliseconds it has been used by now, at whichever gateway.
    pub async fn use_ticket(&self, id: &str, lasts_ms: i64) -> Result<i64, StoreError> {
        let text = format!(
            "INSERT INTO used_tickets (id, first_at, until) VALUES ($1, {NOW}, {NOW} + $2) \
             ON CONFLICT (id) DO UPDATE SET until = used_tickets.until RETURNING {NOW} - first_at"
        );
        let used = sqlx::query_scalar(sqlx::AssertSqlSafe(text)).bind(id).bind(lasts_ms);
        used.fetch_one(&self.pool).await.map_err(failed("noting that a ticket is used"))
    }

    pub async fn forget_tickets(&self) -> Result<(), StoreError> {
        let text = format!("DELETE FROM used_tickets WHERE until <= {NOW}");
        let forgotten = sqlx::query(sqlx::AssertSqlSafe(text)).execute(&self.pool).await;
        forgotten.map(drop).map_err(failed("forgetting tickets"))
    }

    /// Tells all gateways something, this one too.
    pub async fn tell_gateways(&self, text: &str) -> Result<(), StoreError> {
        let told = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(text).execute(&self.pool).await;
        told.map(drop).map_err(failed("telling other gateways"))
    }

    /// Hears what gateways are told, from now on.
    pub async fn hear_gateways(&self) -> Result<Heard, StoreError> {
        let doing = "listening to other gateways";
        let mut listener = PgListener::connect(&self.address).await.map_err(failed(doing))?;
        listener.listen(CHANNEL).await.map_err(failed(doing))?;
        Ok(Heard(listener))
    }
}

/// What gateways are told.
pub struct Heard(PgListener);

impl Heard {
    /// The next text. `None`: the connection was lost, and what was told meanwhile with it.
    pub async fn next(&mut self) -> Result<Option<String>, StoreError> {
        let heard = self.0.try_recv().await.map_err(failed("listening to other gateways"))?;
        Ok(heard.map(|told| told.payload().to_owned()))
    }
}
