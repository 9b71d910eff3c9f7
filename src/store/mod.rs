//! What must be remembered: people, sign-ins, who holds which session. SQLite in the state directory, or PostgreSQL by
//! URL, behind one face and one schema. It decides nothing: `identity` and `broker` do.
//!
//! The schema knows only text and 64-bit integers, which both databases read alike. Times are milliseconds since 1970
//! and are passed in.

#[macro_use]
mod rows;

mod accounts;
mod administration;
mod availability;
mod badges;
mod certificates;
mod changes;
mod credentials;
mod gateway_views;
mod gateways;
mod holdings;
mod hosts;
mod identities;
mod remote_hosts;
mod schema;
mod seats;
mod sign_ins;
mod started;
mod users;

pub use accounts::{ASKED, AccountCopy, AccountRow, SitePulled, Visit};
pub use administration::AtSeat;
pub use availability::AvailabilityRow;
pub use badges::{Badge, MOST_WRONG_PINS, PinAttempt};
pub use certificates::KnownCertificate;
pub use changes::Change;
pub use gateway_views::{GatewayRow, Order};
pub use gateways::{Heard, Lease, SharedGateway};
pub use holdings::Holding;
pub use hosts::EnrolledHost;
pub use identities::ProviderSignIn;
pub use remote_hosts::RemoteHostRow;
pub use seats::{Seat, SeatCode, SeatMode};
pub use sign_ins::SignIn;
pub use started::StartedSession;
pub use users::{Attempt, NewUser, Password, Role, User};

use futures_util::future::BoxFuture;
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::MigrateError;
use sqlx::{AnyConnection, AnyPool, Connection, Executor};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// A database that does not answer for this long is taken for absent.
const PATIENCE: Duration = Duration::from_secs(5);
const CONNECTIONS: u32 = 8;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the store's address {0:?} is neither sqlite:///PATH nor postgres://USER:PASSWORD@HOST/DATABASE")]
    Url(String),
    #[error(
        "opening the store {place}: {source}; is its directory there and writable, or its server running?"
    )]
    Open { place: String, source: sqlx::Error },
    #[error(
        "the store {place} was written by a newer chevet (its schema is {version}): install that one again, or \
         restore a backup. Nothing was changed"
    )]
    Newer { place: String, version: i64 },
    #[error("the store {place} is damaged ({reason}): restore a backup. Nothing was changed")]
    Damaged { place: String, reason: String },
    #[error("bringing the store {place} up to date: {source}. Nothing was changed")]
    Migrate { place: String, source: MigrateError },
    #[error("there is already {0}; choose another name")]
    Taken(String),
    #[error("this is an account of the site {0}: it is changed there")]
    Elsewhere(String),
    #[error("{doing}: {source}")]
    Query { doing: &'static str, source: sqlx::Error },
}

/// Names what was being done when a query failed.
fn failed(doing: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |source| StoreError::Query { doing, source }
}

/// An open store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: AnyPool,
    /// May hold a password.
    address: std::sync::Arc<str>,
}

impl Store {
    /// Opens `sqlite:///PATH` (made if it is not there) or `postgres://…`, and brings its schema up to date.
    // Boxed, so that it is compiled here, and not again for each program that awaits it.
    pub fn open(url: &str) -> BoxFuture<'_, Result<Store, StoreError>> {
        Box::pin(Store::open_at(url))
    }

    async fn open_at(url: &str) -> Result<Store, StoreError> {
        sqlx::any::install_default_drivers();
        let sqlite = url.starts_with("sqlite:");
        if !sqlite && !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(StoreError::Url(without_password(url)));
        }
        let place = without_password(url);
        let address = match sqlite && !url.contains('?') {
            true => format!("{url}?mode=rwc"),
            false => url.to_owned(),
        };
        if let Some(path) = url.strip_prefix("sqlite://").filter(|_| sqlite) {
            // Names, hashes and sealed secrets are for the gateway alone. SQLite's other files take after this one.
            let path = path.split('?').next().unwrap_or_default();
            let made = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
            made.map_err(|error| StoreError::Open { place: place.clone(), source: sqlx::Error::Io(error) })?;
        }
        // A pool would try again and again to open what no trial mends.
        let probed = async {
            let mut connection = AnyConnection::connect(&address).await?;
            connection.execute("SELECT 1").await?;
            if sqlite {
                connection.execute("PRAGMA schema_version").await?;
            }
            connection.close().await
        };
        let probed = tokio::time::timeout(PATIENCE, probed).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        probed.map_err(|source| match is_damage(&source) {
            true => StoreError::Damaged { place: place.clone(), reason: source.to_string() },
            false => StoreError::Open { place: place.clone(), source },
        })?;
        // One writer at a time is what SQLite has; more connections would only wait for each other.
        let options = AnyPoolOptions::new().acquire_timeout(PATIENCE).max_connections(CONNECTIONS);
        let options = options.after_connect(move |connection, _| {
            Box::pin(async move {
                if sqlite {
                    connection.execute("PRAGMA busy_timeout = 5000").await?;
                    connection.execute("PRAGMA foreign_keys = ON").await?;
                    connection.execute("PRAGMA journal_mode = WAL").await?;
                    // What was granted must be known after a power cut.
                    connection.execute("PRAGMA synchronous = NORMAL").await?;
                }
                Ok(())
            })
        });
        let pool = options.connect(&address).await.map_err(|source| match is_damage(&source) {
            true => StoreError::Damaged { place: place.clone(), reason: source.to_string() },
            false => StoreError::Open { place: place.clone(), source },
        })?;
        schema::migrator().run(&pool).await.map_err(|source| match source {
            MigrateError::VersionMissing(version) => StoreError::Newer { place, version },
            MigrateError::VersionMismatch(version) => {
                StoreError::Damaged { place, reason: format!("schema {version} is not what it was made as") }
            }
            MigrateError::Execute(error) if is_damage(&error) => {
                StoreError::Damaged { place, reason: error.to_string() }
            }
            source => StoreError::Migrate { place, source },
        })?;
        Ok(Store { pool, address: address.into() })
    }

    /// The address of the SQLite store in a state directory.
    pub fn url_in(state_directory: &Path) -> String {
        format!("sqlite://{}", state_directory.join("store.db").display())
    }

    /// Whether the database answers.
    pub async fn is_well(&self) -> bool {
        tokio::time::timeout(PATIENCE, self.pool.execute("SELECT 1")).await.is_ok_and(|answer| answer.is_ok())
    }
}

/// SQLITE_CORRUPT and SQLITE_NOTADB.
fn is_damage(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| matches!(&*code, "11" | "26"))
}

fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}://{}", &url[..scheme], &url[at + 1..]),
        _ => url.to_owned(),
    }
}
