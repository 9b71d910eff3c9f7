//! A path of one rate and delay: ordered byte streams, and update streams that overtake each other.

use crate::random::Random;
use bytes::Bytes;
use chevet::sync::Micros;
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// Bytes a second.
    pub rate: u64,
    pub delay: Micros,
    pub jitter: Micros,
    /// Of a hundred update streams, so many are held up by lost packets.
    pub held_up: u64,
}

impl Conditions {
    pub fn random(random: &mut Random) -> Self {
        Conditions {
            rate: random.pick(&[60_000, 200_000, 1_000_000, 10_000_000, 100_000_000]),
            delay: random.pick(&[500, 5_000, 30_000, 120_000]),
            jitter: random.pick(&[0, 2_000, 40_000]),
            held_up: random.pick(&[0, 3, 25]),
        }
    }

    fn arrival(&self, now: Micros, random: &mut Random) -> Micros {
        now + self.delay + random.below(self.jitter + 1)
    }
}

/// A reliable ordered stream. Bytes arrive in other pieces than they were sent in.
#[derive(Default)]
pub struct Ordered {
    pieces: VecDeque<(Micros, Vec<u8>)>,
    last: Micros,
}

impl Ordered {
    pub fn send(&mut self, bytes: &[u8], now: Micros, path: &Conditions, random: &mut Random) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let cut =
                if random.chance(70) { rest.len() } else { random.between(1, rest.len() as u64) as usize };
            let (piece, more) = rest.split_at(cut);
            self.last = self.last.max(path.arrival(now, random));
            self.pieces.push_back((self.last, piece.to_vec()));
            rest = more;
        }
    }

    pub fn receive(&mut self, now: Micros) -> Option<Vec<u8>> {
        self.pieces.pop_front_if(|(at, _)| *at <= now).map(|(_, piece)| piece)
    }
}

/// Update streams: sent one after another at the path's rate, received whole, in any order.
#[derive(Default)]
pub struct Updates {
    waiting: VecDeque<(u64, Bytes)>,
    credit: u64,
    flying: Vec<(Micros, u64, Bytes)>,
}

impl Updates {
    pub fn send(&mut self, number: u64, stream: Bytes) {
        self.waiting.push_back((number, stream));
    }

    /// Lets `elapsed` pass, up to `now`.
    pub fn advance(&mut self, elapsed: Micros, now: Micros, path: &Conditions, random: &mut Random) {
        self.credit += path.rate * elapsed / 1_000_000;
        while let Some((_, next)) = self.waiting.front() {
            if next.len() as u64 > self.credit {
                return;
            }
            let Some((number, stream)) = self.waiting.pop_front() else { return };
            self.credit -= stream.len() as u64;
            let mut at = path.arrival(now, random);
            if random.chance(path.held_up) {
                at += path.delay * 2 + random.below(400_000);
            }
            self.flying.push((at, number, stream));
        }
        self.credit = 0;
    }

    /// The sender gave the stream up. What has left may arrive all the same.
    pub fn reset(&mut self, number: u64, random: &mut Random) {
        if self.waiting.front().is_some_and(|(first, _)| *first == number) {
            // What of it has left was for nothing.
            self.credit = 0;
        }
        self.waiting.retain(|(waiting, _)| *waiting != number);
        if random.chance(50) {
            self.flying.retain(|(_, flying, _)| *flying != number);
        }
    }

    pub fn receive(&mut self, now: Micros) -> Option<Bytes> {
        let index = self.flying.iter().position(|(at, _, _)| *at <= now)?;
        Some(self.flying.swap_remove(index).2)
    }
}
