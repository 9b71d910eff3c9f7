use super::{Store, StoreError, failed};

/// A certificate that a host without chevet showed at first use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownCertificate {
    /// rdp or vnc
    pub protocol: String,
    /// `host:port`
    pub host: String,
    /// The SHA-256, as hexadecimal digits.
    pub fingerprint: String,
    pub first_at: i64,
    /// The gateway that saw it; empty: the only one.
    pub gateway: String,
}

row!(KnownCertificate { protocol, host, fingerprint, first_at, gateway });

impl Store {
    /// Keeps a host's certificate, unless one is kept: the first one stays. Whether it is kept from now on, and else the one
    /// that is.
    pub async fn meet_certificate(&self, shown: &KnownCertificate) -> Result<Option<String>, StoreError> {
        let doing = "comparing a host's certificate";
        // An administrator may forget it between the two.
        for _ in 0..3 {
            let kept = sqlx::query(
                "INSERT INTO known_certificates (protocol, host, fingerprint, first_at, gateway) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (protocol, host) DO NOTHING",
            );
            let KnownCertificate { protocol, host, fingerprint, first_at, gateway } = shown;
            let kept = kept.bind(protocol).bind(host).bind(fingerprint).bind(first_at).bind(gateway);
            if kept.execute(&self.pool).await.map_err(failed(doing))?.rows_affected() > 0 {
                return Ok(None);
            }
            let known = sqlx::query_scalar(
                "SELECT fingerprint FROM known_certificates WHERE protocol = $1 AND host = $2",
            );
            let known = known.bind(protocol).bind(host).fetch_optional(&self.pool).await;
            if let Some(known) = known.map_err(failed(doing))? {
                return Ok(Some(known));
            }
        }
        Err(failed(doing)(sqlx::Error::RowNotFound))
    }

    /// Every certificate that is kept.
    pub async fn known_certificates(&self) -> Result<Vec<KnownCertificate>, StoreError> {
        let known = sqlx::query_as(
            "SELECT protocol, host, fingerprint, first_at, gateway FROM known_certificates ORDER BY host, protocol",
        );
        known.fetch_all(&self.pool).await.map_err(failed("listing the certificates of hosts"))
    }

    /// Forgets a host's certificate: the next one is the first again. The fingerprint, if there was one.
    pub async fn forget_certificate(&self, protocol: &str, host: &str) -> Result<Option<String>, StoreError> {
        let gone = sqlx::query_scalar(
            "DELETE FROM known_certificates WHERE protocol = $1 AND host = $2 RETURNING fingerprint",
        );
        let gone = gone.bind(protocol).bind(host).fetch_optional(&self.pool).await;
        gone.map_err(failed("forgetting a host's certificate"))
    }
}
