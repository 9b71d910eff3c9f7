//! A host is looked at as `chevet source check` does, without a session.

use super::super::Shared;
use super::{Protocol, RemoteHost};
use crate::source::check::{self, Seen};
use std::time::Duration;
use zeroize::Zeroizing;

/// How long what the host sends is watched.
const WATCH: Duration = Duration::from_millis(800);
/// The whole test, whatever the host does.
const PATIENCE: Duration = Duration::from_secs(25);

/// What is seen of a host with these settings. Where people sign in as themselves and no login is given, only its
/// certificate is looked at, and nothing secret is sent. `None`: too many tests run.
pub(in super::super) async fn look(
    shared: &Shared,
    host: &RemoteHost,
    login: Option<(String, Zeroizing<String>)>,
) -> Option<Seen> {
    let _permit = shared.remote.tests.try_acquire().ok()?;
    let authority = shared.remote.test_authority(host);
    let file = match &authority {
        Ok(file) => file.as_ref().map(|file| file.0.clone()),
        Err(error) => {
            let failure = format!("the authority's certificate cannot be written: {error}");
            return Some(Seen { failure: Some(failure), ..Seen::default() });
        }
    };
    let looking = async {
        match host.protocol {
            Protocol::Vnc => {
                let password = login.map(|(_, password)| password);
                let ties = shared.registry.vnc().ties(&host.name, &host.address, password);
                check::vnc(host.vnc(file), ties, WATCH).await.map_err(|error| error.to_string())
            }
            #[cfg(feature = "rdp")]
            Protocol::Rdp => rdp(shared, host, file, login).await,
            #[cfg(not(feature = "rdp"))]
            Protocol::Rdp => Err("this chevet was built without RDP".to_owned()),
        }
    };
    let seen = tokio::time::timeout(PATIENCE, looking).await;
    let seen = seen.unwrap_or_else(|_| Err(format!("no end came within {} seconds", PATIENCE.as_secs())));
    Some(seen.unwrap_or_else(|failure| Seen { failure: Some(failure), ..Seen::default() }))
}

#[cfg(feature = "rdp")]
async fn rdp(
    shared: &Shared,
    host: &RemoteHost,
    authority: Option<std::path::PathBuf>,
    login: Option<(String, Zeroizing<String>)>,
) -> Result<Seen, String> {
    use crate::source::rdp::{CertificatePolicy, Login, RdpSettings};
    let only_certificate = host.is_application() && login.is_none();
    let settings = match only_certificate {
        false => host.rdp(authority),
        // No certificate has this one, so that the connection ends where it is known.
        true => RdpSettings {
            certificate: CertificatePolicy::Pinned,
            fingerprint: Some("0".repeat(64)),
            authorities: None,
            ..host.rdp(None)
        },
    };
    let (user, password) = login.unwrap_or_default();
    let login = Login { user, domain: host.domain.clone(), password };
    let keyring = std::sync::Arc::new(move || Ok(login.clone()));
    let config = shared.registry.rdp().source(&host.name, settings, keyring, (1_280, 800));
    let config = match only_certificate {
        // It is not this host's refusal.
        true => crate::source::rdp::RdpConfig { notify: std::sync::Arc::new(|_| {}), ..config },
        false => config,
    };
    let mut seen = check::rdp(config, WATCH).await?;
    if let Some(fingerprint) = seen.fingerprint.as_ref().filter(|_| only_certificate) {
        let wanted = crate::link::parse_fingerprint(&host.fingerprint);
        let is = crate::link::parse_fingerprint(fingerprint);
        seen.failure = (wanted.is_some() && wanted != is)
            .then(|| format!("its certificate is {fingerprint} and not the one that is set"));
        seen.lines.push(("sign-in", "not tried: everybody signs in as themselves".into()));
    }
    Ok(seen)
}

/// A file that goes with its test.
pub(super) struct TestFile(std::path::PathBuf);

impl Drop for TestFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl super::RemoteHosts {
    /// Like the one that a session uses, but not in its place.
    fn test_authority(&self, host: &RemoteHost) -> std::io::Result<Option<TestFile>> {
        let name = format!("test-{}", crate::identity::new_id());
        Ok(self.authority(&RemoteHost { name, ..host.clone() })?.map(TestFile))
    }
}
