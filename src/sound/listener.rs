//! Packets in, samples out: in their order, whatever order they come in, and with something in the place of what was lost.

use super::{Decoder, SoundError};
use crate::wire::SoundPacket;
use std::collections::BTreeMap;

/// Packets that wait for an earlier one before it is given up.
const PATIENCE: usize = 3;
/// Lost packets in a row in whose place something is played.
const CONCEALED: u64 = 5;

/// Decodes what one viewer hears.
pub struct Listener {
    decoder: Decoder,
    next: Option<u64>,
    waiting: BTreeMap<u64, SoundPacket>,
    lost: u64,
}

impl Listener {
    pub fn new() -> Result<Listener, SoundError> {
        Ok(Listener { decoder: Decoder::new()?, next: None, waiting: BTreeMap::new(), lost: 0 })
    }

    /// The next packet is the first of others, whatever its number.
    pub fn begin_anew(&mut self) {
        self.next = None;
        self.waiting.clear();
    }

    /// Packets that never came, or could not be decoded.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Takes a packet, and appends the samples that can be played now to `out`: left and right in turn.
    pub fn take(&mut self, packet: SoundPacket, out: &mut Vec<i16>) -> Result<(), SoundError> {
        let next = *self.next.get_or_insert(packet.number);
        // It was given up.
        if packet.number < next {
            return Ok(());
        }
        self.waiting.insert(packet.number, packet);
        while let Some((&number, _)) = self.waiting.first_key_value() {
            let missing = number - self.next.unwrap_or(number);
            if missing > 0 && self.waiting.len() <= PATIENCE {
                break;
            }
            for _ in 0..missing.min(CONCEALED) {
                out.extend(self.decoder.conceal()?);
            }
            self.lost += missing;
            self.next = Some(number + 1);
            let Some((_, packet)) = self.waiting.pop_first() else { break };
            match self.decoder.decode(&packet.opus) {
                Ok(samples) => out.extend(samples),
                Err(_) => {
                    self.lost += 1;
                    out.extend(self.decoder.conceal()?);
                }
            }
        }
        Ok(())
    }
}

#[cfg(all(test, feature = "sound"))]
mod tests {
    use super::super::{CHANNELS, FRAME, Packer, Pcm, RATE};
    use super::*;

    /// How loud a frequency is in samples of the left channel (Goertzel's algorithm): 1 is a full sine and nothing else.
    fn share(samples: &[i16], hertz: f64) -> f64 {
        let left: Vec<f64> = samples.iter().step_by(2).map(|&sample| f64::from(sample)).collect();
        let turn = 2.0 * (hertz / f64::from(RATE) * std::f64::consts::TAU).cos();
        let (mut one, mut two) = (0.0, 0.0);
        for sample in &left {
            (one, two) = (sample + turn * one - two, one);
        }
        let power: f64 = left.iter().map(|sample| sample * sample).sum();
        (one * one + two * two - turn * one * two) * 2.0 / (power * left.len() as f64)
    }

    fn packets() -> Vec<SoundPacket> {
        let mut packer = Packer::new(7).unwrap();
        let mut packets = Vec::new();
        for piece in 0..50 {
            let sample = |at: usize| {
                let at = (piece * 882 + at) as f64;
                ((at / 44_100.0 * 440.0 * std::f64::consts::TAU).sin() * 9_000.0) as i16
            };
            let bytes: Vec<u8> = (0..882).flat_map(|at| [sample(at), 0]).flat_map(i16::to_le_bytes).collect();
            let pcm = Pcm::new(44_100, 2, &bytes).unwrap();
            packets.extend(packer.pack(&pcm, 1_000_000 + piece as u64 * 20_000).unwrap());
        }
        packets
    }

    fn heard(packets: impl IntoIterator<Item = SoundPacket>) -> (Vec<i16>, u64) {
        let (mut listener, mut out) = (Listener::new().unwrap(), Vec::new());
        packets.into_iter().for_each(|packet| listener.take(packet, &mut out).unwrap());
        (out, listener.lost())
    }

    #[test]
    fn a_tone_is_heard_as_the_same_tone() {
        let packets = packets();
        assert!((48..=50).contains(&packets.len()));
        assert!(packets.iter().enumerate().all(|(at, packet)| packet.number == 7 + at as u64));
        let bytes: usize = packets.iter().map(|packet| packet.opus.len()).sum();
        println!("{} bytes a packet", bytes / packets.len());
        let (samples, lost) = heard(packets.iter().cloned());
        assert_eq!((samples.len(), lost), (packets.len() * FRAME * CHANNELS, 0));
        assert!(share(&samples[9_600..], 440.0) > 0.95 && share(&samples[9_600..], 880.0) < 0.01);
    }

    #[test]
    fn what_comes_in_another_order_is_played_in_its_own_and_what_is_lost_is_concealed() {
        let mut shuffled = packets();
        let (plain, _) = heard(shuffled.clone());
        (3..40).step_by(4).for_each(|at| shuffled.swap(at, at + 2));
        assert!(heard(shuffled).0 == plain);
        let mut holes = packets();
        let all = holes.len() - PATIENCE - 1;
        holes.retain(|packet| packet.number % 10 != 3 || packet.number > 40);
        let (samples, lost) = heard(holes);
        assert_eq!(lost, 3);
        assert!(samples.len() >= all * FRAME * CHANNELS && share(&samples[9_600..], 440.0) > 0.8);
    }

    #[test]
    fn packets_that_are_no_opus_and_absurd_numbers_cost_no_more_than_themselves() {
        let mut all = packets();
        all[10].opus = vec![0xff; 700].into();
        all[12].opus = Vec::new().into();
        all.push(SoundPacket { number: (1 << 62) - 1, time_us: 0, opus: vec![1, 2, 3].into() });
        let (samples, lost) = heard(all.clone());
        assert!(lost >= 2 && samples.len() <= (all.len() + 8) * FRAME * CHANNELS);
    }

    #[test]
    fn an_hour_sent_at_once_is_played_no_longer_than_a_second() {
        let mut packer = Packer::new(0).unwrap();
        let pcm = Pcm::new(48_000, 1, &vec![0; 96_000]).unwrap();
        let packets: usize = (0..3_600).map(|_| packer.pack(&pcm, 5_000_000).unwrap().len()).sum();
        assert_eq!(packets, 50);
    }

    /// How long a frame takes: run it by name, with --nocapture.
    #[test]
    fn a_second_of_sound_is_coded_in_less_than_a_second() {
        let begun = std::time::Instant::now();
        let count = packets().len();
        println!("{:?} a packet, resampled and coded", begun.elapsed() / count as u32);
    }
}
