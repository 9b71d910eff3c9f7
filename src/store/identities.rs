use super::users::insert_user;
use super::{NewUser, SignIn, Store, StoreError, User, failed};
use sqlx::{Any, Transaction};

/// A sign-in that an OpenID provider vouched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderSignIn {
    pub sign_in_id: String,
    pub issuer: String,
    pub subject: String,
    /// The provider's session; empty if it has no name.
    pub sid: String,
    /// Sealed by the gateway.
    pub id_token: String,
}

row!(ProviderSignIn { sign_in_id, issuer, subject, sid, id_token });

impl Store {
    /// The user who is this subject at this issuer.
    pub async fn user_bound_to(&self, issuer: &str, subject: &str) -> Result<Option<User>, StoreError> {
        let id: Option<String> =
            sqlx::query_scalar("SELECT user_id FROM identities WHERE issuer = $1 AND subject = $2")
                .bind(issuer)
                .bind(subject)
                .fetch_optional(&self.pool)
                .await
                .map_err(failed("looking for a provider's user"))?;
        match id {
            Some(id) => self.user(&id).await,
            None => Ok(None),
        }
    }

    /// Whether a user is bound to any subject of this issuer.
    pub async fn is_bound_at(&self, issuer: &str, user_id: &str) -> Result<bool, StoreError> {
        let bound: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM identities WHERE issuer = $1 AND user_id = $2")
                .bind(issuer)
                .bind(user_id)
                .fetch_one(&self.pool)
                .await
                .map_err(failed("looking for a user's providers"))?;
        Ok(bound > 0)
    }

    /// Binds a user to a subject, which must not be bound yet.
    pub async fn bind_identity(
        &self,
        issuer: &str,
        subject: &str,
        user_id: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let doing = "binding a user to a provider";
        let mut change = self.pool.begin().await.map_err(failed(doing))?;
        bind(&mut change, issuer, subject, user_id, now_ms).await?;
        change.commit().await.map_err(failed(doing))
    }

    /// Makes a user who is bound to a subject from the beginning.
    pub async fn add_bound_user(
        &self,
        user: &NewUser<'_>,
        issuer: &str,
        subject: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let doing = "adding a provider's user";
        let mut change = self.pool.begin().await.map_err(failed(doing))?;
        insert_user(&mut change, user, now_ms).await?;
        bind(&mut change, issuer, subject, user.id, now_ms).await?;
        change.commit().await.map_err(failed(doing))
    }

    pub async fn add_provider_sign_in(&self, sign_in: &ProviderSignIn) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO provider_sign_ins (sign_in_id, issuer, subject, sid, id_token) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&sign_in.sign_in_id)
        .bind(&sign_in.issuer)
        .bind(&sign_in.subject)
        .bind(&sign_in.sid)
        .bind(&sign_in.id_token)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(failed("remembering a provider's sign-in"))
    }

    pub async fn provider_sign_in(&self, sign_in_id: &str) -> Result<Option<ProviderSignIn>, StoreError> {
        sqlx::query_as(
            "SELECT sign_in_id, issuer, subject, sid, id_token FROM provider_sign_ins WHERE sign_in_id = $1",
        )
        .bind(sign_in_id)
        .fetch_optional(&self.pool)
        .await
        .map_err(failed("looking for a provider's sign-in"))
    }

    /// The sign-ins that are kept of an issuer.
    pub async fn provider_sign_ins_of(&self, issuer: &str) -> Result<Vec<ProviderSignIn>, StoreError> {
        sqlx::query_as(
            "SELECT sign_in_id, issuer, subject, sid, id_token FROM provider_sign_ins WHERE issuer = $1",
        )
        .bind(issuer)
        .fetch_all(&self.pool)
        .await
        .map_err(failed("looking for an issuer's sign-ins"))
    }

    /// The sign-ins of a subject, of a provider's session, or of both if both are given.
    pub async fn sign_ins_by_provider(
        &self,
        issuer: &str,
        subject: Option<&str>,
        sid: Option<&str>,
    ) -> Result<Vec<SignIn>, StoreError> {
        sqlx::query_as(
            "SELECT s.id, s.user_id, s.method, s.seat, s.begun_at, s.seen_at, s.ends_at FROM sign_ins s \
             JOIN provider_sign_ins p ON p.sign_in_id = s.id \
             WHERE p.issuer = $1 AND ($2 = '' OR p.subject = $2) AND ($3 = '' OR p.sid = $3) \
             AND ($2 <> '' OR $3 <> '')",
        )
        .bind(issuer)
        .bind(subject.unwrap_or_default())
        .bind(sid.unwrap_or_default())
        .fetch_all(&self.pool)
        .await
        .map_err(failed("looking for a provider's sign-ins"))
    }
}

async fn bind(
    change: &mut Transaction<'_, Any>,
    issuer: &str,
    subject: &str,
    user_id: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    let bound =
        sqlx::query("INSERT INTO identities (issuer, subject, user_id, bound_at) VALUES ($1, $2, $3, $4)")
            .bind(issuer)
            .bind(subject)
            .bind(user_id)
            .bind(now_ms)
            .execute(&mut **change)
            .await;
    bound.map(drop).map_err(|source| match source.as_database_error() {
        Some(error) if error.is_unique_violation() => {
            StoreError::Taken(format!("a user for {subject:?} of {issuer}"))
        }
        _ => StoreError::Query { doing: "binding a user to a provider", source },
    })
}
