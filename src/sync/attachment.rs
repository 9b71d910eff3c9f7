//! A viewer's side of one link as a state machine: messages in, messages and news out. The screen, the
//! acknowledgements, the proof, the liveness of the link and the input that is not yet acknowledged all live here;
//! whoever owns the link moves the bytes and passes the time.

use super::pictures::{Fetched, FetchedPicture, OfferedPicture};
use super::viewer::{Applied, Viewer, ViewerError};
use super::{Clocks, Micros};
use crate::wire::limits::{MAX_WAITING, MAX_WAITING_BYTES};
use crate::wire::{
    Attach, Attached, ClipText, CloseCode, Control, Cursor, InputEvent, Path, Policy, SoundFormat, Terms,
    Token, Watcher,
};
use crate::wire::{write_event, write_input_start};
use bytes::Bytes;
use std::collections::VecDeque;

/// A link that said nothing for this long is asked whether it lives.
pub const PING_AFTER: Micros = 500_000;
/// A link that said nothing for this long is silent.
pub const SILENT_AFTER: Micros = 2_000_000;
/// A screen that changed this recently is moving.
const MOVING_FOR: Micros = 300_000;
/// Input events that may wait for their acknowledgement.
const MAX_UNACKNOWLEDGED: usize = 4_096;

/// How sure it is that the screen is the session's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Exactness {
    /// Updates are arriving.
    #[default]
    Moving,
    /// Nothing is arriving, and the hashes have not been compared yet.
    Settling,
    /// The session agreed with this screen's hashes.
    Exact,
}

impl Exactness {
    pub fn name(self) -> &'static str {
        match self {
            Exactness::Moving => "moving",
            Exactness::Settling => "settling",
            Exactness::Exact => "exact",
        }
    }
}

/// What a viewer's user should come to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    Attached {
        title: String,
        width: u32,
        height: u32,
        policy: Policy,
    },
    /// The session's policy is another one now.
    Policy(Policy),
    /// Updates that had waited for one that will not come.
    Applied(Vec<Applied>),
    Cursor(Cursor),
    CursorAt {
        x: u32,
        y: u32,
    },
    /// Whether the session's source shows something; if not, what is being waited for.
    State {
        live: bool,
        text: String,
    },
    Exact {
        update: u64,
    },
    Path(Path),
    /// What an administrator says to whoever views.
    Message(String),
    /// Whether what is shown is recorded, from now on.
    Recorded(bool),
    /// What the viewer may do.
    Terms(Terms),
    /// Somebody asks to watch; it is answered by `Control::WatchAnswer`.
    WatchAsked {
        ask: u64,
        title: String,
        seat: String,
        administrator: bool,
    },
    /// That question needs no answer any more.
    WatchOver {
        ask: u64,
    },
    /// All who watch now.
    Watchers(Vec<Watcher>),
    /// The session plays something, so coded.
    Sound(Option<SoundFormat>),
    /// A program has copied this.
    Clip(ClipText),
    /// A program has copied this picture, as PNG.
    Picture(Bytes),
    /// Whether the session has what was copied here.
    ClipTaken(bool),
    Closing {
        code: CloseCode,
        reason: String,
    },
}

/// What must outlive a link, so that the next one goes on where this one ended.
#[derive(Default)]
pub struct Identity {
    token: Option<Token>,
    next_input: u64,
    unacknowledged: VecDeque<(u64, InputEvent)>,
}

/// A viewer on a link.
pub struct Attachment {
    viewer: Viewer,
    identity: Identity,
    known: Option<(crate::screen::HashKey, u32, u32)>,
    attached: bool,
    /// The session is the one of the link before.
    goes_on: bool,
    /// The number of the next input event, as Attached said.
    next_input_there: u64,
    /// Updates that overtook Attached: on QUIC, each has a stream of its own.
    early: Vec<Bytes>,
    replies: VecDeque<Control>,
    resend: Vec<(u64, InputEvent)>,
    input_begun: bool,
    heard_at: Micros,
    pinged_at: Micros,
    pings: u64,
    clocks: Clocks,
    changed_at: Micros,
    agreed: u64,
    newly_exact: bool,
    mismatches: u64,
    policy: Policy,
    offered: OfferedPicture,
    fetched: FetchedPicture,
}

impl Attachment {
    /// Before Attached: `viewer` and `identity` are new, or come from an earlier link.
    pub fn new(viewer: Viewer, identity: Identity, now: Micros) -> Self {
        Attachment {
            viewer,
            identity,
            known: None,
            attached: false,
            goes_on: false,
            next_input_there: 0,
            early: Vec::new(),
            replies: VecDeque::new(),
            resend: Vec::new(),
            input_begun: false,
            heard_at: now,
            pinged_at: now,
            pings: 0,
            clocks: Clocks::new(),
            changed_at: now,
            agreed: 0,
            newly_exact: false,
            mismatches: 0,
            policy: Policy::default(),
            offered: OfferedPicture::default(),
            fetched: FetchedPicture::default(),
        }
    }

    /// The link is gone; what the next one needs.
    pub fn into_parts(self) -> (Viewer, Identity) {
        (self.viewer, self.identity)
    }

    /// The same viewer with a copy of its screen, for a second link. It knows of no input before it inherits.
    pub fn twin(&self, now: Micros) -> Attachment {
        let identity = Identity { token: self.identity.token, ..Identity::default() };
        Attachment::new(self.viewer.twin(), identity, now)
    }

    /// What says to the session that this picture was copied here; its parts are sent when they are asked for. `None` if it is
    /// no PNG, or larger than any session takes.
    pub fn offer_picture(&mut self, png: Bytes) -> Option<Control> {
        self.offered.offer(png)
    }

    /// What was copied before is not sent on, in either direction.
    pub fn forget_pictures(&mut self) {
        self.offered.withdraw();
        self.fetched.give_up();
    }

    /// This link takes the place of that of an earlier one: what that one did not deliver is to be sent again.
    pub fn inherit(&mut self, earlier: Identity) {
        if earlier.token.is_none() || earlier.token != self.identity.token {
            return;
        }
        self.identity = earlier;
        self.identity.unacknowledged.retain(|(number, _)| *number >= self.next_input_there);
        self.resend = self.identity.unacknowledged.iter().cloned().collect();
    }

    pub fn has_token(&self) -> bool {
        self.identity.token.is_some()
    }

    /// Fills in what this viewer is and shows.
    pub fn attach(&mut self, mut wish: Attach) -> Control {
        wish.token = self.identity.token;
        wish.screen = self.viewer.known_screen();
        self.known = wish.screen.as_ref().map(|screen| (screen.key, screen.width, screen.height));
        Control::Attach(wish)
    }

    pub fn viewer(&self) -> &Viewer {
        &self.viewer
    }

    /// For a screen that is kept elsewhere: see [`Viewer::exchange`].
    pub fn viewer_mut(&mut self) -> &mut Viewer {
        &mut self.viewer
    }

    pub fn is_attached(&self) -> bool {
        self.attached
    }

    /// Whether it is attached to the very session of the link before: another one knows nothing of what was sent then.
    pub fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// Anything at all arrived.
    pub fn heard(&mut self, now: Micros) {
        self.heard_at = now;
    }

    /// Takes a control message. `news` is what the user should know of it.
    pub fn control(&mut self, message: Control, now: Micros) -> Result<Option<News>, ViewerError> {
        self.heard(now);
        Ok(match message {
            Control::Attached(attached) => Some(self.on_attached(attached)),
            Control::Cursor(cursor) => Some(News::Cursor(cursor)),
            Control::CursorAt { x, y } => Some(News::CursorAt { x, y }),
            Control::State { live, text } => Some(News::State { live, text }),
            Control::Path(path) => Some(News::Path(path)),
            Control::Message { text } => Some(News::Message(text)),
            Control::Recorded { recorded } => Some(News::Recorded(recorded)),
            Control::Terms(terms) => Some(News::Terms(terms)),
            Control::WatchAsked { ask, title, seat, administrator } => {
                Some(News::WatchAsked { ask, title, seat, administrator })
            }
            Control::WatchOver { ask } => Some(News::WatchOver { ask }),
            Control::Watchers(watchers) => Some(News::Watchers(watchers)),
            Control::Sound(format) => Some(News::Sound(format)),
            Control::Clip(text) => {
                self.fetched.give_up();
                Some(News::Clip(text))
            }
            Control::Picture(part) => match self.fetched.hear(&part) {
                Fetched::More(wanted) => {
                    self.replies.push_back(wanted);
                    None
                }
                Fetched::Whole(png) => Some(News::Picture(png)),
                Fetched::Wrong | Fetched::Stale => None,
            },
            Control::PictureWanted { picture, from } => {
                self.replies.extend(self.offered.part(picture, from));
                None
            }
            Control::ClipTaken { taken } => Some(News::ClipTaken(taken)),
            Control::Policy { policy } => {
                self.policy = policy;
                self.viewer.set_policy(policy);
                Some(News::Policy(policy))
            }
            Control::Closing { code, reason } => Some(News::Closing { code, reason }),
            Control::InputAck { next } => {
                self.identity.unacknowledged.retain(|(number, _)| *number >= next);
                None
            }
            Control::Verdict { update, agreed } => self.on_verdict(update, agreed),
            Control::HashesWanted { update } => {
                if update == self.viewer.newest() {
                    let hashes = self.viewer.hashes();
                    self.replies.push_back(Control::Hashes { update, hashes });
                }
                None
            }
            Control::Ping { number, time_us } => {
                self.replies.push_back(Control::Pong { number, ping_time_us: time_us, time_us: now });
                None
            }
            Control::Pong { ping_time_us, time_us, .. } => {
                self.clocks.pong(ping_time_us, time_us, now);
                None
            }
            Control::Dropped { update } => {
                let applied = self.viewer.dropped(update)?;
                self.acknowledge(&applied, 0, now);
                (!applied.is_empty()).then_some(News::Applied(applied))
            }
            _ => None,
        })
    }

    fn on_attached(&mut self, attached: Attached) -> News {
        let resumed = self.known == Some((attached.key, attached.width, attached.height));
        self.viewer.relink(attached.key, resumed);
        self.attached = true;
        self.next_input_there = attached.next_input;
        self.goes_on = self.identity.token == Some(attached.token);
        if self.goes_on {
            self.identity.unacknowledged.retain(|(number, _)| *number >= attached.next_input);
            self.resend = self.identity.unacknowledged.iter().cloned().collect();
        } else {
            // Another session process: what it has not seen cannot be told from what it has.
            self.identity.unacknowledged.clear();
            self.identity.next_input = attached.next_input;
        }
        self.identity.token = Some(attached.token);
        self.policy = attached.policy;
        self.viewer.begin_policy(attached.policy);
        let Attached { title, width, height, policy, .. } = attached;
        News::Attached { title, width, height, policy }
    }

    fn on_verdict(&mut self, update: u64, agreed: bool) -> Option<News> {
        if !agreed {
            self.mismatches += 1;
            return None;
        }
        self.agreed = self.agreed.max(update);
        (update == self.viewer.newest()).then_some(News::Exact { update })
    }

    /// Takes an update stream; `clock` is read around the decoding. What was applied is acknowledged.
    pub fn update(&mut self, stream: Bytes, clock: impl Fn() -> Micros) -> Result<Vec<Applied>, ViewerError> {
        let begun = clock();
        self.heard(begun);
        if !self.attached {
            return self.hold_back(stream).map(|()| Vec::new());
        }
        let bytes = stream.len();
        let mut applied = self.viewer.take(stream)?;
        let now = clock();
        if let Some(first) = applied.first_mut() {
            first.bytes = first.bytes.max(bytes);
        }
        self.acknowledge(&applied, now - begun, now);
        Ok(applied)
    }

    fn hold_back(&mut self, stream: Bytes) -> Result<(), ViewerError> {
        self.early.push(stream);
        let bytes = self.early.iter().map(Bytes::len).sum();
        if self.early.len() > MAX_WAITING || bytes > MAX_WAITING_BYTES {
            return Err(ViewerError::TooManyWaiting { updates: self.early.len(), bytes });
        }
        Ok(())
    }

    /// Updates that came before Attached; after it, they are to be given to [`Attachment::update`] again.
    pub fn early_updates(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.early)
    }

    /// Every Ack goes before the proof: the session must know of what is missing first. What settles a
    /// screen may also be that an update will not come, so the proof does not depend on one applied.
    fn acknowledge(&mut self, all: &[Applied], decode_us: Micros, now: Micros) {
        for applied in all {
            if !applied.tiles.is_empty() || applied.new_screen {
                self.changed_at = now;
            }
            let missing = applied.missing.clone();
            self.replies.push_back(Control::Ack { update: applied.number, decode_us, missing });
        }
        let failed = self.viewer.failed_videos();
        self.replies.extend(failed.into_iter().map(|video| Control::VideoFailed { video }));
        if let Some((update, root)) = self.viewer.proof() {
            if self.viewer.told_root() == Some(root as u32) {
                self.newly_exact |= self.agreed < update;
                self.agreed = self.agreed.max(update);
            }
            self.replies.push_back(Control::Proof { update, root });
        }
    }

    /// What time alone brings about; call it about ten times a second.
    pub fn tick(&mut self, now: Micros) {
        let quiet = now.saturating_sub(self.heard_at);
        if quiet >= PING_AFTER && now.saturating_sub(self.pinged_at) >= PING_AFTER {
            self.ping(now);
        }
    }

    /// Asks the other side for a Pong.
    pub fn ping(&mut self, now: Micros) {
        self.pings += 1;
        self.pinged_at = now;
        self.replies.push_back(Control::Ping { number: self.pings, time_us: now });
    }

    /// The next message to send.
    pub fn reply(&mut self) -> Option<Control> {
        self.replies.pop_front()
    }

    /// The next bytes of the input stream for an event of this viewer's user. `None` before the viewer is attached,
    /// or if too many wait for the session already: input is not stored up against a session that does
    /// not answer.
    pub fn input(&mut self, event: InputEvent) -> Option<Vec<u8>> {
        if !self.attached || self.identity.unacknowledged.len() >= MAX_UNACKNOWLEDGED {
            return None;
        }
        let number = self.identity.next_input;
        self.identity.next_input += 1;
        let mut bytes = Vec::with_capacity(16);
        self.write_input(&mut bytes, number, &event);
        self.identity.unacknowledged.push_back((number, event));
        Some(bytes)
    }

    /// Once attached: what earlier links did not deliver, to go before any new input.
    pub fn input_to_resend(&mut self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for (number, event) in std::mem::take(&mut self.resend) {
            self.write_input(&mut bytes, number, &event);
        }
        (!bytes.is_empty()).then_some(bytes)
    }

    fn write_input(&mut self, out: &mut Vec<u8>, number: u64, event: &InputEvent) {
        if !self.input_begun {
            write_input_start(out, number);
            self.input_begun = true;
        }
        write_event(out, event);
    }

    /// Events that the session has not acknowledged.
    pub fn input_waiting(&self) -> usize {
        self.identity.unacknowledged.len()
    }

    /// The number of the first event that the session has not acknowledged; that of the next one, if there is none.
    pub fn first_waiting_input(&self) -> u64 {
        self.identity.unacknowledged.front().map_or(self.identity.next_input, |(number, _)| *number)
    }

    /// The number that the next event will have.
    pub fn next_input(&self) -> u64 {
        self.identity.next_input
    }

    pub fn exactness(&self, now: Micros) -> Exactness {
        let newest = self.viewer.newest();
        if newest > 0 && self.agreed == newest {
            Exactness::Exact
        } else if now.saturating_sub(self.changed_at) < MOVING_FOR {
            Exactness::Moving
        } else {
            Exactness::Settling
        }
    }

    /// Whether what was applied since this was last asked turned out to be the session's screen, as the session had said.
    pub fn is_newly_exact(&mut self) -> bool {
        std::mem::take(&mut self.newly_exact) && self.agreed == self.viewer.newest()
    }

    /// Whether the link has said nothing for so long that the user must know.
    pub fn is_silent(&self, now: Micros) -> bool {
        now.saturating_sub(self.heard_at) >= SILENT_AFTER
    }

    pub fn round_trip(&self) -> Option<Micros> {
        self.clocks.round_trip()
    }

    /// A time of the session's clock on this side's clock.
    pub fn local_time(&self, session_time: Micros) -> Micros {
        self.clocks.local_time(session_time)
    }

    /// What the session promises of its pixels.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Proofs with which the session did not agree.
    pub fn mismatches(&self) -> u64 {
        self.mismatches
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::HashKey;
    use crate::sync::{Scene, root};
    use crate::wire::UpdateHeader;

    #[test]
    fn an_update_that_overtakes_attached_is_shown_and_proven_after_it() {
        let mut attachment = Attachment::new(Viewer::new(HashKey::default(), 0), Identity::default(), 0);
        let header = UpdateHeader {
            number: 1,
            epoch: 1,
            width: 100,
            height: 50,
            complete: true,
            ..Default::default()
        };
        let mut stream = Vec::new();
        header.write(&mut stream);
        assert!(attachment.update(stream.into(), || 0).unwrap().is_empty());
        assert!(attachment.reply().is_none());
        let (key, title) = (HashKey(7), String::new());
        let token = Token([0; 16]);
        let policy = Policy::default();
        let attached = Attached { token, key, width: 100, height: 50, next_input: 0, title, policy };
        attachment.control(Control::Attached(attached), 0).unwrap();
        let early = attachment.early_updates();
        assert_eq!(early.len(), 1);
        for stream in early {
            assert_eq!(attachment.update(stream, || 0).unwrap().len(), 1);
        }
        let replies: Vec<Control> = std::iter::from_fn(|| attachment.reply()).collect();
        let scene = Scene::new(key, 100, 50).unwrap();
        let proof = Control::Proof { update: 1, root: root(scene.hashes().iter().copied()) };
        assert!(replies.contains(&proof), "{replies:?}");
    }

    #[test]
    fn updates_before_attached_are_bounded() {
        let mut attachment = Attachment::new(Viewer::new(HashKey::default(), 0), Identity::default(), 0);
        let mut update = || attachment.update(Bytes::from_static(&[0; 9]), || 0);
        assert!((0..MAX_WAITING).all(|_| update().is_ok()));
        assert!(update().is_err());
    }
}
