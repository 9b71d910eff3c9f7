//! A stack of grey slices with the grain of a scanner's, made once and shared by all sessions.

use super::page::mix;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// How many slices there are before they come again.
pub const SLICES: u64 = 16;

/// Square slices of one side, one grey byte a pixel.
pub struct Stack {
    side: u32,
    greys: Vec<u8>,
}

impl Stack {
    /// The stack of this side: the one that is in use already, or a new one.
    pub fn of(side: u32) -> Arc<Stack> {
        static MADE: Mutex<Vec<Weak<Stack>>> = Mutex::new(Vec::new());
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|stack| stack.strong_count() > 0);
        if let Some(stack) = made.iter().filter_map(Weak::upgrade).find(|stack| stack.side == side) {
            return stack;
        }
        let stack = Arc::new(Stack::new(side));
        made.push(Arc::downgrade(&stack));
        stack
    }

    fn new(side: u32) -> Stack {
        let pixel = |slice: u64, x: u32, y: u32| {
            // An ellipse whose size changes from slice to slice, darker within, with grain all over.
            let half = i64::from(side / 2).max(1);
            let (dx, dy) = (i64::from(x) - half, i64::from(y) - half);
            let size = half * (60 + slice as i64 * 2) / 100;
            let body = dx * dx + dy * dy * 2 < size * size;
            let bone = (dx.abs() - size / 2).abs() < 6 && dy.abs() < size / 3;
            let grain = mix(slice << 40 ^ u64::from(x) << 20 ^ u64::from(y)) % 9;
            let grey = if bone {
                210
            } else if body {
                96 + (dx + dy).rem_euclid(24) / 3
            } else {
                12
            };
            grey as u8 + grain as u8
        };
        let greys = (0..SLICES)
            .flat_map(|slice| (0..side).flat_map(move |y| (0..side).map(move |x| (slice, x, y))))
            .map(|(slice, x, y)| pixel(slice, x, y))
            .collect();
        Stack { side, greys }
    }

    /// A row of a slice, as greys.
    pub fn row(&self, slice: u64, y: u32) -> &[u8] {
        let side = self.side as usize;
        let start = ((slice % SLICES) as usize * side + y as usize) * side;
        &self.greys[start..start + side]
    }
}
