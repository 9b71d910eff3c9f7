//! Accounts as sites share them: what changed here since when, and the copies of other sites' accounts. A copy is changed
//! by its own site alone.

use super::{Store, StoreError, User, failed};
use sqlx::{Any, Transaction};

/// An account of this site, as it is now, or that it was removed.
#[derive(Clone)]
pub struct AccountRow {
    /// The number of its last change.
    pub version: i64,
    pub id: String,
    pub name: String,
    pub title: String,
    pub enabled: i64,
    /// A PHC string.
    pub password: Option<String>,
    /// Sealed.
    pub totp: Option<String>,
    pub totp_step: i64,
    /// 1: it is gone.
    pub removed: i64,
}

row!(AccountRow { version, id, name, title, enabled, password, totp, totp_step, removed });

/// What is kept of another site's account.
pub struct AccountCopy<'a> {
    /// Here.
    pub id: &'a str,
    pub name: &'a str,
    pub title: &'a str,
    pub enabled: bool,
    pub groups: &'a [String],
    pub password: Option<&'a str>,
    /// Sealed for `id`.
    pub totp: Option<&'a str>,
    pub totp_step: i64,
    pub home: &'a str,
    pub home_id: &'a str,
    pub home_name: &'a str,
    /// Of its home; [`ASKED`] if the home is asked at each sign-in.
    pub version: i64,
}

/// The version of an account of which no copy is pulled.
pub const ASKED: i64 = -1;

/// How far another site's accounts are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SitePulled {
    pub version: i64,
    /// When all up to then was known. 0: never.
    pub pulled_at: i64,
    /// By what both sites decided of accounts.
    pub terms: String,
}

row!(SitePulled { version, pulled_at, terms });

/// A sign-in at another site that belongs to one here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    pub sign_in: String,
    pub site: String,
    pub there: String,
}

row!(Visit { sign_in, site, there });

/// Changes whose marks are kept: a site that is further behind hears all anew.
const MARKS_KEPT: i64 = 10_000;

/// The number of the next change of an account. Until the transaction ends nobody else gets one, so that whoever has seen a
/// number has seen all lower ones. The change gets a random mark, too: a database that was put back to an earlier state gives
/// the same numbers again, and other marks. The marks are in the rows below 0.
pub(super) async fn next_version(change: &mut Transaction<'_, Any>) -> Result<i64, StoreError> {
    let doing = "counting a change of an account";
    let version: i64 = sqlx::query_scalar(
        "UPDATE account_versions SET version = version + 1 WHERE id = 1 RETURNING version",
    )
    .fetch_one(&mut **change)
    .await
    .map_err(failed(doing))?;
    let mark = random_number(doing)?;
    sqlx::query(
        "INSERT INTO account_versions (id, version) VALUES ($1, $2) \
         ON CONFLICT (id) DO UPDATE SET version = excluded.version",
    )
    .bind(-version)
    .bind(mark)
    .execute(&mut **change)
    .await
    .map_err(failed(doing))?;
    sqlx::query("DELETE FROM account_versions WHERE id = $1")
        .bind(MARKS_KEPT.saturating_sub(version).min(0))
        .execute(&mut **change)
        .await
        .map_err(failed(doing))?;
    Ok(version)
}

fn random_number(doing: &'static str) -> Result<i64, StoreError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| failed(doing)(sqlx::Error::Io(std::io::Error::other(error))))?;
    Ok(i64::from_le_bytes(bytes) & i64::MAX)
}

/// Notes that an account of this site changes. One of another site is not changed here.
pub(super) async fn changes(change: &mut Transaction<'_, Any>, user_id: &str) -> Result<(), StoreError> {
    let doing = "counting a change of an account";
    let version = next_version(change).await?;
    let noted = sqlx::query("UPDATE users SET version = $2 WHERE id = $1 AND home = ''")
        .bind(user_id)
        .bind(version)
        .execute(&mut **change)
        .await
        .map_err(failed(doing))?;
    if noted.rows_affected() == 0 {
        let home: Option<String> = sqlx::query_scalar("SELECT home FROM users WHERE id = $1")
            .bind(user_id)
            .fetch_optional(&mut **change)
            .await
            .map_err(failed(doing))?;
        home.map_or(Ok(()), |home| Err(StoreError::Elsewhere(home)))?;
    }
    Ok(())
}

impl Store {
    /// The newest change's number, and at most `most` accounts of this site that changed after `since`, in that order, with
    /// their groups.
    pub async fn accounts_since(
        &self,
        since: i64,
        most: u32,
    ) -> Result<(i64, Vec<(AccountRow, Vec<String>)>), StoreError> {
        let doing = "reading what changed of accounts";
        let newest = sqlx::query_scalar("SELECT version FROM account_versions WHERE id = 1")
            .fetch_one(&self.pool)
            .await
            .map_err(failed(doing))?;
        // One statement, so that no change falls between the two.
        let rows: Vec<AccountRow> = sqlx::query_as(
            "SELECT version, id, name, title, enabled, password, totp, totp_step, CAST(0 AS BIGINT) AS removed \
             FROM users \
             WHERE home = '' AND version > $1 UNION ALL \
             SELECT version, id, '', '', 0, NULL, NULL, 0, CAST(1 AS BIGINT) FROM removed_accounts WHERE version > $1 \
             ORDER BY 1 LIMIT $2",
        )
        .bind(since)
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await
        .map_err(failed(doing))?;
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            let groups = self.groups_of(&row.id).await?;
            all.push((row, groups));
        }
        Ok((newest, all))
    }

    /// The mark of a change: the same number in another history of this database has another one. `None`: it is not kept.
    pub async fn account_mark(&self, version: i64) -> Result<Option<i64>, StoreError> {
        if version <= 0 {
            return Ok(None);
        }
        sqlx::query_scalar("SELECT version FROM account_versions WHERE id = $1")
            .bind(-version)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed("reading the mark of a change of accounts"))
    }

    /// The copy of another site's account, and the hash of its password.
    pub async fn copy_of(
        &self,
        home: &str,
        home_id: &str,
    ) -> Result<Option<(User, Option<String>)>, StoreError> {
        let found: Option<(String, Option<String>)> =
            sqlx::query_as("SELECT id, password FROM users WHERE home = $1 AND home_id = $2")
                .bind(home)
                .bind(home_id)
                .fetch_optional(&self.pool)
                .await
                .map_err(failed("looking for a copy of an account"))?;
        match found {
            Some((id, password)) => Ok(self.user(&id).await?.map(|user| (user, password))),
            None => Ok(None),
        }
    }

    /// The id and the name that a user of another site has there.
    pub async fn home_of(&self, user_id: &str) -> Result<(String, String), StoreError> {
        sqlx::query_as("SELECT home_id, home_name FROM users WHERE id = $1")
            .bind(user_id)
            .fetch_one(&self.pool)
            .await
            .map_err(failed("looking for a user's site"))
    }

    pub async fn count_copies(&self, home: &str) -> Result<usize, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM users WHERE home = $1")
            .bind(home)
            .fetch_one(&self.pool)
            .await
            .map_err(failed("counting a site's accounts"))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Keeps a copy, unless a newer one is kept. The step of the last one-time code never goes back.
    pub async fn keep_copy(&self, copy: &AccountCopy<'_>, now_ms: i64) -> Result<(), StoreError> {
        let doing = "keeping a copy of an account";
        let mut change = self.pool.begin().await.map_err(failed(doing))?;
        let kept = sqlx::query(
            "INSERT INTO users (id, name, title, role, enabled, password, totp, totp_step, attempts, retry_at, \
             created_at, version, home, home_id, home_name) \
             VALUES ($1, $2, $3, 'user', $4, $5, $6, $7, 0, 0, $8, $9, $10, $11, $12) \
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, title = excluded.title, \
             enabled = excluded.enabled, password = excluded.password, totp = excluded.totp, \
             totp_step = CASE WHEN users.totp_step > excluded.totp_step THEN users.totp_step \
             ELSE excluded.totp_step END, version = excluded.version, home_name = excluded.home_name \
             WHERE users.home = excluded.home AND users.version <= excluded.version",
        )
        .bind(copy.id)
        .bind(copy.name)
        .bind(copy.title)
        .bind(i64::from(copy.enabled))
        .bind(copy.password)
        .bind(copy.totp)
        .bind(copy.totp_step)
        .bind(now_ms)
        .bind(copy.version)
        .bind(copy.home)
        .bind(copy.home_id)
        .bind(copy.home_name)
        .execute(&mut *change)
        .await
        .map_err(|source| match source.as_database_error() {
            Some(error) if error.is_unique_violation() => {
                StoreError::Taken(format!("a user {:?}", copy.name))
            }
            _ => StoreError::Query { doing, source },
        })?;
        if kept.rows_affected() > 0 {
            sqlx::query("DELETE FROM memberships WHERE user_id = $1")
                .bind(copy.id)
                .execute(&mut *change)
                .await
                .map_err(failed(doing))?;
            for group in copy.groups {
                sqlx::query(
                    "INSERT INTO memberships (user_id, group_name) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                )
                .bind(copy.id)
                .bind(group)
                .execute(&mut *change)
                .await
                .map_err(failed(doing))?;
            }
        }
        change.commit().await.map_err(failed(doing))
    }

    /// The codes that were used here after a step by people of another site: their ids there, and the steps, the newest first.
    pub async fn codes_used_by(
        &self,
        home: &str,
        since_step: i64,
        most: u32,
    ) -> Result<Vec<(String, i64)>, StoreError> {
        sqlx::query_as(
            "SELECT home_id, totp_step FROM users WHERE home = $1 AND totp_step > $2 \
             ORDER BY totp_step DESC LIMIT $3",
        )
        .bind(home)
        .bind(since_step)
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await
        .map_err(failed("reading which one-time codes were used"))
    }

    /// Those of another site's accounts that are known here because somebody signed in, and are not copied: at most `most`
    /// ids there that come after one.
    pub async fn asked_accounts(
        &self,
        home: &str,
        after: &str,
        most: u32,
    ) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(
            "SELECT home_id FROM users WHERE home = $1 AND version = $2 AND home_id > $3 ORDER BY home_id LIMIT $4",
        )
        .bind(home)
        .bind(ASKED)
        .bind(after)
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await
        .map_err(failed("looking for another site's people"))
    }

    /// A site's accounts are to be heard of from the beginning: what is not heard of again is gone.
    pub async fn forget_site_version(&self, home: &str) -> Result<(), StoreError> {
        let doing = "reading a site's accounts anew";
        for text in [
            "UPDATE users SET version = 0 WHERE home = $1 AND version > 0",
            "UPDATE sites SET version = 0 WHERE name = $1",
        ] {
            sqlx::query(text).bind(home).execute(&self.pool).await.map_err(failed(doing))?;
        }
        Ok(())
    }

    /// The copies that were not heard of since [`Store::forget_site_version`].
    pub async fn copies_not_heard_of(&self, home: &str) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar("SELECT home_id FROM users WHERE home = $1 AND version = 0")
            .bind(home)
            .fetch_all(&self.pool)
            .await
            .map_err(failed("looking for accounts that are gone"))
    }

    /// Whether this one is to hear of a site's accounts from `now` to `until`: no two do at the same time.
    pub async fn take_turn(
        &self,
        site: &str,
        puller: &str,
        now: i64,
        until: i64,
    ) -> Result<bool, StoreError> {
        sqlx::query(
            "INSERT INTO sites (name, version, pulled_at, puller, puller_until) VALUES ($1, 0, 0, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET puller = excluded.puller, puller_until = excluded.puller_until \
             WHERE sites.puller = excluded.puller OR sites.puller_until < $4",
        )
        .bind(site)
        .bind(puller)
        .bind(until)
        .bind(now)
        .execute(&self.pool)
        .await
        .map(|done| done.rows_affected() > 0)
        .map_err(failed("taking turns at hearing a site"))
    }

    pub async fn site_pulled(&self, site: &str) -> Result<SitePulled, StoreError> {
        let found = sqlx::query_as("SELECT version, pulled_at, terms FROM sites WHERE name = $1")
            .bind(site)
            .fetch_optional(&self.pool)
            .await;
        found.map(Option::unwrap_or_default).map_err(failed("asking how far a site's accounts are known"))
    }

    /// Everything up to this version is known; at this time that was all, unless it is not told.
    pub async fn note_pulled(
        &self,
        site: &str,
        version: i64,
        pulled_at: Option<i64>,
        terms: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO sites (name, version, pulled_at, terms) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (name) DO UPDATE SET version = excluded.version, terms = excluded.terms, \
             pulled_at = CASE WHEN excluded.pulled_at = 0 THEN sites.pulled_at ELSE excluded.pulled_at END",
        )
        .bind(site)
        .bind(version)
        .bind(pulled_at.unwrap_or(0))
        .bind(terms)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(failed("noting how far a site's accounts are known"))
    }

    /// The sign-in that one of here has at another site.
    pub async fn visit(&self, sign_in: &str, site: &str) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar("SELECT there FROM visits WHERE sign_in = $1 AND site = $2")
            .bind(sign_in)
            .bind(site)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed("looking for a sign-in at another site"))
    }

    pub async fn note_visit(&self, visit: &Visit) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO visits (sign_in, site, there) VALUES ($1, $2, $3) \
             ON CONFLICT (sign_in, site) DO UPDATE SET there = excluded.there",
        )
        .bind(&visit.sign_in)
        .bind(&visit.site)
        .bind(&visit.there)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(failed("noting a sign-in at another site"))
    }

    /// Sign-ins at a site whose own one here has ended.
    pub async fn visits_that_are_over(&self, site: &str, now_ms: i64) -> Result<Vec<Visit>, StoreError> {
        sqlx::query_as(
            "SELECT sign_in, site, there FROM visits WHERE site = $1 AND NOT EXISTS \
             (SELECT 1 FROM sign_ins WHERE sign_ins.id = visits.sign_in AND sign_ins.ends_at > $2) LIMIT 100",
        )
        .bind(site)
        .bind(now_ms)
        .fetch_all(&self.pool)
        .await
        .map_err(failed("looking for sign-ins at other sites that are over"))
    }

    pub async fn forget_visit(&self, visit: &Visit) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM visits WHERE sign_in = $1 AND site = $2")
            .bind(&visit.sign_in)
            .bind(&visit.site)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(failed("forgetting a sign-in at another site"))
    }
}
