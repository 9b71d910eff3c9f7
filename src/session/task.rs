//! The session's one task.

use super::clips::Clips;
use super::encoding::Encoding;
use super::input::Ledger;
use super::marks::{Marks, PLAIN};
use super::sharing::Sharing;
use super::sound::Sound;
use super::video::{Made, Videos};
use super::viewer::Viewer;
use super::{Grant, HeldBy, Order, Status};
use crate::clock;
use crate::link::{Closed, Inbox, Incoming};
use crate::metrics;
use crate::screen::{HashKey, SizeError};
use crate::source::{Canvas, CursorShape, Source, SourceEvent, SourceState};
use crate::sync::{Micros, Pointer, Scene};
use crate::wire::{CloseCode, Control, Cursor, InputEvent, Motion, Origin, Policy};
use std::collections::HashMap;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// A link that said nothing for this long is given up.
const GIVEN_UP_AFTER: Micros = 10_000_000;
/// A viewer that holds keys and said nothing for this long has them released.
const RELEASED_AFTER: Micros = 1_500_000;
/// A session in which nothing changed for this long rests.
const RESTS_AFTER: Micros = 5_000_000;
/// A picture that is not finished by then is overtaken all the same.
const WHOLE_WITHIN: Micros = 400_000;
const TICK: Duration = Duration::from_millis(100);
const IDLE_TICK: Duration = Duration::from_millis(1_000);
/// Nobody watches, nothing happens: time brings nothing about.
const NO_TICK: Duration = Duration::from_secs(3_600);
/// Messages of one viewer that are looked at together, before the others' turn.
const AT_ONCE: usize = 32;
/// The screen takes no new size more often than this, whoever asks.
const RESIZE_PERIOD: Micros = 200_000;

pub(super) type ViewerId = u64;

/// What the viewers send: the one that was heard last is asked last.
#[derive(Default)]
pub(super) struct Inboxes(pub(super) Vec<(ViewerId, Inbox)>);

impl Inboxes {
    async fn next(&mut self) -> (ViewerId, Result<Incoming, Closed>) {
        std::future::poll_fn(|context| {
            for at in 0..self.0.len() {
                let (viewer, inbox) = &mut self.0[at];
                if let Poll::Ready(message) = inbox.poll_next(context) {
                    let viewer = *viewer;
                    self.0[at..].rotate_left(1);
                    return Poll::Ready((viewer, message));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// What else is there already of the viewer that was heard last.
    fn rest_of_last(&mut self) -> impl Iterator<Item = Incoming> {
        let mut last = self.0.last_mut();
        std::iter::from_fn(move || last.as_mut()?.1.try_next())
    }
}

pub(super) struct Task {
    pub(super) title: String,
    pub(super) canvas: Arc<Canvas>,
    pub(super) size_changes: u64,
    pub(super) source: Arc<dyn Source>,
    pub(super) scene: Scene,
    pub(super) captured_us: Micros,
    pub(super) changed_us: Micros,
    pub(super) resting: bool,
    pub(super) encoding: Encoding,
    pub(super) videos: Videos,
    pub(super) marks: Marks,
    /// When there may be something to do, though nothing happens.
    pub(super) wake_at: Option<Micros>,
    pub(super) viewers: HashMap<ViewerId, Viewer>,
    pub(super) next_viewer: ViewerId,
    /// The grant that has the session: no lower one controls it.
    pub(super) held_by: Option<Grant>,
    pub(super) ledger: Ledger,
    /// Whether what is shown is recorded, as its viewers are told.
    pub(super) recorded: bool,
    pub(super) state: SourceState,
    pub(super) cursor: Option<Cursor>,
    pub(super) cursor_at: Option<(u32, u32)>,
    pub(super) wanted_size: Option<(u32, u32)>,
    pub(super) resized_us: Micros,
    pub(super) sharing: Sharing,
    pub(super) clips: Clips,
    pub(super) sound: Sound,
}

impl Task {
    pub fn new(
        title: &str,
        key: HashKey,
        policy: Policy,
        canvas: Arc<Canvas>,
        source: Arc<dyn Source>,
    ) -> Result<(Self, mpsc::Receiver<Made>), SizeError> {
        let (width, height, size_changes) = {
            let painting = canvas.lock();
            (painting.framebuffer.width(), painting.framebuffer.height(), painting.size_changes)
        };
        let mut scene = Scene::new(key, width, height)?;
        scene.set_policy(policy);
        let (made, frames) = mpsc::channel(16);
        let videos = Videos::of_picture(PLAIN, made.clone());
        let task = Task {
            title: title.to_owned(),
            canvas,
            size_changes,
            source,
            scene,
            captured_us: clock::now_us(),
            changed_us: clock::now_us(),
            resting: false,
            encoding: Encoding::new(),
            videos,
            marks: Marks::new(made),
            wake_at: None,
            viewers: HashMap::new(),
            next_viewer: 0,
            held_by: None,
            ledger: Ledger::default(),
            recorded: false,
            state: SourceState::Waiting("starting".into()),
            cursor: None,
            cursor_at: None,
            wanted_size: None,
            resized_us: 0,
            sharing: Sharing::default(),
            clips: Clips::default(),
            sound: Sound::default(),
        };
        Ok((task, frames))
    }

    pub fn status(&self) -> Status {
        let waiting_for = match &self.state {
            SourceState::Waiting(text) => text.clone(),
            SourceState::Live => String::new(),
        };
        Status {
            live: self.state == SourceState::Live,
            waiting_for,
            width: self.scene.size().0,
            height: self.scene.size().1,
            viewers: self.people().count(),
            generation: self.scene.generation(),
            policy: self.scene.policy().name(),
            held_by: self.held_by.as_ref().map(|grant| HeldBy {
                title: grant.title.clone(),
                seat: grant.seat.clone(),
                sign_in: grant.sign_in.clone(),
                grant: grant.number,
                may_share: grant.allowed.share,
            }),
        }
    }

    pub async fn run(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        mut events: mpsc::Receiver<SourceEvent>,
        mut frames: mpsc::Receiver<Made>,
        report: watch::Sender<Status>,
    ) {
        let mut inboxes = Inboxes::default();
        let mut source_is_there = true;
        let mut last_tick = Instant::now();
        let mut busy_since = None;
        loop {
            // However much else happens, time is looked at; more often while it may bring something about.
            busy_since = busy_since.filter(|_| self.is_busy());
            let next_tick = match busy_since {
                Some(since) => since + TICK,
                None if self.is_busy() => *busy_since.insert(Instant::now()) + TICK,
                None if self.resting && self.viewers.is_empty() => last_tick + NO_TICK,
                None => last_tick + IDLE_TICK,
            };
            // What a viewer says concerns itself alone; all else may concern all.
            let mut concerned = None;
            tokio::select! {
                (viewer, message) = inboxes.next() => {
                    self.on_message(viewer, message);
                    // What came in one packet is answered in one.
                    for message in inboxes.rest_of_last().take(AT_ONCE) {
                        self.on_message(viewer, Ok(message));
                    }
                    concerned = Some(viewer);
                }
                () = self.canvas.changed(), if !self.holds_back() => self.on_damage(),
                order = orders.recv() => match order {
                    Some(order) => self.on_order(order, &mut inboxes),
                    None => break,
                },
                event = events.recv(), if source_is_there => match event {
                    Some(event) => self.on_event(event),
                    None => source_is_there = false,
                },
                Some(made) = frames.recv() => {
                    let now = clock::now_us();
                    match made.picture {
                        PLAIN => self.videos.send(made, &self.scene, &mut self.viewers, now),
                        _ => self.marks.send(made, &mut self.viewers, now),
                    }
                }
                () = sleep_until(next_tick) => {
                    last_tick = Instant::now();
                    busy_since = None;
                    self.on_tick();
                }
                // Delivering is all there is to do then.
                () = sleep_until(wake_at(self.wake_at)), if self.wake_at.is_some() => {}
            }
            if inboxes.0.len() != self.viewers.len() {
                inboxes.0.retain(|(viewer, _)| self.viewers.contains_key(viewer));
                self.marks.keep_seen(&self.viewers);
            }
            self.deliver(concerned);
            report.send_if_modified(|status| {
                let newer = self.status();
                let news = *status != newer;
                *status = newer;
                news
            });
        }
        for viewer in self.viewers.values() {
            viewer.link.close(CloseCode::GOING_AWAY, "the session has ended");
        }
    }

    /// Under `exact-only` a picture that nobody has whole yet is finished before the next one begins: a mixture of two slices
    /// is exact tile by tile, and true of neither.
    fn holds_back(&self) -> bool {
        self.scene.policy() == Policy::ExactOnly
            && self.people().next().is_some()
            && self.people().all(|(_, viewer)| viewer.delivery.owes())
            && clock::now_us().saturating_sub(self.changed_us) < WHOLE_WITHIN
    }

    /// Whether time alone may bring something about soon.
    fn is_busy(&self) -> bool {
        let waiting = self.viewers.values().any(|v| v.delivery.is_waiting() || !v.held.is_empty());
        waiting || self.wanted_size.is_some() || self.sharing.is_asking() || self.clips.is_due()
    }

    fn on_message(&mut self, id: ViewerId, message: Result<Incoming, Closed>) {
        let now = clock::now_us();
        let Some(viewer) = self.viewers.get_mut(&id) else { return };
        viewer.heard_at = now;
        match message {
            Ok(Incoming::Control(control)) => self.on_control(id, control, now),
            Ok(Incoming::Input(number, event)) => self.on_input(id, number, event, now),
            Ok(Incoming::Motion(motion)) => self.on_motion(id, &motion),
            Ok(Incoming::Update(_)) => {
                self.part(id, CloseCode::PROTOCOL, "a viewer does not send updates");
            }
            Ok(Incoming::Sound(_)) => {}
            Err(closed) => {
                tracing::info!(viewer = id, session = self.title, reason = %closed, "viewer left");
                self.forget(id);
            }
        }
    }

    fn on_control(&mut self, id: ViewerId, control: Control, now: Micros) {
        let Some(viewer) = self.viewers.get_mut(&id) else { return };
        let scene = self.marks.scene(&self.scene, viewer.picture);
        match control {
            Control::Ack { update, decode_us, missing } => {
                let result = viewer.delivery.acknowledged(scene, update, decode_us, &missing, now);
                if let Err(error) = result {
                    self.part(id, CloseCode::PROTOCOL, &error.to_string());
                } else {
                    viewer.acknowledged(update, now);
                }
            }
            Control::Proof { update, root } => {
                if let Some(agreed) = viewer.delivery.prove(scene, update, root) {
                    // Who was told what to find has found it.
                    if !agreed || !viewer.delivery.takes_short() {
                        viewer.link.control(&Control::Verdict { update, agreed });
                    }
                    viewer.proof(agreed, now);
                    if !agreed {
                        viewer.hashes_wanted = true;
                        viewer.link.control(&Control::HashesWanted { update });
                    }
                }
            }
            Control::Hashes { update, hashes } if std::mem::take(&mut viewer.hashes_wanted) => {
                let before = viewer.delivery.counters().repaired;
                viewer.delivery.repair(scene, update, &hashes, now);
                let repaired = viewer.delivery.counters().repaired - before;
                viewer.repairs += 1;
                // A viewer that disagrees again and again does not fill the log.
                if viewer.repairs.is_power_of_two() {
                    let (session, times) = (&self.title, viewer.repairs);
                    tracing::warn!(viewer = id, session, times, repaired, "a proof failed; tiles sent again");
                }
            }
            Control::Ping { number, time_us } => {
                viewer.link.control(&Control::Pong { number, ping_time_us: time_us, time_us: now });
                viewer.tell_path(now);
            }
            Control::Resize { width, height } if width > 0 && height > 0 && viewer.grant.may_resize() => {
                self.resize(width, height, now);
            }
            Control::VideoFailed { video } => match viewer.picture {
                PLAIN => self.videos.failed(id, video, &self.scene, &mut self.viewers, now),
                picture => self.marks.video_failed(id, video, picture, &mut self.viewers, now),
            },
            Control::Move => viewer.grant.moved.notify_one(),
            Control::Clip(text) => self.pasted(id, text, clock::now_us()),
            Control::Picture(part) => self.picture_pasted(id, &part, clock::now_us()),
            Control::PictureWanted { picture, from } => viewer.part_wanted = Some((picture, from, now)),
            Control::SoundWanted { wanted } => {
                viewer.wants_sound = wanted;
                self.ask_for_sound();
            }
            Control::WatchAnswer { ask, admitted } => self.on_watch_answer(id, ask, admitted),
            Control::WatcherOrder { watcher, order } => self.on_watcher_order(id, watcher, order),
            // Known messages that mean nothing to a session change nothing.
            _ => {}
        }
    }

    /// Asks the source for a size: at once, or, of several in quick succession, for the last one.
    pub(super) fn resize(&mut self, width: u32, height: u32, now: Micros) {
        self.wanted_size = Some((width, height));
        self.resize_if_due(now);
    }

    fn resize_if_due(&mut self, now: Micros) {
        if now.saturating_sub(self.resized_us) >= RESIZE_PERIOD
            && let Some((width, height)) = self.wanted_size.take()
        {
            self.resized_us = now;
            self.source.resize(width, height);
        }
    }

    fn on_input(&mut self, id: ViewerId, number: u64, event: InputEvent, now: Micros) {
        let (event, new_here) = match event {
            // A gateway passes on what a viewer of its own sent, maybe not as the first one.
            InputEvent::Of(origin) => {
                let Origin { viewer, number, event } = *origin;
                self.ledger
                    .enter(viewer, now, |token| self.viewers.values().any(|viewer| viewer.token == *token));
                (event, self.ledger.take(&viewer, number, now))
            }
            event => (event, true),
        };
        let Some(viewer) = self.viewers.get_mut(&id) else { return };
        // When keys are typed is nobody else's business.
        let points = matches!(
            event,
            InputEvent::PointerMove { .. } | InputEvent::PointerButton { .. } | InputEvent::Wheel { .. }
        );
        // Who only watches is told that the event came, and nothing comes of it.
        let counts = self.sharing.lets_in(viewer) && viewer.grant.may_send(&event);
        if self.ledger.take(&viewer.token, number, now) && new_here && counts {
            viewer.grant.was_used(clock::unix_ms());
            viewer.held.note(&event);
            if matches!(event, InputEvent::KeyDown { .. } | InputEvent::PointerButton { .. }) {
                viewer.watched.tapped(now);
            }
            if let InputEvent::PointerMove { x, y }
            | InputEvent::PointerButton { x, y, .. }
            | InputEvent::Wheel { x, y, .. } = event
            {
                viewer.pointer = Some(Pointer { x: x.into(), y: y.into() });
            }
            if self.source.remembers_viewers() {
                self.ledger.passed_on(&viewer.token, number);
            }
            self.source.input_of(viewer.token, number, event);
        }
        viewer.acknowledge_input(self.ledger.safe(&viewer.token));
        if points {
            self.tell_pointer(id);
        }
    }

    fn on_motion(&mut self, id: ViewerId, motion: &Motion) {
        let Some(viewer) = self.viewers.get_mut(&id) else { return };
        let late = motion.counter <= viewer.last_motion && viewer.last_motion > 0;
        if late || !self.sharing.lets_in(viewer) || motion.next_input < self.ledger.next(&viewer.token) {
            return;
        }
        viewer.last_motion = motion.counter;
        viewer.grant.was_used(clock::unix_ms());
        viewer.pointer = Some(Pointer { x: motion.x.into(), y: motion.y.into() });
        self.source.input(InputEvent::PointerMove { x: motion.x, y: motion.y });
        self.tell_pointer(id);
    }

    /// Tells a recorder that is to know it where this viewer's pointer is.
    fn tell_pointer(&self, id: ViewerId) {
        let Some(Pointer { x, y }) = self.viewers.get(&id).and_then(|viewer| viewer.pointer) else { return };
        let told = self.viewers.values().filter(|viewer| viewer.grant.sees_pointer);
        told.for_each(|viewer| viewer.link.control(&Control::CursorAt { x, y }));
    }

    fn on_event(&mut self, event: SourceEvent) {
        let message = match event {
            SourceEvent::State(state) => {
                let message = state_message(&state);
                match &state {
                    _ if state == self.state => {}
                    SourceState::Live => tracing::info!(session = self.title, "the session is live"),
                    SourceState::Waiting(text) => tracing::warn!(session = self.title, "{text}"),
                }
                self.state = state;
                if self.state == SourceState::Live && !self.holds_back() {
                    // What it shows by now is seen before anybody hears that it is there.
                    self.on_damage();
                }
                message
            }
            SourceEvent::Cursor(shape) => {
                let cursor = cursor_message(&shape);
                self.cursor = Some(cursor.clone());
                Control::Cursor(cursor)
            }
            SourceEvent::Policy(policy) if policy == self.scene.policy() => return,
            SourceEvent::Policy(policy) => {
                self.scene.set_policy(policy);
                self.videos.clear();
                self.marks.set_policy(policy);
                Control::Policy { policy }
            }
            SourceEvent::CursorMoved { x, y } => {
                self.cursor_at = Some((x.into(), y.into()));
                Control::CursorAt { x: x.into(), y: y.into() }
            }
            SourceEvent::Clip(clip) => return self.copied(clip, clock::now_us()),
            SourceEvent::Plays(pcm) => return self.plays(&pcm, clock::now_us()),
            SourceEvent::HasSound => return self.has_sound(),
            SourceEvent::PlaysCoded(packet) => return self.plays_coded(packet),
            SourceEvent::Taken { viewer: token, next } => {
                self.ledger.has_arrived(&token, next);
                let safe = self.ledger.safe(&token);
                let theirs = self.viewers.values_mut().filter(|viewer| viewer.token == token);
                return theirs.for_each(|viewer| viewer.acknowledge_input(safe));
            }
        };
        self.viewers.values().for_each(|viewer| viewer.link.control(&message));
    }

    /// Takes over what the source painted. The canvas is locked only while pixels are compared and copied.
    pub(super) fn on_damage(&mut self) {
        let now = clock::now_us();
        let canvas = self.canvas.clone();
        let mut painting = canvas.lock();
        let resized = painting.size_changes != self.size_changes;
        if resized {
            let (width, height) = (painting.framebuffer.width(), painting.framebuffer.height());
            if self.scene.resize(width, height).is_err() {
                return;
            }
            self.videos.clear();
            self.size_changes = painting.size_changes;
            self.plain_viewers().for_each(|(scene, viewer)| viewer.delivery.restart(scene, now));
        }
        let damaged_at = painting.damaged_at.take();
        let told = &painting.told_moves;
        let change = self.scene.absorb_told(&painting.framebuffer, &painting.damage, told, now);
        painting.damage.clear();
        painting.told_moves.clear();
        drop(painting);
        if resized {
            self.marks.resize(&mut self.scene, &mut self.viewers, now);
        }
        let Some(change) = change else { return };
        if !resized && !self.marks.is_empty() {
            self.marks.follow(&mut self.scene, &change.tiles, &mut self.viewers, now);
        }
        self.captured_us = damaged_at.map_or(now, clock::us_of);
        self.changed_us = now;
        self.resting = false;
        self.plain_viewers().for_each(|(scene, viewer)| viewer.delivery.changed(scene, &change, now));
    }

    /// Who sees the picture without a mark.
    fn plain_viewers(&mut self) -> impl Iterator<Item = (&Scene, &mut Viewer)> {
        let scene = &self.scene;
        let viewers = self.viewers.values_mut().filter(|viewer| viewer.picture == PLAIN);
        viewers.map(move |viewer| (scene, viewer))
    }

    /// What rested may be awake, and rests again after a while.
    pub(super) fn woke(&mut self, now: Micros) {
        if self.resting {
            self.resting = false;
            self.changed_us = now;
        }
    }

    fn on_tick(&mut self) {
        let now = clock::now_us();
        self.resize_if_due(now);
        self.share_on_tick(now);
        self.tell_clip(now);
        if self.marks.tell_time(&mut self.scene, &mut self.viewers, clock::unix_ms(), now) {
            self.woke(now);
        }
        let silent: Vec<ViewerId> = self
            .viewers
            .iter()
            .filter(|(_, viewer)| now.saturating_sub(viewer.heard_at) > GIVEN_UP_AFTER)
            .map(|(id, _)| *id)
            .collect();
        for id in silent {
            self.part(id, CloseCode::IDLE, "nothing was heard for 10 s");
        }
        for viewer in self.viewers.values_mut() {
            if now.saturating_sub(viewer.heard_at) > RELEASED_AFTER {
                viewer.held.release().into_iter().for_each(|event| self.source.input(event));
            }
            for number in viewer.delivery.superseded(self.marks.scene(&self.scene, viewer.picture), now) {
                viewer.link.reset_update(number);
                viewer.link.control(&Control::Dropped { update: number });
                viewer.watched.dropped(number);
            }
        }
        if !self.resting && now.saturating_sub(self.changed_us) > RESTS_AFTER {
            self.resting = true;
            if let Some((framebuffer, packed)) = self.encoding.rest(&mut self.scene) {
                self.canvas.rest(&framebuffer, packed);
            }
            self.marks.rest();
            for viewer in self.viewers.values_mut() {
                if let Some(teaching) = viewer.delivery.teaching() {
                    teaching.rest();
                }
            }
        }
    }

    /// Sends viewers what they have room for: one, or all.
    fn deliver(&mut self, only: Option<ViewerId>) {
        let shared = self.viewers.len() > 1;
        let now = clock::now_us();
        let rests_at = self.scene.look_for_motion(now);
        self.plain_viewers().for_each(|(scene, viewer)| viewer.delivery.follow_motion(scene, now));
        let frame_at = self.videos.run(&mut self.scene, &mut self.viewers, self.captured_us, now);
        let marked_at = self.marks.run_videos(&mut self.viewers, self.captured_us, now);
        // Who is not asked keeps the time that was found for it.
        let known = self.wake_at.filter(|&at| only.is_some() && at > now);
        let overtaken_at = self.holds_back().then_some(self.changed_us + WHOLE_WITHIN);
        self.wake_at =
            rests_at.into_iter().chain(frame_at).chain(marked_at).chain(known).chain(overtaken_at).min();
        let rested = self.rested();
        let (mut one, mut all) = match only {
            Some(id) => (self.viewers.get_mut(&id), None),
            None => (None, Some(self.viewers.values_mut())),
        };
        while let Some(viewer) = one.take().or_else(|| all.as_mut()?.next()) {
            let now = clock::now_us();
            // What was drawn before a viewer came is not late for it.
            let captured_us = self.captured_us.max(viewer.attached_us);
            let plain = (&mut self.scene, &mut self.encoding);
            let (scene, encoding) = self.marks.parts(plain, viewer.picture);
            while let Some(mut header) = viewer.delivery.next(scene, viewer.pointer, captured_us, now) {
                let reach = viewer.delivery.reach();
                let payload = match viewer.delivery.teaching().filter(|_| !shared && !header.parts.is_empty())
                {
                    Some(teaching) => encoding.taught(scene, &mut header, reach, teaching),
                    None => encoding.payload(scene, &header, reach, shared),
                };
                let encoded = clock::now_us();
                metrics::ENCODE.observe(Duration::from_micros(encoded.saturating_sub(now)));
                metrics::QUEUE.observe(Duration::from_micros(now.saturating_sub(captured_us)));
                viewer.send(&header, &payload, now);
            }
            if let Some(busy) = viewer.delivery.busy_news() {
                viewer.link.control(&Control::Busy { busy });
            }
            let now = clock::now_us();
            let part_at = self.clips.give_part(viewer, now);
            // Pacing may let more go soon.
            self.wake_at = self.wake_at.into_iter().chain(viewer.delivery.next_at(now)).chain(part_at).min();
        }
        if self.rested() < rested {
            // It woke to show a viewer what had been there.
            self.woke(clock::now_us());
        }
    }

    /// How many of the pictures rest.
    fn rested(&self) -> usize {
        usize::from(self.scene.rested().is_some()) + self.marks.rested()
    }

    pub(super) fn part(&mut self, id: ViewerId, code: CloseCode, reason: &str) {
        if let Some(viewer) = self.viewers.get(&id) {
            tracing::info!(viewer = id, session = self.title, reason, "viewer's link closed");
            viewer.link.close(code, reason);
        }
        self.forget(id);
    }

    pub(super) fn forget(&mut self, id: ViewerId) {
        if let Some(mut viewer) = self.viewers.remove(&id) {
            viewer.held.release().into_iter().for_each(|event| self.source.input(event));
            self.left(&viewer.grant, clock::now_us());
            self.ask_for_sound();
        }
    }
}

fn wake_at(time: Option<Micros>) -> Instant {
    let left = time.map(|time| time.saturating_sub(clock::now_us()));
    Instant::now() + left.map_or(IDLE_TICK, Duration::from_micros)
}

pub(super) fn state_message(state: &SourceState) -> Control {
    match state {
        SourceState::Live => Control::State { live: true, text: String::new() },
        SourceState::Waiting(text) => Control::State { live: false, text: text.clone() },
    }
}

/// A cursor larger than the wire carries is cut at its right and lower edge.
fn cursor_message(shape: &CursorShape) -> Cursor {
    let most = crate::wire::limits::MAX_CURSOR_SIDE as u16;
    let (width, height) = (shape.width.min(most), shape.height.min(most));
    let mut rgba = Vec::with_capacity(width as usize * height as usize * 4);
    for row in shape.pixels.chunks_exact(usize::from(shape.width).max(1)).take(height.into()) {
        for pixel in &row[..width.into()] {
            let [blue, green, red, alpha] = pixel.to_le_bytes();
            rgba.extend_from_slice(&[red, green, blue, alpha]);
        }
    }
    let (hot_x, hot_y) = (shape.hot_x.min(most), shape.hot_y.min(most));
    Cursor { width, height, hot_x, hot_y, rgba }
}
