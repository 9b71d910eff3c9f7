//! Another chevet as a source: a host agent that offered its session. The gateway is the viewer of its link;
//! when the link dies the session stays, and the next link of the same host goes on with it.

use super::{Canvas, CursorShape, Source, SourceEvent, SourceState};
use crate::clock;
use crate::link::{Closed, Inbox, Incoming, Link};
use crate::screen::{Framebuffer, HashKey, TileSet};
use crate::sync::{Applied, Attachment, Identity, News, Viewer, ViewerError};

use crate::wire::{Attach, Clip, ClipText, CloseCode, Control, Cursor, InputEvent, Origin, Token, features};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Input that waits for a host; more is dropped, since nobody wants it typed a minute later.
const QUEUE: usize = 1_024;
const TICK: Duration = Duration::from_millis(250);

/// A host's first screen that is not whole by then is shown in part.
const WHOLE_WITHIN: Duration = Duration::from_secs(1);
/// What is typed after something was copied is held back for no longer than this.
const CLIP_PATIENCE: Duration = Duration::from_millis(300);
/// The same after a picture, which may have 8 MiB.
const PICTURE_PATIENCE: Duration = Duration::from_secs(2);

/// Input waits for a host that is away for no longer than this, and is then given up.
const HELD_FOR: Duration = Duration::from_secs(5);
/// The minor version of hosts that remember whose input they took.
const REMEMBERS_SINCE: u64 = 5;
/// The minor version of hosts that take pictures.
const PICTURES_SINCE: u64 = 6;

enum Errand {
    Input(InputEvent),
    InputOf(Instant, Origin),
    Resize(u32, u32),
    Clip(Clip),
    EmptyClipboard,
    ForgetInput,
    Hear(bool),
}

/// A session on another machine, through its agent's link.
pub struct NativeSource {
    errands: mpsc::Sender<Errand>,
    links: mpsc::Sender<(Link, Inbox)>,
    remembers: Arc<AtomicBool>,
    takes_pictures: Arc<AtomicBool>,
}

impl NativeSource {
    /// A source of the session `name`, until now without a link.
    pub fn start(name: &str, canvas: Arc<Canvas>, events: mpsc::Sender<SourceEvent>) -> NativeSource {
        let (errands, to_do) = mpsc::channel(QUEUE);
        let (links, arriving) = mpsc::channel(4);
        let remembers = Arc::new(AtomicBool::new(false));
        let takes_pictures = Arc::new(AtomicBool::new(false));
        let host = Host {
            name: name.to_owned(),
            canvas,
            events,
            size: None,
            parts: (Viewer::new(HashKey::default(), 0), Identity::default()),
            clip_on_its_way: None,
            clips_unanswered: 0,
            emptied_after: None,
            hears: false,
            comes_alive: None,
            remembers: remembers.clone(),
            takes_pictures: takes_pictures.clone(),
            held: VecDeque::new(),
            releases: Vec::new(),
            passed_on: VecDeque::new(),
        };
        tokio::spawn(host.run(arriving, to_do));
        NativeSource { errands, links, remembers, takes_pictures }
    }

    /// The host has dialled (again): this link takes the place of any earlier one. `minor` is the version that it speaks.
    pub async fn relink(&self, link: Link, inbox: Inbox, minor: u64) {
        self.remembers.store(minor >= REMEMBERS_SINCE, Ordering::Relaxed);
        self.takes_pictures.store(minor >= PICTURES_SINCE, Ordering::Relaxed);
        let _ = self.links.send((link, inbox)).await;
    }
}

impl Source for NativeSource {
    fn input(&self, event: InputEvent) {
        let _ = self.errands.try_send(Errand::Input(event));
    }

    fn input_of(&self, viewer: Token, number: u64, event: InputEvent) {
        match self.remembers_viewers() {
            true => {
                let origin = Origin { viewer, number, event };
                let _ = self.errands.try_send(Errand::InputOf(Instant::now(), origin));
            }
            false => self.input(event),
        }
    }

    fn remembers_viewers(&self) -> bool {
        self.remembers.load(Ordering::Relaxed)
    }

    fn resize(&self, width: u32, height: u32) {
        let _ = self.errands.try_send(Errand::Resize(width, height));
    }

    fn clip(&self, clip: Clip) {
        let _ = self.errands.try_send(Errand::Clip(clip));
    }

    fn hear(&self, wanted: bool) {
        let _ = self.errands.try_send(Errand::Hear(wanted));
    }

    fn empty_clipboard(&self) {
        self.send_surely(Errand::EmptyClipboard);
    }

    fn forget_input(&self) {
        self.send_surely(Errand::ForgetInput);
    }
}

impl NativeSource {
    /// However much waits, this is not dropped.
    fn send_surely(&self, errand: Errand) {
        if let Err(TrySendError::Full(errand)) = self.errands.try_send(errand) {
            let errands = self.errands.clone();
            tokio::spawn(async move {
                let _ = errands.send(errand).await;
            });
        }
    }
}

/// What lets go of a key or a button.
fn is_release(event: &InputEvent) -> bool {
    matches!(
        event,
        InputEvent::KeyUp { .. } | InputEvent::PointerButton { down: false, .. } | InputEvent::ReleaseAll
    )
}

struct Host {
    name: String,
    canvas: Arc<Canvas>,
    events: mpsc::Sender<SourceEvent>,
    size: Option<(u32, u32)>,
    parts: (Viewer, Identity),
    /// The host has not said yet that it has what was copied, and what is typed is held back until then.
    clip_on_its_way: Option<Instant>,
    /// Texts that the host has not answered yet.
    clips_unanswered: u32,
    /// The host is to empty its clipboard. What it tells of one before so many more answers is of the user before.
    emptied_after: Option<u32>,
    /// Whether anybody hears what the host plays.
    hears: bool,
    /// Since when the host has shown something of which not all is here yet.
    comes_alive: Option<Instant>,
    /// Whether the host remembers whose input it took.
    remembers: Arc<AtomicBool>,
    takes_pictures: Arc<AtomicBool>,
    /// Input that waits for the host.
    held: VecDeque<(Instant, Origin)>,
    /// What viewers that left meanwhile had held down is let go of after that.
    releases: Vec<InputEvent>,
    /// What was passed on and not acknowledged, since when, and its number on the way to the host.
    passed_on: VecDeque<(u64, Instant, Origin)>,
}

impl Host {
    async fn run(mut self, mut links: mpsc::Receiver<(Link, Inbox)>, mut errands: mpsc::Receiver<Errand>) {
        let mut next = None;
        let mut ticks = tokio::time::interval(TICK);
        loop {
            let link = match next.take() {
                Some(link) => Some(link),
                None => loop {
                    tokio::select! {
                        link = links.recv() => break link,
                        _ = ticks.tick(), if !self.held.is_empty() => self.give_up_old_input().await,
                        errand = errands.recv() => match errand {
                            // Where it went may be told by another gateway, or the host is back in a moment.
                            Some(Errand::InputOf(at, origin)) => self.hold(at, origin).await,
                            Some(Errand::Resize(width, height)) => self.size = Some((width, height)),
                            Some(Errand::Input(event)) => self.keep_release(event),
                            Some(Errand::ForgetInput) => self.forget_input().await,
                            Some(Errand::Clip(_)) => {}
                            // It may return with what was copied before.
                            Some(Errand::EmptyClipboard) => self.emptied_after = Some(1),
                            Some(Errand::Hear(wanted)) => self.hears = wanted,
                            None => return,
                        },
                    }
                },
            };
            let Some((link, mut inbox)) = link else { return };
            let closed = tokio::select! {
                closed = self.follow(&link, &mut inbox, &mut errands) => match closed {
                    Some(closed) => closed,
                    None => return,
                },
                newer = links.recv() => {
                    next = newer;
                    Closed { code: CloseCode::TAKEN_OVER, reason: "the host has dialled anew".into(), by_peer: false }
                }
            };
            link.close(closed.code, &closed.reason);
            tracing::warn!(session = self.name, reason = %closed, "the host's link ended");
            let text = format!("the host of {} is not connected ({closed}); waiting for it", self.name);
            self.tell(SourceEvent::State(SourceState::Waiting(text))).await;
        }
    }

    /// Views the host's session until the link ends. `None`: nobody wants the session any more.
    async fn follow(
        &mut self,
        link: &Link,
        inbox: &mut Inbox,
        errands: &mut mpsc::Receiver<Errand>,
    ) -> Option<Closed> {
        let fresh = (Viewer::new(HashKey::default(), 0), Identity::default());
        let (viewer, identity) = std::mem::replace(&mut self.parts, fresh);
        let mut attachment = Attachment::new(viewer, identity, clock::now_us());
        let (width, height) = self.size.unwrap_or((0, 0));
        let wish = Attach {
            session: self.name.clone(),
            ticket: Vec::new(),
            width,
            height,
            cache_bytes: 0,
            features: features::PARTS | features::FAR | features::SHORT | features::CLIP | features::SOUND,
            token: None,
            screen: None,
        };
        let attach = self.with_screen(&mut attachment, |a| Ok((a.attach(wish), Vec::new())));
        match attach {
            Ok(message) => link.control(&message),
            Err(closed) => return Some(closed),
        }
        attachment.ping(clock::now_us());
        (self.clip_on_its_way, self.clips_unanswered) = (None, 0);
        self.comes_alive = None;
        if self.emptied_after.is_some() {
            self.empty_clipboard(link);
        }
        let ended = self.serve(link, inbox, &mut attachment, errands).await;
        self.tell_taken(&attachment).await;
        self.parts = attachment.into_parts();
        ended
    }

    async fn serve(
        &mut self,
        link: &Link,
        inbox: &mut Inbox,
        attachment: &mut Attachment,
        errands: &mut mpsc::Receiver<Errand>,
    ) -> Option<Closed> {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            let waits = self.clip_on_its_way;
            let result = tokio::select! {
                message = inbox.next() => match message {
                    Ok(message) => self.on_message(message, link, attachment).await,
                    Err(closed) => Err(closed),
                },
                () = until(waits), if waits.is_some() => {
                    self.clip_on_its_way = None;
                    Ok(())
                }
                errand = errands.recv(), if waits.is_none() => {
                    match errand? {
                        Errand::Clip(clip) => self.send_clip(clip, link, attachment),
                        Errand::EmptyClipboard => {
                            attachment.forget_pictures();
                            self.empty_clipboard(link);
                        }
                        Errand::Hear(wanted) => {
                            self.hears = wanted;
                            link.control(&Control::SoundWanted { wanted });
                        }
                        Errand::InputOf(at, origin) => match attachment.is_attached() {
                            true => self.pass_on(link, attachment, at, origin).await,
                            false => self.hold(at, origin).await,
                        },
                        Errand::ForgetInput => self.forget_input().await,
                        Errand::Input(event) => match attachment.is_attached() {
                            true => self.send_input(event, link, attachment),
                            false => self.keep_release(event),
                        },
                        Errand::Resize(width, height) => {
                            self.size = Some((width, height));
                            link.control(&Control::Resize { width, height });
                        }
                    }
                    Ok(())
                }
                _ = ticks.tick() => {
                    attachment.tick(clock::now_us());
                    Ok(())
                }
            };
            while let Some(reply) = attachment.reply() {
                link.control(&reply);
            }
            let waits_since = self.comes_alive.filter(|_| attachment.is_attached());
            // A screen that never rests is shown as it is.
            let is_over = |since: Instant| since.elapsed() > WHOLE_WITHIN;
            if waits_since.is_some_and(|since| attachment.viewer().is_caught_up() || is_over(since)) {
                self.comes_alive = None;
                self.tell(SourceEvent::State(SourceState::Live)).await;
            }
            if let Err(closed) = result {
                return Some(closed);
            }
            if attachment.is_silent(clock::now_us()) {
                return Some(Closed {
                    code: CloseCode::IDLE,
                    reason: "the host is silent".into(),
                    by_peer: false,
                });
            }
        }
    }

    async fn on_message(
        &mut self,
        message: Incoming,
        link: &Link,
        attachment: &mut Attachment,
    ) -> Result<(), Closed> {
        match message {
            Incoming::Update(stream) => self.on_update(stream, attachment)?,
            // Signs of life must not wake a canvas that rests.
            Incoming::Control(control @ (Control::Pong { .. } | Control::Ping { .. } | Control::Path(_))) => {
                if let Ok(Some(news)) = attachment.control(control, clock::now_us()) {
                    self.on_news(news).await?;
                }
            }
            Incoming::Control(control) => {
                let news = self.with_screen(attachment, |a| {
                    Ok(match a.control(control, clock::now_us())? {
                        Some(News::Applied(applied)) => (None, applied),
                        news => (news, Vec::new()),
                    })
                })?;
                let attached = matches!(news, Some(News::Attached { .. }));
                if let Some(News::Sound(Some(_))) = &news {
                    link.control(&Control::SoundWanted { wanted: self.hears });
                }
                if let Some(news) = news {
                    self.on_news(news).await?;
                }
                if attached {
                    if let Some(bytes) = attachment.input_to_resend() {
                        link.input(bytes);
                    }
                    if !attachment.goes_on() {
                        // Most of what a host did not acknowledge before it died came after its death.
                        let sent = std::mem::take(&mut self.passed_on).into_iter();
                        let later = std::mem::take(&mut self.held);
                        self.held = sent.map(|(_, at, origin)| (at, origin)).chain(later).collect();
                    }
                    self.give_up_old_input().await;
                    for (at, origin) in std::mem::take(&mut self.held) {
                        self.pass_on(link, attachment, at, origin).await;
                    }
                    for release in std::mem::take(&mut self.releases) {
                        self.send_input(release, link, attachment);
                    }
                    for stream in attachment.early_updates() {
                        self.on_update(stream, attachment)?;
                    }
                }
                self.tell_taken(attachment).await;
            }
            // A host has no user of its own that types or points.
            Incoming::Input(..) | Incoming::Motion(_) => {}
            // What finds no room would be heard too late.
            Incoming::Sound(packet) => drop(self.events.try_send(SourceEvent::PlaysCoded(packet))),
        }
        Ok(())
    }

    /// Passes on what a viewer sent, under its own number.
    async fn pass_on(&mut self, link: &Link, attachment: &mut Attachment, at: Instant, origin: Origin) {
        let number = attachment.next_input();
        let event = match self.remembers.load(Ordering::Relaxed) {
            true => InputEvent::Of(Box::new(origin.clone())),
            false => origin.event.clone(),
        };
        match attachment.input(event) {
            Some(bytes) => {
                link.input(bytes);
                self.passed_on.push_back((number, at, origin));
            }
            // The host does not answer.
            None => self.tell(SourceEvent::Taken { viewer: origin.viewer, next: origin.number + 1 }).await,
        }
    }

    fn send_input(&self, event: InputEvent, link: &Link, attachment: &mut Attachment) {
        if let Some(bytes) = attachment.input(event) {
            link.input(bytes);
        }
    }

    /// Other keys for a host that is not there would be a surprise when it returns.
    fn keep_release(&mut self, event: InputEvent) {
        if is_release(&event) && self.releases.len() < QUEUE {
            self.releases.push(event);
        }
    }

    /// The session is somebody else's: whoever sent what waits is told that it is done with.
    async fn forget_input(&mut self) {
        let sent = std::mem::take(&mut self.passed_on).into_iter().map(|(_, _, origin)| origin);
        let held = std::mem::take(&mut self.held).into_iter().map(|(_, origin)| origin);
        for Origin { viewer, number, .. } in sent.chain(held).collect::<Vec<_>>() {
            self.tell(SourceEvent::Taken { viewer, next: number + 1 }).await;
        }
    }

    async fn hold(&mut self, at: Instant, origin: Origin) {
        self.held.push_back((at, origin));
        if self.held.len() > QUEUE {
            self.give_up_one().await;
        }
    }

    /// Keys for a host that is not there would be a surprise when it returns.
    async fn give_up_old_input(&mut self) {
        while self.held.front().is_some_and(|(at, _)| at.elapsed() > HELD_FOR) {
            self.give_up_one().await;
        }
    }

    async fn give_up_one(&mut self) {
        if let Some((_, Origin { viewer, number, .. })) = self.held.pop_front() {
            self.tell(SourceEvent::Taken { viewer, next: number + 1 }).await;
        }
    }

    /// Tells whose input the host has acknowledged.
    async fn tell_taken(&mut self, attachment: &Attachment) {
        let waiting = attachment.first_waiting_input();
        let mut taken: Vec<(Token, u64)> = Vec::new();
        while let Some((_, _, Origin { viewer, number, .. })) =
            self.passed_on.pop_front_if(|(number, ..)| *number < waiting)
        {
            match taken.iter_mut().find(|(other, _)| *other == viewer) {
                Some((_, last)) => *last = number,
                None => taken.push((viewer, number)),
            }
        }
        for (viewer, last) in taken {
            self.tell(SourceEvent::Taken { viewer, next: last + 1 }).await;
        }
    }

    fn on_update(&self, stream: Bytes, attachment: &mut Attachment) -> Result<(), Closed> {
        self.with_screen(attachment, |a| Ok(((), a.update(stream, clock::now_us)?)))
    }

    /// The host's clipboard is to hold this; what is typed next waits for that.
    fn send_clip(&mut self, clip: Clip, link: &Link, attachment: &mut Attachment) {
        let (message, patience) = match clip {
            Clip::Text(text) => (Some(Control::Clip(ClipText(text))), CLIP_PATIENCE),
            Clip::Picture(_) if !self.takes_pictures.load(Ordering::Relaxed) => return,
            Clip::Picture(png) => (attachment.offer_picture(png), PICTURE_PATIENCE),
        };
        let Some(message) = message else { return };
        link.control(&message);
        self.clips_unanswered += 1;
        self.clip_on_its_way = Some(Instant::now() + patience);
    }

    /// Nothing of what was copied is there when who comes now types.
    fn empty_clipboard(&mut self, link: &Link) {
        link.control(&Control::Clip(ClipText(String::new())));
        self.clips_unanswered = self.clips_unanswered.saturating_add(1);
        self.emptied_after = Some(self.clips_unanswered);
        self.clip_on_its_way = Some(Instant::now() + CLIP_PATIENCE);
    }

    async fn on_news(&mut self, news: News) -> Result<(), Closed> {
        let event = match news {
            News::Cursor(cursor) => SourceEvent::Cursor(cursor_shape(&cursor)),
            News::CursorAt { x, y } => SourceEvent::CursorMoved { x: x as u16, y: y as u16 },
            News::Clip(_) | News::Picture(_) if self.emptied_after.is_some() => return Ok(()),
            News::Picture(png) => SourceEvent::Clip(Clip::Picture(png)),
            News::Clip(text) => SourceEvent::Clip(Clip::Text(text.0)),
            News::ClipTaken(_) => {
                self.clips_unanswered = self.clips_unanswered.saturating_sub(1);
                self.emptied_after =
                    self.emptied_after.map(|left| left.saturating_sub(1)).filter(|&left| left > 0);
                self.clip_on_its_way = self.clip_on_its_way.filter(|_| self.clips_unanswered > 0);
                return Ok(());
            }
            News::Sound(Some(_)) => SourceEvent::HasSound,
            News::State { live: true, .. } => {
                self.comes_alive = Some(Instant::now());
                return Ok(());
            }
            News::State { live: false, text } => {
                self.comes_alive = None;
                SourceEvent::State(SourceState::Waiting(text))
            }
            News::Closing { code, reason } => return Err(Closed::by_peer(code, &reason)),
            // What the host's session promises of its pixels, this one does too.
            News::Attached { policy, .. } | News::Policy(policy) => SourceEvent::Policy(policy),
            _ => return Ok(()),
        };
        self.tell(event).await;
        Ok(())
    }

    /// Lets the attachment work on the canvas' own framebuffer, so that a session's pixels are held once. What was
    /// applied is damage before anybody else can look at the canvas.
    fn with_screen<R>(
        &self,
        attachment: &mut Attachment,
        work: impl FnOnce(&mut Attachment) -> Result<(R, Vec<Applied>), ViewerError>,
    ) -> Result<R, Closed> {
        let mut painting = self.canvas.lock();
        let size = |screen: &Framebuffer| (screen.width(), screen.height());
        let before = size(&painting.framebuffer);
        let started = attachment.viewer().has_begun();
        let canvas = started.then(|| std::mem::take(&mut painting.framebuffer));
        attachment.viewer_mut().exchange(canvas);
        let result = work(attachment);
        if let Some(screen) = attachment.viewer_mut().exchange(None) {
            painting.framebuffer = screen;
        }
        let resized = size(&painting.framebuffer) != before;
        painting.size_changes += u64::from(resized);
        let applied = result.as_ref().map_or(&[][..], |(_, applied)| applied);
        if resized || result.is_err() || applied.iter().any(|applied| applied.new_screen) {
            // After an error nobody knows which tiles were touched.
            painting.damage = TileSet::full(painting.grid().len());
        } else {
            applied.iter().flat_map(|applied| &applied.tiles).for_each(|&tile| painting.damage.insert(tile));
        }
        if let Some(newest) = applied.last() {
            let age = clock::now_us().saturating_sub(attachment.local_time(newest.captured_us));
            let captured = Instant::now().checked_sub(Duration::from_micros(age));
            painting.damaged_at.get_or_insert(captured.unwrap_or_else(Instant::now));
        }
        let painted = !applied.is_empty() || result.is_err();
        drop(painting);
        if painted {
            self.canvas.notify();
        }
        result.map(|(value, _)| value).map_err(|error| Closed {
            code: CloseCode::PROTOCOL,
            reason: error.to_string(),
            by_peer: false,
        })
    }

    async fn tell(&self, event: SourceEvent) {
        let _ = self.events.send(event).await;
    }
}

async fn until(time: Option<Instant>) {
    if let Some(time) = time {
        tokio::time::sleep_until(time.into()).await;
    }
}

fn cursor_shape(cursor: &Cursor) -> CursorShape {
    let (quads, _) = cursor.rgba.as_chunks::<4>();
    let pixels = quads.iter().map(|&[r, g, b, a]| u32::from_le_bytes([b, g, r, a])).collect();
    CursorShape {
        width: cursor.width,
        height: cursor.height,
        hot_x: cursor.hot_x,
        hot_y: cursor.hot_y,
        pixels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Outlet, Sent, inside};
    use crate::wire::{Attached, Policy};

    const SOON: Duration = Duration::from_secs(20);

    async fn until_sent_a_clip(outlet: &mut Outlet) {
        const CLIP: u8 = 42;
        let sent = async {
            while !matches!(outlet.next().await.unwrap(), Sent::Control(bytes) if bytes[0] == CLIP) {}
        };
        tokio::time::timeout(SOON, sent).await.expect("the host is sent a clip");
    }

    async fn next_clip(told: &mut mpsc::Receiver<SourceEvent>) -> Clip {
        let heard = async {
            loop {
                if let SourceEvent::Clip(clip) = told.recv().await.unwrap() {
                    return clip;
                }
            }
        };
        tokio::time::timeout(SOON, heard).await.expect("what is copied is told")
    }

    fn copied(text: &str) -> Control {
        Control::Clip(ClipText(text.into()))
    }

    #[tokio::test]
    async fn a_host_that_was_away_at_a_takeover_is_heard_when_it_has_emptied_its_clipboard() {
        let (events, mut told) = mpsc::channel(64);
        let source = NativeSource::start("desk", Arc::new(Canvas::new(64, 64).unwrap()), events);
        source.empty_clipboard();
        while source.errands.capacity() < QUEUE {
            tokio::task::yield_now().await;
        }
        let (link, inbox, mut outlet) = inside();
        source.relink(link, inbox, 4).await;
        assert!(outlet.answer(Control::Attached(Attached {
            token: crate::wire::Token([0; 16]),
            key: HashKey(1),
            width: 64,
            height: 64,
            next_input: 0,
            title: "desk".into(),
            policy: Policy::default(),
        })));
        assert!(outlet.answer(copied("of the user before")));
        until_sent_a_clip(&mut outlet).await;
        let emptied = Control::ClipTaken { taken: true };
        for message in [copied("of the user before"), emptied, copied("of who came")] {
            assert!(outlet.answer(message));
        }
        assert_eq!(next_clip(&mut told).await, Clip::Text("of who came".into()));
        // Once is enough.
        outlet.link().close(CloseCode::DONE, "");
        let (link, inbox, outlet) = inside();
        source.relink(link, inbox, 4).await;
        assert!(outlet.answer(copied("of who came, again")));
        assert_eq!(next_clip(&mut told).await, Clip::Text("of who came, again".into()));
    }

    #[tokio::test]
    async fn what_a_host_plays_is_asked_for_while_somebody_hears_and_again_on_its_next_link() {
        let (events, mut told) = mpsc::channel(64);
        let source = NativeSource::start("desk", Arc::new(Canvas::new(64, 64).unwrap()), events);
        let format = crate::wire::SoundFormat { rate: 48_000, channels: 2, frame: 960 };
        for wanted in [false, true] {
            let (link, inbox, mut outlet) = inside();
            source.relink(link, inbox, 5).await;
            assert!(outlet.answer(Control::Sound(Some(format))));
            until_asked_for_sound(&mut outlet, wanted).await;
            let heard = async { while !matches!(told.recv().await.unwrap(), SourceEvent::HasSound) {} };
            tokio::time::timeout(SOON, heard).await.expect("the session learns that there is sound");
            if !wanted {
                source.hear(true);
                until_asked_for_sound(&mut outlet, true).await;
            }
        }
    }

    async fn until_asked_for_sound(outlet: &mut Outlet, wanted: bool) {
        let asked = Control::SoundWanted { wanted }.to_bytes();
        let sent = async {
            while !matches!(outlet.next().await.unwrap(), Sent::Control(bytes) if bytes[..] == asked[..]) {}
        };
        tokio::time::timeout(SOON, sent).await.expect("the host is asked for sound");
    }
}
