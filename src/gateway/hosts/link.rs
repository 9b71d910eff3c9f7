//! A host's own link: it proves which one it is, says what it offers and still runs, and then how busy it is and what
//! becomes of what it was ordered. Everything that it says is bounded, also in how often.

use super::super::{Shared, admit, is_name};
use super::{Host, Hosts, end, forget, learn, words};
use crate::audit::{Event, Record};
use crate::broker::Running;
use crate::clock;
use crate::identity::is_proven;
use crate::link::{Closed, Inbox, Incoming, Link};
use crate::store::StartedSession;
use crate::wire::{CloseCode, Control, EndReason, HostLoad, HostMessage, HostOffers};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A host says each second how busy it is.
const SILENT: Duration = Duration::from_secs(10);
/// Messages of a host in one such time: what is more is no honest host's.
const WINDOW: Duration = Duration::from_secs(10);
const MOST_IN_WINDOW: u32 = 4_096;
/// Hosts that are remembered.
const MOST_HOSTS: usize = 1_024;
/// Messages about what is not this host's, on one link: a few are late ones.
const MOST_STRAY: u32 = 64;
const MOST_CAPACITY: u32 = 1_024;

/// Serves a host to the end of its link.
pub async fn serve(
    shared: &Shared,
    offers: HostOffers,
    software: &str,
    link: Link,
    mut inbox: Inbox,
    peer: IpAddr,
) {
    let road = link.road().name();
    let name = offers.host.clone();
    let record = |event| Record::new(event).host(name.as_str()).peer(peer);
    let number = match enter(shared, offers, software, &link, peer).await {
        Ok(number) => number,
        Err(refused) => {
            tracing::warn!(host = name, reason = %refused, "a host was refused");
            link.close(refused.code, &refused.reason);
            let reason = refused.to_string().into();
            return shared.audit.refused(record(Event::HostRefused { road: road.into(), reason }));
        }
    };
    tracing::info!(host = name, "a host has joined");
    let closed = hear(shared, &name, &mut inbox).await;
    link.close(closed.code, &closed.reason);
    shared.hosts.leave(&name, number);
    tracing::warn!(host = name, reason = %closed, "a host has left");
    shared.audit.record(record(Event::HostLeft { reason: closed.to_string().into() }));
}

fn refusal(code: CloseCode, reason: &str) -> Closed {
    Closed { code, reason: reason.to_owned(), by_peer: false }
}

/// Lets a host in that is the one it says, with what it may offer, and takes up the sessions that it still runs.
async fn enter(
    shared: &Shared,
    mut offers: HostOffers,
    software: &str,
    link: &Link,
    peer: IpAddr,
) -> Result<u64, Closed> {
    let refused = |reason: &str| refusal(CloseCode::REFUSED, reason);
    let Some(people) = &shared.people else {
        return Err(refused("this gateway starts no applications: nobody signs in there"));
    };
    if !is_name(&offers.host) {
        return Err(refused("the host's name is not one"));
    }
    let store = people.identity().store();
    let enrolled = store.host(&offers.host).await.map_err(|error| {
        tracing::error!(%error, "a host could not be looked up");
        refusal(CloseCode::INTERNAL, "the gateway cannot look hosts up now")
    })?;
    let proven = match (&enrolled, link.exporter()) {
        (Some(host), Some(exporter)) => is_proven(&host.host_key, &exporter, &offers.host, &offers.proof.0),
        _ => false,
    };
    // A name that is not enrolled cannot be told from a wrong key.
    let Some(enrolled) = enrolled.filter(|_| proven) else {
        return Err(refused("no host is enrolled by this name with this key"));
    };
    let joined = Record::new(Event::HostJoined { road: link.road().name().into() });
    let joined = joined.host(offers.host.as_str()).peer(peer);
    shared.audit.grant(joined).await.map_err(|_| refusal(CloseCode::LIMIT, admit::UNRECORDED))?;
    let applications = shared.hosts.applications();
    let offered = offers.applications.len();
    offers.applications.retain(|name| {
        applications.named(name).is_some_and(|application| application.may_run_on(&offers.host))
    });
    if offers.applications.len() < offered {
        let (host, dropped) = (&offers.host, offered - offers.applications.len());
        tracing::warn!(host, dropped, "a host offers what no [[application]] lets it run");
    }
    let _ = store.host_was_seen(&offers.host, clock::unix_ms()).await;
    let number = shared.hosts.numbers.fetch_add(1, Ordering::Relaxed);
    let now = Instant::now();
    {
        let mut hosts = shared.hosts.lock();
        if !hosts.contains_key(&offers.host) && hosts.len() >= MOST_HOSTS {
            return Err(refusal(CloseCode::LIMIT, "this gateway has too many hosts"));
        }
        let host = Host {
            link: Some(link.clone()),
            number,
            gone_since: now,
            applications: offers.applications.iter().cloned().collect(),
            capacity: offers.capacity.min(MOST_CAPACITY),
            load: HostLoad { memory_free_mib: u64::MAX >> 2, ..HostLoad::default() },
            software: software.to_owned(),
            peer,
            joined_at: clock::unix_ms(),
            seen_at: clock::unix_ms(),
            drained: enrolled.drained != 0,
            told: false,
            failed_until: None,
            // Those that an earlier link was asked for are not answered on this one.
            waiting: HashMap::new(),
        };
        if let Some(Host { link: Some(earlier), .. }) = hosts.insert(offers.host.clone(), host) {
            earlier.close(CloseCode::TAKEN_OVER, "the host has dialled anew");
        }
    }
    take_up(shared, &offers, link).await;
    Ok(number)
}

/// What a host still runs goes on, if the gateway had ordered it there and wants it still; what it does not run any more
/// is over.
async fn take_up(shared: &Shared, offers: &HostOffers, link: &Link) {
    // What other gateways, or an earlier start of this one, have as running: the host knows better.
    learn(shared).await;
    let hosts = &shared.hosts;
    let applications = hosts.applications();
    for announced in &offers.running {
        let session = &announced.session;
        let ordered = announced.token.0 == hosts.token(&offers.host, session, &announced.user);
        let application = applications.of_session(session).filter(|application| {
            application.name == announced.application && application.may_run_on(&offers.host)
        });
        let wanted = ordered && application.is_some() && !hosts.ended().remove(session);
        let wanted = match &shared.siblings {
            Some(siblings) if wanted => !siblings.has_ended(session).await,
            _ => wanted,
        };
        // Who has been removed has no sessions; a store that does not answer takes none away.
        let user = match &shared.people {
            Some(people) if wanted => people.identity().store().user(&announced.user).await,
            _ => Ok(None),
        };
        if !wanted || matches!(user, Ok(None)) {
            let (session, reason) = (session.clone(), EndReason::Unwanted);
            link.control(&Control::Host(HostMessage::End { session, reason }));
            continue;
        }
        if applications.running(session).is_none() {
            tracing::info!(session, host = offers.host, "a session from before the gateway's start goes on");
            if let Some(siblings) = &shared.siblings {
                let single = application.is_some_and(|application| application.single);
                siblings
                    .note_started(&StartedSession {
                        session: session.clone(),
                        application: announced.application.clone(),
                        user_id: announced.user.clone(),
                        title: user
                            .as_ref()
                            .ok()
                            .and_then(Option::as_ref)
                            .map_or("", |it| &it.title)
                            .to_owned(),
                        slot: if single { String::new() } else { session.clone() },
                        host: offers.host.clone(),
                        state: 1,
                        reason: String::new(),
                    })
                    .await;
            }
            applications.add(Running {
                session: session.clone(),
                application: announced.application.clone(),
                user: announced.user.clone(),
                title: user.ok().flatten().map(|user| user.title).unwrap_or_default(),
                host: offers.host.clone(),
                started_at: clock::unix_ms(),
                sign_in: String::new(),
                unwatched_since: Some(Instant::now()),
            });
        }
    }
    let announced = |session: &str| offers.running.iter().any(|running| running.session == session);
    for lost in applications.all_running() {
        // What has its own link here runs, whenever the host was asked what does.
        if lost.host == offers.host
            && !announced(&lost.session)
            && !(shared.siblings.is_some() && shared.registry.is_connected(&lost.session))
        {
            end(shared, &lost.session, EndReason::HostGone, "", None).await;
        }
    }
}

/// Hears a host until its link is to end.
async fn hear(shared: &Shared, name: &str, inbox: &mut Inbox) -> Closed {
    let mut window = Instant::now();
    let (mut heard, mut stray) = (0, 0);
    loop {
        let message = match tokio::time::timeout(SILENT, inbox.next()).await {
            Ok(Ok(message)) => message,
            Ok(Err(closed)) => return closed,
            Err(_) => return refusal(CloseCode::IDLE, "the host is silent"),
        };
        if window.elapsed() > WINDOW {
            (window, heard) = (Instant::now(), 0);
        }
        heard += 1;
        if heard > MOST_IN_WINDOW || stray > MOST_STRAY {
            return refusal(CloseCode::LIMIT, "the host says more than a host has to say");
        }
        match message {
            Incoming::Control(Control::Host(HostMessage::Load(load))) => {
                shared.hosts.note_load(name, load);
                super::drain_told(shared, name).await;
            }
            Incoming::Control(Control::Host(HostMessage::Started { request, error })) => {
                let answered = if error.is_empty() { Ok(()) } else { Err(error) };
                stray += u32::from(!shared.hosts.answered(name, request, answered));
            }
            Incoming::Control(Control::Host(HostMessage::Ended { session, reason, text })) => {
                let theirs = shared.hosts.applications().running(&session);
                match theirs.filter(|running| running.host == name) {
                    Some(running) => {
                        let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
                        let words = words(reason, &text);
                        // All gateways hear it, and one of them records it.
                        let (records, decided) = match &shared.siblings {
                            None => (true, false),
                            Some(siblings) => match siblings.finish(&session, &words, false).await {
                                Ok(first) => (first, first),
                                Err(_) => {
                                    shared.hosts.note_untold(&session, &words);
                                    (siblings.has_now(&session), false)
                                }
                            },
                        };
                        // This gateway may have learnt from the database meanwhile what it decided itself.
                        let finished = shared.hosts.applications().finish(&session, &words);
                        if let Some(running) = finished.or(decided.then_some(running)) {
                            forget(shared, &running, &words, None, records).await;
                        }
                    }
                    // Another gateway may have ordered it.
                    None => stray += u32::from(shared.siblings.is_none()),
                }
            }
            Incoming::Control(Control::Ping { number, time_us }) => {
                if let Some(link) = shared.hosts.lock().get(name).and_then(|host| host.link.clone()) {
                    let now = clock::now_us();
                    link.control(&Control::Pong { number, ping_time_us: time_us, time_us: now });
                }
            }
            Incoming::Control(Control::Closing { code, reason }) => return Closed::by_peer(code, &reason),
            Incoming::Control(Control::Pong { .. }) => {}
            _ => return refusal(CloseCode::PROTOCOL, "a host says only what hosts say, and its offers once"),
        }
    }
}

impl Hosts {
    fn note_load(&self, name: &str, load: HostLoad) {
        if let Some(host) = self.lock().get_mut(name) {
            (host.load, host.seen_at) = (load, clock::unix_ms());
        }
    }

    /// A host answers an order. Whether it had that order.
    fn answered(&self, name: &str, request: u64, answer: Result<(), String>) -> bool {
        let waiting = self.lock().get_mut(name).and_then(|host| host.waiting.remove(&request));
        waiting.map(|waiting| drop(waiting.send(answer))).is_some()
    }

    /// A host's link has ended, if it is still the newest.
    fn leave(&self, name: &str, number: u64) {
        if let Some(host) = self.lock().get_mut(name).filter(|host| host.number == number) {
            (host.link, host.gone_since) = (None, Instant::now());
            // Whoever waits for an answer is told that there is none.
            host.waiting.clear();
        }
    }
}
