//! A link within the process: what the session sends a viewer is handed over as it is, to who keeps it instead of showing it.

use super::{Closed, Exporter, Inbox, Incoming, Link, Outgoing, Road, Transport};
use crate::wire::{Control, Path};
use bytes::Bytes;
use tokio::sync::{mpsc, watch};

/// What a session sent.
#[derive(Debug)]
pub enum Sent {
    /// A control message with its type and length.
    Control(Bytes),
    Update {
        number: u64,
        stream: Bytes,
    },
}

/// The viewer's end of a link within the process.
pub struct Outlet {
    link: Link,
    sent: mpsc::Receiver<Outgoing>,
    answers: mpsc::Sender<Incoming>,
    ended: watch::Receiver<Option<Closed>>,
}

struct Memory;

impl Transport for Memory {
    fn path(&self) -> Option<Path> {
        None
    }

    fn expect_updates(&self) {}

    fn exporter(&self) -> Option<Exporter> {
        None
    }
}

/// The session's end of a link and the viewer's.
pub fn inside() -> (Link, Inbox, Outlet) {
    let (link, inbox, sent, answers) = Link::new(Road::Inside, Memory);
    let ended = link.watch_end();
    let outlet = Outlet { link: link.clone(), sent, answers, ended };
    (link, inbox, outlet)
}

impl Outlet {
    /// The next thing that the session sent; the reason, once the link has ended and all is taken.
    pub async fn next(&mut self) -> Result<Sent, Closed> {
        loop {
            let message = match self.sent.try_recv() {
                Ok(message) => Some(message),
                Err(_) => tokio::select! {
                    biased;
                    message = self.sent.recv() => message,
                    () = async { drop(self.ended.wait_for(Option::is_some).await) } => None,
                },
            };
            let Some(message) = message else {
                return Err(self.link.closed().unwrap_or_else(|| Closed::lost("the session has ended")));
            };
            match message {
                Outgoing::Control(bytes) => {
                    self.link.control_left(bytes.len());
                    return Ok(Sent::Control(bytes));
                }
                Outgoing::Update { number, stream } => return Ok(Sent::Update { number, stream }),
                // What was handed over cannot be taken back; the Dropped that goes with it says what it means.
                Outgoing::Reset { .. } | Outgoing::Input(_) | Outgoing::Datagram(_) => {}
                Outgoing::Sound(_) => self.link.sound_left(),
            }
        }
    }

    /// Answers the session. It has hundreds of places for answers: one that finds none is of a session that has stopped.
    pub fn answer(&self, message: Control) -> bool {
        self.answers.try_send(Incoming::Control(message)).is_ok()
    }

    pub fn link(&self) -> &Link {
        &self.link
    }
}
