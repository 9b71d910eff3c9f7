//! What gateways of one PostgreSQL tell administrators of themselves, and what they ask of each other for them. The
//! database's clock alone counts.

use super::gateways::NOW;
use super::{Store, StoreError, failed};

/// A gateway that is there, or was not long ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayRow {
    pub name: String,
    pub start_id: String,
    /// JSON.
    pub address: String,
    /// 1: it takes nothing new.
    pub draining: i64,
    /// For how many milliseconds it has said nothing.
    pub silent_ms: i64,
    /// JSON, and for how many milliseconds it has stood there. Empty and negative: none of this start.
    pub view: String,
    pub view_ms: i64,
}

row!(GatewayRow { name, start_id, address, draining, silent_ms, view, view_ms });

/// Something that is asked of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub id: String,
    pub text: String,
}

row!(Order { id, text });

impl Store {
    /// Keeps what a gateway tells of itself.
    pub async fn keep_gateway_view(&self, name: &str, start_id: &str, view: &str) -> Result<(), StoreError> {
        let text = format!(
            "INSERT INTO gateway_views (name, start_id, made_at, view) VALUES ($1, $2, {NOW}, $3) \
             ON CONFLICT (name) DO UPDATE SET start_id = excluded.start_id, made_at = excluded.made_at, \
             view = excluded.view"
        );
        let kept = sqlx::query(sqlx::AssertSqlSafe(text)).bind(name).bind(start_id).bind(view);
        kept.execute(&self.pool).await.map(drop).map_err(failed("telling of this gateway"))
    }

    /// Every gateway that is not forgotten, by name. One lasts for `lasts_ms` after it has said so.
    pub async fn gateway_rows(&self, lasts_ms: i64) -> Result<Vec<GatewayRow>, StoreError> {
        let text = format!(
            "SELECT g.name, g.start_id, g.address, g.draining, {NOW} - g.until + $1 AS silent_ms, \
             coalesce(v.view, '') AS view, coalesce({NOW} - v.made_at, -1) AS view_ms \
             FROM gateways g LEFT JOIN gateway_views v ON v.name = g.name AND v.start_id = g.start_id \
             ORDER BY g.name"
        );
        let rows = sqlx::query_as(sqlx::AssertSqlSafe(text)).bind(lasts_ms).fetch_all(&self.pool).await;
        rows.map_err(failed("asking how the gateways are"))
    }

    /// Forgets the gateways that have been gone for so long, what they told of themselves, and what was asked of them.
    pub async fn forget_gateways(&self, gone_for_ms: i64) -> Result<(), StoreError> {
        for text in [
            format!("DELETE FROM gateways WHERE until < {NOW} - $1"),
            "DELETE FROM gateway_views WHERE $1 >= 0 AND name NOT IN (SELECT name FROM gateways)".to_owned(),
            format!("DELETE FROM gateway_orders WHERE $1 >= 0 AND until < {NOW} - 60000"),
        ] {
            let done = sqlx::query(sqlx::AssertSqlSafe(text)).bind(gone_for_ms).execute(&self.pool).await;
            done.map_err(failed("forgetting gateways that are gone"))?;
        }
        Ok(())
    }

    /// Asks something of the gateway of this start, to be begun within `lasts_ms`.
    pub async fn order_gateway(
        &self,
        order: &Order,
        start_id: &str,
        lasts_ms: i64,
    ) -> Result<(), StoreError> {
        let text = format!(
            "INSERT INTO gateway_orders (id, start_id, text, taken, answer, until) \
             VALUES ($1, $2, $3, 0, '', {NOW} + $4)"
        );
        let asked = sqlx::query(sqlx::AssertSqlSafe(text)).bind(&order.id).bind(start_id).bind(&order.text);
        let asked = asked.bind(lasts_ms).execute(&self.pool).await;
        asked.map(drop).map_err(failed("asking another gateway"))
    }

    /// What is asked of the gateway of this start: each once.
    pub async fn take_orders(&self, start_id: &str) -> Result<Vec<Order>, StoreError> {
        let text = format!(
            "UPDATE gateway_orders SET taken = 1 WHERE start_id = $1 AND taken = 0 AND until > {NOW} \
             RETURNING id, text"
        );
        let taken = sqlx::query_as(sqlx::AssertSqlSafe(text)).bind(start_id).fetch_all(&self.pool).await;
        taken.map_err(failed("asking what other gateways want"))
    }

    pub async fn answer_order(&self, id: &str, answer: &str) -> Result<(), StoreError> {
        let answered = sqlx::query("UPDATE gateway_orders SET answer = $2 WHERE id = $1");
        let answered = answered.bind(id).bind(answer).execute(&self.pool).await;
        answered.map(drop).map_err(failed("answering another gateway"))
    }

    /// The answer; empty: not yet.
    pub async fn order_answer(&self, id: &str) -> Result<String, StoreError> {
        let answer = sqlx::query_scalar("SELECT answer FROM gateway_orders WHERE id = $1").bind(id);
        let answer: Option<String> =
            answer.fetch_optional(&self.pool).await.map_err(failed("hearing another gateway"))?;
        Ok(answer.unwrap_or_default())
    }

    /// Takes back what was asked. Whether it may have been begun.
    pub async fn withdraw_order(&self, id: &str) -> Result<bool, StoreError> {
        let taken = sqlx::query_scalar("DELETE FROM gateway_orders WHERE id = $1 RETURNING taken").bind(id);
        let taken: Option<i64> =
            taken.fetch_optional(&self.pool).await.map_err(failed("taking back what was asked"))?;
        Ok(taken != Some(0))
    }
}
