//! What a host plays (MS-RDPEA): asked for as PCM, and told to the session as it comes.

use crate::sound::{Pcm, RATES};
use crate::source::SourceEvent;
use ironrdp_core::impl_as_any;
use ironrdp_pdu::PduResult;
use ironrdp_pdu::gcc::ChannelName;
use ironrdp_rdpsnd::client::{Rdpsnd, RdpsndClientHandler, RdpsndDvc};
use ironrdp_rdpsnd::pdu::{AudioFormat, PitchPdu, VolumePdu, WaveFormat};
use ironrdp_svc::{CompressionCondition, SvcClientProcessor, SvcMessage, SvcProcessor};
use std::borrow::Cow;
use tokio::sync::mpsc::Sender;

/// The channel's side of a session's sound. It waits for nobody: where the session has no room, sound is left out.
#[derive(Clone)]
pub struct SoundEar {
    events: Sender<SourceEvent>,
}

impl std::fmt::Debug for SoundEar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SoundEar")
    }
}

impl SoundEar {
    pub fn new(events: Sender<SourceEvent>) -> SoundEar {
        SoundEar { events }
    }

    pub fn static_channel(&self) -> StaticSound {
        StaticSound { channel: Rdpsnd::new(Box::new(self.clone())), trained: false }
    }

    pub fn dynamic_channel(&self) -> RdpsndDvc {
        RdpsndDvc::new(Box::new(self.clone()))
    }
}

impl RdpsndClientHandler for SoundEar {
    fn get_formats(&self) -> &[AudioFormat] {
        &[]
    }

    /// Of what the host offers, what the session takes, the best first.
    fn choose_formats(&self, offered: &[AudioFormat]) -> Vec<AudioFormat> {
        let mut taken: Vec<AudioFormat> = offered.iter().filter(|format| is_taken(format)).cloned().collect();
        taken.sort_by_key(|format| (std::cmp::Reverse(format.n_channels), rank(format.n_samples_per_sec)));
        taken
    }

    fn wave(&mut self, format: &AudioFormat, _time: u32, data: Cow<'_, [u8]>) {
        // Sound leaves the other half of the places to what must arrive.
        let has_room = self.events.capacity() * 2 > self.events.max_capacity();
        if let Some(pcm) = Pcm::new(format.n_samples_per_sec, format.n_channels.into(), &data)
            && has_room
        {
            let _ = self.events.try_send(SourceEvent::Plays(pcm));
        }
    }

    fn set_volume(&mut self, _volume: VolumePdu) {}

    fn set_pitch(&mut self, _pitch: PitchPdu) {}

    fn close(&mut self) {}
}

/// The static channel. xrdp plays on while it is being told what its client takes, and the channel would take that for an
/// error from which it does not return: what comes too early is passed over.
#[derive(Debug)]
pub struct StaticSound {
    channel: Rdpsnd,
    /// The host has done what comes before it may play (MS-RDPEA, 2.2.3.1).
    trained: bool,
}

/// Types of the host's messages: the first byte.
const TRAINING: u8 = 6;
const FORMATS: u8 = 7;

impl_as_any!(StaticSound);

impl SvcProcessor for StaticSound {
    fn channel_name(&self) -> ChannelName {
        self.channel.channel_name()
    }

    fn compression_condition(&self) -> CompressionCondition {
        self.channel.compression_condition()
    }

    fn process(&mut self, payload: &[u8]) -> PduResult<Vec<SvcMessage>> {
        match payload.first() {
            Some(&FORMATS) => self.trained = false,
            Some(&TRAINING) => self.trained = true,
            _ if !self.trained => return Ok(Vec::new()),
            _ => {}
        }
        self.channel.process(payload)
    }
}

impl SvcClientProcessor for StaticSound {}

fn rank(rate: u32) -> Option<usize> {
    RATES.iter().position(|&known| known == rate)
}

fn is_taken(format: &AudioFormat) -> bool {
    format.format == WaveFormat::PCM
        && format.bits_per_sample == 16
        && (1..=2).contains(&format.n_channels)
        && rank(format.n_samples_per_sec).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironrdp_rdpsnd::pdu::{ServerAudioFormatPdu, ServerAudioOutputPdu, Version};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use tokio::sync::mpsc::channel;

    fn format(format: WaveFormat, channels: u16, rate: u32, bits: u16) -> AudioFormat {
        AudioFormat {
            format,
            n_channels: channels,
            n_samples_per_sec: rate,
            n_avg_bytes_per_sec: 0,
            n_block_align: 0,
            bits_per_sample: bits,
            data: None,
        }
    }

    #[test]
    fn of_what_a_host_offers_the_best_pcm_is_asked_for_first_and_nothing_else() {
        let pcm = |channels, rate| format(WaveFormat::PCM, channels, rate, 16);
        let offered = [
            format(WaveFormat::OPUS, 2, 48_000, 16),
            pcm(1, 48_000),
            pcm(2, 22_050),
            format(WaveFormat::PCM, 2, 44_100, 8),
            pcm(2, 44_100),
            pcm(2, 12_345),
            pcm(8, 48_000),
        ];
        let ear = SoundEar::new(channel(1).0);
        assert_eq!(ear.choose_formats(&offered), [pcm(2, 44_100), pcm(2, 22_050), pcm(1, 48_000)]);
    }

    #[test]
    fn a_host_that_floods_a_session_that_does_not_listen_is_not_kept() {
        let (events, mut told) = channel(4);
        let mut ear = SoundEar::new(events);
        let stereo = format(WaveFormat::PCM, 2, 44_100, 16);
        (0..1_000).for_each(|_| ear.wave(&stereo, 0, vec![0; 70_000_000 / 1_000].into()));
        ear.wave(&format(WaveFormat::PCM, 0, 0, 16), 0, vec![1, 2, 3].into());
        let mut count = 0;
        while let Ok(SourceEvent::Plays(_)) = told.try_recv() {
            count += 1;
        }
        assert_eq!(count, 2);
    }

    /// Formats of xrdp's version with one PCM format.
    fn formats() -> Vec<u8> {
        let pcm = AudioFormat {
            n_avg_bytes_per_sec: 176_400,
            n_block_align: 4,
            ..format(WaveFormat::PCM, 2, 44_100, 16)
        };
        let formats = ServerAudioFormatPdu { version: Version::V5, formats: vec![pcm] };
        ironrdp_core::encode_vec(&ServerAudioOutputPdu::AudioFormat(formats)).unwrap()
    }

    /// A block of four samples of both channels: its head with the first of them, and the rest.
    fn wave() -> [Vec<u8>; 2] {
        let head = [&[2, 0, 24, 0, 0, 0, 0, 0, 1, 0, 0, 0][..], &[1, 0, 1, 0]].concat();
        [head, [&[0; 4][..], &[2, 0, 2, 0, 3, 0, 3, 0, 4, 0, 4, 0]].concat()]
    }

    #[test]
    fn a_host_that_plays_before_it_may_is_heard_as_soon_as_it_may() {
        let (events, mut told) = channel(4);
        let mut channel = SoundEar::new(events).static_channel();
        let training = [6, 0, 4, 0, 9, 0, 0, 0];
        let early = wave();
        for payload in [&formats()[..], &early[0], &early[1], &training] {
            channel.process(payload).unwrap();
        }
        assert!(told.try_recv().is_err());
        let due = wave();
        due.iter().for_each(|payload| drop(channel.process(payload).unwrap()));
        let Ok(SourceEvent::Plays(pcm)) = told.try_recv() else { panic!("nothing was heard") };
        assert_eq!(pcm.pairs().collect::<Vec<_>>(), [[1, 1], [2, 2], [3, 3], [4, 4]]);
    }

    proptest! {
        #[test]
        fn nothing_that_a_host_says_of_sound_breaks_the_channel(
            payloads in vec((0_u8..16, vec(any::<u8>(), 0..80)), 0..12), begins in any::<bool>(),
        ) {
            let mut channel = SoundEar::new(channel(2).0).static_channel();
            if begins {
                channel.process(&formats()).unwrap();
                channel.process(&[6, 0, 4, 0, 9, 0, 0, 0]).unwrap();
            }
            for (kind, rest) in payloads {
                let length = rest.len().to_le_bytes();
                let payload = [&[kind, 0, length[0], length[1]][..], &rest].concat();
                let _ = channel.process(&payload);
                let _ = channel.process(&rest);
            }
        }
    }
}
