//! The cursor: its picture, and where it is when others than the viewers moved it.

use super::X11Error;
use super::stream::XConnection;
use crate::source::{CursorShape, SourceEvent};
use std::collections::VecDeque;
use x11rb::protocol::xfixes::{ConnectionExt as _, GetCursorImageReply};
use x11rb::protocol::xproto::{QueryPointerReply, Window};

/// How many injected positions the server may lag behind by before one is taken for somebody else's.
const TRAIL: usize = 256;

/// Fetches the present cursor's picture; `None` when the server has none to give.
pub(super) fn fetch(connection: &XConnection) -> Result<Option<CursorShape>, X11Error> {
    match connection.xfixes_get_cursor_image()?.reply() {
        Ok(image) => Ok(shape(image)),
        // A server on which no program has set a cursor yet answers with an error.
        Err(x11rb::errors::ReplyError::X11Error(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn shape(image: GetCursorImageReply) -> Option<CursorShape> {
    let whole = image.cursor_image.len() == usize::from(image.width) * usize::from(image.height);
    whole.then_some(CursorShape {
        width: image.width,
        height: image.height,
        hot_x: image.xhot,
        hot_y: image.yhot,
        pixels: image.cursor_image,
    })
}

/// Positions that this source has asked for, oldest first, so that they are not told back to it.
#[derive(Default)]
pub(super) struct PointerTrail {
    injected: VecDeque<(u16, u16)>,
    /// Where the pointer was seen last.
    seen: Option<(u16, u16)>,
}

impl PointerTrail {
    /// The pointer is about to be moved here, in pixels of the screen.
    pub(super) fn inject(&mut self, x: u16, y: u16) {
        if self.injected.len() == TRAIL {
            self.injected.pop_front();
        }
        self.injected.push_back((x, y));
    }

    /// Forgets everything, for a new server.
    pub(super) fn clear(&mut self) {
        *self = PointerTrail::default();
    }

    /// The pointer was seen at a place of a screen of this size. Returns whether somebody else moved it.
    fn see(&mut self, at: (u16, u16), screen: (u32, u32)) -> bool {
        if self.seen.replace(at) == Some(at) {
            return false;
        }
        // The server keeps the pointer on the screen, and obeys in order: what is older than a match is past.
        let clamp = |(x, y): (u16, u16)| {
            (u32::from(x).min(screen.0.saturating_sub(1)), u32::from(y).min(screen.1.saturating_sub(1)))
        };
        let seen = (u32::from(at.0), u32::from(at.1));
        match self.injected.iter().position(|&injected| clamp(injected) == seen) {
            Some(index) => {
                self.injected.drain(..=index);
                false
            }
            None => true,
        }
    }

    /// What to tell the session of the server's answer, if anything.
    pub(super) fn notice(
        &mut self,
        pointer: &QueryPointerReply,
        root: Window,
        screen: (u32, u32),
    ) -> Option<SourceEvent> {
        if !pointer.same_screen || pointer.root != root {
            return None;
        }
        let x = u16::try_from(pointer.root_x).ok()?;
        let y = u16::try_from(pointer.root_y).ok()?;
        self.see((x, y), screen).then_some(SourceEvent::CursorMoved { x, y })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: (u32, u32) = (800, 600);

    #[test]
    fn the_viewers_own_moves_are_not_told_back_even_when_the_server_lags() {
        let mut trail = PointerTrail::default();
        assert!(trail.see((400, 300), SCREEN));
        for x in 0..10 {
            trail.inject(x, 5);
        }
        assert!(!trail.see((400, 300), SCREEN));
        assert!(!trail.see((3, 5), SCREEN));
        assert!(!trail.see((9, 5), SCREEN));
    }

    #[test]
    fn somebody_elses_move_is_told_once_even_to_a_place_the_viewer_has_left() {
        let mut trail = PointerTrail::default();
        trail.inject(1, 1);
        trail.inject(2, 2);
        assert!(!trail.see((2, 2), SCREEN));
        assert!(trail.see((1, 1), SCREEN));
        assert!(!trail.see((1, 1), SCREEN));
    }

    #[test]
    fn a_move_beyond_the_screen_ends_at_its_edge_and_is_still_the_viewers() {
        let mut trail = PointerTrail::default();
        trail.inject(5000, 20);
        assert!(!trail.see((799, 20), SCREEN));
    }
}
