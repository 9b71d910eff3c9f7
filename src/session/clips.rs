//! What is copied in the session and at its viewers. It goes to the user alone, never to who watches, and as their policies say;
//! the next user of the session finds none of it.

use super::task::{Task, ViewerId};
use super::viewer::Viewer;
use crate::sync::{Fetched, Micros, OfferedPicture};
use crate::wire::{Clip, ClipText, Control, PicturePart};
use std::sync::Arc;

/// Programs that copy all the time are told on this often.
const EVERY: Micros = 250_000;
/// So many texts may come at once, of a size that the source's queue holds without harm; then one each [`REFILL`].
const BURST: u32 = 32;
const REFILL: Micros = 300_000;
/// A picture takes the place of so many texts.
const PICTURE: u32 = 8;
/// A part of a picture waits for pixels that are owed, but no longer than this.
const PART_WAITS: Micros = 100_000;

pub(super) struct Clips {
    /// What the session's programs copied last, unless something of a viewer's has taken its place.
    newest: Option<Newest>,
    offered: OfferedPicture,
    /// Whose session it was then. A host that comes again tells it once more, perhaps to another user.
    of: Option<Arc<str>>,
    /// Whether viewers are still to be told.
    due: bool,
    told_us: Option<Micros>,
    /// Texts that may come now, and what pictures take the place of.
    places: u32,
    filled_us: Micros,
}

/// What is to be told, beside a picture itself.
enum Newest {
    Text(ClipText),
    Picture,
}

impl Default for Clips {
    fn default() -> Self {
        let offered = OfferedPicture::default();
        Clips { newest: None, offered, of: None, due: false, told_us: None, places: BURST, filled_us: 0 }
    }
}

impl Clips {
    /// Nobody is told any more what there was.
    pub fn forget(&mut self) {
        (self.newest, self.of, self.due) = (None, None, false);
        self.offered.withdraw();
    }

    /// What tells a viewer of it.
    fn message(&self) -> Option<Control> {
        match self.newest.as_ref()? {
            Newest::Text(text) => Some(Control::Clip(text.clone())),
            Newest::Picture => self.offered.again(),
        }
    }

    /// Gives a viewer the part of a picture that it asked for, or says when, if pixels go first.
    pub fn give_part(&self, viewer: &mut Viewer, now: Micros) -> Option<Micros> {
        let (picture, from, since) = viewer.part_wanted?;
        if viewer.delivery.owes() && now.saturating_sub(since) < PART_WAITS {
            return Some(since + PART_WAITS);
        }
        viewer.part_wanted = None;
        if may_take(viewer)
            && let Some(part) = self.offered.part(picture, from)
        {
            viewer.link.control(&part);
        }
        None
    }

    /// Whether something else may come now that takes so many places.
    fn take_places(&mut self, places: u32, now: Micros) -> bool {
        let earned = now.saturating_sub(self.filled_us) / REFILL;
        if earned > 0 {
            self.places = BURST.min(self.places.saturating_add(u32::try_from(earned).unwrap_or(BURST)));
            self.filled_us = now;
        }
        self.places.checked_sub(places).map(|left| self.places = left).is_some()
    }

    pub fn is_due(&self) -> bool {
        self.due
    }
}

impl Task {
    /// A program has copied something.
    pub(super) fn copied(&mut self, clip: Clip, now: Micros) {
        let newest = match clip {
            Clip::Text(text) if !text.is_empty() && clip_fits(&text) => Some(Newest::Text(ClipText(text))),
            Clip::Picture(png) => self.clips.offered.offer(png).map(|_| Newest::Picture),
            Clip::Text(_) => None,
        };
        if newest.is_none() {
            tracing::debug!(session = self.title, "what was copied is not sent on");
            return;
        }
        if !matches!(newest, Some(Newest::Picture)) {
            self.clips.offered.withdraw();
        }
        self.clips.newest = newest;
        self.clips.of = self.whose();
        self.clips.due = true;
        self.tell_clip(now);
    }

    /// Tells viewers what was copied, if it is time.
    pub(super) fn tell_clip(&mut self, now: Micros) {
        let soon = self.clips.told_us.is_some_and(|told| now.saturating_sub(told) < EVERY);
        let Some(message) = self.clips.message().filter(|_| self.clips.due && !soon) else { return };
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
            && let Some(message) = self.clips.message().filter(|_| self.clips.of == self.whose())
        {
            viewer.link.control(&message);
        }
    }

    /// Something was copied at a viewer, which is told whether the session has it.
    /// An empty one empties the clipboard.
    pub(super) fn pasted(&mut self, id: ViewerId, text: ClipText, now: Micros) {
        let may = self.may_paste(id);
        self.give_up_picture(id);
        let taken = may && self.clips.take_places(1, now);
        if taken && text.0.is_empty() {
            self.empty_clipboard();
        } else if taken {
            // What is the user's own does not go on to where they go next.
            self.clips.forget();
            self.source.clip(Clip::Text(text.0));
        }
        self.answer_pasted(id, taken);
    }

    /// A picture was copied at a viewer, or a part of it comes. Each picture is answered once: when it is here, or will not be.
    pub(super) fn picture_pasted(&mut self, id: ViewerId, part: &PicturePart, now: Micros) {
        let may = self.may_paste(id);
        let is_offer = part.bytes.is_empty();
        if is_offer {
            self.give_up_picture(id);
            if !(may && self.clips.take_places(PICTURE, now)) {
                return self.answer_pasted(id, false);
            }
        } else if !may {
            return self.give_up_picture(id);
        }
        let Some(viewer) = self.viewers.get_mut(&id) else { return };
        match viewer.fetched.hear(part) {
            Fetched::More(wanted) => viewer.link.control(&wanted),
            Fetched::Whole(png) => {
                self.clips.forget();
                self.source.clip(Clip::Picture(png));
                self.answer_pasted(id, true);
            }
            Fetched::Wrong => self.answer_pasted(id, false),
            Fetched::Stale => {}
        }
    }

    fn may_paste(&self, id: ViewerId) -> bool {
        self.viewers.get(&id).is_some_and(|viewer| {
            let grant = &viewer.grant;
            grant.admission == 0 && grant.allowed.clipboard.goes_in() && self.sharing.lets_in(viewer)
        })
    }

    /// Something else was copied at a viewer before a picture was here.
    fn give_up_picture(&mut self, id: ViewerId) {
        let under_way = self.viewers.get_mut(&id).filter(|viewer| viewer.fetched.is_under_way());
        if let Some(viewer) = under_way {
            viewer.fetched.give_up();
            self.answer_pasted(id, false);
        }
    }

    fn answer_pasted(&self, id: ViewerId, taken: bool) {
        if !taken {
            tracing::debug!(viewer = id, session = self.title, "what was copied at a viewer is not taken");
        }
        if let Some(viewer) = self.viewers.get(&id) {
            viewer.link.control(&Control::ClipTaken { taken });
        }
    }
}

fn clip_fits(text: &str) -> bool {
    text.len() <= crate::wire::limits::MAX_CLIP_TEXT
}

fn may_take(viewer: &Viewer) -> bool {
    viewer.takes_clips && viewer.grant.admission == 0 && viewer.grant.allowed.clipboard.goes_out()
}
