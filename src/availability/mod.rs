//! Availability as its users meet it, measured: whether an attempt to attach gave a usable screen in time, how long a tap
//! takes to its screen, and in how many minutes something was wrong. Counted in memory, written to the store each minute,
//! read by `chevet report`.

mod csv;
mod html;
mod meter;
mod month;
mod recent;
mod recorder;
mod summary;

pub use csv::csv;
pub use html::html;
pub use meter::{Ending, Meter};
pub use month::{Month, NotAMonth};
pub use recent::{Recent, Stretch};
pub use recorder::{Look, Recorder, Targets};
pub use summary::{Figures, Summary, quantile};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

/// A histogram as text, in the form that all HDR histograms read.
pub fn to_text(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    match V2Serializer::new().serialize(histogram, &mut bytes) {
        Ok(_) => STANDARD.encode(bytes),
        // Counts near 2^63, which no hour has.
        Err(_) => String::new(),
    }
}

/// Adds a histogram in such a text; what cannot be read adds nothing, and is said.
fn add_text(text: &str, to: &mut Histogram<u64>) -> bool {
    let Ok(bytes) = STANDARD.decode(text) else { return false };
    let read = Deserializer::new().deserialize::<u64, _>(&mut bytes.as_slice());
    read.is_ok_and(|histogram| to.add(histogram).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tap_histogram;

    #[test]
    fn a_histogram_is_read_as_it_was_written_and_rubbish_adds_nothing() {
        let mut histogram = tap_histogram();
        [120, 45_000, 45_000, 59_000_000].into_iter().for_each(|us| histogram.saturating_record(us));
        let mut read = tap_histogram();
        assert!(add_text(&to_text(&histogram), &mut read));
        assert_eq!(read, histogram);
        for rubbish in ["", "!", "AAAA", &to_text(&histogram)[..20]] {
            assert!(!add_text(rubbish, &mut read), "{rubbish}");
        }
        assert_eq!(read.len(), 4);
    }
}
