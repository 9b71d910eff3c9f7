//! Which of these tests run beside each other: they share few cores, and what a browser takes long to do is waited for.

use std::sync::{Condvar, Mutex, PoisonError};

/// At once: while one browser waits, another one starts.
const LANES: usize = 2;

static FREE: Mutex<usize> = Mutex::new(LANES);
static FREED: Condvar = Condvar::new();

/// Lanes that a test has until it ends.
pub struct Taken(usize);

fn take(lanes: usize) -> Taken {
    let free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut free = FREED.wait_while(free, |free| *free < lanes).unwrap_or_else(PoisonError::into_inner);
    *free -= lanes;
    Taken(lanes)
}

impl Drop for Taken {
    fn drop(&mut self) {
        *FREE.lock().unwrap_or_else(PoisonError::into_inner) += self.0;
        FREED.notify_all();
    }
}

/// For a test that may run beside another one.
pub fn beside() -> Taken {
    take(1)
}

/// For a test that wants the machine for itself: it looks at what keeps pace, or at what is used.
pub fn alone() -> Taken {
    take(LANES)
}
