//! An enrolled seat's own side: its key file, and what it asks of the gateway.

use super::http::Site;
use super::signed_in::SignedIn;
use super::{Address, AddressError, Client, ClientError, Event, page_of};
use crate::clock;
use crate::identity::seat::{NONCE_MS, SeatKey, SeatRequest};
use crate::identity::ticket::{Holder, HolderKey};
use crate::link::{Target, parse_fingerprint};
use crate::store::SeatMode;
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::Instrument;

/// A nonce at hand is used for so long; then another one is asked for.
const NONCE_KEPT: Duration = Duration::from_millis(NONCE_MS as u64 / 2);

#[derive(Debug, thiserror::Error)]
pub enum SeatFailed {
    #[error("reading the seat's file {path}: {source}; `chevet seat enrol` makes it")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("others than its owner may read {0}: `chmod 600` it, and enrol again if it may have been read")]
    Open(PathBuf),
    #[error("the seat's file {path} is not right: {reason}; enrol again")]
    Parse { path: PathBuf, reason: String },
    #[error("writing the seat's file {path}: {source}")]
    Write { path: PathBuf, source: std::io::Error },
    #[error("making the seat's key failed")]
    Key,
    /// The gateway says no: to the badge, the PIN, or the seat. It does not say which.
    #[error("{0}")]
    Refused(String),
    #[error("too many attempts come from this seat; wait a minute")]
    TooMany,
    #[error("the gateway {host} does not answer: {reason}")]
    Away { host: String, reason: String },
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Asks the gateway something in a seat's name, or for one.
async fn ask(site: &Site, path: &str, wish: &Value) -> Result<Value, SeatFailed> {
    let away = |reason| SeatFailed::Away { host: site.host.clone(), reason };
    let (status, answer) = site.ask(Method::POST, path, None, Some(wish)).await.map_err(away)?;
    let reason = || answer["reason"].as_str().map_or_else(|| status.to_string(), str::to_owned);
    match status {
        ok if ok.is_success() => Ok(answer),
        StatusCode::TOO_MANY_REQUESTS => Err(SeatFailed::TooMany),
        no if no.is_client_error() => Err(SeatFailed::Refused(reason())),
        _ => Err(away(reason())),
    }
}

/// What an enrolled seat keeps: who it is, and its key. Readable by its owner alone.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeatFile {
    /// The gateway's page.
    pub gateway: String,
    /// SHA-256 of the gateway's certificate, if no public authority signed it.
    #[serde(default)]
    pub pin: Option<String>,
    pub id: String,
    pub name: String,
    pub mode: SeatMode,
    key: String,
}

impl SeatFile {
    /// Makes a key, and enrols it by a code from `chevet seat code`.
    pub async fn enrol(gateway: &str, pin: Option<&str>, code: &str) -> Result<SeatFile, SeatFailed> {
        let site = site_of(gateway, pin)?;
        let key = SeatKey::new().map_err(|_| SeatFailed::Key)?;
        let (code, public_key) = (code.trim(), key.public_key());
        let signature = key.sign(SeatRequest::Enrol, &[code, &public_key], 0);
        let wish = json!({"code": code, "public_key": public_key, "signature": signature});
        let answer = ask(&site, "/api/seats/enrol", &wish).await?;
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        Ok(SeatFile {
            gateway: gateway.to_owned(),
            pin: pin.map(str::to_owned),
            id: text("id"),
            name: text("name"),
            mode: text("mode").parse().unwrap_or_default(),
            key: key.to_text().map_err(|_| SeatFailed::Key)?,
        })
    }

    /// Writes a file that is not there yet.
    pub fn write(&self, path: &Path) -> Result<(), SeatFailed> {
        let failed = |source| SeatFailed::Write { path: path.to_owned(), source };
        let text = toml::to_string(self).map_err(|error| failed(std::io::Error::other(error.to_string())))?;
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }

    pub fn read(path: &Path) -> Result<SeatFile, SeatFailed> {
        let failed = |source| SeatFailed::Read { path: path.to_owned(), source };
        let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(SeatFailed::Open(path.to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let parse = |reason| SeatFailed::Parse { path: path.to_owned(), reason };
        let file: SeatFile = toml::from_str(&text).map_err(|error| parse(error.message().to_owned()))?;
        SeatKey::from_text(&file.key).ok_or_else(|| parse("its key is damaged".into()))?;
        Ok(file)
    }
}

fn site_of(gateway: &str, pin: Option<&str>) -> Result<Site, SeatFailed> {
    let pin = pin.map(|pin| parse_fingerprint(pin).ok_or(AddressError::BadPin)).transpose()?;
    Ok(page_of(gateway, pin.into_iter().collect())?.0)
}

/// Who shows the session.
enum Shows {
    /// This process.
    Here(HolderKey),
    /// The page on the seat's screen.
    Page,
}

/// What came of a tap or a PIN.
pub enum Tapped {
    /// The PIN is to be typed; this says for which tap.
    Pin(String),
    Open(Opened),
}

/// Somebody was let in.
pub struct Opened {
    pub title: String,
    /// The session to show at once, if it is clear which.
    pub session: Option<String>,
    pub idle_lock: Duration,
    pub how: How,
}

pub enum How {
    /// The page takes the sign-in over by this code.
    Page { claim: String },
    /// This process has it, with the session's address.
    Here(Box<Here>),
}

/// A sign-in that this process has.
pub struct Here {
    pub person: SignedIn,
    pub address: Option<Address>,
}

/// An enrolled seat that can be tapped at.
pub struct Seat {
    file: SeatFile,
    key: SeatKey,
    site: Site,
    target: Target,
    nonce: Mutex<Option<(String, Instant)>>,
}

impl Seat {
    /// Asks the gateway how it is reached, and for a nonce to have at hand.
    pub async fn open(file: SeatFile) -> Result<Seat, SeatFailed> {
        let site = site_of(&file.gateway, file.pin.as_deref())?;
        let target = super::address::target_of(&site).await?;
        let key = SeatKey::from_text(&file.key).ok_or(SeatFailed::Key)?;
        let seat = Seat { file, key, site, target, nonce: Mutex::default() };
        seat.ready().await?;
        Ok(seat)
    }

    pub fn file(&self) -> &SeatFile {
        &self.file
    }

    /// Has a nonce at hand, so that the next tap is one question. To be called now and then.
    pub async fn ready(&self) -> Result<(), SeatFailed> {
        let kept = self.at_hand().take();
        let nonce = match kept {
            Some((nonce, since)) if since.elapsed() < NONCE_KEPT => (nonce, since),
            _ => (self.ask_nonce().await?, Instant::now()),
        };
        *self.at_hand() = Some(nonce);
        Ok(())
    }

    fn at_hand(&self) -> std::sync::MutexGuard<'_, Option<(String, Instant)>> {
        self.nonce.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_nonce(&self) -> Result<String, SeatFailed> {
        let answer = ask(&self.site, "/api/seats/nonce", &json!({})).await?;
        Ok(answer["nonce"].as_str().unwrap_or_default().to_owned())
    }

    /// A badge was seen. The page on the seat's screen will show the session.
    pub async fn tap(&self, badge: &str) -> Result<Tapped, SeatFailed> {
        self.tap_for(badge, Shows::Page).await
    }

    /// A badge was seen, and this process will show the session.
    pub async fn tap_here(&self, badge: &str) -> Result<Tapped, SeatFailed> {
        let key = HolderKey::new().map_err(|_| SeatFailed::Key)?;
        self.tap_for(badge, Shows::Here(key)).instrument(tracing::info_span!("ticket")).await
    }

    /// The PIN of a tap; the page shows the session.
    pub async fn pin(&self, waiting: &str, pin: &str) -> Result<Tapped, SeatFailed> {
        self.pin_for(waiting, pin, Shows::Page).await
    }

    /// The PIN of a tap; this process shows the session.
    pub async fn pin_here(&self, waiting: &str, pin: &str) -> Result<Tapped, SeatFailed> {
        let key = HolderKey::new().map_err(|_| SeatFailed::Key)?;
        self.pin_for(waiting, pin, Shows::Here(key)).await
    }

    async fn tap_for(&self, badge: &str, shows: Shows) -> Result<Tapped, SeatFailed> {
        let holder = holder_of(&shows);
        let parts = [badge, &Holder::in_words(holder.as_ref())];
        let wish = json!({"badge": badge, "holder": holder});
        self.signed(SeatRequest::Tap, "/api/seats/tap", &parts, wish, shows).await
    }

    async fn pin_for(&self, waiting: &str, pin: &str, shows: Shows) -> Result<Tapped, SeatFailed> {
        let holder = holder_of(&shows);
        let parts = [waiting, pin, &Holder::in_words(holder.as_ref())];
        let wish = json!({"waiting": waiting, "pin": pin, "holder": holder});
        self.signed(SeatRequest::Pin, "/api/seats/pin", &parts, wish, shows).await
    }

    /// Ends what badges opened here. The reason is for the audit.
    pub async fn lock(&self, reason: &str) -> Result<(), SeatFailed> {
        let wish = json!({"reason": reason});
        self.ask_signed(SeatRequest::Lock, "/api/seats/lock", &[reason], wish).await.map(drop)
    }

    async fn signed(
        &self,
        request: SeatRequest,
        path: &str,
        parts: &[&str],
        wish: Value,
        shows: Shows,
    ) -> Result<Tapped, SeatFailed> {
        let answer = self.ask_signed(request, path, parts, wish).await?;
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        if let Some(waiting) = text("waiting") {
            return Ok(Tapped::Pin(waiting));
        }
        let session = text("session");
        let how = match shows {
            Shows::Page => How::Page { claim: text("claim").unwrap_or_default() },
            Shows::Here(key) => {
                let person = SignedIn::shown(
                    self.site.clone(),
                    self.target.clone(),
                    text("token").unwrap_or_default(),
                );
                let address = session.clone().zip(text("ticket")).map(|(session, ticket)| Address {
                    target: self.target.clone(),
                    session,
                    ticket: ticket.into_bytes(),
                    holder: Some(Arc::new(key)),
                });
                How::Here(Box::new(Here { person, address }))
            }
        };
        let idle_lock = Duration::from_millis(answer["idle_lock_ms"].as_u64().unwrap_or(600_000));
        let title = answer["user"]["title"].as_str().unwrap_or_default().to_owned();
        Ok(Tapped::Open(Opened { title, session, idle_lock, how }))
    }

    async fn ask_signed(
        &self,
        request: SeatRequest,
        path: &str,
        parts: &[&str],
        mut wish: Value,
    ) -> Result<Value, SeatFailed> {
        self.ready().await?;
        let kept = self.at_hand().take();
        let nonce = match kept {
            Some((nonce, _)) => nonce,
            // Somebody else took it meanwhile.
            None => self.ask_nonce().await?,
        };
        let time = clock::unix_ms();
        let all: Vec<&str> =
            [self.file.id.as_str(), &nonce].into_iter().chain(parts.iter().copied()).collect();
        let signature = self.key.sign(request, &all, time);
        wish["signed"] = json!({"seat": self.file.id, "nonce": nonce, "time": time, "signature": signature});
        let answer = ask(&self.site, path, &wish).await?;
        if let Some(next) = answer["nonce"].as_str() {
            *self.at_hand() = Some((next.to_owned(), Instant::now()));
        }
        Ok(answer)
    }
}

fn holder_of(shows: &Shows) -> Option<Holder> {
    match shows {
        Shows::Here(key) => Some(key.holder()),
        Shows::Page => None,
    }
}

/// Shows a session to the pixel: connects, and returns once the screen is proven exact.
pub async fn show_exact(address: Address) -> Result<Client, ClientError> {
    let attaching = async {
        let mut client = Client::connect(address).await?;
        while !matches!(client.next().await?, Event::Attached { .. }) {}
        Ok::<_, ClientError>(client)
    };
    let mut client = attaching.instrument(tracing::info_span!("attach")).await?;
    let settling = async {
        while !matches!(client.next().await?, Event::Exact) {}
        Ok::<_, ClientError>(())
    };
    settling.instrument(tracing::info_span!("first exact")).await?;
    Ok(client)
}
