//! zlib streams that go on from rectangle to rectangle, never inflated beyond what a rectangle needs.

use super::RfbError;
use flate2::{Decompress, FlushDecompress};

pub(super) struct Inflate {
    stream: Decompress,
    what: &'static str,
}

impl Inflate {
    pub fn new(what: &'static str) -> Self {
        Inflate { stream: Decompress::new(true), what }
    }

    pub fn reset(&mut self) {
        self.stream.reset(true);
    }

    /// Inflates `input` into `out` as far as both go; how much of each was used.
    pub fn some(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize), RfbError> {
        let (before_in, before_out) = (self.stream.total_in(), self.stream.total_out());
        let inflated = self.stream.decompress(input, out, FlushDecompress::None);
        inflated.map_err(|_| RfbError::Zlib(self.what))?;
        let used = (self.stream.total_in() - before_in) as usize;
        Ok((used, (self.stream.total_out() - before_out) as usize))
    }

    /// Fills `out` from the beginning of `input`, and says how much of it that took.
    pub fn fill(&mut self, input: &[u8], out: &mut [u8]) -> Result<usize, RfbError> {
        let (mut used, mut filled) = (0, 0);
        while filled < out.len() {
            let (more_in, more_out) = self.some(&input[used..], &mut out[filled..])?;
            if more_in == 0 && more_out == 0 {
                return Err(RfbError::ZlibTooLittle(self.what));
            }
            (used, filled) = (used + more_in, filled + more_out);
        }
        Ok(used)
    }

    /// Takes what ends a rectangle's data and holds no more of it, such as the marks of a flush.
    pub fn finish(&mut self, input: &[u8]) -> Result<usize, RfbError> {
        let mut used = 0;
        while used < input.len() {
            let (more_in, more_out) = self.some(&input[used..], &mut [0])?;
            if more_out > 0 {
                return Err(RfbError::ZlibTooMuch(self.what));
            }
            if more_in == 0 {
                break;
            }
            used += more_in;
        }
        Ok(used)
    }
}
