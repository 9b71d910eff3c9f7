//! What hosts that start sessions on demand and their gateway say on a control stream of their own.

use super::limits::*;
use super::value::*;
use super::{Policy, Secret, WireError};

/// Why a session of a host came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The session's program ended by itself.
    Program,
    /// Its X server died.
    XServer,
    /// Nobody looked at it for as long as its application allows.
    Idle,
    /// Its user ended it.
    User,
    /// Its user signed out.
    SignedOut,
    Administrator,
    /// Its host, or the gateway, is being taken out of service.
    Maintenance,
    /// Its host is gone, or does not have it any more.
    HostGone,
    /// The gateway does not know it, or it may not run here any more.
    Unwanted,
}

impl EndReason {
    pub const ALL: [EndReason; 9] = [
        EndReason::Program,
        EndReason::XServer,
        EndReason::Idle,
        EndReason::User,
        EndReason::SignedOut,
        EndReason::Administrator,
        EndReason::Maintenance,
        EndReason::HostGone,
        EndReason::Unwanted,
    ];

    pub fn number(self) -> u64 {
        Self::ALL.iter().position(|reason| *reason == self).unwrap_or_default() as u64 + 1
    }

    pub fn of(number: u64) -> Option<EndReason> {
        Self::ALL.get(usize::try_from(number.checked_sub(1)?).ok()?).copied()
    }

    /// What happened, for people.
    pub fn name(self) -> &'static str {
        match self {
            EndReason::Program => "the application ended",
            EndReason::XServer => "the session's X server died",
            EndReason::Idle => "nobody looked at it for too long",
            EndReason::User => "its user ended it",
            EndReason::SignedOut => "its user signed out",
            EndReason::Administrator => "an administrator ended it",
            EndReason::Maintenance => "its host is being taken out of service",
            EndReason::HostGone => "its host is gone",
            EndReason::Unwanted => "the gateway does not want it any more",
        }
    }
}

/// A session that a host runs, as the gateway had ordered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningSession {
    pub session: String,
    pub application: String,
    /// The user's id at the gateway.
    pub user: String,
    /// What the gateway gave with its order: nobody else can announce this session.
    pub token: Secret,
}

/// A host introduces itself: once, first of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostOffers {
    pub host: String,
    /// Its Ed25519 key, and that key's signature over this TLS session and the name.
    pub key: Vec<u8>,
    pub proof: Secret,
    /// Sessions that it runs at most.
    pub capacity: u32,
    pub applications: Vec<String>,
    pub running: Vec<RunningSession>,
}

/// How busy a host is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostLoad {
    pub running: u32,
    /// Of all its processors together.
    pub cpu_per_mille: u32,
    pub memory_free_mib: u64,
    /// It takes no new sessions.
    pub draining: bool,
}

/// A gateway orders a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The answer names it.
    pub request: u64,
    pub session: String,
    pub application: String,
    pub title: String,
    /// The user's id and name at the gateway; the host knows which Unix user that is.
    pub user: String,
    pub user_name: String,
    pub token: Secret,
    pub width: u32,
    pub height: u32,
    /// Empty: the host's desktop.
    pub command: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// 0: as much as there is.
    pub memory_mib: u64,
    pub cpu_percent: u32,
    pub tasks: u32,
    /// A host that lost its gateway ends the session after this long, in seconds. 0: never.
    pub idle_seconds: u64,
    pub policy: Policy,
}

/// A message between a host and its gateway. Since 1.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostMessage {
    Offers(HostOffers),
    Load(HostLoad),
    Start(Box<Start>),
    /// The session runs, or could not be started: then the text says why.
    Started {
        request: u64,
        error: String,
    },
    /// The gateway wants a session's end.
    End {
        session: String,
        reason: EndReason,
    },
    /// A session has ended.
    Ended {
        session: String,
        reason: EndReason,
        text: String,
    },
}

impl HostMessage {
    /// Appends the body, and says of which type it is.
    pub(super) fn write_body(&self, out: &mut Vec<u8>) -> u64 {
        match self {
            HostMessage::Offers(offers) => {
                put_text(out, &offers.host, MAX_NAME);
                put_bytes(out, &offers.key);
                put_bytes(out, &offers.proof.0);
                put_varint(out, offers.capacity.into());
                put_texts(out, &offers.applications, MAX_NAME);
                put_varint(out, offers.running.len() as u64);
                for running in &offers.running {
                    put_text(out, &running.session, MAX_NAME);
                    put_text(out, &running.application, MAX_NAME);
                    put_text(out, &running.user, MAX_NAME);
                    put_bytes(out, &running.token.0);
                }
                36
            }
            HostMessage::Load(load) => {
                put_varint(out, load.running.into());
                put_varint(out, load.cpu_per_mille.into());
                put_varint(out, load.memory_free_mib);
                out.push(load.draining.into());
                37
            }
            HostMessage::Start(start) => {
                write_start(start, out);
                38
            }
            HostMessage::Started { request, error } => {
                put_varint(out, *request);
                put_text(out, error, MAX_REASON);
                39
            }
            HostMessage::End { session, reason } => {
                put_text(out, session, MAX_NAME);
                put_varint(out, reason.number());
                40
            }
            HostMessage::Ended { session, reason, text } => {
                put_text(out, session, MAX_NAME);
                put_varint(out, reason.number());
                put_text(out, text, MAX_REASON);
                41
            }
        }
    }

    /// Reads the body of a message of a type from 36 to 41.
    pub(super) fn read(kind: u64, r: &mut Reader) -> Result<Option<HostMessage>, WireError> {
        Ok(Some(match kind {
            36 => HostMessage::Offers(HostOffers {
                host: r.text(MAX_NAME, "HostOffers' name")?,
                key: r.bytes(MAX_HOST_KEY, "HostOffers' key")?.to_vec(),
                proof: Secret(r.bytes(MAX_TICKET, "HostOffers' proof")?.to_vec()),
                capacity: r.u32("HostOffers' capacity")?,
                applications: texts(r, MAX_APPLICATIONS, MAX_NAME, "HostOffers' applications")?,
                running: {
                    let count = count_of(r, MAX_RUNNING, "HostOffers' sessions")?;
                    (0..count).map(|_| running(r)).collect::<Result<_, _>>()?
                },
            }),
            37 => HostMessage::Load(HostLoad {
                running: r.u32("HostLoad's sessions")?,
                cpu_per_mille: r.bounded(1_000, "HostLoad's processors")? as u32,
                memory_free_mib: r.varint("HostLoad's memory")?,
                draining: r.flag("HostLoad's draining")?,
            }),
            38 => HostMessage::Start(Box::new(read_start(r)?)),
            39 => HostMessage::Started {
                request: r.varint("Started's request")?,
                error: r.text(MAX_REASON, "Started's error")?,
            },
            40 => HostMessage::End {
                session: r.text(MAX_NAME, "End's session")?,
                reason: reason(r, "End's reason")?,
            },
            41 => HostMessage::Ended {
                session: r.text(MAX_NAME, "Ended's session")?,
                reason: reason(r, "Ended's reason")?,
                text: r.text(MAX_REASON, "Ended's text")?,
            },
            _ => return Ok(None),
        }))
    }
}

fn running(r: &mut Reader) -> Result<RunningSession, WireError> {
    Ok(RunningSession {
        session: r.text(MAX_NAME, "HostOffers' session")?,
        application: r.text(MAX_NAME, "HostOffers' session's application")?,
        user: r.text(MAX_NAME, "HostOffers' session's user")?,
        token: Secret(r.bytes(MAX_TICKET, "HostOffers' session's token")?.to_vec()),
    })
}

fn write_start(start: &Start, out: &mut Vec<u8>) {
    put_varint(out, start.request);
    for name in [&start.session, &start.application, &start.title, &start.user, &start.user_name] {
        put_text(out, name, MAX_NAME);
    }
    put_bytes(out, &start.token.0);
    put_varint(out, start.width.into());
    put_varint(out, start.height.into());
    put_texts(out, &start.command, MAX_ARGUMENT);
    put_varint(out, start.environment.len() as u64);
    for (name, value) in &start.environment {
        put_text(out, name, MAX_NAME);
        put_text(out, value, MAX_ARGUMENT);
    }
    put_varint(out, start.memory_mib);
    put_varint(out, start.cpu_percent.into());
    put_varint(out, start.tasks.into());
    put_varint(out, start.idle_seconds);
    put_varint(out, start.policy.number());
}

fn read_start(r: &mut Reader) -> Result<Start, WireError> {
    Ok(Start {
        request: r.varint("Start's request")?,
        session: r.text(MAX_NAME, "Start's session")?,
        application: r.text(MAX_NAME, "Start's application")?,
        title: r.text(MAX_NAME, "Start's title")?,
        user: r.text(MAX_NAME, "Start's user")?,
        user_name: r.text(MAX_NAME, "Start's user's name")?,
        token: Secret(r.bytes(MAX_TICKET, "Start's token")?.to_vec()),
        width: side(r, "Start's width")?,
        height: side(r, "Start's height")?,
        command: texts(r, MAX_ARGUMENTS, MAX_ARGUMENT, "Start's command")?,
        environment: {
            let count = count_of(r, MAX_ARGUMENTS, "Start's environment")?;
            let pair = |r: &mut Reader| {
                let name = r.text(MAX_NAME, "Start's environment")?;
                Ok((name, r.text(MAX_ARGUMENT, "Start's environment")?))
            };
            (0..count).map(|_| pair(r)).collect::<Result<_, _>>()?
        },
        memory_mib: r.varint("Start's memory")?,
        cpu_percent: r.u32("Start's processors")?,
        tasks: r.u32("Start's tasks")?,
        idle_seconds: r.varint("Start's idle time")?,
        policy: {
            let number = r.varint("Start's policy")?;
            let unknown = WireError::Meaningless { what: "Start's policy", value: number };
            Policy::of(number).ok_or(unknown)?
        },
    })
}

fn reason(r: &mut Reader, what: &'static str) -> Result<EndReason, WireError> {
    let number = r.varint(what)?;
    EndReason::of(number).ok_or(WireError::Meaningless { what, value: number })
}

fn put_texts(out: &mut Vec<u8>, texts: &[String], limit: usize) {
    put_varint(out, texts.len() as u64);
    texts.iter().for_each(|text| put_text(out, text, limit));
}

fn texts(r: &mut Reader, most: usize, limit: usize, what: &'static str) -> Result<Vec<String>, WireError> {
    let count = count_of(r, most, what)?;
    (0..count).map(|_| r.text(limit, what)).collect()
}

/// A number of things of which each takes a byte at least, so a short body cannot ask for a long list.
fn count_of(r: &mut Reader, most: usize, what: &'static str) -> Result<usize, WireError> {
    let count = r.count(most, what)?;
    if count > r.rest().len() { Err(WireError::Truncated { what }) } else { Ok(count) }
}
