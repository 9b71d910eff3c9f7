//! Who is let in: the first messages of a link, and what must be shown.

use super::config::Config;
use super::listen::Way;
use super::recordings::{Hold, person};
use super::siblings::{self, Missing};
use super::{RegistryError, Shared, availability, hosts, is_name, lock, share, traces};
use crate::audit::{Event, Record};
use crate::identity::Keys;
use crate::identity::ticket::{Claims, TicketError};
use crate::link::{self, Closed, Inbox, Incoming, Link};
use crate::session::{Grant, Session};
use crate::wire::{self, Attach, CloseCode, Control, HostMessage, HostOffers, Role, features};
use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;

/// A peer has this long from its connection to its Attach or Offer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Why nobody is let in while the audit trail is not kept.
pub(super) const UNRECORDED: &str =
    "the gateway cannot keep its audit trail, and lets nobody in without; its operators are told in its log";

#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
    #[error("keeping the gateway's secret in {path}: {source}")]
    State { path: PathBuf, source: std::io::Error },
}

/// What is asked of those who want in.
pub struct Door {
    /// What anybody may show, where nobody signs in.
    ticket: Option<String>,
    made_ticket: bool,
    host_secret: Option<String>,
}

impl Door {
    /// The door of a configuration, and the secret from which hash keys are derived.
    pub(super) fn new(config: &Config) -> Result<(Door, hmac::Key), AccessError> {
        let ticket = match &config.access.ticket {
            Some(ticket) => Some(ticket.clone()),
            None if config.sign_in.is_some() => None,
            None => Some(URL_SAFE_NO_PAD.encode(random::<18>()?)),
        };
        let secret = secret_of(config)?;
        let door = Door {
            ticket,
            made_ticket: config.access.ticket.is_none() && config.sign_in.is_none(),
            host_secret: config.access.host_secret.clone(),
        };
        Ok((door, secret))
    }

    pub(super) fn ticket(&self) -> Option<&str> {
        self.ticket.as_deref()
    }

    pub(super) fn made_ticket(&self) -> bool {
        self.made_ticket
    }

    /// Whether a viewer may see the sessions. Takes the same time whatever is wrong.
    pub fn admits_viewer(&self, ticket: &[u8]) -> bool {
        let right = self.ticket.as_ref();
        right.is_some_and(|right| constant_time::verify_slices_are_equal(ticket, right.as_bytes()).is_ok())
    }

    fn admits_host(&self, secret: &[u8]) -> bool {
        let wanted = self.host_secret.as_ref();
        wanted.is_some_and(|wanted| constant_time::verify_slices_are_equal(secret, wanted.as_bytes()).is_ok())
    }
}

/// The secret from which a gateway's keys are derived.
fn secret_of(config: &Config) -> Result<hmac::Key, AccessError> {
    if let Some(gateways) = &config.gateways {
        return shared_secret(&gateways.secret_file);
    }
    let secret = match &config.state_directory {
        Some(directory) => kept_secret(directory)?,
        None => random()?,
    };
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &secret))
}

/// The secret that several gateways have.
fn shared_secret(path: &Path) -> Result<hmac::Key, AccessError> {
    let failed = |source| AccessError::State { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let text = text.trim();
    if text.len() < 32 {
        let short = "it has fewer than 32 characters; make one with `head -c 32 /dev/urandom | base64`";
        return Err(failed(std::io::Error::other(short)));
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()))
}

/// The keys of a gateway with a state directory, for what is sealed in its store.
pub fn kept_keys(config: &Config) -> Result<Keys, AccessError> {
    Ok(Keys::new(&secret_of(config)?))
}

fn random<const N: usize>() -> Result<[u8; N], AccessError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(AccessError::Random)?;
    Ok(bytes)
}

/// Makes a state directory, if it is not there, for its owner alone.
pub fn make_state_directory(directory: &Path) -> Result<(), AccessError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|source| AccessError::State { path: directory.to_owned(), source })
}

/// The secret of a state directory, made at the first start and readable by its owner alone.
fn kept_secret(directory: &Path) -> Result<[u8; 32], AccessError> {
    let path = directory.join("secret");
    let failed = |source| AccessError::State { path: path.clone(), source };
    match std::fs::read(&path) {
        Ok(bytes) => bytes.try_into().map_err(|_| {
            failed(std::io::Error::other("it is not 32 bytes long; remove it and a new one is made"))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            make_state_directory(directory)?;
            let secret = random()?;
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
            file.write_all(&secret).and_then(|()| file.sync_all()).map_err(failed)?;
            Ok(secret)
        }
        Err(error) => Err(failed(error)),
    }
}

const SENT_ELSEWHERE: &str = "another gateway has the session; dial again, and the edge brings you there";

/// There is one at a time, and not for long.
#[allow(clippy::large_enum_variant)]
enum Wish {
    View(Attach, Option<Claims>, Grant),
    Offer {
        session: String,
        title: String,
        /// The minor version that the host speaks.
        minor: u64,
    },
    /// A host that starts sessions, and what it calls itself.
    Host(HostOffers, String),
}

/// Hears what a new link wants, and hands it to its session; or closes it with the reason.
pub(super) async fn admit(shared: &Arc<Shared>, link: Link, mut inbox: Inbox, peer: IpAddr, way: &Way) {
    let road = link.road().name();
    let mut role = None;
    let span = traces::attaching(road);
    let heard = tokio::time::timeout(PATIENCE, hear(shared, &link, &mut inbox, &mut role, peer, way)).await;
    let (refused, of) = match heard {
        Ok(Ok(Wish::View(attach, claims, mut grant))) => {
            let of = Viewing { session: attach.session.clone(), road, peer, claims };
            let seen = traces::goes_on(span, &of.session, of.claims.as_ref());
            // Where the others are is nothing for those outside: their edge finds one for them.
            let others = if way.is_edge() { features::GATEWAYS } else { 0 };
            let takes = (attach.features & !others, attach.token.is_some());
            let place = way.place_of(of.claims.as_ref().map(|claims| claims.user.as_str()));
            let place = place.map_err(|reason| refusal(CloseCode::LIMIT, reason.to_string()));
            let viewed = async {
                let place = place?;
                view(shared, &of, &grant, &link, takes, way).await.map(|viewed| (viewed, place))
            };
            match viewed.instrument(seen.clone()).await {
                Ok(((session, _recorded), _place)) => {
                    let sign_in = of.claims.as_ref().map(|claims| claims.sign_in.as_str());
                    way.admit(peer, sign_in);
                    if let Some(siblings) = shared.siblings.as_ref().filter(|_| way.is_edge()) {
                        let moves = attach.features & features::GATEWAYS != 0;
                        siblings.shows_outside(&of.session, peer, sign_in, &link, moves);
                    }
                    traces::until_screen(&seen, &link, &grant);
                    drop(seen);
                    availability::follow(shared, &session, &link, &mut grant);
                    let of = Arc::new(of);
                    let witnessed = of.clone();
                    grant.witness = Some(share::witness(shared, move |event| witnessed.record(event)));
                    let takes = attach.features & !others;
                    let attach = Attach { features: takes, ..attach };
                    session.attach(link.clone(), inbox, attach, grant.clone()).await;
                    // A session ends with its last handle, so this one must not wait for the viewer.
                    drop(session);
                    // One that ended before it knew of this viewer had nobody to tell.
                    if let Some(words) = shared.hosts.applications().how_it_ended(&of.session) {
                        link.close(CloseCode::ENDED, &words);
                    }
                    if let Some(siblings) = shared.siblings.clone() {
                        let link = link.clone();
                        tokio::spawn(async move { siblings.accompany(&link, takes).await });
                    }
                    if let (Some(people), Some(claims)) = (&shared.people, &of.claims) {
                        tokio::join!(
                            people.accompany(&link, claims, &grant),
                            lock::when_idle(shared, people, &link, claims, &grant, |event| of.record(event)),
                        );
                    }
                    let reason = link.ended().await.to_string().into();
                    return shared.audit.record(of.record(Event::Detached { road: road.into(), reason }));
                }
                Err(refused) => {
                    availability::refused(shared, &of.session);
                    (refused, Some(of))
                }
            }
        }
        Ok(Ok(Wish::Offer { session, title, minor })) => {
            return offer(shared, &session, &title, link, inbox, peer, minor).await;
        }
        Ok(Ok(Wish::Host(offers, software))) => {
            return hosts::serve(shared, offers, &software, link, inbox, peer).await;
        }
        // A page that looks which of several gateways is the nearest goes on at one of them, and has asked the others for nothing.
        Ok(Err(closed)) if role.is_none() && (closed.by_peer || closed.code == CloseCode::IDLE) => {
            return tracing::debug!(road, reason = %closed, "a link was left before it was used");
        }
        Ok(Err(closed)) => (closed, None),
        Err(_) => (refusal(CloseCode::IDLE, "nothing was asked for within 5 s".into()), None),
    };
    tracing::info!(road, reason = %refused, "link refused");
    link.close(refused.code, &refused.reason);
    let (road, reason) = (road.into(), refused.to_string().into());
    let event = match role {
        Some(Role::Host) => Event::OfferRefused { road, reason },
        _ => Event::AttachRefused { road, reason },
    };
    shared.audit.refused(match of {
        Some(of) => of.record(event),
        None => Record::new(event).peer(peer),
    });
}

/// Who views which session, for the records.
struct Viewing {
    session: String,
    road: &'static str,
    peer: IpAddr,
    claims: Option<Claims>,
}

impl Viewing {
    fn record(&self, event: Event) -> Record {
        let record = Record::new(event).session(self.session.as_str()).peer(self.peer);
        match &self.claims {
            Some(claims) => {
                record.user(claims.user.as_str(), claims.title.as_str()).seat(claims.seat.as_str())
            }
            None => record,
        }
    }
}

/// The session that a viewer may see, once that it may is recorded.
async fn view(
    shared: &Shared,
    of: &Viewing,
    grant: &Grant,
    link: &Link,
    takes: (u64, bool),
    way: &Way,
) -> Result<(Session, Option<Hold>), Closed> {
    let sign_in = of.claims.as_ref().map(|claims| claims.sign_in.clone());
    let outside = way.is_edge().then_some((of.peer, sign_in));
    let session = match &shared.siblings {
        Some(siblings) => siblings::find(shared, siblings, link, &of.session, takes, outside).await,
        None => shared.registry.session(&of.session).ok_or(Missing::Unknown),
    };
    let session = session.map_err(|missing| match missing {
        Missing::Unknown => match shared.hosts.applications().how_it_ended(&of.session) {
            Some(words) if of.claims.is_some() => refusal(CloseCode::ENDED, words),
            _ => refusal(CloseCode::NO_SESSION, no_session(&of.session)),
        },
        Missing::Elsewhere => refusal(CloseCode::GOING_AWAY, SENT_ELSEWHERE.into()),
    })?;
    if let (Some(siblings), Some(people), Some(claims)) = (&shared.siblings, &shared.people, &of.claims)
        && !siblings.use_ticket(people, claims).await
    {
        return Err(match shared.hosts.applications().how_it_ended(&of.session) {
            Some(words) => refusal(CloseCode::ENDED, words),
            None => refusal(CloseCode::REFUSED, TicketError::Used.to_string()),
        });
    }
    let recordings = shared.recordings.as_ref();
    let recorded = match recordings.filter(|all| grant.allowed.recording || all.records(&of.session)) {
        Some(recordings) => {
            let held = recordings.hold(&session, link, person(of.claims.as_ref()), |event| of.record(event));
            held.await.map_err(|reason| refusal(CloseCode::LIMIT, reason))?
        }
        None => None,
    };
    let granted = shared.audit.grant(of.record(Event::Attached { road: of.road.into() })).await;
    granted.map_err(|_| refusal(CloseCode::LIMIT, UNRECORDED.into()))?;
    if let Some(before) = session.status().held_by.filter(|before| before.grant < grant.number) {
        shared.takeovers.add(&of.session, &grant.title, &before.seat, &grant.seat);
        let (from_seat, to_seat) = ((&*before.seat).into(), (&*grant.seat).into());
        shared.audit.record(of.record(Event::Takeover { from_seat, to_seat }));
    }
    Ok((session, recorded))
}

async fn offer(
    shared: &Shared,
    session: &str,
    title: &str,
    link: Link,
    inbox: Inbox,
    peer: IpAddr,
    minor: u64,
) {
    let road = link.road().name();
    if shared.siblings.as_ref().is_some_and(|siblings| siblings.is_draining()) {
        return link.close(CloseCode::GOING_AWAY, "this gateway is being taken out of service");
    }
    let offered = Record::new(Event::SessionOffered { road: road.into() }).session(session).peer(peer);
    if shared.audit.grant(offered).await.is_err() {
        link.close(CloseCode::LIMIT, UNRECORDED);
        let event = Event::OfferRefused { road: road.into(), reason: UNRECORDED.into() };
        return shared.audit.refused(Record::new(event).session(session).peer(peer));
    }
    link.welcome_updates();
    tracing::info!(session, "a host offers a session");
    let offered = match shared.remote.is_kept(session) {
        // Wherever it is open.
        true => {
            link.close(CloseCode::REFUSED, "an administrator's host has this name");
            Err(RegistryError::Taken(session.to_owned()))
        }
        false => shared.registry.offer(session, title, link.clone(), inbox, minor).await,
    };
    let event = match offered {
        Ok(()) => {
            if let Some(siblings) = &shared.siblings {
                siblings.has(session, title).await;
            }
            shared.hosts.brought();
            Event::OfferEnded { road: road.into(), reason: link.ended().await.to_string().into() }
        }
        Err(error) => {
            tracing::warn!(session, %error, "the offer was refused");
            let event = Event::OfferRefused { road: road.into(), reason: error.to_string().into() };
            return shared.audit.refused(Record::new(event).session(session).peer(peer));
        }
    };
    shared.audit.record(Record::new(event).session(session).peer(peer));
}

async fn hear(
    shared: &Shared,
    link: &Link,
    inbox: &mut Inbox,
    role: &mut Option<Role>,
    peer: IpAddr,
    way: &Way,
) -> Result<Wish, Closed> {
    let mut calls_itself = String::new();
    let mut speaks = 0;
    loop {
        let message = match inbox.next().await? {
            Incoming::Control(message) => message,
            Incoming::Motion(_) | Incoming::Sound(_) => continue,
            Incoming::Input(..) | Incoming::Update(_) => {
                return Err(refusal(CloseCode::PROTOCOL, "the first message must be Hello".into()));
            }
        };
        match (message, *role) {
            (Control::Hello { major, minor, role: said, software }, None) => {
                if major != wire::MAJOR {
                    let ours = format!("{}.{}", wire::MAJOR, wire::MINOR);
                    let reason = format!("this gateway speaks {ours}, not {major}.{minor}");
                    return Err(refusal(CloseCode::VERSION, reason));
                }
                *role = Some(said);
                if said == Role::Host && way.is_edge() {
                    return Err(refusal(CloseCode::REFUSED, "hosts are let in from inside alone".into()));
                }
                calls_itself = software;
                speaks = minor;
                link.control(&Control::Welcome {
                    major: wire::MAJOR,
                    minor: wire::MINOR,
                    software: link::software(),
                });
            }
            (Control::Attach(attach), Some(Role::Viewer)) => {
                return admit_viewer(shared, link, attach, peer);
            }
            (Control::Offer { session, title, secret }, Some(Role::Host)) => {
                match shared.hosts.may_bring(&session, &secret.0) {
                    Some(Ok(())) => {}
                    Some(Err(code)) => {
                        let reason = "the session is an application's, and was not ordered here".into();
                        return Err(refusal(code, reason));
                    }
                    None if !shared.door.admits_host(&secret.0) => {
                        let reason = "the host's secret is not the one in [access] host_secret".into();
                        return Err(refusal(CloseCode::REFUSED, reason));
                    }
                    None => {}
                }
                if !is_name(&session) {
                    return Err(refusal(CloseCode::REFUSED, format!("{session:?} is not a session's name")));
                }
                return Ok(Wish::Offer { session, title, minor: speaks });
            }
            (Control::Host(HostMessage::Offers(offers)), Some(Role::Host)) => {
                return Ok(Wish::Host(offers, calls_itself));
            }
            (Control::Ping { number, time_us }, Some(_)) => {
                let now = crate::clock::now_us();
                link.control(&Control::Pong { number, ping_time_us: time_us, time_us: now });
            }
            (Control::Closing { code, reason }, _) => return Err(Closed::by_peer(code, &reason)),
            _ => {
                return Err(refusal(CloseCode::PROTOCOL, "Hello, then Attach or Offer, are expected".into()));
            }
        }
    }
}

/// A ticket is a person's, where people sign in, or the one that all share.
fn admit_viewer(shared: &Shared, link: &Link, attach: Attach, peer: IpAddr) -> Result<Wish, Closed> {
    if let Some(people) = &shared.people {
        let admitted = people.admit(&attach.ticket, &attach.session, link, peer);
        let (claims, grant) = admitted.map_err(|(code, reason)| refusal(code, reason))?;
        return Ok(Wish::View(attach, Some(claims), grant));
    }
    match shared.door.admits_viewer(&attach.ticket) {
        true => Ok(Wish::View(attach, None, Grant::shared())),
        false => Err(refusal(CloseCode::REFUSED, "the ticket is not valid; ask for a new address".into())),
    }
}

fn no_session(name: &str) -> String {
    format!("there is no session {name:?}; the gateway's page lists those that there are")
}

fn refusal(code: CloseCode, reason: String) -> Closed {
    Closed { code, reason, by_peer: false }
}
