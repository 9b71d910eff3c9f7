//! A connected viewer that stays connected: it changes roads, dials again and resumes by itself.

mod racing;

use super::Address;
use super::candidate::{Candidate, note};
use super::event::{ClientError, Event, Roads, Update};
use super::race::{Flow, Race};
use crate::clock;
use crate::link::{Closed, DialError, Inbox, Incoming, Link, Road, Target, software};
use crate::screen::{Framebuffer, HashKey};
use crate::sync::{Applied, Attachment, Exactness, Identity, Micros, News, Viewer};
use crate::wire::{
    self, Attach, ClipText, CloseCode, Control, InputEvent, Motion, Policy, Role, WatcherOrder,
};
use futures_util::future::BoxFuture;
use futures_util::future::select_all;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// After a gateway's restart, its hosts have this long to offer their sessions again.
const NO_SESSION_PATIENCE: Micros = 15_000_000;
const TICK: Duration = Duration::from_millis(50);
/// Between two attempts to get a lost link back.
const REDIAL: Micros = 500_000;
/// What a viewer's tile cache holds by default.
const CACHE_BYTES: u64 = 64 << 20;
/// Input that is not answered, and a link of which nothing is heard, have other gateways dialled after this long and three
/// round trips.
const UNANSWERED: Micros = 400_000;
/// Other gateways are dialled no more often than this.
const ELSEWHERE_AGAIN: Micros = 1_000_000;

/// What this build can do.
const FEATURES: u64 = wire::features::PARTS
    | wire::features::FAR
    | wire::features::SHARE
    | wire::features::SHORT
    | wire::features::CLIP
    | if crate::sound::IS_THERE { wire::features::SOUND } else { 0 }
    | wire::features::GATEWAYS
    | if crate::codec::video::IS_THERE { wire::features::H264 } else { 0 };

/// What came of dialling a gateway by a road.
type Dialled = (Target, Road, Result<(Link, Inbox), DialError>);

/// A viewer of a session. Drive it by calling [`Client::next`] again and again.
pub struct Client {
    address: Address,
    race: Race,
    size: (u32, u32),
    cache_bytes: u64,
    attachment: Attachment,
    link: Option<(Link, Inbox)>,
    /// Other gateways that may have the session, the likeliest first.
    others: Vec<Target>,
    /// Where else the session was said to be had, if no gateway tells of others.
    spares: Vec<Target>,
    elsewhere_at: Option<Micros>,
    /// Since when there has been input that is not answered.
    waits_since: Option<Micros>,
    /// The link's gateway asks to be left.
    moving: bool,
    flow: Flow,
    /// Bytes of updates that were seen to arrive on the link.
    update_bytes: usize,
    candidates: Vec<Candidate>,
    dialling: JoinSet<Dialled>,
    dialled_at: Micros,
    silent: bool,
    recorded: bool,
    /// Whether what the session plays is wanted.
    hears: bool,
    /// Since when the session has not been had, once it was.
    lost_at: Option<Micros>,
    events: VecDeque<Event>,
    motions: u64,
    /// Outlives one call of [`Client::next`]: who calls it anew all the time does not stop the clock.
    next_tick: Instant,
}

impl Client {
    /// Connects by whichever road is there first.
    pub fn connect(address: Address) -> BoxFuture<'static, Result<Client, ClientError>> {
        Client::connect_by(address, Roads::All, (0, 0))
    }

    /// Connects by the given roads; `size` is the screen wanted, in pixels, 0 to leave it.
    pub fn connect_by(
        address: Address,
        roads: Roads,
        size: (u32, u32),
    ) -> BoxFuture<'static, Result<Client, ClientError>> {
        // Boxed, so that it is compiled here, and not again for each program that awaits it.
        Box::pin(Client::open(address, roads, size))
    }

    async fn open(address: Address, roads: Roads, size: (u32, u32)) -> Result<Client, ClientError> {
        let now = clock::now_us();
        let viewer = Viewer::new(HashKey::default(), CACHE_BYTES as usize);
        let quic = roads != Roads::OnlyWebSocket && address.target.udp_port.is_some();
        let websocket = roads != Roads::OnlyQuic && address.target.tcp_port.is_some();
        let mut client = Client {
            address,
            race: Race::new(quic, websocket, now),
            size,
            cache_bytes: CACHE_BYTES,
            attachment: Attachment::new(viewer, Identity::default(), now),
            link: None,
            others: Vec::new(),
            spares: Vec::new(),
            elsewhere_at: None,
            waits_since: None,
            moving: false,
            flow: Flow::default(),
            update_bytes: 0,
            candidates: Vec::new(),
            dialling: JoinSet::new(),
            dialled_at: now,
            silent: false,
            recorded: false,
            hears: false,
            lost_at: None,
            events: VecDeque::new(),
            motions: 0,
            next_tick: Instant::now() + TICK,
        };
        client.dial();
        let mut failure = None;
        loop {
            let dialled = tokio::select! {
                Some(dialled) = client.dialling.join_next(), if !client.dialling.is_empty() => dialled,
                () = sleep_until(client.next_tick) => {
                    client.next_tick = Instant::now() + TICK;
                    client.dial_next(clock::now_us());
                    continue;
                }
            };
            match dialled {
                Ok((target, _, Ok((link, inbox)))) => {
                    client.adopt(target, link, inbox);
                    return Ok(client);
                }
                Ok((_, road, Err(error))) => {
                    // What the preferred road says is the better explanation, but of who wanted a proxy the proxy's.
                    if failure.is_none() || matches!(error, DialError::Proxy(_)) {
                        failure = Some(error);
                    }
                    client.on_dial_failed(road);
                }
                Err(_) => {}
            }
            if client.dialling.is_empty() {
                let host = client.address.target.host.clone();
                return Err(ClientError::Unreachable(failure.unwrap_or(DialError::NoAddress { host })));
            }
        }
    }

    /// Where else the session is to be had when it is lost: at other edges, for instance, of which no gateway tells.
    pub fn spare(&mut self, spares: Vec<Target>) {
        self.spares = spares;
    }

    /// Goes on by this link, with all that is known from earlier ones.
    fn adopt(&mut self, target: Target, link: Link, inbox: Inbox) {
        let now = clock::now_us();
        self.is_at(target);
        let fresh = Attachment::new(Viewer::new(HashKey::default(), 0), Identity::default(), now);
        let (viewer, identity) = std::mem::replace(&mut self.attachment, fresh).into_parts();
        self.attachment = Attachment::new(viewer, identity, now);
        link.control(&hello());
        let wish = self.wish(&link);
        link.control(&self.attachment.attach(wish));
        // The first Pong tells how the clocks differ.
        self.attachment.ping(now);
        self.motions = 0;
        self.silent = false;
        self.flow = Flow::open(now);
        self.link = Some((link, inbox));
        self.flush();
    }

    fn wish(&self, link: &Link) -> Attach {
        Attach {
            session: self.address.session.clone(),
            ticket: self.address.shown(link),
            width: self.size.0,
            height: self.size.1,
            cache_bytes: self.cache_bytes,
            features: FEATURES,
            token: None,
            screen: None,
        }
    }

    /// The next event. Drives the connection: nothing happens on a client that nobody asks.
    pub async fn next(&mut self) -> Result<Event, ClientError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let arrived = async {
                match &mut self.link {
                    Some((_, inbox)) => inbox.next().await,
                    None => std::future::pending().await,
                }
            };
            let candidates = &mut self.candidates;
            let beside = async {
                match candidates.is_empty() {
                    true => std::future::pending().await,
                    false => {
                        let inboxes = candidates.iter_mut().map(|candidate| Box::pin(candidate.inbox.next()));
                        let (message, at, _) = select_all(inboxes).await;
                        (at, message)
                    }
                }
            };
            tokio::select! {
                (at, message) = beside => self.on_beside(at, message)?,
                message = arrived => match message {
                    Ok(message) => self.on_message(message)?,
                    Err(closed) => self.on_closed(closed)?,
                },
                Some(dialled) = self.dialling.join_next(), if !self.dialling.is_empty() => {
                    match dialled {
                        Ok((target, _, Ok((link, inbox)))) => self.on_open(target, link, inbox),
                        Ok((target, road, Err(_))) if target == self.address.target => self.on_dial_failed(road),
                        Ok((_, _, Err(_))) => {}
                        Err(_) => {}
                    }
                }
                () = sleep_until(self.next_tick) => {
                    self.next_tick = Instant::now() + TICK;
                    self.on_tick();
                }
            }
            self.flush();
        }
    }

    /// What is to be shown at the next dial, whichever link brings it.
    fn note_ticket(&mut self, message: &Incoming) {
        if let Incoming::Control(Control::Ticket { ticket }) = message {
            self.address.ticket = ticket.0.clone();
        }
    }

    fn on_message(&mut self, message: Incoming) -> Result<(), ClientError> {
        self.note_ticket(&message);
        self.note_gateways(&message, true, self.attachment.is_attached());
        if self.silent && !self.moving {
            // It was only slow: the old link wakes up, and what is being dialled is not needed.
            self.silent = false;
            self.lost_at = None;
            self.discard_all("the earlier link woke up");
        }
        note(&mut self.flow, &message, clock::now_us());
        let result = match message {
            Incoming::Control(control) => self.attachment.control(control, clock::now_us()),
            Incoming::Update(stream) => self.on_update(stream).map(|()| None),
            Incoming::Sound(packet) => {
                self.events.push_back(Event::Heard(packet));
                return Ok(());
            }
            Incoming::Input(..) | Incoming::Motion(_) => Ok(None),
        };
        match result {
            Ok(Some(news)) => {
                let attached = matches!(news, News::Attached { .. });
                self.on_news(news)?;
                let early = if attached { self.attachment.early_updates() } else { Vec::new() };
                early.into_iter().try_for_each(|stream| self.on_message(Incoming::Update(stream)))
            }
            Ok(None) => {
                self.note_whole();
                Ok(())
            }
            Err(error) => {
                // The screen can no longer be trusted: a new link starts it anew, for the same viewer.
                let reason = error.to_string();
                if let Some((link, _)) = &self.link {
                    link.close(CloseCode::PROTOCOL, &reason);
                }
                let now = clock::now_us();
                let fresh = Attachment::new(self.fresh_viewer(), Identity::default(), now);
                let (_, identity) = std::mem::replace(&mut self.attachment, fresh).into_parts();
                self.attachment = Attachment::new(self.fresh_viewer(), identity, now);
                self.lose(reason);
                Ok(())
            }
        }
    }

    fn note_whole(&mut self) {
        let whole = self.attachment.is_attached() && self.attachment.viewer().is_caught_up();
        if whole && !self.flow.whole {
            self.flow.whole = true;
            self.end_race();
        }
        self.flow.whole = whole;
    }

    fn on_beside(&mut self, at: usize, message: Result<Incoming, Closed>) -> Result<(), ClientError> {
        if let Ok(message) = &message {
            self.note_ticket(message);
            self.note_gateways(message, self.link.is_none(), false);
        }
        let candidate = &mut self.candidates[at];
        let closed = match message {
            Ok(message) => match candidate.take(message) {
                Ok(closed) => closed,
                Err(error) => {
                    candidate.link.close(CloseCode::PROTOCOL, &error.to_string());
                    self.candidates.remove(at);
                    return Ok(());
                }
            },
            Err(closed) => Some(closed),
        };
        match closed {
            None if candidate.flow.whole && candidate.attached.is_some() => self.take_over(at),
            None => Ok(()),
            Some(closed) => {
                let road = candidate.link.road();
                self.candidates.remove(at);
                if self.silent && self.ends(&closed) {
                    return Err(ClientError::Closed(closed));
                }
                self.on_beside_closed(road, &closed);
                Ok(())
            }
        }
    }

    fn fresh_viewer(&self) -> Viewer {
        Viewer::new(HashKey::default(), self.cache_bytes as usize)
    }

    fn on_update(&mut self, stream: bytes::Bytes) -> Result<(), crate::sync::ViewerError> {
        let begun = clock::now_us();
        let all = self.attachment.update(stream, clock::now_us)?;
        self.note_applied(all, clock::now_us() - begun);
        Ok(())
    }

    fn note_applied(&mut self, all: Vec<Applied>, decode_us: Micros) {
        let now = clock::now_us();
        for applied in all {
            let draw_to_decode_us = now.saturating_sub(self.attachment.local_time(applied.captured_us));
            self.events.push_back(Event::Updated(Update { applied, draw_to_decode_us, decode_us }));
        }
        if self.attachment.is_newly_exact() {
            self.events.push_back(Event::Exact);
        }
    }

    fn on_news(&mut self, news: News) -> Result<(), ClientError> {
        let event = match news {
            News::Attached { title, width, height, policy } => {
                self.lost_at = None;
                self.flow.progress = clock::now_us();
                let Some((link, _)) = &self.link else { return Ok(()) };
                if let Some(bytes) = self.attachment.input_to_resend() {
                    link.input(bytes);
                }
                Event::Attached { title, width, height, road: link.road(), policy }
            }
            News::Applied(all) => {
                self.note_applied(all, 0);
                return Ok(());
            }
            News::Exact { .. } => Event::Exact,
            News::Policy(policy) => Event::Policy(policy),
            News::Cursor(cursor) => Event::Cursor(cursor),
            News::CursorAt { x, y } => Event::CursorAt { x, y },
            News::State { live, text } => Event::State { live, text },
            News::Path(path) => Event::Path(path),
            News::Message(text) => Event::Message(text),
            News::Recorded(recorded) => {
                self.recorded = recorded;
                Event::Recorded(recorded)
            }
            News::Terms(terms) => Event::Terms(terms),
            News::WatchAsked { ask, title, seat, administrator } => {
                Event::WatchAsked { ask, title, seat, administrator }
            }
            News::WatchOver { ask } => Event::WatchOver { ask },
            News::Watchers(watchers) => Event::Watchers(watchers),
            News::Sound(format) => {
                if format.is_some() {
                    self.ask_for_sound();
                }
                Event::Sound(format)
            }
            News::Clip(text) => Event::Clip(text),
            News::Picture(png) => Event::Picture(png),
            News::ClipTaken(taken) => Event::ClipTaken(taken),
            News::Closing { code, reason } => return self.on_closed(Closed::by_peer(code, &reason)),
        };
        self.events.push_back(event);
        Ok(())
    }

    /// Whether dialling again would change nothing.
    fn ends(&self, closed: &Closed) -> bool {
        let lost_for = self.lost_at.map(|at| clock::now_us().saturating_sub(at));
        let worth_another = match closed.code {
            CloseCode::IDLE | CloseCode::GOING_AWAY | CloseCode::INTERNAL => true,
            CloseCode::NO_SESSION => lost_for.is_some_and(|time| time < NO_SESSION_PATIENCE),
            _ => false,
        };
        closed.by_peer && !worth_another
    }

    fn on_closed(&mut self, closed: Closed) -> Result<(), ClientError> {
        if self.ends(&closed) {
            return Err(ClientError::Closed(closed));
        }
        self.lose(closed.to_string());
        Ok(())
    }

    fn lose(&mut self, reason: String) {
        self.link = None;
        self.fall_silent(reason);
        if let Some(at) = self.candidates.iter().position(|candidate| !candidate.asked) {
            // A second link is there already: it goes on from here.
            let Candidate { target, link, inbox, .. } = self.candidates.remove(at);
            return self.adopt(target, link, inbox);
        }
        // Those at other gateways go on once they are whole.
        let here = &self.address.target;
        if let Some(at) = self.candidates.iter().position(|candidate| candidate.target == *here) {
            self.discard(at, "its viewer is dialled anew");
        }
        self.dial_elsewhere(clock::now_us());
        // What is refused at once is not dialled in a tight loop.
        if self.dialling.is_empty() && clock::now_us().saturating_sub(self.dialled_at) >= REDIAL {
            self.dial();
        }
    }

    /// Says so once, until the session is back.
    fn fall_silent(&mut self, reason: String) {
        self.silent = true;
        if self.lost_at.is_none() {
            self.lost_at = Some(clock::now_us());
            self.events.push_back(Event::Silent(reason));
        }
    }

    fn on_tick(&mut self) {
        let now = clock::now_us();
        self.attachment.tick(now);
        if self.link.is_some() && !self.silent && self.attachment.is_silent(now) {
            self.fall_silent("nothing was heard for 2 s".into());
        }
        if self.silent && now.saturating_sub(self.dialled_at) >= REDIAL {
            // Attempts into a dead network hang; the newest few are enough.
            if self.dialling.len() > 8 {
                self.stop_dialling();
            }
            self.dial();
            self.dial_elsewhere(now);
        }
        self.watch(now);
    }

    /// Looks after the links' flow, and after who is dialled beside them.
    fn watch(&mut self, now: Micros) {
        if let Some((link, _)) = &self.link {
            let (bytes, begun) = link.update_bytes();
            if bytes != self.update_bytes {
                (self.update_bytes, self.flow.progress) = (bytes, now);
            }
            self.flow.begun = begun;
        }
        if self.moving || self.is_unanswered(now) {
            self.dial_elsewhere(now);
        }
        self.ask_candidates(now);
        let beside = self.link.is_some() && !self.silent;
        for at in (0..self.candidates.len()).rev() {
            self.candidates[at].attachment.tick(now);
            self.candidates[at].flush();
            if self.candidates[at].flow.comes_to_nothing(now, beside) {
                let road = self.candidates[at].link.road();
                self.discard(at, "it does not come to anything");
                self.on_dial_failed(road);
            }
        }
        self.dial_next(now);
    }

    fn flush(&mut self) {
        let Some((link, _)) = &self.link else { return };
        while let Some(reply) = self.attachment.reply() {
            link.control(&reply);
        }
    }

    /// Sends input. `false` if it was refused, because the viewer is not attached or the session does not answer.
    pub fn input(&mut self, event: InputEvent) -> bool {
        let Some((link, _)) = &self.link else { return false };
        match self.attachment.input(event) {
            Some(bytes) => link.input(bytes),
            None => return false,
        }
        true
    }

    /// Moves the pointer, by a datagram: only the newest position counts.
    pub fn move_pointer(&mut self, x: u16, y: u16) {
        let Some((link, _)) = &self.link else { return };
        self.motions += 1;
        link.motion(&Motion { counter: self.motions, next_input: self.attachment.next_input(), x, y });
    }

    /// Asks for a screen of this size in pixels.
    pub fn resize(&mut self, width: u32, height: u32) {
        self.size = (width, height);
        if let Some((link, _)) = &self.link {
            link.control(&Control::Resize { width, height });
        }
    }

    /// Gives the session's clipboard this text. Input that is to find it there waits for [`Event::ClipTaken`].
    pub fn clip(&mut self, text: String) {
        if let Some((link, _)) = &self.link {
            link.control(&Control::Clip(ClipText(text)));
        }
    }

    /// The same of a picture, as PNG. `false` if it is none, or larger than a clipboard takes.
    pub fn clip_picture(&mut self, png: bytes::Bytes) -> bool {
        let Some((link, _)) = &self.link else { return false };
        let offer = self.attachment.offer_picture(png);
        offer.inspect(|offer| link.control(offer)).is_some()
    }

    /// Whether to be sent what the session plays, from now on: see [`Event::Heard`].
    pub fn hear(&mut self, hears: bool) {
        self.hears = hears;
        if let Some((link, _)) = &self.link {
            link.control(&Control::SoundWanted { wanted: hears });
        }
    }

    /// Each link says so anew, once the session has said that there is something to hear.
    fn ask_for_sound(&mut self) {
        if self.hears {
            self.hear(true);
        }
    }

    /// Answers whether somebody may watch.
    pub fn answer_watch(&mut self, ask: u64, admitted: bool) {
        if let Some((link, _)) = &self.link {
            link.control(&Control::WatchAnswer { ask, admitted });
        }
    }

    /// Decides of somebody who watches.
    pub fn order_watcher(&mut self, watcher: u64, order: WatcherOrder) {
        if let Some((link, _)) = &self.link {
            link.control(&Control::WatcherOrder { watcher, order });
        }
    }

    /// Input events that the session has not confirmed yet.
    pub fn input_waiting(&self) -> usize {
        self.attachment.input_waiting()
    }

    /// Measures the round trip anew.
    pub fn ping(&mut self) {
        self.attachment.ping(clock::now_us());
        self.flush();
    }

    /// The screen, once the first update has come.
    /// Where the session is, with the ticket that would be shown now.
    pub fn address(&self) -> &Address {
        &self.address
    }

    pub fn screen(&self) -> Option<&Framebuffer> {
        self.attachment.viewer().framebuffer()
    }

    pub fn exactness(&self) -> Exactness {
        match self.silent {
            true => Exactness::Settling,
            false => self.attachment.exactness(clock::now_us()),
        }
    }

    /// What the session promises of its pixels.
    /// Whether the session says that what it shows is recorded.
    pub fn recorded(&self) -> bool {
        self.recorded
    }

    pub fn policy(&self) -> Policy {
        self.attachment.policy()
    }

    pub fn road(&self) -> Option<Road> {
        self.link.as_ref().map(|(link, _)| link.road())
    }

    /// From a Ping to its Pong, the last time.
    pub fn round_trip_us(&self) -> Option<Micros> {
        self.attachment.round_trip()
    }

    /// Proofs that the session did not agree with.
    pub fn mismatches(&self) -> u64 {
        self.attachment.mismatches()
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        if let Some((link, mut inbox)) = self.link.take() {
            link.close(CloseCode::DONE, "");
            // The farewell needs a moment to leave.
            let _ = tokio::time::timeout(Duration::from_millis(300), async {
                while inbox.next().await.is_ok() {}
            })
            .await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn hello() -> Control {
    Control::Hello { major: wire::MAJOR, minor: wire::MINOR, role: Role::Viewer, software: software() }
}
