//! Who watches a session beside its user: asked for, admitted by the user, listed to the user for as long as it lasts,
//! given control and relieved of it. Whatever a watcher sends, the session decides here whether it counts.

use super::task::{Task, ViewerId};
use super::viewer::Viewer;
use crate::clock;
use crate::policy::{Allowed, Shadow, Watermark};
use crate::sync::Micros;
use crate::wire::{CloseCode, Control, Marking, Terms, Watcher, WatcherOrder};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::oneshot;

/// Who does not answer has refused.
const ANSWER_WITHIN: Micros = 45_000_000;
/// Questions that a user is asked at the same time, and people who may watch.
const MOST_ASKS: usize = 4;
const MOST_WATCHERS: usize = 8;
/// Without its user the session is not watched for longer than it takes to come back after a lost network.
const USER_GONE: Micros = 30_000_000;
/// Who was admitted and has no link for this long has left.
const WATCHER_GONE: Micros = 60_000_000;

/// Why somebody may not watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchRefused {
    #[error("nobody is at the session who could be asked")]
    NobodyThere,
    #[error("a policy does not let this session be watched")]
    NotAllowed,
    #[error("the user refused")]
    Refused,
    #[error("the user did not answer")]
    NoAnswer,
    #[error("too many watch already, or ask to")]
    TooMany,
}

/// What users and watchers did, for the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shared {
    ControlGiven { to: Arc<str> },
    ControlTaken { from: Arc<str> },
    WatchEnded { reason: String },
}

/// Whoever writes down what a session's user and watchers did.
#[derive(Clone)]
pub struct Witness(Arc<dyn Fn(Shared) + Send + Sync>);

impl Witness {
    pub fn new(writes: impl Fn(Shared) + Send + Sync + 'static) -> Self {
        Witness(Arc::new(writes))
    }

    fn write(&self, what: Shared) {
        (self.0)(what);
    }
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Witness")
    }
}

/// Somebody wants to watch.
pub struct Wish {
    pub title: Arc<str>,
    pub seat: Arc<str>,
    /// An administrator, whom the user's shadow policy concerns; else somebody whom the user invited.
    pub administrator: bool,
    pub witness: Witness,
}

struct Ask {
    number: u64,
    wish: Wish,
    until: Micros,
    answer: oneshot::Sender<Result<u64, WatchRefused>>,
}

struct Admission {
    number: u64,
    title: Arc<str>,
    seat: Arc<str>,
    administrator: bool,
    witness: Witness,
    /// When it last had a link.
    seen: Micros,
}

#[derive(Default)]
pub(super) struct Sharing {
    asks: Vec<Ask>,
    admitted: Vec<Admission>,
    /// The admission that has control.
    given: Option<u64>,
    /// Since when its user is not there.
    alone_since: Option<Micros>,
}

impl Sharing {
    pub fn is_asking(&self) -> bool {
        !self.asks.is_empty()
    }

    /// Whether what this viewer sends reaches the session.
    pub fn lets_in(&self, viewer: &Viewer) -> bool {
        match self.given {
            Some(admission) => viewer.grant.admission == admission,
            None => viewer.grant.controls,
        }
    }

    fn at(&self, admission: u64) -> Option<&Admission> {
        self.admitted.iter().find(|admitted| admitted.number == admission)
    }
}

/// Numbers of questions and admissions: never used twice by this process, so that no ticket of one fits another.
fn new_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Task {
    /// The user's own viewers: those that the session would obey if nobody watched.
    fn users(&self) -> impl Iterator<Item = &Viewer> {
        self.viewers.values().filter(|viewer| viewer.grant.controls && viewer.grant.number > 0)
    }

    pub(super) fn ask_to_watch(&mut self, wish: Wish, answer: oneshot::Sender<Result<u64, WatchRefused>>) {
        let user = self.users().find(|user| user.shows_watchers).map(|user| user.grant.allowed);
        let full = self.sharing.admitted.len() + self.sharing.asks.len() >= MOST_WATCHERS;
        let refused = match user {
            None => Some(WatchRefused::NobodyThere),
            Some(allowed) if wish.administrator && allowed.shadow == Shadow::Never => {
                Some(WatchRefused::NotAllowed)
            }
            Some(allowed) if !wish.administrator && !allowed.share => Some(WatchRefused::NotAllowed),
            Some(_) if full || self.sharing.asks.len() >= MOST_ASKS => Some(WatchRefused::TooMany),
            Some(_) => None,
        };
        if let Some(refused) = refused {
            let _ = answer.send(Err(refused));
            return;
        }
        if wish.administrator && user.is_some_and(|allowed| allowed.shadow == Shadow::Tell) {
            let _ = answer.send(Ok(self.admit(wish)));
            return;
        }
        let ask = Ask { number: new_number(), wish, until: clock::now_us() + ANSWER_WITHIN, answer };
        let question = question(&ask);
        self.users().for_each(|user| user.link.control(&question));
        self.sharing.asks.push(ask);
    }

    fn admit(&mut self, wish: Wish) -> u64 {
        let Wish { title, seat, administrator, witness } = wish;
        let number = new_number();
        let seen = clock::now_us();
        self.sharing.admitted.push(Admission { number, title, seat, administrator, witness, seen });
        number
    }

    /// What the user answers. Who is not the user answers nothing.
    pub(super) fn on_watch_answer(&mut self, id: ViewerId, ask: u64, admitted: bool) {
        if !self.is_user(id) {
            return;
        }
        let Some(at) = self.sharing.asks.iter().position(|each| each.number == ask) else { return };
        let Ask { wish, answer, .. } = self.sharing.asks.remove(at);
        self.no_more_asked(ask);
        if !admitted {
            let _ = answer.send(Err(WatchRefused::Refused));
        } else if !answer.is_closed() {
            let admission = self.admit(wish);
            if answer.send(Ok(admission)).is_err() {
                self.sharing.admitted.retain(|admitted| admitted.number != admission);
            }
        }
    }

    fn is_user(&self, id: ViewerId) -> bool {
        self.viewers.get(&id).is_some_and(|viewer| viewer.grant.controls && viewer.grant.number > 0)
    }

    fn no_more_asked(&self, ask: u64) {
        self.users().for_each(|user| user.link.control(&Control::WatchOver { ask }));
    }

    pub(super) fn on_watcher_order(&mut self, id: ViewerId, watcher: u64, order: WatcherOrder) {
        if !self.is_user(id) || self.sharing.at(watcher).is_none() {
            return;
        }
        match order {
            WatcherOrder::GiveControl => {
                // Administrators who watch are not given the keyboard by a slip.
                if self.sharing.at(watcher).is_some_and(|admitted| admitted.administrator) {
                    return;
                }
                self.take_control();
                self.release_all(|viewer| viewer.grant.admission != watcher);
                self.sharing.given = Some(watcher);
                self.write(Some(id), |admitted| Shared::ControlGiven { to: admitted.title.clone() }, watcher);
            }
            WatcherOrder::TakeControl if self.sharing.given == Some(watcher) => self.take_control(),
            WatcherOrder::TakeControl => return,
            WatcherOrder::Dismiss => self.dismiss_watcher(watcher, "the user ended it"),
        }
        self.tell_watchers();
    }

    /// The user's word counts again.
    pub(super) fn take_control(&mut self) {
        let Some(watcher) = self.sharing.given.take() else { return };
        self.release_all(|viewer| viewer.grant.admission == watcher);
        self.write(None, |admitted| Shared::ControlTaken { from: admitted.title.clone() }, watcher);
    }

    /// Written down as the user's deed where the user is there, else as the watcher's.
    fn write(&self, by: Option<ViewerId>, what: impl Fn(&Admission) -> Shared, watcher: u64) {
        let Some(admitted) = self.sharing.at(watcher) else { return };
        let user = by.and_then(|id| self.viewers.get(&id)).or_else(|| self.users().next());
        let witness = user.and_then(|user| user.grant.witness.as_ref()).unwrap_or(&admitted.witness);
        witness.write(what(admitted));
    }

    /// Nothing stays held down by somebody whose word does not count any more.
    fn release_all(&mut self, of: impl Fn(&Viewer) -> bool) {
        for viewer in self.viewers.values_mut().filter(|viewer| of(viewer)) {
            viewer.held.release().into_iter().for_each(|event| self.source.input(event));
        }
    }

    fn dismiss_watcher(&mut self, watcher: u64, reason: &str) {
        if self.sharing.given == Some(watcher) {
            self.take_control();
        }
        let Some(at) = self.sharing.admitted.iter().position(|admitted| admitted.number == watcher) else {
            return;
        };
        let admitted = self.sharing.admitted.remove(at);
        admitted.witness.write(Shared::WatchEnded { reason: reason.to_owned() });
        let links: Vec<ViewerId> =
            self.viewers.iter().filter(|(_, v)| v.grant.admission == watcher).map(|(id, _)| *id).collect();
        for id in links {
            self.part(id, CloseCode::DONE, reason);
        }
    }

    /// Nobody watches any more, and nobody is asked.
    fn end_sharing(&mut self, reason: &str, refused: WatchRefused) {
        for ask in std::mem::take(&mut self.sharing.asks) {
            self.no_more_asked(ask.number);
            let _ = ask.answer.send(Err(refused));
        }
        for watcher in self.sharing.admitted.iter().map(|admitted| admitted.number).collect::<Vec<_>>() {
            self.dismiss_watcher(watcher, reason);
        }
    }

    /// The user is elsewhere now: who may not watch there is sent away.
    fn keep_allowed(&mut self, allowed: &Allowed) {
        let may = |administrator| match administrator {
            true => allowed.shadow != Shadow::Never,
            false => allowed.share,
        };
        let away = |admitted: &&Admission| !may(admitted.administrator);
        for watcher in self.sharing.admitted.iter().filter(away).map(|a| a.number).collect::<Vec<_>>() {
            self.dismiss_watcher(watcher, "where the user is now, the session is not shared");
        }
        while let Some(at) = self.sharing.asks.iter().position(|ask| !may(ask.wish.administrator)) {
            let ask = self.sharing.asks.remove(at);
            self.no_more_asked(ask.number);
            let _ = ask.answer.send(Err(WatchRefused::NotAllowed));
        }
    }

    /// Before a viewer of this grant is let in: whether it may be, and what becomes of those who watch.
    pub(super) fn admits(&mut self, grant: &super::Grant) -> bool {
        if grant.admission > 0 {
            return self.sharing.at(grant.admission).is_some();
        }
        let Some(holder) = &self.held_by else { return true };
        if !grant.controls || grant.number <= holder.number {
            return true;
        }
        if holder.user != grant.user {
            self.end_sharing("the session was taken over", WatchRefused::NobodyThere);
            self.empty_clipboard();
            self.source.forget_input();
        } else {
            self.keep_allowed(&grant.allowed);
        }
        // Who comes to the session works in it.
        self.take_control();
        true
    }

    /// Tells a viewer that has just come what it may do, and what there is to know of those who watch.
    pub(super) fn tell_terms(&mut self, id: ViewerId, now: Micros) {
        let Some(viewer) = self.viewers.get(&id) else { return };
        let admission = viewer.grant.admission;
        if viewer.grant.number == 0 && admission == 0 {
            return;
        }
        viewer.link.control(&Control::Terms(terms(viewer)));
        if let Some(admitted) = self.sharing.admitted.iter_mut().find(|a| a.number == admission) {
            admitted.seen = now;
        }
        if admission == 0 {
            self.sharing.alone_since = None;
            for ask in &self.sharing.asks {
                viewer.link.control(&question(ask));
            }
        }
        if !self.sharing.admitted.is_empty() {
            self.tell_watchers();
        }
    }

    /// Tells everybody who watches.
    pub(super) fn tell_watchers(&self) {
        let attached = |admitted: &&Admission| {
            self.viewers.values().any(|viewer| viewer.grant.admission == admitted.number)
        };
        let listed: Vec<Watcher> = self
            .sharing
            .admitted
            .iter()
            .filter(attached)
            .map(|admitted| Watcher {
                id: admitted.number,
                title: admitted.title.to_string(),
                seat: admitted.seat.to_string(),
                controls: self.sharing.given == Some(admitted.number),
                administrator: admitted.administrator,
                you: false,
            })
            .collect();
        for viewer in
            self.viewers.values().filter(|viewer| viewer.grant.number > 0 || viewer.grant.admission > 0)
        {
            let mut listed = listed.clone();
            listed.iter_mut().for_each(|watcher| watcher.you = watcher.id == viewer.grant.admission);
            viewer.link.control(&Control::Watchers(listed));
        }
    }

    /// A viewer of this grant has gone.
    pub(super) fn left(&mut self, grant: &super::Grant, now: Micros) {
        if grant.admission > 0 {
            let links = self.viewers.values().any(|viewer| viewer.grant.admission == grant.admission);
            if let Some(admitted) = self.sharing.admitted.iter_mut().find(|a| a.number == grant.admission) {
                admitted.seen = now;
                if !links {
                    self.tell_watchers();
                }
            }
        } else if grant.number > 0 && self.users().next().is_none() {
            // Nobody sees what a watcher does: then it does nothing.
            self.take_control();
            self.sharing.alone_since = Some(now);
            self.tell_watchers();
        }
    }

    /// What time brings about.
    pub(super) fn share_on_tick(&mut self, now: Micros) {
        let over = |ask: &Ask| now >= ask.until || ask.answer.is_closed();
        while let Some(at) = self.sharing.asks.iter().position(over) {
            let ask = self.sharing.asks.remove(at);
            self.no_more_asked(ask.number);
            let _ = ask.answer.send(Err(WatchRefused::NoAnswer));
        }
        if self.sharing.alone_since.is_some_and(|since| now.saturating_sub(since) > USER_GONE) {
            self.sharing.alone_since = None;
            self.end_sharing("the user has left the session", WatchRefused::NobodyThere);
        }
        let attached = |number| self.viewers.values().any(|viewer| viewer.grant.admission == number);
        let gone: Vec<u64> = self
            .sharing
            .admitted
            .iter()
            .filter(|a| now.saturating_sub(a.seen) > WATCHER_GONE && !attached(a.number))
            .map(|admitted| admitted.number)
            .collect();
        for watcher in gone {
            self.dismiss_watcher(watcher, "the watcher has left");
        }
    }
}

fn question(ask: &Ask) -> Control {
    Control::WatchAsked {
        ask: ask.number,
        title: ask.wish.title.to_string(),
        seat: ask.wish.seat.to_string(),
        administrator: ask.wish.administrator,
    }
}

fn terms(viewer: &Viewer) -> Terms {
    let grant = &viewer.grant;
    let allowed = &grant.allowed;
    let user = grant.admission == 0;
    Terms {
        clipboard_in: user && allowed.clipboard.goes_in(),
        clipboard_out: user && allowed.clipboard.goes_out(),
        resize: user && allowed.resize,
        share: user && allowed.share,
        idle_lock_ms: allowed.idle_lock_ms.try_into().unwrap_or(0),
        marking: match allowed.watermark {
            Watermark::None => Marking::None,
            Watermark::Viewer => Marking::Viewer,
            Watermark::BurntIn => Marking::BurntIn,
        },
        mark: grant.mark(),
    }
}
