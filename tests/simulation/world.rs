//! A session, its viewers and the paths between them, in virtual time. The session side does what
//! `session::Task` does, the viewer side what `client::Client` does, over bytes.

use crate::films::Films;
use crate::history::History;
use crate::painter::Painter;
use crate::path::{Conditions, Ordered, Updates};
use crate::random::Random;
use crate::totals::Totals;
use bytes::Bytes;
use chevet::codec::{Beginning, Encoder, Reach};
use chevet::screen::{HashKey, Rect, TileId, hash_tile};
use chevet::sync::{Applied, Attachment, Delivery, Exactness, Identity, Micros, Pointer, Scene, Viewer};
use chevet::wire::{
    Attach, Attached, Control, ControlReader, InputEvent, InputReader, Token, UpdateHeader, features,
};
use std::collections::{BTreeMap, BTreeSet};

pub const STEP: Micros = 4_000;
const TICK: Micros = 100_000;
const MAX_IN_FLIGHT: usize = 64;

/// One viewer, whatever link it is on.
pub struct Seat {
    pub attachment: Option<Attachment>,
    pub cache_bytes: usize,
    pub conditions: Conditions,
    /// The connection that this viewer listens to.
    link: Option<usize>,
    control: ControlReader,
    dial_at: Micros,
    issued: u32,
    /// The scene size that it shows, and the earliest instant that each tile may be of.
    scene_epoch: Option<usize>,
    shown: Vec<u64>,
    /// Tiles that have shown video since they were last exact.
    filmed: BTreeSet<TileId>,
    features: u64,
    /// Whether its cache lacked a named tile on this link: copies may have moved anything since.
    missed: bool,
    pub applied_updates: u64,
}

/// A link, as the session sees it, with what is on its way. It may outlive the viewer's interest in it.
pub struct Connection {
    seat: usize,
    session: Option<SessionEnd>,
    control: ControlReader,
    input: InputReader,
    up_control: Ordered,
    up_input: Ordered,
    down_control: Ordered,
    down_updates: Updates,
    forgotten_at: Micros,
}

struct SessionEnd {
    delivery: Delivery,
    token: Token,
    pointer: Option<Pointer>,
    /// The scene size of each update.
    epochs: BTreeMap<u64, usize>,
    unanswered: BTreeSet<u64>,
    /// Since when each tile differs from what was sent last.
    lacking_since: Vec<Option<Micros>>,
    films: Option<Films>,
}

pub struct World {
    pub now: Micros,
    pub random: Random,
    pub painter: Painter,
    pub scene: Scene,
    histories: Vec<History>,
    encoder: Encoder,
    connections: BTreeMap<usize, Connection>,
    pub seats: Vec<Seat>,
    next_input: BTreeMap<[u8; 16], u64>,
    handed_over: Vec<Vec<u32>>,
    pub totals: Totals,
    pub last_applied: Micros,
}

impl World {
    pub fn new(seed: u64, width: u32, height: u32) -> Self {
        let mut random = Random::new(seed);
        let scene = Scene::new(HashKey(random.next()), width, height).unwrap();
        World {
            now: 1_000_000,
            painter: Painter::new(width, height),
            histories: vec![History::new(&scene)],
            scene,
            random,
            encoder: Encoder::new(),
            connections: BTreeMap::new(),
            seats: Vec::new(),
            next_input: BTreeMap::new(),
            handed_over: Vec::new(),
            totals: Totals::default(),
            last_applied: 1_000_000,
        }
    }

    pub fn add_viewer(&mut self, conditions: Conditions, cache_bytes: usize) {
        let viewer = Viewer::new(HashKey::default(), cache_bytes);
        self.seats.push(Seat {
            attachment: Some(Attachment::new(viewer, Identity::default(), self.now)),
            cache_bytes,
            conditions,
            link: None,
            control: ControlReader::new(),
            dial_at: self.now,
            issued: 0,
            scene_epoch: None,
            shown: Vec::new(),
            filmed: BTreeSet::new(),
            features: self.random.pick(&[
                0,
                features::H264,
                features::PARTS,
                features::PARTS | features::FAR,
                features::PARTS | features::SHORT,
                features::H264 | features::PARTS | features::FAR | features::SHORT,
            ]),
            missed: false,
            applied_updates: 0,
        });
        self.handed_over.push(Vec::new());
    }

    /// One step of time: the source's damage, the session, the paths, the viewers.
    pub fn step(&mut self) {
        self.now += STEP;
        self.on_damage();
        for id in self.connections.keys().copied().collect::<Vec<_>>() {
            self.session_receives(id);
            self.session_ticks_and_sends(id);
        }
        for seat in 0..self.seats.len() {
            self.viewer_receives(seat);
            self.viewer_ticks(seat);
        }
        let now = self.now;
        let seats = &self.seats;
        self.connections.retain(|id, link| link.forgotten_at > now || seats[link.seat].link == Some(*id));
    }

    pub fn resize(&mut self, width: u32, height: u32) {
        self.painter = Painter::new(width, height);
    }

    fn on_damage(&mut self) {
        // What a session does after a while without change must make no difference.
        if self.random.chance(5) {
            self.scene.rest(&mut self.encoder);
        }
        let source = &self.painter.framebuffer;
        if source.bounds() != self.scene.framebuffer().bounds() {
            self.scene.resize(source.width(), source.height()).unwrap();
            self.histories.push(History::new(&self.scene));
            for end in self.connections.values_mut().filter_map(|link| link.session.as_mut()) {
                end.delivery.restart(&self.scene, self.now);
                end.lacking_since = vec![None; self.scene.grid().len()];
                end.films.iter_mut().for_each(Films::clear);
            }
        }
        self.scene.look_for_motion(self.now);
        let change = self.scene.absorb(source, &self.painter.damage, self.now);
        self.painter.damage.clear();
        let Some(change) = change else { return };
        self.histories.last_mut().unwrap().note(&self.scene, &change);
        for end in self.connections.values_mut().filter_map(|link| link.session.as_mut()) {
            end.delivery.changed(&self.scene, &change, self.now);
            for tile in change.tiles.iter() {
                end.lacking_since[tile as usize].get_or_insert(self.now);
            }
        }
    }

    fn session_receives(&mut self, id: usize) {
        let mut link = self.connections.remove(&id).unwrap();
        while let Some(piece) = link.up_control.receive(self.now) {
            link.control.push(&piece);
            while let Some(message) = link.control.next().unwrap() {
                self.session_takes(&mut link, message);
            }
        }
        while let Some(piece) = link.up_input.receive(self.now) {
            link.input.push(&piece);
            while let Some((number, event)) = link.input.next().unwrap() {
                self.session_takes_input(&mut link, number, event);
            }
        }
        self.connections.insert(id, link);
    }

    fn session_takes(&mut self, link: &mut Connection, message: Control) {
        let conditions = self.seats[link.seat].conditions;
        if let Control::Attach(attach) = message {
            let reply = Control::Attached(self.attach(link, &attach));
            return link.down_control.send(&reply.to_bytes(), self.now, &conditions, &mut self.random);
        }
        let end = link.session.as_mut().expect("a viewer attaches before it says anything else");
        let scene = &self.scene;
        let replies = match message {
            Control::Ack { update, decode_us, missing } => {
                end.unanswered.remove(&update);
                self.totals.misses += missing.len() as u64;
                end.delivery.acknowledged(scene, update, decode_us, &missing, self.now).unwrap();
                vec![]
            }
            Control::Proof { update, root } => match end.delivery.prove(scene, update, root) {
                // Who was told what to find has found it.
                Some(true) if end.delivery.takes_short() => vec![],
                Some(true) => vec![Control::Verdict { update, agreed: true }],
                Some(false) => {
                    vec![Control::Verdict { update, agreed: false }, Control::HashesWanted { update }]
                }
                None => vec![],
            },
            Control::Hashes { update, hashes } => {
                end.delivery.repair(scene, update, &hashes, self.now);
                vec![]
            }
            Control::Ping { number, time_us } => {
                vec![Control::Pong { number, ping_time_us: time_us, time_us: self.now }]
            }
            other => panic!("a viewer sent {other:?}"),
        };
        for reply in replies {
            link.down_control.send(&reply.to_bytes(), self.now, &conditions, &mut self.random);
        }
    }

    fn attach(&mut self, link: &mut Connection, attach: &Attach) -> Attached {
        let known = attach.token.filter(|token| self.next_input.contains_key(&token.0));
        let token = known.unwrap_or_else(|| {
            let halves = [self.random.next(), self.random.next()];
            Token(std::array::from_fn(|index| halves[index / 8].to_le_bytes()[index % 8]))
        });
        let next_input = *self.next_input.entry(token.0).or_insert(0);
        let tiles = self.scene.grid().len();
        let mut delivery = Delivery::new(&self.scene, attach.cache_bytes, attach.screen.as_ref(), self.now);
        if attach.features & features::PARTS != 0 {
            let is_far = attach.features & features::FAR != 0;
            delivery.take_parts(if is_far { Reach::Far } else { Reach::Near });
        }
        if attach.features & features::SHORT != 0 {
            delivery.take_short();
        }
        link.session = Some(SessionEnd {
            delivery,
            token,
            pointer: self.random.chance(50).then_some(Pointer { x: 20, y: 20 }),
            epochs: BTreeMap::new(),
            unanswered: BTreeSet::new(),
            lacking_since: vec![None; tiles],
            films: (attach.features & features::H264 != 0).then(Films::default),
        });
        let (width, height) = self.scene.size();
        Attached {
            token,
            key: self.scene.key(),
            width,
            height,
            next_input,
            title: "simulated".into(),
            policy: self.scene.policy(),
        }
    }

    fn session_takes_input(&mut self, link: &mut Connection, number: u64, event: InputEvent) {
        // Input may overtake Attach; the real link hands it over once the viewer is attached.
        let end = link.session.as_ref().expect("input begins after Attached");
        let next = self.next_input.get_mut(&end.token.0).unwrap();
        if number >= *next {
            *next = number + 1;
            let InputEvent::KeyDown { keysym, .. } = event else { panic!("another event than was sent") };
            self.handed_over[link.seat].push(keysym);
            self.totals.inputs += 1;
        }
        let reply = Control::InputAck { next: *next };
        let conditions = self.seats[link.seat].conditions;
        link.down_control.send(&reply.to_bytes(), self.now, &conditions, &mut self.random);
    }

    fn session_ticks_and_sends(&mut self, id: usize) {
        let link = self.connections.get_mut(&id).unwrap();
        let conditions = self.seats[link.seat].conditions;
        let Some(end) = &mut link.session else { return };
        if self.now % TICK < STEP {
            for number in end.delivery.superseded(&self.scene, self.now) {
                end.unanswered.remove(&number);
                link.down_updates.reset(number, &mut self.random);
                let message = Control::Dropped { update: number };
                link.down_control.send(&message.to_bytes(), self.now, &conditions, &mut self.random);
                self.totals.dropped += 1;
            }
        }
        end.delivery.follow_motion(&self.scene, self.now);
        loop {
            let mut stream = Vec::new();
            let takes = self.random.pick(&[0, STEP, 4 * STEP]);
            let Some((mut header, frame)) = next_update(end, &mut self.scene, self.now, takes) else { break };
            let mut payload = frame.unwrap_or_default().to_vec();
            if header.video.is_none() && !header.tiles.is_empty() {
                let screen = self.scene.framebuffer();
                let reach = end.delivery.reach();
                match end.delivery.teaching() {
                    Some(teaching) => {
                        teaching.encode(&mut self.encoder, screen, &mut header, reach, &mut payload)
                    }
                    None => {
                        let alone = Beginning::Alone;
                        self.encoder.encode_parts(screen, header.places(), reach, alone, &mut payload);
                    }
                }
            }
            header.write(&mut stream);
            stream.extend_from_slice(&payload);
            self.totals.taught += u64::from(header.live.is_some_and(|live| live.base > 0));
            end.delivery.sent(&header, stream.len(), self.now);
            end.epochs.insert(header.number, self.histories.len() - 1);
            end.unanswered.insert(header.number);
            for tile in header.tiles.iter().copied().chain(header.cached.iter().map(|cached| cached.tile)) {
                end.lacking_since[tile as usize] = None;
            }
            if header.complete {
                end.lacking_since.fill(None);
            }
            self.totals.updates += 1;
            match header.video {
                Some(_) => self.totals.video_frames += 1,
                None => self.totals.tiles += header.tiles.len() as u64,
            }
            self.totals.parts += header.parts.len() as u64;
            self.totals.cached_tiles += header.cached.len() as u64;
            self.totals.copies += header.copies.len() as u64;
            self.totals.bytes += stream.len() as u64;
            link.down_updates.send(header.number, Bytes::from(stream));
        }
        assert!(end.unanswered.len() <= MAX_IN_FLIGHT, "updates on the way are bounded");
        link.down_updates.advance(STEP, self.now, &conditions, &mut self.random);
    }

    /// A film's next picture.
    pub fn film(&mut self, place: Rect, frame: u32) {
        self.painter.film(place, frame);
    }

    /// The viewer loses its link, noticing at once; the session keeps its end for a while.
    pub fn lose_link(&mut self, seat: usize) {
        let Some(id) = self.seats[seat].link.take() else { return };
        let link = self.connections.get_mut(&id).unwrap();
        if self.random.chance(50) {
            // Nothing more arrives. Otherwise what was on its way up still does.
            link.up_control = Ordered::default();
            link.up_input = Ordered::default();
        }
        link.forgotten_at = self.now + self.random.below(1_500_000);
        self.seats[seat].dial_at = self.now + self.random.pick(&[0, 50_000, 900_000]);
    }

    fn dial(&mut self, seat_index: usize) {
        let seat = &mut self.seats[seat_index];
        let id = self.totals.links as usize;
        let (mut viewer, identity) = seat.attachment.take().unwrap().into_parts();
        assert!(viewer.hashes().len() == seat.shown.len());
        let mut attachment = Attachment::new(viewer, identity, self.now);
        let hello = attachment.attach(Attach {
            session: "simulated".into(),
            ticket: vec![],
            width: 0,
            height: 0,
            cache_bytes: seat.cache_bytes as u64,
            features: seat.features,
            token: None,
            screen: None,
        });
        attachment.ping(self.now);
        seat.attachment = Some(attachment);
        seat.link = Some(id);
        seat.missed = false;
        seat.control = ControlReader::new();
        let mut link = Connection {
            seat: seat_index,
            session: None,
            control: ControlReader::new(),
            input: InputReader::new(),
            up_control: Ordered::default(),
            up_input: Ordered::default(),
            down_control: Ordered::default(),
            down_updates: Updates::default(),
            forgotten_at: 0,
        };
        link.up_control.send(&hello.to_bytes(), self.now, &seat.conditions, &mut self.random);
        self.connections.insert(id, link);
        self.totals.links += 1;
    }

    fn viewer_receives(&mut self, seat: usize) {
        let Some(id) = self.seats[seat].link else { return };
        // Control stream and update streams are read in any order.
        if self.random.chance(50) {
            self.viewer_receives_control(seat, id);
            self.viewer_receives_updates(seat, id);
        } else {
            self.viewer_receives_updates(seat, id);
            self.viewer_receives_control(seat, id);
        }
    }

    fn viewer_receives_control(&mut self, index: usize, id: usize) {
        let (seat, link) = (&mut self.seats[index], self.connections.get_mut(&id).unwrap());
        let attachment = seat.attachment.as_mut().unwrap();
        while let Some(piece) = link.down_control.receive(self.now) {
            seat.control.push(&piece);
            while let Some(message) = seat.control.next().unwrap() {
                let attached = matches!(message, Control::Attached(_));
                attachment.control(message, self.now).unwrap();
                if attached && let Some(bytes) = attachment.input_to_resend() {
                    link.up_input.send(&bytes, self.now, &seat.conditions, &mut self.random);
                }
            }
        }
    }

    fn viewer_receives_updates(&mut self, index: usize, id: usize) {
        loop {
            let (seat, link) = (&mut self.seats[index], self.connections.get_mut(&id).unwrap());
            let attachment = seat.attachment.as_mut().unwrap();
            // A viewer reads no update before it knows that it is attached.
            if !attachment.is_attached() {
                return;
            }
            let Some(stream) = link.down_updates.receive(self.now) else { return };
            let now = self.now;
            let all = attachment.update(stream, || now).unwrap();
            self.seats[index].applied_updates += all.len() as u64;
            // What came before a new screen in the same batch is no longer to be seen.
            let seen = all.iter().rposition(|applied| applied.new_screen).unwrap_or(0);
            // The screen that is looked at is the one after all of them.
            let mut exact = all[seen..].to_vec();
            exact.retain(|applied| self.notes_applied(index, id, applied));
            exact.iter().for_each(|applied| self.check_applied(index, id, applied));
            let seat = &self.seats[index];
            let held = seat.attachment.as_ref().unwrap().viewer().held_bytes();
            assert!(held <= seat.cache_bytes + (10 << 20), "a viewer holds {held} bytes");
        }
    }

    /// Notes what is known of a viewer's screen; whether the update's tiles have to be exact.
    fn notes_applied(&mut self, index: usize, id: usize, applied: &Applied) -> bool {
        let (seat, link) = (&mut self.seats[index], &self.connections[&id]);
        let end = link.session.as_ref().unwrap();
        let epoch = end.epochs[&applied.number];
        let screen = seat.attachment.as_ref().unwrap().viewer().framebuffer().unwrap();
        if seat.scene_epoch.is_some_and(|shown| shown > epoch) {
            assert!(
                applied.tiles.is_empty() || applied.new_screen,
                "an update of an earlier screen was applied"
            );
            return false;
        }
        if applied.new_screen || seat.scene_epoch != Some(epoch) {
            seat.scene_epoch = Some(epoch);
            seat.shown = vec![0; screen.grid().len()];
            seat.filmed.clear();
        }
        seat.missed |= !applied.missing.is_empty();
        if applied.video_tiles > 0 {
            self.totals.video_tiles_shown += applied.tiles.len() as u64;
            seat.filmed.extend(&applied.tiles);
        }
        applied.video_tiles == 0
    }

    /// No tile goes back behind what it has shown.
    fn check_applied(&mut self, index: usize, id: usize, applied: &Applied) {
        let seat = &mut self.seats[index];
        let epoch = self.connections[&id].session.as_ref().unwrap().epochs[&applied.number];
        let screen = seat.attachment.as_ref().unwrap().viewer().framebuffer().unwrap();
        let grid = screen.grid();
        for &tile in &applied.tiles {
            let hash = hash_tile(self.scene.key(), screen, &grid.rect(tile));
            let shown = &mut seat.shown[tile as usize];
            match self.histories[epoch].when(tile, hash, *shown) {
                Some(instant) => {
                    *shown = instant;
                    seat.filmed.remove(&tile);
                }
                // Beside a newer frame of video the tile's own part was painted.
                None if seat.filmed.contains(&tile) => {}
                // A copy of what the cache did not have shows what never was, until it is sent again.
                None => {
                    assert!(seat.missed, "tile {tile} of viewer {index} went back behind instant {shown}")
                }
            }
        }
    }

    fn viewer_ticks(&mut self, index: usize) {
        if self.seats[index].link.is_none() && self.now >= self.seats[index].dial_at {
            self.dial(index);
        }
        let seat = &mut self.seats[index];
        let (Some(id), Some(attachment)) = (seat.link, seat.attachment.as_mut()) else { return };
        let link = self.connections.get_mut(&id).unwrap();
        if self.now % TICK < STEP {
            attachment.tick(self.now);
        }
        while let Some(reply) = attachment.reply() {
            link.up_control.send(&reply.to_bytes(), self.now, &seat.conditions, &mut self.random);
        }
    }

    /// The user of a viewer presses a key.
    pub fn press_key(&mut self, index: usize) {
        let seat = &mut self.seats[index];
        let Some(id) = seat.link else { return };
        let event = InputEvent::KeyDown { key: 4, keysym: seat.issued };
        let Some(bytes) = seat.attachment.as_mut().unwrap().input(event) else { return };
        seat.issued += 1;
        let link = self.connections.get_mut(&id).unwrap();
        link.up_input.send(&bytes, self.now, &seat.conditions, &mut self.random);
    }

    /// What every viewer shows is what the session shows, and both know it.
    pub fn is_at_rest(&self) -> bool {
        let handed_over = self.seats.iter().zip(&self.handed_over);
        self.painter.damage.is_empty()
            && self.seats.iter().all(|seat| {
                let attachment = seat.attachment.as_ref().unwrap();
                seat.link.is_some()
                    && attachment.viewer().framebuffer() == Some(&self.painter.framebuffer)
                    && attachment.exactness(self.now) == Exactness::Exact
            })
            && handed_over.into_iter().all(|(seat, events)| events.len() == seat.issued as usize)
    }

    /// What keeps a world from being at rest.
    pub fn unrest(&self) -> String {
        let seats = self.seats.iter().zip(&self.handed_over).map(|(seat, events)| {
            let attachment = seat.attachment.as_ref().unwrap();
            let same = attachment.viewer().framebuffer() == Some(&self.painter.framebuffer);
            let end = seat.link.and_then(|id| self.connections[&id].session.as_ref());
            format!(
                "same {same}, {:?}, newest {}, input {} of {}, on the way {:?}, {:?}",
                attachment.exactness(self.now),
                attachment.viewer().newest(),
                events.len(),
                seat.issued,
                end.map(|end| &end.unanswered),
                end.map(|end| end.delivery.counters()),
            )
        });
        seats.collect::<Vec<_>>().join("; ")
    }

    /// What must hold at any time.
    pub fn check(&self) {
        for (index, seat) in self.seats.iter().enumerate() {
            assert_eq!(seat.attachment.as_ref().unwrap().mismatches(), 0, "viewer {index}: a proof failed");
            let events = &self.handed_over[index];
            assert!(events.iter().copied().eq(0..events.len() as u32), "input: once, and in order");
        }
        for end in self.connections.values().filter_map(|link| link.session.as_ref()) {
            let counters = end.delivery.counters();
            assert_eq!(counters.repaired, 0, "a tile was repaired");
        }
    }

    /// The longest that a tile of any live link has been lacking without being sent.
    pub fn longest_lacking(&self) -> Micros {
        let ends = self.connections.values().filter_map(|link| link.session.as_ref());
        ends.flat_map(|end| &end.lacking_since).flatten().map(|since| self.now - since).max().unwrap_or(0)
    }

    /// How many tiles of a rectangle a viewer shows as they are now.
    pub fn tiles_shown(&self, seat: usize, rect: Rect) -> usize {
        let grid = self.scene.grid();
        let Some(screen) = self.seats[seat].attachment.as_ref().unwrap().viewer().framebuffer() else {
            return 0;
        };
        let same = |tile: &TileId| {
            hash_tile(self.scene.key(), screen, &grid.rect(*tile)) == self.scene.hashes()[*tile as usize]
        };
        grid.tiles_in(&rect).filter(same).count()
    }
}

/// A frame of video if one is there, or else what tiles have room.
fn next_update(
    end: &mut SessionEnd,
    scene: &mut Scene,
    now: Micros,
    takes: Micros,
) -> Option<(UpdateHeader, Option<Bytes>)> {
    if let Some(films) = &mut end.films
        && let Some((header, frame)) = films.next(scene, &mut end.delivery, now, takes)
    {
        return Some((header, Some(frame)));
    }
    Some((end.delivery.next(scene, end.pointer, now, now)?, None))
}
