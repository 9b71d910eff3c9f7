//! What feeds a session's pixels into chevet, behind one face. A source writes what changed into the
//! session's [`Canvas`], tells the rest as [`SourceEvent`]s, and takes input. It never encodes and never
//! knows who watches.

pub mod check;
mod known_hosts;
mod native;
mod pattern;
#[cfg(feature = "rdp")]
pub mod rdp;
pub mod rfb;
mod synthetic;
mod x11;

pub use known_hosts::{Keeper, Known, KnownHosts, read as read_known_hosts};
pub use native::NativeSource;
pub use pattern::{PatternConfig, PatternSource};
pub use synthetic::{Layout, SyntheticConfig, SyntheticSource, TITLE as SYNTHETIC_TITLE, keysym_for};
pub use x11::{X11Error, X11Source, XServer, authority_entry};

pub use crate::screen::CursorShape;

use crate::codec::Packed;
use crate::screen::{Framebuffer, Grid, Rect, SizeError, TILE, TileSet, ToldMoves};
use crate::sound::Pcm;
use crate::wire::{Clip, InputEvent, Policy, SoundPacket, Token};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The pixels that a source and its session share: the source writes, the session reads and hashes.
pub struct Canvas {
    painting: Mutex<Painting>,
    changed: Notify,
}

/// The newest pixels of a source and which tiles it has touched since the session last looked.
pub struct Painting {
    pub framebuffer: Framebuffer,
    pub damage: TileSet,
    /// What the source copied since then, if it says.
    pub told_moves: ToldMoves,
    /// Counts the sizes that the screen has had, so that the session notices a resize.
    pub size_changes: u64,
    /// When the oldest damage that the session has not seen was noticed.
    pub damaged_at: Option<std::time::Instant>,
    /// The pixels while nobody looks at them; the framebuffer is then empty.
    rested: Option<Arc<Packed>>,
}

impl Canvas {
    /// A black canvas of this many pixels.
    pub fn new(width: u32, height: u32) -> Result<Self, SizeError> {
        let framebuffer = Framebuffer::new(width, height)?;
        let damage = TileSet::full(framebuffer.grid().len());
        Ok(Canvas {
            painting: Mutex::new(Painting {
                framebuffer,
                damage,
                told_moves: ToldMoves::default(),
                size_changes: 0,
                damaged_at: None,
                rested: None,
            }),
            changed: Notify::new(),
        })
    }

    /// The painting, for as long as the guard is held. Hold it briefly: source and session share it.
    pub fn lock(&self) -> MutexGuard<'_, Painting> {
        let mut painting = self.lock_as_it_is();
        if let Some(rested) = painting.rested.take() {
            painting.framebuffer = rested.unpack();
        }
        painting
    }

    fn lock_as_it_is(&self) -> MutexGuard<'_, Painting> {
        // A panic elsewhere leaves at worst torn pixels behind, which the next damage mends.
        self.painting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the pixels' memory back until the next lock, if they are those of `seen`, which is packed already. A
    /// source may have painted what it has not told yet: then they stay.
    pub fn rest(&self, seen: &Framebuffer, packed: Arc<Packed>) {
        let mut painting = self.lock_as_it_is();
        if painting.rested.is_none() && painting.damage.is_empty() && painting.framebuffer == *seen {
            painting.framebuffer = Framebuffer::default();
            painting.rested = Some(packed);
        }
    }

    /// Wakes the session after damage was added or the size changed.
    pub fn notify(&self) {
        self.changed.notify_one();
    }

    /// Waits until [`Canvas::notify`] has been called since the last wait.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl Painting {
    pub fn grid(&self) -> Grid {
        self.framebuffer.grid()
    }

    /// Marks what a rectangle touches as damaged, as of now.
    pub fn add_damage(&mut self, rect: &Rect) {
        for tile in self.grid().tiles_in(rect) {
            self.damage.insert(tile);
        }
        self.damaged_at.get_or_insert_with(std::time::Instant::now);
    }

    /// Takes pixels of row `y` from column `x` on, marks the tiles in which they differ as damaged, as of now, and
    /// says whether there are any. What is the same is not written.
    pub fn paint_row(&mut self, x: u32, y: u32, pixels: &[u32]) -> bool {
        let grid = self.grid();
        let row = self.framebuffer.row_mut(x, y, pixels.len() as u32);
        if row == pixels {
            return false;
        }
        let mut start = 0;
        while start < pixels.len() {
            let at = x + start as u32;
            let end = pixels.len().min(start + (TILE - at % TILE) as usize);
            if row[start..end] != pixels[start..end] {
                row[start..end].copy_from_slice(&pixels[start..end]);
                self.damage.insert(grid.tile_at(at, y));
            }
            start = end;
        }
        self.damaged_at.get_or_insert_with(std::time::Instant::now);
        true
    }

    /// Moves the pixels of `from` to the same-sized rectangle at `(x, y)`, as of now, and tells the session so. Both must lie on
    /// the screen.
    pub fn copy(&mut self, from: Rect, x: u32, y: u32) {
        self.framebuffer.copy_within(from, x, y);
        self.told_moves.copied(from, x, y);
        self.add_damage(&Rect { x, y, ..from });
    }

    /// Starts again with a black screen of another size, all of it damaged.
    pub fn resize(&mut self, width: u32, height: u32) -> Result<(), SizeError> {
        self.framebuffer = Framebuffer::new(width, height)?;
        self.damage = TileSet::full(self.framebuffer.grid().len());
        self.told_moves.clear();
        self.size_changes += 1;
        self.damaged_at.get_or_insert_with(std::time::Instant::now);
        Ok(())
    }
}

/// Whether a source has a screen to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// Not connected to its host yet, or trying again; the text says what is being done and why.
    Waiting(String),
    Live,
}

/// What a source tells its session beside pixels.
#[derive(Clone)]
pub enum SourceEvent {
    State(SourceState),
    Cursor(CursorShape),
    /// How exact the pixels must be from now on; for sources that know.
    Policy(Policy),
    /// The pointer moved without this session's viewers having asked for it.
    CursorMoved {
        x: u16,
        y: u16,
    },
    /// Somebody copied something in the session.
    Clip(Clip),
    /// A program plays this. It is told as it is played, and left out where there is no room for it.
    Plays(Pcm),
    /// There is something to hear, which is told once somebody wants it: see [`Source::hear`].
    HasSound,
    /// The same, coded already.
    PlaysCoded(SoundPacket),
    /// Of what a viewer sent, all before event `next` is where it cannot be lost any more, or given up; for sources that
    /// remember whose input they took.
    Taken {
        viewer: Token,
        next: u64,
    },
}

/// What a session asks of its source. Every call returns at once.
pub trait Source: Send + Sync {
    /// Input for the host, in order.
    fn input(&self, event: InputEvent);
    /// The same of a viewer that numbers its events.
    fn input_of(&self, _viewer: Token, _number: u64, event: InputEvent) {
        self.input(event);
    }
    /// Whether it knows by itself which events of a viewer it had before, whoever brings them again, and tells what it has
    /// as [`SourceEvent::Taken`].
    fn remembers_viewers(&self) -> bool {
        false
    }
    /// A viewer wants the screen to have this size in pixels; a source that cannot, does not.
    fn resize(&self, width: u32, height: u32);
    /// Whether anybody hears what is played; a source that is told of it anyway does nothing.
    fn hear(&self, _wanted: bool) {}
    /// The host's clipboard is to hold this; a source that cannot, does nothing.
    fn clip(&self, _clip: Clip) {}
    /// The session is somebody else's from now on, who must not find what was copied before; a source that cannot
    /// empty its clipboard does nothing.
    fn empty_clipboard(&self) {}
    /// The session is somebody else's from now on: input of before that still waits for a host is given up.
    fn forget_input(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Encoder;

    fn painted() -> Canvas {
        let canvas = Canvas::new(200, 130).unwrap();
        let mut painting = canvas.lock();
        painting.framebuffer.row_mut(5, 100, 120).fill(0x0012_3456);
        painting.damage.clear();
        drop(painting);
        canvas
    }

    #[test]
    fn a_canvas_that_rested_has_its_pixels_when_somebody_looks() {
        let canvas = painted();
        let seen = canvas.lock().framebuffer.clone();
        canvas.rest(&seen, Arc::new(Packed::pack(&seen, &mut Encoder::new())));
        assert!(canvas.lock_as_it_is().framebuffer.pixels().is_empty());
        assert!(canvas.lock().framebuffer == seen);
    }

    #[test]
    fn a_row_is_written_and_told_only_where_it_differs() {
        let canvas = painted();
        let mut painting = canvas.lock();
        let same = painting.framebuffer.row(10, 100, 180).to_vec();
        assert!(!painting.paint_row(10, 100, &same));
        assert!(painting.damage.is_empty() && painting.damaged_at.is_none());
        let mut other = same.clone();
        (other[0], other[179]) = (1, 2);
        assert!(painting.paint_row(10, 100, &other));
        assert_eq!(painting.framebuffer.row(10, 100, 180), other);
        assert_eq!(painting.damage.iter().collect::<Vec<_>>(), [4, 6]);
        assert!(painting.damaged_at.is_some());
    }

    #[test]
    fn what_a_source_has_painted_and_not_told_keeps_its_canvas_awake() {
        let canvas = painted();
        let seen = canvas.lock().framebuffer.clone();
        canvas.lock().framebuffer.row_mut(0, 0, 1)[0] = 7;
        canvas.rest(&seen, Arc::new(Packed::pack(&seen, &mut Encoder::new())));
        assert_eq!(canvas.lock().framebuffer.row(0, 0, 1)[0], 7);
    }
}
