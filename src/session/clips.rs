//! What is copied in the session and at its viewers. It goes to the user alone, never to who watches, and as their policies say.

use super::task::{Task, ViewerId};
use super::viewer::Viewer;
use crate::sync::Micros;
use crate::wire::{Clip, ClipText, Control};

/// Programs that copy all the time are told on this often.
const EVERY: Micros = 250_000;

#[derive(Default)]
pub(super) struct Clips {
    /// What the session's programs copied last, unless something of a viewer's has taken its place.
    newest: Option<ClipText>,
    /// Whether viewers are still to be told.
    due: bool,
    told_us: Option<Micros>,
}

impl Clips {
    /// Nobody is told any more what there was.
    pub fn forget(&mut self) {
        (self.newest, self.due) = (None, false);
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

    /// A viewer that has just come is told what its session holds.
    pub(super) fn tell_clip_to(&self, id: ViewerId) {
        if let Some(viewer) = self.viewers.get(&id).filter(|viewer| may_take(viewer))
            && let Some(text) = &self.clips.newest
        {
            viewer.link.control(&Control::Clip(text.clone()));
        }
    }

    /// Something was copied at a viewer, which is told whether the session has it.
    pub(super) fn pasted(&mut self, id: ViewerId, text: ClipText) {
        let Some(viewer) = self.viewers.get(&id) else { return };
        let grant = &viewer.grant;
        let taken = grant.admission == 0 && grant.allowed.clipboard.goes_in() && self.sharing.lets_in(viewer);
        if taken {
            // What is the user's own does not go on to where they go next.
            self.clips.forget();
            self.source.clip(Clip::Text(text.0));
        }
        viewer.link.control(&Control::ClipTaken { taken });
    }
}

fn clip_fits(text: &str) -> bool {
    text.len() <= crate::wire::limits::MAX_CLIP_TEXT
}

fn may_take(viewer: &Viewer) -> bool {
    viewer.takes_clips && viewer.grant.admission == 0 && viewer.grant.allowed.clipboard.goes_out()
}
