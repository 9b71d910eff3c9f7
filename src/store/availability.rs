use super::{Store, StoreError, failed};

/// One hour of one application at one site, by one gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvailabilityRow {
    /// Hours since 1970.
    pub hour: i64,
    pub application: String,
    pub site: String,
    pub gateway: String,
    pub in_time: i64,
    pub late: i64,
    pub failed: i64,
    pub minutes: i64,
    pub minutes_degraded: i64,
    pub screen_target: i64,
    pub tap_target: i64,
    pub screens: String,
    pub taps: String,
}

row!(AvailabilityRow {
    hour,
    application,
    site,
    gateway,
    in_time,
    late,
    failed,
    minutes,
    minutes_degraded,
    screen_target,
    tap_target,
    screens,
    taps
});

const COLUMNS: &str = "hour, application, site, gateway, in_time, late, failed, minutes, minutes_degraded, \
    screen_target, tap_target, screens, taps";

impl Store {
    /// Writes an hour, in place of what was written of it before. Each gateway writes its own rows alone.
    pub async fn keep_availability(&self, row: &AvailabilityRow) -> Result<(), StoreError> {
        let query = sqlx::AssertSqlSafe(format!(
            "INSERT INTO availability ({COLUMNS}) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
             ON CONFLICT (hour, application, site, gateway) DO UPDATE SET in_time = excluded.in_time, \
             late = excluded.late, failed = excluded.failed, minutes = excluded.minutes, \
             minutes_degraded = excluded.minutes_degraded, screen_target = excluded.screen_target, \
             tap_target = excluded.tap_target, screens = excluded.screens, taps = excluded.taps"
        ));
        sqlx::query(query)
            .bind(row.hour)
            .bind(&row.application)
            .bind(&row.site)
            .bind(&row.gateway)
            .bind(row.in_time)
            .bind(row.late)
            .bind(row.failed)
            .bind(row.minutes)
            .bind(row.minutes_degraded)
            .bind(row.screen_target)
            .bind(row.tap_target)
            .bind(&row.screens)
            .bind(&row.taps)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(failed("keeping an hour's availability"))
    }

    /// What was written of one hour by one gateway.
    pub async fn availability_of(
        &self,
        hour: i64,
        application: &str,
        site: &str,
        gateway: &str,
    ) -> Result<Option<AvailabilityRow>, StoreError> {
        let query = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM availability \
             WHERE hour = $1 AND application = $2 AND site = $3 AND gateway = $4"
        ));
        let row = sqlx::query_as(query).bind(hour).bind(application).bind(site).bind(gateway);
        row.fetch_optional(&self.pool).await.map_err(failed("reading an hour's availability"))
    }

    /// The rows of these hours, the last one not included, by hour.
    pub async fn availability(&self, from: i64, to: i64) -> Result<Vec<AvailabilityRow>, StoreError> {
        let query = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM availability WHERE hour >= $1 AND hour < $2 \
             ORDER BY hour, application, site, gateway"
        ));
        let rows = sqlx::query_as(query).bind(from).bind(to).fetch_all(&self.pool).await;
        rows.map_err(failed("reading the availability of a month"))
    }
}
