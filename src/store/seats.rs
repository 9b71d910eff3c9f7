use super::{Store, StoreError, failed};

/// How a seat's badges work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeatMode {
    /// A tap opens, the next one locks.
    #[default]
    Wedge,
    /// Open while the card lies there.
    Card,
}

impl SeatMode {
    pub fn name(self) -> &'static str {
        match self {
            SeatMode::Wedge => "wedge",
            SeatMode::Card => "card",
        }
    }
}

impl std::str::FromStr for SeatMode {
    type Err = String;

    fn from_str(text: &str) -> Result<SeatMode, String> {
        match text {
            "wedge" => Ok(SeatMode::Wedge),
            "card" => Ok(SeatMode::Card),
            _ => Err(format!("{text:?} is no mode of a seat: there are wedge and card")),
        }
    }
}

/// An enrolled workstation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    pub id: String,
    pub name: String,
    /// Ed25519, base64url.
    pub public_key: String,
    pub zone: String,
    pub mode: SeatMode,
    pub created_at: i64,
    pub revoked_at: Option<i64>,
    /// When a badge last opened something there.
    pub used_at: Option<i64>,
}

/// What a code lets a workstation become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatCode {
    pub name: String,
    pub zone: String,
    pub mode: String,
}

row!(SeatCode { name, zone, mode });

struct Row {
    id: String,
    name: String,
    public_key: String,
    zone: String,
    mode: String,
    created_at: i64,
    revoked_at: i64,
    used_at: i64,
}

row!(Row { id, name, public_key, zone, mode, created_at, revoked_at, used_at });

impl Row {
    fn seat(self) -> Seat {
        Seat {
            id: self.id,
            name: self.name,
            public_key: self.public_key,
            zone: self.zone,
            mode: self.mode.parse().unwrap_or_default(),
            created_at: self.created_at,
            revoked_at: (self.revoked_at != 0).then_some(self.revoked_at),
            used_at: (self.used_at != 0).then_some(self.used_at),
        }
    }
}

const COLUMNS: &str = "id, name, public_key, zone, mode, created_at, revoked_at, used_at";

/// A seat's name as names are compared: nobody tells "Room 1" from "room  1".
pub(crate) fn folded(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

impl Store {
    /// Remembers a code by its hash. Earlier codes for the same name are of no use any more.
    pub async fn add_seat_code(
        &self,
        code_hash: &str,
        code: &SeatCode,
        ends_at: i64,
    ) -> Result<(), StoreError> {
        let doing = "remembering a seat's code";
        let mut change = self.pool.begin().await.map_err(failed(doing))?;
        sqlx::query("DELETE FROM seat_codes WHERE name = $1")
            .bind(&code.name)
            .execute(&mut *change)
            .await
            .map_err(failed(doing))?;
        sqlx::query("INSERT INTO seat_codes (code, name, zone, mode, ends_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(code_hash)
            .bind(&code.name)
            .bind(&code.zone)
            .bind(&code.mode)
            .bind(ends_at)
            .execute(&mut *change)
            .await
            .map_err(failed(doing))?;
        change.commit().await.map_err(failed(doing))
    }

    /// Uses up a code: of many at the same time one gets it.
    pub async fn take_seat_code(&self, code_hash: &str, now_ms: i64) -> Result<Option<SeatCode>, StoreError> {
        let doing = "using a seat's code";
        sqlx::query("DELETE FROM seat_codes WHERE ends_at <= $1")
            .bind(now_ms)
            .execute(&self.pool)
            .await
            .map_err(failed(doing))?;
        sqlx::query_as("DELETE FROM seat_codes WHERE code = $1 RETURNING name, zone, mode")
            .bind(code_hash)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed(doing))
    }

    /// Remembers an enrolled seat, in the place of a revoked one of the same name.
    pub async fn add_seat(&self, seat: &Seat) -> Result<(), StoreError> {
        let doing = "enrolling a seat";
        let mut change = self.pool.begin().await.map_err(failed(doing))?;
        let folded = folded(&seat.name);
        sqlx::query("DELETE FROM seats WHERE folded = $1 AND revoked_at <> 0")
            .bind(&folded)
            .execute(&mut *change)
            .await
            .map_err(failed(doing))?;
        let added = sqlx::query(
            "INSERT INTO seats (id, name, folded, public_key, zone, mode, created_at, revoked_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, 0)",
        )
        .bind(&seat.id)
        .bind(&seat.name)
        .bind(&folded)
        .bind(&seat.public_key)
        .bind(&seat.zone)
        .bind(seat.mode.name())
        .bind(seat.created_at)
        .execute(&mut *change)
        .await;
        added.map_err(|source| match source.as_database_error() {
            Some(error) if error.is_unique_violation() => {
                StoreError::Taken(format!("a seat {:?}", seat.name))
            }
            _ => StoreError::Query { doing, source },
        })?;
        change.commit().await.map_err(failed(doing))
    }

    pub async fn seat(&self, id: &str) -> Result<Option<Seat>, StoreError> {
        self.seat_by("id", id).await
    }

    /// The seat of a name, revoked or not, however the name is written.
    pub async fn seat_named(&self, name: &str) -> Result<Option<Seat>, StoreError> {
        self.seat_by("folded", &folded(name)).await
    }

    async fn seat_by(&self, column: &'static str, value: &str) -> Result<Option<Seat>, StoreError> {
        let query = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM seats WHERE {column} = $1"));
        let row: Option<Row> = sqlx::query_as(query)
            .bind(value)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed("looking for a seat"))?;
        Ok(row.map(Row::seat))
    }

    /// Seats by name, from the one after `after`, at most `most`.
    pub async fn seats(&self, after: &str, most: u32) -> Result<Vec<Seat>, StoreError> {
        let query = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM seats WHERE folded > $1 ORDER BY folded LIMIT $2"
        ));
        let rows: Vec<Row> = sqlx::query_as(query)
            .bind(folded(after))
            .bind(i64::from(most))
            .fetch_all(&self.pool)
            .await
            .map_err(failed("listing seats"))?;
        Ok(rows.into_iter().map(Row::seat).collect())
    }

    /// A badge opened something at the seat.
    pub async fn seat_was_used(&self, id: &str, now_ms: i64) -> Result<(), StoreError> {
        let used = sqlx::query("UPDATE seats SET used_at = $2 WHERE id = $1").bind(id).bind(now_ms);
        used.execute(&self.pool).await.map(drop).map_err(failed("noting a seat's use"))
    }

    /// Nothing that the seat's key signs counts any more. Whether it did before.
    pub async fn revoke_seat(&self, id: &str, now_ms: i64) -> Result<bool, StoreError> {
        let revoked = sqlx::query("UPDATE seats SET revoked_at = $2 WHERE id = $1 AND revoked_at = 0");
        let done = revoked.bind(id).bind(now_ms.max(1)).execute(&self.pool).await;
        done.map(|done| done.rows_affected() == 1).map_err(failed("revoking a seat"))
    }
}
