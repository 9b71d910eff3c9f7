//! The video encoders of this process: how many there may be, how many work at once, and those that wait to be used
//! again. Encoding happens on threads of its own, as many as the machine has cores, whoever asks.

use crate::codec::video::{EncodedFrame, VideoEncoder, VideoError};
use bytes::Bytes;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Encoders that may live at the same time; one of a large rectangle takes tens of megabytes.
const MOST_ENCODERS: usize = 32;
/// Encoders kept for the next video of their size.
const MOST_IDLE: usize = 4;

/// All encoders of this process.
pub(super) struct Encoders {
    places: Arc<Semaphore>,
    workers: Arc<Semaphore>,
    idle: Mutex<Vec<(u32, u32, VideoEncoder)>>,
}

/// An encoder in use. Given back when it is dropped.
pub(super) struct Lent {
    encoder: Option<VideoEncoder>,
    size: (u32, u32),
    _place: OwnedSemaphorePermit,
    from: &'static Encoders,
}

/// What became of a picture, and the encoder back.
pub(super) struct Encoded {
    pub encoder: Lent,
    pub result: Result<(EncodedFrame, Bytes), VideoError>,
}

impl Encoders {
    pub fn of_this_process() -> &'static Encoders {
        static ALL: LazyLock<Encoders> = LazyLock::new(|| {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            Encoders {
                places: Arc::new(Semaphore::new(MOST_ENCODERS)),
                workers: Arc::new(Semaphore::new(cores)),
                idle: Mutex::default(),
            }
        });
        &ALL
    }

    /// An encoder for pictures of this size; `None` if there are too many already, or none can be made.
    pub fn lend(&'static self, width: u32, height: u32, bits_per_second: u32) -> Option<Lent> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let known = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let at = idle.iter().position(|(w, h, _)| (*w, *h) == (width, height));
            at.map(|at| idle.swap_remove(at).2)
        };
        let made = match known {
            Some(mut encoder) => encoder.set_rate(bits_per_second).map(|()| encoder),
            None => VideoEncoder::new(width, height, bits_per_second),
        };
        let encoder = made.inspect_err(|error| tracing::warn!(%error, "served without video")).ok()?;
        Some(Lent { encoder: Some(encoder), size: (width, height), _place: place, from: self })
    }

    /// Encodes the picture that was loaded, when a worker is free. `key`: the frame shall need nothing before it.
    pub async fn encode(&self, mut lent: Lent, key: bool, time_ms: u64) -> Option<Encoded> {
        // The semaphore is never closed.
        let worker = self.workers.clone().acquire_owned().await.ok()?;
        let work = move || {
            let _worker = worker;
            let mut bytes = Vec::new();
            let result = lent.get().encode(key, time_ms, &mut bytes).map(|kind| (kind, bytes.into()));
            Encoded { encoder: lent, result }
        };
        tokio::task::spawn_blocking(work).await.ok()
    }
}

impl Lent {
    pub fn get(&mut self) -> &mut VideoEncoder {
        self.encoder.as_mut().expect("there until dropped")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(encoder) = self.encoder.take() else { return };
        let mut idle = self.from.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() == MOST_IDLE {
            idle.remove(0);
        }
        idle.push((self.size.0, self.size.1, encoder));
    }
}
