//! Samples as a host gives them.

/// Rates that are taken, in samples a second, the best first.
pub const RATES: [u32; 8] = [48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 11_025, 8_000];
/// Samples of one piece, of all channels: a second of the highest rate. What is longer is cut.
const MOST_SAMPLES: usize = 96_000;

/// A piece of what is played: 16 bits a sample, channels in turn.
#[derive(Clone, PartialEq, Eq)]
pub struct Pcm {
    rate: u32,
    channels: usize,
    samples: Vec<i16>,
}

impl std::fmt::Debug for Pcm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pcm({} x {} at {})", self.samples.len(), self.channels, self.rate)
    }
}

impl Pcm {
    /// Takes little-endian samples of 16 bits; `None` if they are of a rate or a number of channels that is not taken. What is
    /// no whole sample of every channel is left out.
    pub fn new(rate: u32, channels: usize, bytes: &[u8]) -> Option<Pcm> {
        if !RATES.contains(&rate) || !(1..=2).contains(&channels) {
            return None;
        }
        let (pairs, _) = bytes.as_chunks::<2>();
        let count = pairs.len().min(MOST_SAMPLES);
        let samples =
            pairs[..count - count % channels].iter().map(|&pair| i16::from_le_bytes(pair)).collect();
        Some(Pcm { rate, channels, samples })
    }

    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Left and right of each moment.
    pub fn pairs(&self) -> impl Iterator<Item = [i16; 2]> {
        let last = self.channels - 1;
        self.samples.chunks_exact(self.channels).map(move |moment| [moment[0], moment[last]])
    }
}
