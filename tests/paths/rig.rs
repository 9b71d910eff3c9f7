//! A session's delivery to one viewer over a modelled path, packet by packet, in virtual time. The tiles' pixels are
//! real; their payloads are only lengths.

use crate::cubic::Cubic;
use crate::model::{Fate, Micros, Path, Profile};
use chevet::screen::{Framebuffer, HashKey, TileSet};
use chevet::sync::{Delivery, Scene};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

const PACKET: u64 = 1_200;
const HEADERS: u64 = 40;
const ACK: u64 = 60;
const SIDE: u32 = 640;
const FRAME: Micros = 40_000;
const CROSS_PACKET: u64 = 1_500;

/// How updates travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Road {
    /// Each on its own: QUIC.
    Streams,
    /// All in order: WebSocket.
    Ordered,
}

/// What the session shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Text,
    Photographs,
    /// Nothing changes after the first.
    OnePhotograph,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Frame,
    Wake,
    Arrival { update: u64, bytes: u64 },
    Resend { update: u64, bytes: u64 },
    Decoded { update: u64, decode: Micros },
    Ack { update: u64, decode: Micros },
    CrossAck,
    CrossLost,
}

struct OnTheWay {
    bytes: u64,
    captured: Micros,
}

pub struct Rig {
    pub now: Micros,
    events: BinaryHeap<Reverse<(Micros, u64, Event)>>,
    count: u64,
    road: Road,
    pub content: Content,
    /// What the viewer takes to decode an update.
    pub decode: Micros,
    decoder_free_at: Micros,
    scene: Scene,
    screen: Framebuffer,
    random: u64,
    delivery: Delivery,
    captured: Micros,
    pub down: Path,
    up: Path,
    last_arrival: Micros,
    on_the_way: BTreeMap<u64, OnTheWay>,
    wake_at: Option<Micros>,
    cross: Option<Cubic>,
    /// The queue that each of the session's packets met.
    pub queues: Vec<Micros>,
    /// From a change to its decoding.
    pub latencies: Vec<Micros>,
    pub delivered: u64,
    pub cross_delivered: u64,
}

impl Rig {
    pub fn new(profile: Profile, road: Road, content: Content, seed: u64) -> Self {
        let scene = Scene::new(HashKey(seed), SIDE, SIDE).unwrap();
        let mut rig = Rig {
            now: 0,
            events: BinaryHeap::new(),
            count: 0,
            road,
            content,
            decode: 500,
            decoder_free_at: 0,
            screen: Framebuffer::new(SIDE, SIDE).unwrap(),
            random: seed,
            delivery: Delivery::new(&scene, 0, None, 0),
            scene,
            captured: 0,
            down: Path::new(profile.down, profile.dead, seed),
            up: Path::new(profile.up, profile.dead, !seed),
            last_arrival: 0,
            on_the_way: BTreeMap::new(),
            wake_at: None,
            cross: None,
            queues: Vec::new(),
            latencies: Vec::new(),
            delivered: 0,
            cross_delivered: 0,
        };
        rig.at(0, Event::Frame);
        rig
    }

    /// Somebody else's download begins on the same path.
    pub fn add_cross_traffic(&mut self) {
        self.cross = Some(Cubic::new());
        self.send_cross();
    }

    pub fn end_cross_traffic(&mut self) {
        self.cross = None;
    }

    pub fn forget_measurements(&mut self) {
        self.queues.clear();
        self.latencies.clear();
        (self.delivered, self.cross_delivered) = (0, 0);
    }

    fn at(&mut self, time: Micros, event: Event) {
        self.count += 1;
        self.events.push(Reverse((time, self.count, event)));
    }

    pub fn run_until(&mut self, end: Micros) {
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            if at > end {
                self.at(at, event);
                break;
            }
            self.now = at;
            self.on(event);
            self.deliver();
        }
        self.now = end;
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Frame => {
                self.draw();
                self.at(self.now + FRAME, Event::Frame);
            }
            Event::Wake => self.wake_at = None,
            Event::Arrival { update, bytes } => self.arrive(update, bytes),
            Event::Resend { update, bytes } => self.send_packet(update, bytes),
            Event::Decoded { update, decode } => self.acknowledge(update, decode),
            Event::Ack { update, decode } => {
                self.delivery.acknowledged(&self.scene, update, decode, &[], self.now).unwrap();
            }
            Event::CrossAck | Event::CrossLost => {
                let Some(cross) = &mut self.cross else { return };
                if event == Event::CrossAck {
                    cross.acknowledged(self.now);
                    self.cross_delivered += CROSS_PACKET;
                } else {
                    cross.lost(self.now);
                }
                self.send_cross();
            }
        }
    }

    fn draw(&mut self) {
        let photograph = match self.content {
            Content::Text => false,
            Content::OnePhotograph if self.now > 0 => return,
            Content::Photographs | Content::OnePhotograph => true,
        };
        let mut random = self.random;
        for pixel in self.screen.pixels_mut() {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let bits = random as u32 & 0x00ff_ffff;
            *pixel = if photograph { bits } else { [0xff_ffff, 0x10_1010][usize::from(bits & 0xff00 == 0)] };
        }
        self.random = random;
        let all = TileSet::full(self.scene.grid().len());
        if let Some(change) = self.scene.absorb(&self.screen, &all, self.now) {
            self.delivery.changed(&self.scene, &change, self.now);
            self.captured = self.now;
        }
    }

    fn deliver(&mut self) {
        while let Some(header) = self.delivery.next(&self.scene, None, self.captured, self.now) {
            let natural = header.tiles.iter().filter(|&&tile| self.scene.is_natural(tile)).count() as u64;
            let bytes = 60 + natural * 4_600 + (header.tiles.len() as u64 - natural) * 260;
            self.delivery.sent(&header, bytes as usize, self.now);
            self.on_the_way.insert(header.number, OnTheWay { bytes, captured: header.captured_us });
            let mut left = bytes;
            while left > 0 {
                let piece = left.min(PACKET);
                self.send_packet(header.number, piece);
                left -= piece;
            }
        }
        if let Some(at) = self.delivery.next_at(self.now)
            && self.wake_at.is_none_or(|known| at < known)
        {
            self.wake_at = Some(at);
            // A timer is no finer than a millisecond.
            self.at(at.next_multiple_of(1_000), Event::Wake);
        }
    }

    fn send_packet(&mut self, update: u64, bytes: u64) {
        self.queues.push(self.down.queue(self.now));
        let answer = self.round_trip() + self.down.queue(self.now);
        match self.down.offer(bytes + HEADERS, self.now) {
            Fate::Arrives(at) => self.at(at, Event::Arrival { update, bytes }),
            Fate::Swallowed => self.at(self.now + 500_000, Event::Resend { update, bytes }),
            Fate::Lost | Fate::Overflowed => {
                self.at(self.now + answer + 5_000, Event::Resend { update, bytes })
            }
        }
    }

    fn round_trip(&self) -> Micros {
        self.down.conditions().delay + self.up.conditions().delay
    }

    fn arrive(&mut self, update: u64, bytes: u64) {
        let Some(coming) = self.on_the_way.get_mut(&update) else { return };
        coming.bytes -= bytes;
        self.delivered += bytes;
        loop {
            let first = match self.road {
                Road::Ordered => self.on_the_way.first_key_value().filter(|(_, coming)| coming.bytes == 0),
                Road::Streams => {
                    self.on_the_way.get_key_value(&update).filter(|(_, coming)| coming.bytes == 0)
                }
            };
            let Some((&number, coming)) = first else { return };
            self.decoder_free_at = self.decoder_free_at.max(self.now) + self.decode;
            self.latencies.push(self.decoder_free_at - coming.captured);
            self.at(self.decoder_free_at, Event::Decoded { update: number, decode: self.decode });
            self.on_the_way.remove(&number);
        }
    }

    /// The control stream is reliable: an acknowledgement that is lost comes a round trip later.
    fn acknowledge(&mut self, update: u64, decode: Micros) {
        (self.last_arrival, _) = self.up.carry(ACK, self.now, self.round_trip(), self.last_arrival);
        self.at(self.last_arrival, Event::Ack { update, decode });
    }

    fn send_cross(&mut self) {
        let round_trip = self.round_trip();
        let up = self.up.conditions().delay;
        let Some(mut cross) = self.cross.take() else { return };
        while cross.may_send() {
            cross.sent();
            let answer = self.down.queue(self.now) + round_trip;
            match self.down.offer(CROSS_PACKET, self.now) {
                Fate::Arrives(at) => self.at(at + up, Event::CrossAck),
                _ => self.at(self.now + answer, Event::CrossLost),
            }
        }
        self.cross = Some(cross);
    }
}

/// So many of a thousand are at most this.
pub fn permille(values: &[Micros], permille: usize) -> Micros {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.get((values.len() * permille / 1_000).min(values.len().saturating_sub(1))).copied().unwrap_or(0)
}
