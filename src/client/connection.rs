//! A connected viewer that stays connected: it changes roads, dials again and resumes by itself.

use super::Address;
use crate::clock;
use crate::link::{Closed, DialError, Inbox, Incoming, Link, Road, dial, software};
use crate::screen::{Framebuffer, HashKey};
use crate::sync::{Applied, Attachment, Exactness, Identity, Micros, News, Viewer};
use crate::wire::{self, Attach, CloseCode, Control, Cursor, InputEvent, Motion, Path, Policy, Role};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// After a gateway's restart, its hosts have this long to offer their sessions again.
const NO_SESSION_PATIENCE: Micros = 15_000_000;
const TICK: Duration = Duration::from_millis(100);
/// How much earlier UDP is tried than TCP.
const HEAD_START: Duration = Duration::from_millis(200);
/// Between two attempts to get a lost link back.
const REDIAL: Micros = 500_000;
/// A viewer that lives on WebSocket tries UDP again after this long, then after twice that, and so on.
const UDP_AGAIN: Micros = 30_000_000;
const UDP_AGAIN_AT_MOST: Micros = 600_000_000;
/// What a viewer's tile cache holds by default.
const CACHE_BYTES: u64 = 64 << 20;

/// What this build decodes beside tiles.
const DECODERS: u64 = if crate::codec::video::IS_THERE { wire::features::H264 } else { 0 };

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no road to the gateway: {0}")]
    Unreachable(DialError),
    /// The gateway said so; dialling again would change nothing.
    #[error("the gateway closed the connection: {0}")]
    Closed(Closed),
}

/// Which roads a client may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Roads {
    /// UDP first, TCP beside it.
    #[default]
    All,
    OnlyQuic,
    OnlyWebSocket,
}

/// An update that was applied to the screen.
#[derive(Clone, Debug)]
pub struct Update {
    pub applied: Applied,
    /// From the host's damage to the decoded pixels, by the two machines' monotonic clocks.
    pub draw_to_decode_us: Micros,
    pub decode_us: Micros,
}

/// What happened to a viewer.
#[derive(Clone, Debug)]
pub enum Event {
    Attached {
        title: String,
        width: u32,
        height: u32,
        road: Road,
        policy: Policy,
    },
    /// The session promises something else of its pixels from now on.
    Policy(Policy),
    Updated(Update),
    /// The session agreed with the hashes of this screen.
    Exact,
    Cursor(Cursor),
    CursorAt {
        x: u32,
        y: u32,
    },
    State {
        live: bool,
        text: String,
    },
    Path(Path),
    /// Nothing was heard for two seconds, or the link broke; the client is dialling again.
    Silent(String),
}

/// A viewer of a session. Drive it by calling [`Client::next`] again and again.
pub struct Client {
    address: Address,
    roads: Roads,
    size: (u32, u32),
    cache_bytes: u64,
    attachment: Attachment,
    link: Option<(Link, Inbox)>,
    dialling: JoinSet<Result<(Link, Inbox), DialError>>,
    dialled_at: Micros,
    silent: bool,
    /// Since when the session has not been had, once it was.
    lost_at: Option<Micros>,
    events: VecDeque<Event>,
    motions: u64,
    udp_again_at: Micros,
    udp_again_after: Micros,
    /// Outlives one call of [`Client::next`]: who calls it anew all the time does not stop the clock.
    next_tick: Instant,
}

impl Client {
    /// Connects by whichever road is there first.
    pub async fn connect(address: Address) -> Result<Client, ClientError> {
        Client::connect_by(address, Roads::All, (0, 0)).await
    }

    /// Connects by the given roads; `size` is the screen wanted, in pixels, 0 to leave it.
    pub async fn connect_by(address: Address, roads: Roads, size: (u32, u32)) -> Result<Client, ClientError> {
        let now = clock::now_us();
        let viewer = Viewer::new(HashKey::default(), CACHE_BYTES as usize);
        let mut client = Client {
            address,
            roads,
            size,
            cache_bytes: CACHE_BYTES,
            attachment: Attachment::new(viewer, Identity::default(), now),
            link: None,
            dialling: JoinSet::new(),
            dialled_at: now,
            silent: false,
            lost_at: None,
            events: VecDeque::new(),
            motions: 0,
            udp_again_at: now + UDP_AGAIN,
            udp_again_after: UDP_AGAIN,
            next_tick: Instant::now() + TICK,
        };
        client.dial();
        let mut failure = None;
        while let Some(dialled) = client.dialling.join_next().await {
            match dialled {
                Ok(Ok((link, inbox))) => {
                    client.adopt(link, inbox);
                    return Ok(client);
                }
                // What the preferred road says is the better explanation.
                Ok(Err(error)) => failure = failure.or(Some(error)),
                Err(_) => {}
            }
        }
        let host = client.address.target.host.clone();
        Err(ClientError::Unreachable(failure.unwrap_or(DialError::NoAddress { host })))
    }

    fn dial(&mut self) {
        self.dialled_at = clock::now_us();
        let quic = self.roads != Roads::OnlyWebSocket && self.address.target.udp_port.is_some();
        let websocket = self.roads != Roads::OnlyQuic && self.address.target.tcp_port.is_some();
        if quic {
            self.dial_by(Road::Quic, Duration::ZERO);
        }
        if websocket {
            self.dial_by(Road::WebSocket, if quic { HEAD_START } else { Duration::ZERO });
        }
    }

    fn dial_by(&mut self, road: Road, after: Duration) {
        let target = self.address.target.clone();
        self.dialling.spawn(async move {
            tokio::time::sleep(after).await;
            dial(&target, road).await
        });
    }

    /// Goes on by this link, with all that is known from earlier ones.
    fn adopt(&mut self, link: Link, inbox: Inbox) {
        let now = clock::now_us();
        if let Some((old, _)) = self.link.take() {
            old.close(CloseCode::DONE, "the viewer goes on by another link");
        }
        // Whatever else is being dialled is not needed any more.
        self.dialling.abort_all();
        self.dialling = JoinSet::new();
        let fresh = Attachment::new(Viewer::new(HashKey::default(), 0), Identity::default(), now);
        let (viewer, identity) = std::mem::replace(&mut self.attachment, fresh).into_parts();
        self.attachment = Attachment::new(viewer, identity, now);
        link.control(&Control::Hello {
            major: wire::MAJOR,
            minor: wire::MINOR,
            role: Role::Viewer,
            software: software(),
        });
        link.control(&self.attachment.attach(Attach {
            session: self.address.session.clone(),
            ticket: self.address.ticket.clone(),
            width: self.size.0,
            height: self.size.1,
            cache_bytes: self.cache_bytes,
            features: DECODERS,
            token: None,
            screen: None,
        }));
        // The first Pong tells how the clocks differ.
        self.attachment.ping(now);
        self.motions = 0;
        self.silent = false;
        self.link = Some((link, inbox));
        self.flush();
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
            tokio::select! {
                message = arrived => match message {
                    Ok(message) => self.on_message(message)?,
                    Err(closed) => self.on_closed(closed)?,
                },
                Some(dialled) = self.dialling.join_next(), if !self.dialling.is_empty() => {
                    if let Ok(Ok((link, inbox))) = dialled {
                        self.adopt(link, inbox);
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

    fn on_message(&mut self, message: Incoming) -> Result<(), ClientError> {
        if self.silent {
            // It was only slow: the old link wakes up, and what is being dialled is not needed.
            self.silent = false;
            self.lost_at = None;
            self.dialling.abort_all();
            self.dialling = JoinSet::new();
        }
        let result = match message {
            Incoming::Control(control) => self.attachment.control(control, clock::now_us()),
            Incoming::Update(stream) => self.on_update(stream).map(|()| None),
            Incoming::Input(..) | Incoming::Motion(_) => Ok(None),
        };
        match result {
            Ok(Some(news)) => {
                let attached = matches!(news, News::Attached { .. });
                self.on_news(news)?;
                let early = if attached { self.attachment.early_updates() } else { Vec::new() };
                early.into_iter().try_for_each(|stream| self.on_message(Incoming::Update(stream)))
            }
            Ok(None) => Ok(()),
            Err(error) => {
                // The screen can no longer be trusted: a new link starts it anew.
                let reason = error.to_string();
                if let Some((link, _)) = &self.link {
                    link.close(CloseCode::PROTOCOL, &reason);
                }
                self.attachment = Attachment::new(self.fresh_viewer(), Identity::default(), clock::now_us());
                self.lose(reason);
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
    }

    fn on_news(&mut self, news: News) -> Result<(), ClientError> {
        let event = match news {
            News::Attached { title, width, height, policy } => {
                self.lost_at = None;
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
            News::Closing { code, reason } => return self.on_closed(Closed::by_peer(code, &reason)),
        };
        self.events.push_back(event);
        Ok(())
    }

    fn on_closed(&mut self, closed: Closed) -> Result<(), ClientError> {
        let lost_for = self.lost_at.map(|at| clock::now_us().saturating_sub(at));
        let worth_another = match closed.code {
            CloseCode::IDLE | CloseCode::GOING_AWAY | CloseCode::INTERNAL => true,
            CloseCode::NO_SESSION => lost_for.is_some_and(|time| time < NO_SESSION_PATIENCE),
            _ => false,
        };
        if closed.by_peer && !worth_another {
            return Err(ClientError::Closed(closed));
        }
        self.lose(closed.to_string());
        Ok(())
    }

    fn lose(&mut self, reason: String) {
        self.link = None;
        self.fall_silent(reason);
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
                self.dialling.abort_all();
                self.dialling = JoinSet::new();
            }
            self.dial();
        }
        self.try_udp_again(now);
    }

    fn try_udp_again(&mut self, now: Micros) {
        let on_websocket = self.link.as_ref().is_some_and(|(link, _)| link.road() == Road::WebSocket);
        let offered = self.roads == Roads::All && self.address.target.udp_port.is_some();
        if on_websocket && offered && !self.silent && now >= self.udp_again_at && self.dialling.is_empty() {
            self.udp_again_after = (self.udp_again_after * 2).min(UDP_AGAIN_AT_MOST);
            self.udp_again_at = now + self.udp_again_after;
            self.dial_by(Road::Quic, Duration::ZERO);
        }
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

    /// Measures the round trip anew.
    pub fn ping(&mut self) {
        self.attachment.ping(clock::now_us());
        self.flush();
    }

    /// The screen, once the first update has come.
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
