//! A gateway that was asleep does nothing to hosts that another one may have by now.

use super::{LASTS, LOOK_AGAIN};
use crate::source::Source;
use crate::wire::{Clip, InputEvent};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::time::sleep;

/// Whether this gateway may still act on what it holds by the database's word alone: not once it was asleep for so long that
/// another one may have it, until it has looked.
pub(in super::super) struct Fence(Mutex<Awake>);

struct Awake {
    at: Instant,
    slept: bool,
}

impl Fence {
    pub(super) fn new() -> Self {
        Fence(Mutex::new(Awake { at: Instant::now(), slept: false }))
    }

    fn lock(&self) -> MutexGuard<'_, Awake> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that this process runs, for as long as it does.
    pub(super) async fn keep(&self) {
        loop {
            self.wake();
            sleep(LOOK_AGAIN).await;
        }
    }

    fn wake(&self) {
        let mut awake = self.lock();
        awake.slept |= awake.at.elapsed() >= LASTS;
        awake.at = Instant::now();
    }

    /// What this gateway holds was looked up, which began at `since`.
    pub(super) fn looked(&self, since: Instant) {
        if since.elapsed() < LASTS {
            self.lock().slept = false;
        }
    }

    fn is_open(&self) -> bool {
        let awake = self.lock();
        !awake.slept && awake.at.elapsed() < LASTS
    }
}

/// A source that takes nothing from a gateway that was asleep.
pub(in super::super) struct Fenced {
    pub source: Arc<dyn Source>,
    pub fence: Arc<Fence>,
}

impl Source for Fenced {
    fn input(&self, event: InputEvent) {
        if self.fence.is_open() {
            self.source.input(event);
        }
    }

    fn resize(&self, width: u32, height: u32) {
        if self.fence.is_open() {
            self.source.resize(width, height);
        }
    }

    fn hear(&self, wanted: bool) {
        self.source.hear(wanted);
    }

    fn clip(&self, clip: Clip) {
        if self.fence.is_open() {
            self.source.clip(clip);
        }
    }

    fn empty_clipboard(&self) {
        self.source.empty_clipboard();
    }

    fn forget_input(&self) {
        self.source.forget_input();
    }
}
