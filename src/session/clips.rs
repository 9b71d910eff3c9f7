//! What is copied in the session and at its viewers. It goes to the user alone, never to who watches, and as their policies say;
//! the next user of the session finds none of it.

use super::task::{Task, ViewerId};
use super::viewer::Viewer;
use crate::sync::Micros;
use crate::wire::{Clip, ClipText, Control};
use std::sync::Arc;

/// Programs that copy all the time are told on this often.
const EVERY: Micros = 250_000;
/// So many texts may come at once, of a size that the source's queue holds without harm; then one each [`REFILL`].
const BURST: u32 = 32;
const REFILL: Micros = 300_000;

pub(super) struct Clips {
    /// What the session's programs copied last, unless something of a viewer's has taken its place.
    newest: Option<ClipText>,
    /// Whose session it was then. A host that comes again tells it once more, perhaps to another user.
    of: Option<Arc<str>>,
    /// Whether viewers are still to be told.
    due: bool,
    told_us: Option<Micros>,
    /// Texts that may come now.
    places: u32,
    filled_us: Micros,
}

impl Default for Clips {
    fn default() -> Self {
        Clips { newest: None, of: None, due: false, told_us: None, places: BURST, filled_us: 0 }
    }
}

impl Clips {
    /// Nobody is told any more what there was.
    pub fn forget(&mut self) {
        (self.newest, self.of, self.due) = (None, None, false);
    }

    /// Whether another text may come now.
    fn take_place(&mut self, now: Micros) -> bool {
        let earned = now.saturating_sub(self.filled_us) / REFILL;
        if earned > 0 {
            self.places = BURST.min(self.places.saturating_add(u32::try_from(earned).unwrap_or(BURST)));
            self.filled_us = now;
        }
        self.places.checked_sub(1).map(|left| self.places = left).is_some()
    }

    pub fn is_due(&self) -> bool {
        self.due
    }
}

impl Task {
    /// A program has copied something.
    pub(super) fn copied(&mut self, clip: Clip, now: Micros) {
        match clip {
            Clip::Text(text) if !text.is_empty() && clip_fits(&text) => {
                self.clips.newest = Some(ClipText(text));
                self.clips.of = self.whose();
                self.clips.due = true;
                self.tell_clip(now);
            }
            clip => tracing::debug!(session = self.title, ?clip, "what was copied is not sent on"),
        }
    }

    /// Tells viewers what was copied, if it is time.
    pub(super) fn tell_clip(&mut self, now: Micros) {
        let soon = self.clips.told_us.is_some_and(|told| now.saturating_sub(told) < EVERY);
        let Some(text) = self.clips.newest.as_ref().filter(|_| self.clips.due && !soon) else { return };
        let message = Control::Clip(text.clone());
        let who = self.viewers.values().filter(|viewer| may_take(viewer));
        who.for_each(|viewer| viewer.link.control(&message));
        (self.clips.due, self.clips.told_us) = (false, Some(now));
    }

    /// Whose the session is.
    fn whose(&self) -> Option<Arc<str>> {
        self.held_by.as_ref().map(|holder| holder.user.clone())
    }

    /// What was copied is no business of who uses the session next: not told, and not to be pasted in it.
    pub(super) fn empty_clipboard(&mut self) {
        self.clips.forget();
        self.source.empty_clipboard();
    }

    /// A viewer that has just come is told what its session holds.
    pub(super) fn tell_clip_to(&self, id: ViewerId) {
        if let Some(viewer) = self.viewers.get(&id).filter(|viewer| may_take(viewer))
            && let Some(text) = self.clips.newest.as_ref().filter(|_| self.clips.of == self.whose())
        {
            viewer.link.control(&Control::Clip(text.clone()));
        }
    }

    /// Something was copied at a viewer, which is told whether the session has it.
    /// An empty one empties the clipboard.
    pub(super) fn pasted(&mut self, id: ViewerId, text: ClipText, now: Micros) {
        let Some(viewer) = self.viewers.get(&id) else { return };
        let grant = &viewer.grant;
        let may = grant.admission == 0 && grant.allowed.clipboard.goes_in() && self.sharing.lets_in(viewer);
        let link = viewer.link.clone();
        let taken = may && self.clips.take_place(now);
        if taken && text.0.is_empty() {
            self.empty_clipboard();
        } else if taken {
            // What is the user's own does not go on to where they go next.
            self.clips.forget();
            self.source.clip(Clip::Text(text.0));
        } else {
            tracing::debug!(
                viewer = id,
                session = self.title,
                may,
                "what was copied at a viewer is not taken"
            );
        }
        link.control(&Control::ClipTaken { taken });
    }
}

fn clip_fits(text: &str) -> bool {
    text.len() <= crate::wire::limits::MAX_CLIP_TEXT
}

fn may_take(viewer: &Viewer) -> bool {
    viewer.takes_clips && viewer.grant.admission == 0 && viewer.grant.allowed.clipboard.goes_out()
}
