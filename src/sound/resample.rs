//! From a host's rate to the coded one: a windowed sinc of as many phases as the two rates' ratio has.

use super::RATE;
use std::f64::consts::PI;

/// Samples of the input that make one of the output: half of them before it, half after.
const TAPS: usize = 32;
/// Of the lower rate's half, what passes: the rest is where the filter falls off.
const PASSED: f64 = 0.92;
/// The window's shape (Kaiser): 80 dB below what passes.
const BETA: f64 = 8.0;

/// Makes samples of one rate into samples of [`RATE`], piece by piece.
pub struct Resampler {
    from: u32,
    /// For each phase, what each of the input's samples counts.
    weights: Vec<[f32; TAPS]>,
    /// Output phases that one input sample, and one output sample, go on.
    up: usize,
    down: usize,
    phase: usize,
    /// Input that the next output may need, left and right.
    kept: Vec<[f32; 2]>,
}

impl Resampler {
    /// From so many samples a second, at most [`RATE`].
    pub fn new(from: u32) -> Resampler {
        let common = greatest_common_divisor(from, RATE);
        let (up, down) = ((RATE / common) as usize, (from / common) as usize);
        let weights = (0..up).map(|phase| weights(phase as f64 / up as f64)).collect();
        Resampler { from, weights, up, down, phase: 0, kept: vec![[0.0; 2]; TAPS - 1] }
    }

    pub fn from(&self) -> u32 {
        self.from
    }

    /// Takes left and right of each moment in, and appends them at the other rate, in turn.
    pub fn convert(&mut self, input: impl Iterator<Item = [i16; 2]>, out: &mut Vec<i16>) {
        if self.up == self.down {
            out.extend(input.flatten());
            return;
        }
        self.kept.extend(input.map(|pair| pair.map(f32::from)));
        let mut at = 0;
        while at + TAPS <= self.kept.len() {
            let window = &self.kept[at..at + TAPS];
            let mut sum = [0.0_f32; 2];
            for (pair, weight) in window.iter().zip(&self.weights[self.phase]) {
                sum[0] += pair[0] * weight;
                sum[1] += pair[1] * weight;
            }
            // A float beyond an integer's range becomes the nearest one in it.
            out.extend(sum.map(|value| value.round() as i16));
            self.phase += self.down;
            at += self.phase / self.up;
            self.phase %= self.up;
        }
        self.kept.drain(..at.min(self.kept.len()));
    }
}

/// What the samples around a moment count, that lies this part of a sample after the one in the middle.
fn weights(fraction: f64) -> [f32; TAPS] {
    let half = TAPS as f64 / 2.0;
    let raw: [f64; TAPS] = std::array::from_fn(|tap| {
        let distance = tap as f64 - (half - 1.0) - fraction;
        let x = PI * distance * PASSED;
        let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
        let inside = 1.0 - (distance / half).powi(2);
        sinc * bessel(BETA * inside.max(0.0).sqrt()) / bessel(BETA)
    });
    let sum: f64 = raw.iter().sum();
    raw.map(|weight| (weight / sum) as f32)
}

/// The modified Bessel function of the first kind, order 0.
fn bessel(x: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..40 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    match b {
        0 => a,
        _ => greatest_common_divisor(b, a % b),
    }
}

#[cfg(test)]
mod tests {
    use super::super::RATES;
    use super::*;

    /// A tone on the left and silence on the right.
    fn tone(rate: u32, hertz: f64, seconds: f64) -> Vec<[i16; 2]> {
        let count = (f64::from(rate) * seconds) as usize;
        let sample = |at: usize| (at as f64 / f64::from(rate) * hertz * 2.0 * PI).sin() * 12_000.0;
        (0..count).map(|at| [sample(at) as i16, 0]).collect()
    }

    #[test]
    fn a_tone_stays_the_same_tone_at_every_rate_and_in_any_pieces() {
        for rate in RATES {
            let input = tone(rate, 440.0, 0.5);
            let (mut whole, mut pieces) = (Vec::new(), Vec::new());
            Resampler::new(rate).convert(input.iter().copied(), &mut whole);
            let mut by_pieces = Resampler::new(rate);
            input.chunks(97).for_each(|piece| by_pieces.convert(piece.iter().copied(), &mut pieces));
            assert!(whole == pieces, "{rate}");
            let long = whole.len() / 2;
            assert!(
                long.abs_diff(RATE as usize / 2) <= TAPS * RATE as usize / rate as usize,
                "{rate}: {long}"
            );
            // In the middle it is a sine: what is left when the best one is taken away is small.
            let left: Vec<f64> = whole.iter().step_by(2).map(|&sample| f64::from(sample)).collect();
            assert!(whole.iter().skip(1).step_by(2).all(|&sample| sample == 0));
            let middle = &left[4_800..14_400];
            let part = |turn: fn(f64) -> f64| {
                let wave = |at: usize| turn(at as f64 / f64::from(RATE) * 440.0 * 2.0 * PI);
                let sum: f64 = middle.iter().enumerate().map(|(at, sample)| sample * wave(at)).sum();
                sum * 2.0 / middle.len() as f64
            };
            let power = middle.iter().map(|sample| sample * sample).sum::<f64>() / middle.len() as f64;
            let of_tone = (part(f64::sin).powi(2) + part(f64::cos).powi(2)) / 2.0;
            assert!((power - of_tone).abs() < power * 1e-3, "{rate}: {power} and {of_tone}");
            assert!((power.sqrt() - 12_000.0 / 2.0_f64.sqrt()).abs() < 100.0, "{rate}");
        }
    }

    #[test]
    fn a_constant_stays_as_loud_and_the_loudest_does_not_wrap() {
        let mut out = Vec::new();
        Resampler::new(44_100).convert(std::iter::repeat_n([i16::MAX, i16::MIN], 4_410), &mut out);
        let middle = &out[2_000..6_000];
        assert!(middle.as_chunks::<2>().0.iter().all(|&[left, right]| left > 32_700 && right < -32_700));
    }
}
