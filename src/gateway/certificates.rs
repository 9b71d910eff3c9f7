//! The certificates that hosts without chevet showed at first use, in the store: what one gateway has seen, all know. They
//! are asked for in the middle of a TLS handshake, which waits: so a thread of its own asks, and not for long.

use super::siblings::Siblings;
use super::{Config, Shared};
use crate::clock;
use crate::link::{fingerprint_text, parse_fingerprint};
use crate::source::{Keeper, Known, KnownHosts, read_known_hosts};
use crate::store::{KnownCertificate, Store, StoreError};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

/// A store that does not answer for so long is taken for absent.
const PATIENCE: Duration = Duration::from_secs(2);

/// Then it is not asked for so long.
const AWAY_FOR: Duration = Duration::from_secs(1);

/// Asks the store.
#[derive(Clone)]
pub(super) struct Certificates {
    questions: Sender<Question>,
    gateway: String,
}

struct Question {
    shown: KnownCertificate,
    at: Instant,
    answer: SyncSender<Option<Known>>,
}

#[derive(Debug)]
struct OfProtocol {
    protocol: &'static str,
    gateway: String,
    questions: Sender<Question>,
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Question({})", self.shown.host)
    }
}

impl Certificates {
    /// Begins to ask the store, if this gateway has one.
    pub async fn open(
        config: &Config,
        has_people: bool,
        siblings: Option<&Arc<Siblings>>,
    ) -> Result<Option<Certificates>, StoreError> {
        let Some(url) = config.store_url().filter(|_| has_people || siblings.is_some()) else {
            return Ok(None);
        };
        let gateway = siblings.map(|siblings| siblings.name().to_owned()).unwrap_or_default();
        if let Some(directory) = &config.state_directory {
            let store = Store::open(&url).await?;
            for (protocol, file) in [("rdp", "known_rdp_hosts"), ("vnc", "known_vnc_hosts")] {
                take_in(&store, protocol, &directory.join(file), &gateway).await?;
            }
        }
        let (questions, asked) = channel();
        let thread = std::thread::Builder::new().name("certificates".into());
        let spawned = thread.spawn(move || answer(&url, &asked));
        if let Err(error) = spawned {
            tracing::error!(%error, "hosts' certificates cannot be compared: there is no thread for it");
        }
        Ok(Some(Certificates { questions, gateway }))
    }

    /// What is known of the hosts of a protocol; `seen` is what this gateway goes on with while the store is away.
    pub fn of(&self, protocol: &'static str, seen: Option<&Path>) -> KnownHosts {
        let keeper =
            OfProtocol { protocol, gateway: self.gateway.clone(), questions: self.questions.clone() };
        KnownHosts::kept(Box::new(keeper), seen.map(Path::to_owned))
    }
}

impl Keeper for OfProtocol {
    fn meet(&self, host: &str, fingerprint: &[u8; 32]) -> Option<Known> {
        let (answer, answered) = sync_channel(1);
        let shown = KnownCertificate {
            protocol: self.protocol.into(),
            host: host.into(),
            fingerprint: fingerprint_text(fingerprint),
            first_at: clock::unix_ms(),
            gateway: self.gateway.clone(),
        };
        self.questions.send(Question { shown, at: Instant::now(), answer }).ok()?;
        answered.recv_timeout(PATIENCE + Duration::from_millis(500)).ok()?
    }
}

/// Answers for as long as somebody may ask.
fn answer(url: &str, asked: &Receiver<Question>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "hosts' certificates cannot be compared");
            return;
        }
    };
    let mut store: Option<Store> = None;
    let mut away_until = Instant::now();
    while let Ok(Question { shown, at, answer }) = asked.recv() {
        // Whoever asked has given up, or would wait for a store that did not answer just now.
        if at.elapsed() > PATIENCE || Instant::now() < away_until {
            let _ = answer.send(None);
            continue;
        }
        let said = runtime.block_on(async {
            let meeting = async {
                if store.is_none() {
                    store = Some(Store::open(url).await?);
                }
                match &store {
                    Some(store) => store.meet_certificate(&shown).await.map(Some),
                    None => Ok(None),
                }
            };
            match tokio::time::timeout(PATIENCE, meeting).await {
                Ok(Ok(said)) => said,
                Ok(Err(error)) => {
                    tracing::warn!(%error, host = shown.host, "a host's certificate is compared with this gateway's own file");
                    None
                }
                Err(_) => None,
            }
        });
        if said.is_none() {
            away_until = Instant::now() + AWAY_FOR;
        }
        let known = said.and_then(|kept| match kept {
            None => Some(Known::New),
            Some(kept) if kept == shown.fingerprint => Some(Known::Same),
            Some(kept) => parse_fingerprint(&kept).map(Known::Other),
        });
        // Whoever asked may have lost patience.
        let _ = answer.send(known);
    }
}

/// Takes in, once, the file that a gateway kept before it had these in its store.
async fn take_in(store: &Store, protocol: &str, file: &Path, gateway: &str) -> Result<(), StoreError> {
    let known = match read_known_hosts(file) {
        Ok(known) if known.is_empty() && !file.exists() => return Ok(()),
        Ok(known) => known,
        Err(error) => {
            tracing::error!(%error, file = %file.display(), "the certificates of hosts cannot be read");
            return Ok(());
        }
    };
    for (host, fingerprint) in known {
        let fingerprint = fingerprint_text(&fingerprint);
        let (protocol, gateway, first_at) = (protocol.to_owned(), gateway.to_owned(), clock::unix_ms());
        let shown = KnownCertificate { protocol, host, fingerprint, first_at, gateway };
        if let Some(kept) = store.meet_certificate(&shown).await?
            && kept != shown.fingerprint
        {
            let KnownCertificate { host, fingerprint, .. } = shown;
            tracing::warn!(
                host,
                kept,
                here = fingerprint,
                "gateways had seen different certificates of a host"
            );
        }
    }
    if let Err(error) = std::fs::rename(file, file.with_extension("imported")) {
        tracing::error!(%error, file = %file.display(), "the file that is in the store now could not be renamed");
    }
    Ok(())
}

/// This gateway goes on with a certificate no longer while the store is away.
pub(super) fn forget_here(shared: &Shared, protocol: &str, host: &str) {
    let forgotten = match protocol {
        "vnc" => shared.registry.vnc().known().forget(host),
        #[cfg(feature = "rdp")]
        "rdp" => shared.registry.rdp().known().forget(host),
        _ => Ok(()),
    };
    if let Err(error) = forgotten {
        tracing::warn!(%error, host, "a host's certificate could not be forgotten in this gateway's own file");
    }
}
