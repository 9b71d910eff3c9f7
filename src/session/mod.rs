//! The live session: one task that takes a source's damage in, keeps every viewer in step, and hands input back.
//! It outlives its viewers and its source's failures. It never touches a socket: links do.

mod clips;
mod encoders;
mod encoding;
mod experience;
mod grant;
mod input;
mod marks;
mod orders;
mod sharing;
mod snapshot;
mod sound;
mod task;
mod video;
mod viewer;

pub use experience::{FirstScreen, LONGEST_TAP, Taps, tap_histogram};
pub use grant::{Grant, HeldBy};
pub use sharing::{Shared, WatchRefused, Wish, Witness};
pub use snapshot::{ViewerSnapshot, Whom};

use crate::link::{Inbox, Link};
use crate::screen::{HashKey, SizeError};
use crate::source::{Canvas, Source, SourceEvent};
use crate::wire::{Attach, CloseCode, GatewayAddress, Policy, Token};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

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

/// A handle that does not keep the session running.
#[derive(Clone)]
pub struct WeakSession {
    name: Arc<str>,
    title: Arc<str>,
    orders: mpsc::WeakSender<Order>,
    status: watch::Receiver<Status>,
}

impl WeakSession {
    /// The session, if it still runs.
    pub fn upgrade(&self) -> Option<Session> {
        let orders = self.orders.upgrade()?;
        let (name, title, status) = (self.name.clone(), self.title.clone(), self.status.clone());
        Some(Session { name, title, orders, status })
    }
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
    /// All viewers must go, to whoever goes on with the session: it is told which input of theirs was applied.
    Leave(oneshot::Sender<Vec<(Token, u64)>>),
    /// What was applied where the session was before.
    Remember(Vec<(Token, u64)>),
    /// Who views, to be told.
    Snapshot(oneshot::Sender<Vec<ViewerSnapshot>>),
    /// The links of viewers are to end. It is told whom that concerned.
    End {
        whom: Whom,
        code: CloseCode,
        reason: String,
        ended: oneshot::Sender<Vec<ViewerSnapshot>>,
    },
    /// What is shown is recorded, or no longer.
    Recorded(bool),
    /// Another gateway has the session, one of these, the likeliest first: viewers are told to go there.
    Move(Vec<GatewayAddress>),
    /// Viewers are to be told this. It is told how many were.
    Say {
        whom: Whom,
        text: String,
        told: oneshot::Sender<usize>,
    },
    /// Somebody wants to watch. It is told the number of the admission, once the user has answered.
    AskToWatch {
        wish: Wish,
        answer: oneshot::Sender<Result<u64, WatchRefused>>,
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

    /// Waits until its source shows something.
    pub async fn is_live(&self) {
        let _ = self.status.clone().wait_for(|status| status.live).await;
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

    /// Lets all viewers go, as another gateway goes on with this session: for each the number of its first input event that
    /// was not applied.
    pub async fn leave(&self) -> Vec<(Token, u64)> {
        self.ask(Order::Leave).await
    }

    /// Goes on from what was applied where the session was before, so that no input is lost and none applied twice.
    /// To be called before anybody else has the session.
    pub fn remember(&self, applied: Vec<(Token, u64)>) {
        let _ = self.orders.try_send(Order::Remember(applied));
    }

    /// Who views now. Nobody, if the session has just ended.
    pub async fn viewers(&self) -> Vec<ViewerSnapshot> {
        self.ask(Order::Snapshot).await
    }

    /// Ends the links of viewers, and says which they were.
    pub async fn end(&self, whom: Whom, code: CloseCode, reason: &str) -> Vec<ViewerSnapshot> {
        let reason = reason.to_owned();
        self.ask(|ended| Order::End { whom, code, reason, ended }).await
    }

    /// Tells viewers something, and says how many were told.
    pub async fn say(&self, whom: Whom, text: &str) -> usize {
        let text = text.to_owned();
        self.ask(|told| Order::Say { whom, text, told }).await
    }

    /// Tells who views, and who comes, whether what is shown is recorded.
    pub async fn tell_recorded(&self, recorded: bool) {
        let _ = self.orders.send(Order::Recorded(recorded)).await;
    }

    /// Tells viewers that another gateway has the session: one of these, the likeliest first.
    pub async fn tell_to_move(&self, gateways: Vec<GatewayAddress>) {
        let _ = self.orders.send(Order::Move(gateways)).await;
    }

    /// A handle that does not keep the session.
    pub fn weak(&self) -> WeakSession {
        WeakSession {
            name: self.name.clone(),
            title: self.title.clone(),
            orders: self.orders.downgrade(),
            status: self.status.clone(),
        }
    }

    /// Asks the user whether somebody may watch, as far as policies want that, and waits for the answer. A question that
    /// nobody waits for any more is withdrawn.
    pub async fn ask_to_watch(&self, wish: Wish) -> Result<u64, WatchRefused> {
        let (answer, answered) = oneshot::channel();
        let _ = self.orders.send(Order::AskToWatch { wish, answer }).await;
        answered.await.unwrap_or(Err(WatchRefused::NobodyThere))
    }

    async fn ask<T: Default>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> T {
        let (answer, answered) = oneshot::channel();
        let _ = self.orders.send(order(answer)).await;
        answered.await.unwrap_or_default()
    }
}
