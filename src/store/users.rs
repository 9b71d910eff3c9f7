use super::accounts::{changes, next_version};
use super::{Store, StoreError, failed};
use sqlx::query::Query;
use sqlx::{Any, Database, Transaction};

/// What somebody may do beside using sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    User,
    /// Reads the audit, changes nothing.
    Auditor,
    Administrator,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::User, Role::Auditor, Role::Administrator];

    pub fn name(self) -> &'static str {
        match self {
            Role::User => "user",
            Role::Auditor => "auditor",
            Role::Administrator => "administrator",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Role, String> {
        let named = Role::ALL.into_iter().find(|role| role.name() == text);
        named.ok_or_else(|| format!("{text:?} is no role: there are user, auditor and administrator"))
    }
}

/// A person who may sign in.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct User {
    pub id: String,
    /// What is typed to sign in: lower case.
    pub name: String,
    /// For people to read.
    pub title: String,
    pub role: Role,
    pub enabled: bool,
    pub groups: Vec<String>,
    pub has_password: bool,
    pub has_totp: bool,
    pub created_at: i64,
    /// The site whose account this is a copy of. Empty: it is of this one.
    pub home: String,
}

/// A user to be made.
#[derive(Clone, Debug)]
pub struct NewUser<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub title: &'a str,
    pub role: Role,
    pub groups: &'a [String],
}

/// What a password is checked against.
#[derive(Clone)]
pub struct Password {
    pub hash: Option<String>,
    pub totp: Option<String>,
    pub totp_step: i64,
}

/// Whether a password may be tried now.
pub enum Attempt {
    Allowed(User, Password),
    /// Too many were wrong; the next one is looked at from then on.
    Wait(User, i64),
    Unknown,
}

/// Wrong attempts that cost nothing: people mistype.
const FREE_ATTEMPTS: i64 = 4;
/// The longest that a user waits, in milliseconds.
const LONGEST_WAIT: i64 = 15 * 60_000;

/// How long the attempt after this many wrong ones waits, in milliseconds.
pub(super) fn wait_after(attempts: i64) -> i64 {
    match attempts - FREE_ATTEMPTS {
        over if over <= 0 => 0,
        over => (1_000 << over.min(20)).min(LONGEST_WAIT),
    }
}

struct Row {
    id: String,
    name: String,
    title: String,
    role: String,
    enabled: i64,
    password: Option<String>,
    totp: Option<String>,
    totp_step: i64,
    attempts: i64,
    retry_at: i64,
    created_at: i64,
    home: String,
}

row!(Row { id, name, title, role, enabled, password, totp, totp_step, attempts, retry_at, created_at, home });

const COLUMNS: &str =
    "id, name, title, role, enabled, password, totp, totp_step, attempts, retry_at, created_at, home";

impl Row {
    fn user(&self, groups: Vec<String>) -> User {
        User {
            id: self.id.clone(),
            name: self.name.clone(),
            title: self.title.clone(),
            // An unknown role of a damaged row must not be worth more than the least.
            role: self.role.parse().unwrap_or(Role::User),
            enabled: self.enabled != 0,
            groups,
            has_password: self.password.is_some(),
            has_totp: self.totp.is_some(),
            created_at: self.created_at,
            home: self.home.clone(),
        }
    }
}

impl Store {
    /// Makes a user without a password.
    pub async fn add_user(&self, user: &NewUser<'_>, now_ms: i64) -> Result<(), StoreError> {
        let doing = "adding a user";
        let mut change = self.pool.begin().await.map_err(failed(doing))?;
        insert_user(&mut change, user, now_ms).await?;
        change.commit().await.map_err(failed(doing))
    }

    /// Removes a user, and all that is remembered of the sign-ins. Whether there was one.
    pub async fn remove_user(&self, id: &str) -> Result<bool, StoreError> {
        let doing = "removing a user";
        let mut change = self.pool.begin().await.map_err(failed(doing))?;
        let version = next_version(&mut change).await?;
        // Other sites are to hear of it.
        sqlx::query(
            "INSERT INTO removed_accounts (id, version) SELECT id, $2 FROM users WHERE id = $1 AND home = '' \
             ON CONFLICT (id) DO UPDATE SET version = excluded.version",
        )
        .bind(id)
        .bind(version)
        .execute(&mut *change)
        .await
        .map_err(failed(doing))?;
        let removed = sqlx::query("DELETE FROM users WHERE id = $1").bind(id).execute(&mut *change).await;
        let removed = removed.map_err(failed(doing))?.rows_affected() > 0;
        change.commit().await.map_err(failed(doing))?;
        Ok(removed)
    }

    pub async fn user_named(&self, name: &str) -> Result<Option<User>, StoreError> {
        self.user_by("name", name).await
    }

    pub async fn user(&self, id: &str) -> Result<Option<User>, StoreError> {
        self.user_by("id", id).await
    }

    async fn user_by(&self, column: &'static str, value: &str) -> Result<Option<User>, StoreError> {
        match self.row_by(column, value).await? {
            Some(row) => Ok(Some(row.user(self.groups_of(&row.id).await?))),
            None => Ok(None),
        }
    }

    async fn row_by(&self, column: &'static str, value: &str) -> Result<Option<Row>, StoreError> {
        let query = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM users WHERE {column} = $1"));
        let row = sqlx::query_as(query).bind(value).fetch_optional(&self.pool).await;
        row.map_err(failed("looking for a user"))
    }

    /// Who signs in by this name: a user of this site, or the only one of all others who is called so there.
    async fn row_called(&self, name: &str) -> Result<Option<Row>, StoreError> {
        if let Some(row) = self.row_by("name", name).await? {
            return Ok(Some(row));
        }
        let query = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM users WHERE home <> '' AND home_name = $1 LIMIT 2"
        ));
        let rows: Vec<Row> = sqlx::query_as(query)
            .bind(name)
            .fetch_all(&self.pool)
            .await
            .map_err(failed("looking for a user of another site"))?;
        let mut rows = rows.into_iter();
        Ok(rows.next().filter(|_| rows.next().is_none()))
    }

    pub(super) async fn groups_of(&self, user_id: &str) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar("SELECT group_name FROM memberships WHERE user_id = $1 ORDER BY group_name")
            .bind(user_id)
            .fetch_all(&self.pool)
            .await
            .map_err(failed("reading a user's groups"))
    }

    /// Users by name, from the one after `after`, at most `most`.
    pub async fn users(&self, after: &str, most: u32) -> Result<Vec<User>, StoreError> {
        let query = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM users WHERE name > $1 ORDER BY name LIMIT $2"
        ));
        let rows: Vec<Row> = sqlx::query_as(query)
            .bind(after)
            .bind(i64::from(most))
            .fetch_all(&self.pool)
            .await
            .map_err(failed("listing users"))?;
        let mut users = Vec::with_capacity(rows.len());
        for row in rows {
            users.push(row.user(self.groups_of(&row.id).await?));
        }
        Ok(users)
    }

    /// Makes these the user's groups, and no others.
    pub async fn set_groups(&self, user_id: &str, groups: &[String]) -> Result<(), StoreError> {
        let doing = "setting a user's groups";
        let mut change = self.pool.begin().await.map_err(failed(doing))?;
        changes(&mut change, user_id).await?;
        sqlx::query("DELETE FROM memberships WHERE user_id = $1")
            .bind(user_id)
            .execute(&mut *change)
            .await
            .map_err(failed(doing))?;
        for group in groups {
            sqlx::query(
                "INSERT INTO memberships (user_id, group_name) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            )
            .bind(user_id)
            .bind(group)
            .execute(&mut *change)
            .await
            .map_err(failed(doing))?;
        }
        change.commit().await.map_err(failed(doing))
    }

    /// A new hash of a password. Earlier wrong attempts are forgotten.
    pub async fn set_password(&self, user_id: &str, hash: &str) -> Result<(), StoreError> {
        let set = sqlx::query("UPDATE users SET password = $2, attempts = 0, retry_at = 0 WHERE id = $1");
        self.change(user_id, set.bind(user_id).bind(hash), "setting a password").await
    }

    /// A sealed TOTP secret, or none.
    pub async fn set_totp(&self, user_id: &str, sealed: Option<&str>) -> Result<(), StoreError> {
        let set = sqlx::query("UPDATE users SET totp = $2, totp_step = 0 WHERE id = $1");
        self.change(user_id, set.bind(user_id).bind(sealed), "setting a one-time code's secret").await
    }

    pub async fn set_role(&self, user_id: &str, role: Role) -> Result<(), StoreError> {
        let set = sqlx::query("UPDATE users SET role = $2 WHERE id = $1");
        self.change(user_id, set.bind(user_id).bind(role.name()), "setting a role").await
    }

    /// Lets a user sign in, or no longer.
    pub async fn enable_user(&self, user_id: &str, enabled: bool) -> Result<(), StoreError> {
        // Whoever is let in again types the PIN again.
        self.end_grace(user_id).await?;
        let set = sqlx::query("UPDATE users SET enabled = $2 WHERE id = $1");
        self.change(user_id, set.bind(user_id).bind(i64::from(enabled)), "enabling a user").await
    }

    /// Changes an account of this site by one statement.
    async fn change(
        &self,
        user_id: &str,
        set: Query<'_, Any, <Any as Database>::Arguments>,
        doing: &'static str,
    ) -> Result<(), StoreError> {
        let mut change = self.pool.begin().await.map_err(failed(doing))?;
        changes(&mut change, user_id).await?;
        set.execute(&mut *change).await.map_err(failed(doing))?;
        change.commit().await.map_err(failed(doing))
    }

    /// Begins an attempt at a password. It counts as wrong until [`Store::attempt_was_right`] says otherwise, so that many at
    /// the same time are not worth more than many after each other.
    pub async fn begin_attempt(&self, name: &str, now_ms: i64) -> Result<Attempt, StoreError> {
        // Who loses a race for the count has to look again.
        for _ in 0..3 {
            let Some(row) = self.row_called(name).await? else { return Ok(Attempt::Unknown) };
            let user = row.user(self.groups_of(&row.id).await?);
            if row.retry_at > now_ms {
                return Ok(Attempt::Wait(user, row.retry_at));
            }
            let attempts = row.attempts.saturating_add(1);
            let counted =
                sqlx::query("UPDATE users SET attempts = $3, retry_at = $4 WHERE id = $1 AND attempts = $2")
                    .bind(&row.id)
                    .bind(row.attempts)
                    .bind(attempts)
                    .bind(now_ms + wait_after(attempts))
                    .execute(&self.pool)
                    .await
                    .map_err(failed("counting an attempt to sign in"))?;
            if counted.rows_affected() == 1 {
                let password = Password { hash: row.password, totp: row.totp, totp_step: row.totp_step };
                return Ok(Attempt::Allowed(user, password));
            }
        }
        match self.row_called(name).await? {
            Some(row) => Ok(Attempt::Wait(row.user(self.groups_of(&row.id).await?), now_ms)),
            None => Ok(Attempt::Unknown),
        }
    }

    pub async fn attempt_was_right(&self, user_id: &str) -> Result<(), StoreError> {
        let set = sqlx::query("UPDATE users SET attempts = 0, retry_at = 0 WHERE id = $1");
        let done = set.bind(user_id).execute(&self.pool).await;
        done.map(drop).map_err(failed("noting a sign-in"))
    }

    /// Uses up the code of a time step. Whether no code of it, or of a later one, had been used before.
    pub async fn use_totp_step(&self, user_id: &str, step: i64) -> Result<bool, StoreError> {
        let used = sqlx::query(
            "UPDATE users SET totp_step = $2, version = CASE WHEN home = '' THEN $3 ELSE version END \
             WHERE id = $1 AND totp_step < $2",
        );
        let doing = "using a one-time code";
        let mut change = self.pool.begin().await.map_err(failed(doing))?;
        // Other sites are to know it, too; a copy's own site hears of it otherwise.
        let version = next_version(&mut change).await?;
        let used = used.bind(user_id).bind(step).bind(version).execute(&mut *change).await;
        let used = used.map_err(failed(doing))?.rows_affected() == 1;
        match used {
            true => change.commit().await.map_err(failed(doing))?,
            false => change.rollback().await.map_err(failed(doing))?,
        }
        Ok(used)
    }
}

pub(super) async fn insert_user(
    change: &mut Transaction<'_, Any>,
    user: &NewUser<'_>,
    now_ms: i64,
) -> Result<(), StoreError> {
    let doing = "adding a user";
    let version = next_version(change).await?;
    let added = sqlx::query(
        "INSERT INTO users (id, name, title, role, enabled, totp_step, attempts, retry_at, created_at, version) \
         VALUES ($1, $2, $3, $4, 1, 0, 0, 0, $5, $6)",
    )
    .bind(user.id)
    .bind(user.name)
    .bind(user.title)
    .bind(user.role.name())
    .bind(now_ms)
    .bind(version)
    .execute(&mut **change)
    .await;
    added.map_err(|source| match source.as_database_error() {
        Some(error) if error.is_unique_violation() => StoreError::Taken(format!("a user {:?}", user.name)),
        _ => StoreError::Query { doing, source },
    })?;
    for group in user.groups {
        sqlx::query("INSERT INTO memberships (user_id, group_name) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(user.id)
            .bind(group)
            .execute(&mut **change)
            .await
            .map_err(failed(doing))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_wrong_attempts_are_free_and_then_the_wait_doubles_to_a_quarter_of_an_hour() {
        assert_eq!(wait_after(4), 0);
        assert_eq!(wait_after(5), 2_000);
        assert_eq!(wait_after(6), 4_000);
        assert_eq!(wait_after(40), LONGEST_WAIT);
        assert_eq!(wait_after(i64::MAX), LONGEST_WAIT);
    }
}
