//! What the session plays, to the viewers that want to hear it: coded once, and not at all while there are none.

use super::task::{Task, ViewerId};
use super::viewer::Viewer;
use crate::sound::{self, Packer, Pcm};
use crate::sync::Micros;
use crate::wire::{Control, SoundFormat, SoundPacket};
use bytes::Bytes;

const FORMAT: SoundFormat =
    SoundFormat { rate: sound::RATE, channels: sound::CHANNELS as u8, frame: sound::FRAME as u32 };

/// More packets than this in a row were not lost: they are of something that begins anew.
const MOST_LOST: u64 = 50;

#[derive(Default)]
pub(super) struct Sound {
    /// Something was played: viewers were told that there is something to hear.
    is_there: bool,
    packer: Option<Packer>,
    /// The number of the next packet, whoever makes it.
    next: u64,
    failed: bool,
    /// The number that a source gave the last packet that it had coded.
    theirs: Option<u64>,
    /// Whether the source was told that somebody hears.
    asked: bool,
}

impl Sound {
    /// The number under which a packet goes on that its source numbered: what was lost on its way stays lost.
    fn renumber(&mut self, theirs: u64) -> u64 {
        let gone = self.theirs.and_then(|last| theirs.checked_sub(last)).unwrap_or(1);
        let number = self.next + gone.clamp(1, MOST_LOST) - 1;
        (self.theirs, self.next) = (Some(theirs), number + 1);
        number
    }

    /// The packets that a piece completes.
    fn pack(&mut self, pcm: &Pcm, now: Micros) -> Vec<SoundPacket> {
        let packed = match &mut self.packer {
            Some(packer) => packer.pack(pcm, now),
            empty => Packer::new(self.next).and_then(|packer| empty.insert(packer).pack(pcm, now)),
        };
        self.next = self.packer.as_ref().map_or(self.next, Packer::next);
        packed.unwrap_or_else(|error| {
            if !std::mem::replace(&mut self.failed, true) {
                tracing::error!(%error, "a session's sound cannot be coded");
            }
            Vec::new()
        })
    }
}

impl Task {
    /// A program plays this.
    pub(super) fn plays(&mut self, pcm: &Pcm, now: Micros) {
        if !sound::IS_THERE {
            return;
        }
        self.has_sound();
        if !self.viewers.values().any(hears) {
            // Who begins to hear later hears nothing of what was played before.
            self.sound.packer = None;
            return;
        }
        for packet in self.sound.pack(pcm, now) {
            self.send_sound(&packet);
        }
    }

    /// There is something to hear.
    pub(super) fn has_sound(&mut self) {
        if !std::mem::replace(&mut self.sound.is_there, true) {
            tracing::info!(session = self.title, "the session has sound");
            self.viewers.values().filter(|viewer| may_hear(viewer)).for_each(tell);
        }
    }

    /// A program plays this, which its source has coded: it goes on unopened.
    pub(super) fn plays_coded(&mut self, packet: SoundPacket) {
        let number = self.sound.renumber(packet.number);
        self.send_sound(&SoundPacket { number, ..packet });
    }

    /// Tells the source when the first begins to hear, and when the last no longer does.
    pub(super) fn ask_for_sound(&mut self) {
        let wanted = self.viewers.values().any(hears);
        if std::mem::replace(&mut self.sound.asked, wanted) != wanted {
            self.source.hear(wanted);
        }
    }

    fn send_sound(&self, packet: &SoundPacket) {
        let mut datagram = Vec::with_capacity(packet.opus.len() + 20);
        packet.write(&mut datagram);
        let datagram = Bytes::from(datagram);
        let hearers = self.viewers.values().filter(|viewer| hears(viewer));
        hearers.for_each(|viewer| viewer.link.sound(datagram.clone()));
    }

    /// A viewer that has just come is told whether there is something to hear.
    pub(super) fn tell_sound_to(&self, id: ViewerId) {
        let viewer = self.viewers.get(&id).filter(|viewer| self.sound.is_there && may_hear(viewer));
        viewer.into_iter().for_each(tell);
    }
}

fn tell(viewer: &Viewer) {
    viewer.link.control(&Control::Sound(Some(FORMAT)));
}

fn may_hear(viewer: &Viewer) -> bool {
    viewer.plays_sound && viewer.grant.allowed.sound
}

fn hears(viewer: &Viewer) -> bool {
    may_hear(viewer) && viewer.wants_sound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_a_source_count_on_whatever_it_counts_and_holes_stay_holes() {
        let mut sound = Sound { next: 100, ..Sound::default() };
        let numbers = [7, 8, 10, 11, 0, 1, 1 << 60, 3].map(|theirs| sound.renumber(theirs));
        assert_eq!(numbers, [100, 101, 103, 104, 105, 106, 156, 157]);
    }
}
