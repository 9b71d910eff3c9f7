//! Offers one session of this machine to gateways, dialling outwards, for as long as it runs. The session outlives its
//! links: when the gateway comes back, or another one is there, it goes on where it was. One gateway has it at a time: the
//! one whose link is the newest. A link that is left is closed, so nothing that comes by it reaches the session any more.

use super::gateway_at::GatewayAt;
use crate::client::AddressError;
use crate::clock;
use crate::link::{Closed, DialError, Inbox, Incoming, Link, Target, dial_any, software};
use crate::session::{Grant, Session};
use crate::wire::{self, Attach, CloseCode, Control, Role, Secret};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Of several gateways, those after the first are dialled this much later, unless one was lost.
const HEAD_START: Duration = Duration::from_millis(300);
/// A gateway that was lost, or asked to be left, is dialled last for this long.
const AVOIDED: Duration = Duration::from_secs(10);
/// A gateway that is left for another one has this long to let its viewers follow.
const FOLLOW_WITHIN: Duration = Duration::from_secs(15);
/// Where there are other gateways, one that says nothing for this long is left: while somebody works in the session, and
/// while nobody does. It is asked a third of that time before.
const SILENT_AT_WORK: Duration = Duration::from_millis(600);
const SILENT_AT_REST: Duration = Duration::from_secs(3);
/// Somebody who typed or pointed within this time works.
const WORKS_FOR_MS: i64 = 30_000;
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOK_AT_REST: Duration = Duration::from_millis(500);

#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("the gateway refused this host: {0}")]
    Refused(Closed),
}

#[derive(Debug, thiserror::Error)]
enum Attempt {
    #[error(transparent)]
    Asking(#[from] AddressError),
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("{0}")]
    Closed(#[from] Closed),
    #[error("the gateway did not answer within 5 s")]
    Slow,
}

/// Offers `session` to the gateway at `target` until that is refused for good.
pub async fn offer(session: &Session, target: &Target, secret: &[u8]) -> HostError {
    offer_to(session, &[target.clone().into()], secret).await
}

/// Offers `session` to whichever of the `gateways` can be had, the first ones before the others, until one
/// refuses it for good.
pub async fn offer_to(session: &Session, gateways: &[GatewayAt], secret: &[u8]) -> HostError {
    let mut gateways: Vec<Gateway> =
        gateways.iter().map(|place| Gateway { place, avoided_until: None }).collect();
    let mut pause = FIRST_PAUSE;
    let mut hurry = false;
    // The link that is left when another one has been made.
    let mut left: Option<Link> = None;
    loop {
        match attach(session, &gateways, secret, hurry).await {
            Ok((at, link, grant)) => {
                let road = link.road().name();
                tracing::info!(session = session.name(), road, gateway = at, "offered to the gateway");
                pause = FIRST_PAUSE;
                if let Some(left) = left.take() {
                    tokio::spawn(leave(left));
                }
                let why = until_over(&link, &grant, gateways.len() > 1).await;
                tracing::warn!(reason = %why, "the link to the gateway is left; dialling again");
                hurry = gateways.len() > 1;
                gateways[at].avoided_until = hurry.then(|| Instant::now() + AVOIDED);
                match why {
                    Over::Moved => left = Some(link),
                    Over::Silent => {
                        link.close(CloseCode::IDLE, "the gateway is silent; another one is dialled")
                    }
                    Over::Closed(_) => {}
                }
                if hurry {
                    continue;
                }
            }
            Err(Attempt::Closed(closed)) if closed.by_peer && is_final(closed.code) => {
                return HostError::Refused(closed);
            }
            Err(error) => {
                tracing::warn!(%error, retry_in_ms = pause.as_millis() as u64, "no link to the gateway");
                // With its old gateway the session is still to be had.
                left = left.filter(|link| link.closed().is_none());
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
        }
        sleep(pause).await;
    }
}

/// One of the gateways.
struct Gateway<'a> {
    place: &'a GatewayAt,
    avoided_until: Option<Instant>,
}

/// Why a link is not gone on with.
#[derive(Debug, thiserror::Error)]
enum Over {
    #[error("{0}")]
    Closed(Closed),
    #[error("the gateway is silent")]
    Silent,
    #[error("the gateway asks to be left")]
    Moved,
}

async fn until_over(link: &Link, grant: &Grant, others: bool) -> Over {
    tokio::select! {
        closed = link.ended() => Over::Closed(closed),
        () = grant.moved.notified(), if others => Over::Moved,
        () = until_silent(link, grant), if others => Over::Silent,
    }
}

/// Asks the gateway whether it is there whenever it says nothing, and waits until it does not answer.
async fn until_silent(link: &Link, grant: &Grant) {
    let mut heard = (link.heard(), Instant::now());
    let mut asked = Instant::now();
    let mut number = 0;
    loop {
        let works = clock::unix_ms() - grant.used_at.load(Ordering::Relaxed) < WORKS_FOR_MS;
        let (look, silent) = match works {
            true => (LOOK_EVERY, SILENT_AT_WORK),
            false => (LOOK_AT_REST, SILENT_AT_REST),
        };
        let slept = Instant::now();
        sleep(look).await;
        // Who was asleep itself has not listened.
        let overslept = slept.elapsed() > look * 3;
        if link.heard() != heard.0 || overslept {
            heard = (link.heard(), Instant::now());
            continue;
        }
        let quiet = heard.1.elapsed();
        if quiet >= silent {
            return;
        }
        if quiet >= silent / 3 && asked.elapsed() >= silent / 3 {
            asked = Instant::now();
            number += 1;
            link.control(&Control::Ping { number, time_us: clock::now_us() });
        }
    }
}

/// The viewers of a gateway that is left follow; then it is not needed any more.
async fn leave(link: Link) {
    let _ = tokio::time::timeout(FOLLOW_WITHIN, link.ended()).await;
    link.close(CloseCode::GOING_AWAY, "another gateway has the session");
}

fn is_final(code: CloseCode) -> bool {
    matches!(code, CloseCode::REFUSED | CloseCode::VERSION | CloseCode::PROTOCOL)
}

/// Dials, offers, and hands the link to the session once the gateway attaches. `hurry`: all gateways are dialled at the
/// same time.
async fn attach(
    session: &Session,
    gateways: &[Gateway<'_>],
    secret: &[u8],
    hurry: bool,
) -> Result<(usize, Link, Grant), Attempt> {
    let now = Instant::now();
    let is_avoided = |at: usize| gateways[at].avoided_until.is_some_and(|until| until > now);
    let mut order: Vec<usize> = (0..gateways.len()).collect();
    order.sort_by_key(|&at| gateways[at].avoided_until.filter(|_| is_avoided(at)));
    let mut dialling: FuturesUnordered<_> = order
        .iter()
        .enumerate()
        .map(|(place, &at)| {
            let wait = match hurry {
                // The one that has just been lost is the last.
                true if is_avoided(at) && place + 1 == gateways.len() => HEAD_START * 3,
                true => Duration::ZERO,
                false => HEAD_START * place as u32,
            };
            async move {
                // Nobody else is there to be asked first.
                if gateways.len() > 1 {
                    sleep(wait).await;
                }
                (at, open(gateways[at].place).await)
            }
        })
        .collect();
    let mut failure = None;
    while let Some((at, opened)) = dialling.next().await {
        // To one at a time: whoever is offered a session has it.
        let offered = match opened {
            Ok((link, inbox)) => offer_by(session, link, inbox, secret).await,
            Err(error) => Err(error),
        };
        match offered {
            Ok((link, grant)) => return Ok((at, link, grant)),
            Err(error @ Attempt::Closed(_)) => failure = Some(error),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(failure.unwrap_or(Attempt::Slow))
}

async fn open(place: &GatewayAt) -> Result<(Link, Inbox), Attempt> {
    Ok(dial_any(&place.target().await?).await?)
}

async fn offer_by(
    session: &Session,
    link: Link,
    mut inbox: Inbox,
    secret: &[u8],
) -> Result<(Link, Grant), Attempt> {
    link.control(&Control::Hello {
        major: wire::MAJOR,
        minor: wire::MINOR,
        role: Role::Host,
        software: software(),
    });
    link.control(&Control::Offer {
        session: session.name().to_owned(),
        title: session.title().to_owned(),
        secret: Secret(secret.to_vec()),
    });
    let attach = tokio::time::timeout(PATIENCE, wait_for_attach(&mut inbox));
    let attach = attach.await.map_err(|_| Attempt::Slow)??;
    let grant = Grant::shared();
    session.attach(link.clone(), inbox, attach, grant.clone()).await;
    Ok((link, grant))
}

async fn wait_for_attach(inbox: &mut Inbox) -> Result<Attach, Closed> {
    loop {
        match inbox.next().await? {
            Incoming::Control(Control::Attach(attach)) => return Ok(attach),
            Incoming::Control(Control::Closing { code, reason }) => {
                return Err(Closed::by_peer(code, &reason));
            }
            _ => {}
        }
    }
}
