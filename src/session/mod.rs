//! The live session: one task that takes a source's damage in, keeps every viewer in step, and hands input back.
//! It outlives its viewers and its source's failures. It never touches a socket: links do.

mod encoders;
mod encoding;
mod grant;
mod input;
mod task;
mod video;
mod viewer;

pub use grant::{Grant, HeldBy};

use crate::link::{Inbox, Link};
use crate::screen::{HashKey, SizeError};
use crate::source::{Canvas, Source, SourceEvent};
use crate::wire::{Attach, CloseCode, Policy};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// What others may know of a session.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Status {
    pub live: bool,
    /// What the source is waiting for, if it is not live.
    pub waiting_for: String,
    pub width: u32,
    pub height: u32,
    pub viewers: usize,
    pub generation: u64,
    pub policy: &'static str,
    /// Who has taken it, if it was taken by a grant.
    pub held_by: Option<HeldBy>,
}

/// A handle on a running session. The session ends when the last handle is gone.
#[derive(Clone)]
pub struct Session {
    name: Arc<str>,
    title: Arc<str>,
    orders: mpsc::Sender<Order>,
    status: watch::Receiver<Status>,
}

/// A viewer that was let in.
struct Arrival {
    link: Link,
    inbox: Inbox,
    attach: Attach,
    grant: Grant,
}

/// What a session is told from outside.
enum Order {
    Arrive(Box<Arrival>),
    /// The viewers of a sign-in must go.
    Dismiss {
        sign_in: String,
        code: CloseCode,
        reason: String,
    },
}

impl Session {
    /// Starts a session over a source. `key` keys its tile hashes: a session that returns with the same key
    /// is resumed by what its viewers still show. `policy` is what its viewers are promised of its pixels.
    pub fn start(
        name: &str,
        title: &str,
        key: HashKey,
        policy: Policy,
        canvas: Arc<Canvas>,
        source: Arc<dyn Source>,
        events: mpsc::Receiver<SourceEvent>,
    ) -> Result<Session, SizeError> {
        let (orders, ordered) = mpsc::channel(16);
        let (task, frames) = task::Task::new(title, key, policy, canvas, source)?;
        let (report, status) = watch::channel(task.status());
        tokio::spawn(task.run(ordered, events, frames, report));
        Ok(Session { name: name.into(), title: title.into(), orders, status })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Hands over a link whose peer may view this session. Who held it by an earlier grant loses it.
    pub async fn attach(&self, link: Link, inbox: Inbox, attach: Attach, grant: Grant) {
        // If the session has just ended the link is dropped, and its peer is told so.
        let arrival = Arrival { link, inbox, attach, grant };
        let _ = self.orders.send(Order::Arrive(Box::new(arrival))).await;
    }

    /// Ends the links of a sign-in's viewers. When this returns, nothing that they send reaches the session any more than
    /// what it has taken already.
    pub async fn dismiss(&self, sign_in: &str, code: CloseCode, reason: &str) {
        let (sign_in, reason) = (sign_in.to_owned(), reason.to_owned());
        let _ = self.orders.send(Order::Dismiss { sign_in, code, reason }).await;
    }
}
