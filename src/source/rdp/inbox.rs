//! What a session asks of its connection, while the connection is busy with something else.

use crate::wire::{Clip, InputEvent};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Input that may wait for a host that is slow to take it.
const MOST_EVENTS: usize = 4_096;

#[derive(Default)]
pub struct Inbox {
    waiting: Mutex<Waiting>,
    bell: Notify,
}

#[derive(Default)]
pub struct Waiting {
    pub events: VecDeque<InputEvent>,
    /// The newest size that was asked for.
    pub size: Option<(u32, u32)>,
    pub clip: Option<Clip>,
    pub stopping: bool,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An event for the host. When too many wait, what is held is let go instead: keys must not stay down.
    pub fn push(&self, event: InputEvent) {
        let mut waiting = self.lock();
        if matches!(event, InputEvent::PointerMove { .. })
            && let Some(last @ InputEvent::PointerMove { .. }) = waiting.events.back_mut()
        {
            *last = event;
        } else if waiting.events.len() < MOST_EVENTS {
            waiting.events.push_back(event);
        } else {
            waiting.events.clear();
            waiting.events.push_back(InputEvent::ReleaseAll);
        }
        drop(waiting);
        self.bell.notify_one();
    }

    pub fn resize(&self, width: u32, height: u32) {
        self.lock().size = Some((width, height));
        self.bell.notify_one();
    }

    pub fn clip(&self, clip: Clip) {
        self.lock().clip = Some(clip);
        self.bell.notify_one();
    }

    pub fn stop(&self) {
        self.lock().stopping = true;
        self.bell.notify_one();
    }

    pub fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Everything that waits; `stopping` stays.
    pub fn take(&self) -> Waiting {
        let mut waiting = self.lock();
        let stopping = waiting.stopping;
        std::mem::replace(&mut *waiting, Waiting { stopping, ..Waiting::default() })
    }

    /// Waits until something was put in since the last wait.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn motions_are_merged_and_a_flood_ends_in_everything_let_go() {
        let inbox = Inbox::default();
        (0..9).for_each(|x| inbox.push(InputEvent::PointerMove { x, y: 0 }));
        assert!(inbox.take().events == [InputEvent::PointerMove { x: 8, y: 0 }]);
        (0..MOST_EVENTS + 1).for_each(|_| inbox.push(InputEvent::KeyDown { key: 4, keysym: 97 }));
        assert!(inbox.take().events == [InputEvent::ReleaseAll]);
        inbox.resize(1, 2);
        inbox.resize(3, 4);
        inbox.stop();
        assert_eq!(inbox.take().size, Some((3, 4)));
        assert!(inbox.take().stopping);
    }
}
