//! A viewer that keeps no screen: it reads what updates say before their pixels, and acknowledges them. It announces
//! no cache and sends no proof, because it verifies nothing; a named tile it reports as missing, which is the truth.

use super::machine::{Heard, Seen};
use crate::screen::{Rect, TileId};
use crate::sync::{Clocks, Micros, PING_AFTER};
use crate::wire::{
    Attach, Control, InputEvent, Shown, UpdateHeader, WireError, read_update_of, write_event,
    write_input_start,
};
use std::collections::VecDeque;

pub struct HeaderViewer {
    attached: bool,
    shown: Option<Shown>,
    replies: VecDeque<Control>,
    clocks: Clocks,
    heard_at: Micros,
    pinged_at: Micros,
    pings: u64,
    next_input: u64,
    input_begun: bool,
}

impl HeaderViewer {
    pub fn new(now: Micros) -> Self {
        HeaderViewer {
            attached: false,
            shown: None,
            replies: VecDeque::new(),
            clocks: Clocks::new(),
            heard_at: now,
            pinged_at: now,
            pings: 0,
            next_input: 0,
            input_begun: false,
        }
    }

    pub fn attach(&self, wish: Attach) -> Control {
        Control::Attach(Attach { cache_bytes: 0, token: None, screen: None, ..wish })
    }

    pub fn control(&mut self, message: Control, now: Micros) -> Heard {
        self.heard_at = now;
        match message {
            Control::Attached(attached) => {
                self.attached = true;
                self.next_input = attached.next_input;
                return Heard::attached(attached.title, attached.width, attached.height);
            }
            Control::Ping { number, time_us } => {
                self.replies.push_back(Control::Pong { number, ping_time_us: time_us, time_us: now });
            }
            Control::Pong { ping_time_us, time_us, .. } => self.clocks.pong(ping_time_us, time_us, now),
            Control::Closing { code, reason } => {
                return Heard { closing: Some((code, reason)), ..Heard::default() };
            }
            _ => {}
        }
        Heard::default()
    }

    pub fn update(&mut self, stream: &[u8], now: Micros) -> Result<Seen, WireError> {
        self.heard_at = now;
        let (header, _) = read_update_of(stream, self.shown)?;
        let UpdateHeader { epoch, width, height, .. } = header;
        if self.shown.is_none_or(|shown| shown.epoch < epoch) {
            self.shown = Some(Shown { epoch, width, height });
        }
        let missing: Vec<TileId> = header.cached.iter().map(|cached| cached.tile).collect();
        let mut tiles = header.tiles;
        tiles.extend(&missing);
        let grid = Rect::new(0, 0, header.width, header.height);
        let grid = crate::screen::Grid::new(grid.width, grid.height);
        tiles.extend(header.copies.iter().flat_map(|copy| grid.tiles_in(&copy.target())));
        tiles.sort_unstable();
        self.replies.push_back(Control::Ack { update: header.number, decode_us: 0, missing });
        Ok(Seen {
            tiles,
            captured_us: self.clocks.local_time(header.captured_us),
            complete: header.complete,
            bytes: stream.len(),
        })
    }

    pub fn tick(&mut self, now: Micros) {
        let quiet = now.saturating_sub(self.heard_at);
        if quiet >= PING_AFTER && now.saturating_sub(self.pinged_at) >= PING_AFTER {
            self.ping(now);
        }
    }

    pub fn ping(&mut self, now: Micros) {
        self.pings += 1;
        self.pinged_at = now;
        self.replies.push_back(Control::Ping { number: self.pings, time_us: now });
    }

    pub fn heard_at(&self) -> Micros {
        self.heard_at
    }

    pub fn reply(&mut self) -> Option<Control> {
        self.replies.pop_front()
    }

    pub fn input(&mut self, event: &InputEvent) -> Option<Vec<u8>> {
        if !self.attached {
            return None;
        }
        let mut bytes = Vec::with_capacity(16);
        if !self.input_begun {
            write_input_start(&mut bytes, self.next_input);
            self.input_begun = true;
        }
        write_event(&mut bytes, event);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::TileHash;
    use crate::wire::{CachedTile, CopyRect, UpdateHeader};

    #[test]
    fn it_acknowledges_says_what_it_lacks_and_proves_nothing() {
        let mut viewer = HeaderViewer::new(0);
        let header = UpdateHeader {
            number: 1,
            epoch: 1,
            width: 640,
            height: 480,
            complete: true,
            cached: vec![CachedTile { tile: 3, hash: TileHash(5) }],
            tiles: vec![7],
            copies: vec![CopyRect { from: Rect::new(0, 0, 64, 64), x: 64, y: 0 }],
            ..UpdateHeader::default()
        };
        let mut stream = Vec::new();
        header.write(&mut stream);
        stream.extend([0; 100]);
        let seen = viewer.update(&stream, 9).unwrap();
        assert_eq!((seen.tiles, seen.complete, seen.bytes), (vec![1, 3, 7], true, stream.len()));
        let replies: Vec<Control> = std::iter::from_fn(|| viewer.reply()).collect();
        assert_eq!(replies, [Control::Ack { update: 1, decode_us: 0, missing: vec![3] }]);
    }

    #[test]
    fn what_is_no_update_is_an_error() {
        assert!(HeaderViewer::new(0).update(&[2, 0, 0], 0).is_err());
    }
}
