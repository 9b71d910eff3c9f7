//! What the session plays, to the viewers that want to hear it: coded once, and not at all while there are none.

use super::task::{Task, ViewerId};
use super::viewer::Viewer;
use crate::sound::{self, Packer, Pcm};
use crate::sync::Micros;
use crate::wire::{Control, SoundFormat, SoundPacket};
use bytes::Bytes;

const FORMAT: SoundFormat =
    SoundFormat { rate: sound::RATE, channels: sound::CHANNELS as u8, frame: sound::FRAME as u32 };

#[derive(Default)]
pub(super) struct Sound {
    /// Something was played: viewers were told that there is something to hear.
    is_there: bool,
    packer: Option<Packer>,
    /// The number of the next packet, whoever makes it.
    next: u64,
    failed: bool,
}

impl Sound {
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
        if !std::mem::replace(&mut self.sound.is_there, true) {
            tracing::info!(session = self.title, "the session has sound");
            self.viewers.values().filter(|viewer| may_hear(viewer)).for_each(tell);
        }
        if !self.viewers.values().any(hears) {
            // Who begins to hear later hears nothing of what was played before.
            self.sound.packer = None;
            return;
        }
        for packet in self.sound.pack(pcm, now) {
            let mut datagram = Vec::with_capacity(packet.opus.len() + 20);
            packet.write(&mut datagram);
            let datagram = Bytes::from(datagram);
            let hearers = self.viewers.values().filter(|viewer| hears(viewer));
            hearers.for_each(|viewer| viewer.link.sound(datagram.clone()));
        }
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
