//! Offers one session of this machine to a gateway, dialling outwards, for as long as it runs. The session outlives its
//! links: when the gateway comes back, it goes on where it was.

use crate::link::{Closed, DialError, Inbox, Incoming, Link, Road, Target, dial, software};
use crate::session::{Grant, Session};
use crate::wire::{self, Attach, CloseCode, Control, Role, Secret};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("the gateway refused this host: {0}")]
    Refused(Closed),
}

#[derive(Debug, thiserror::Error)]
enum Attempt {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("{0}")]
    Closed(#[from] Closed),
    #[error("the gateway did not answer within 5 s")]
    Slow,
}

/// Offers `session` to the gateway at `target` until that is refused for good.
pub async fn offer(session: &Session, target: &Target, secret: &[u8]) -> HostError {
    let mut pause = FIRST_PAUSE;
    loop {
        match attach(session, target, secret).await {
            Ok(link) => {
                tracing::info!(session = session.name(), road = link.road().name(), "offered to the gateway");
                pause = FIRST_PAUSE;
                let closed = link.ended().await;
                tracing::warn!(reason = %closed, "the link to the gateway ended; dialling again");
            }
            Err(Attempt::Closed(closed)) if closed.by_peer && is_final(closed.code) => {
                return HostError::Refused(closed);
            }
            Err(error) => {
                tracing::warn!(%error, retry_in_ms = pause.as_millis() as u64, "no link to the gateway");
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        tokio::time::sleep(pause).await;
    }
}

fn is_final(code: CloseCode) -> bool {
    matches!(code, CloseCode::REFUSED | CloseCode::VERSION | CloseCode::PROTOCOL)
}

/// Dials, offers, and hands the link to the session once the gateway attaches.
async fn attach(session: &Session, target: &Target, secret: &[u8]) -> Result<Link, Attempt> {
    let (link, mut inbox) = match dial(target, Road::Quic).await {
        Ok(link) => link,
        Err(error) if target.tcp_port.is_none() => return Err(error.into()),
        Err(_) => dial(target, Road::WebSocket).await?,
    };
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
    session.attach(link.clone(), inbox, attach, Grant::shared()).await;
    Ok(link)
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
